//! The commands that are no components: what a person runs to look something up, or to make something.

mod cancel;
mod containers;
mod deliveries;
mod doctor;
mod health;
mod keys;
mod logs;
mod pages;
mod policy;
mod queues;
mod status;
mod submit;
mod trial;

use clap::{ArgMatches, Command, FromArgMatches, Subcommand};

use super::Configuration;
use super::components::common;
use super::connections::{docker, redis};
use super::formats;
use super::inputs::Inputs;
use super::settings::Secret;
use super::signing;
use super::table::{Component, DOCKER, REDIS, SANDBOX, Setting, settings};

pub use cancel::{Cancel, NamedBy};
pub use containers::{Containers, ContainersOrder, ListContainers, PruneContainers, Whose};
pub use deliveries::{
    Deliveries, DeliveriesOrder, ListDeliveries, ListedState, Redeliver, Selection, ShowDelivery,
};
pub use doctor::{Diagnosed, Doctor};
pub use health::Health;
pub use keys::{KeyKind, Keygen, Verify};
pub use logs::Logs;
pub use pages::{Completions, Man};
pub use policy::PolicyCheck;
use policy::{CheckLine, PolicyLine};
pub use queues::{DrainQueue, ListQueues, QueueName, Queues, QueuesOrder, ResetQueues, RetryFailed};
pub use status::Status;
pub use submit::Submit;
use trial::TryLine;
pub use trial::{Language, NewGrader, Trial};

/// A command of the command line, as clap reads it.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ToolLine {
    /// Which images may run, and what their containers get
    #[command(subcommand)]
    Policy(PolicyLine),
    /// Makes a key that signs callbacks
    Keygen(Keygen),
    /// Checks the signature of a callback, as its receiver does
    Verify(Verify),
    /// Lists deliveries that failed or wait, and makes them anew
    Deliveries(Deliveries),
    /// Puts a correction into the queue, waits for its result and prints it
    ///
    /// Exit codes: 0 the grader says success, 1 the grader says failure, 2 the runner could not correct it, 3 there
    /// is no result yet (--timeout), 64 what was asked for makes no sense, 69 Redis is not there, 130 it was stopped.
    Submit(Submit),
    /// Ends corrections that wait or run; their callbacks say so
    ///
    /// Exit codes: 0 cancelled, 1 it had ended before or is not known, 3 it has not ended yet (--timeout, --no-wait),
    /// 64 what was asked for makes no sense, 69 Redis is not there.
    Cancel(Cancel),
    /// Shows what a running correction prints, and the history of one that has ended
    ///
    /// Exit codes: 0 it is shown, 1 no correction of that name is known, 64 what was asked for makes no sense, 69 Redis
    /// or Docker is not there.
    Logs(Logs),
    /// Shows how full the queues are, empties them, and tries again what failed
    Queues(Queues),
    /// Lists the containers of corrections, and removes those that nobody needs
    Containers(Containers),
    /// Asks a component on this machine whether it is alive (`HTTP_LISTEN`)
    ///
    /// Exit codes: 0 it is (with --if-set also where there is nothing to ask), 1 it answers that it is not, 64
    /// `HTTP_LISTEN` is not set, 69 nobody answers there.
    Health(Health),
    /// Checks Redis, Docker, the way to callbacks, and the settings; each with a verdict and a remedy
    ///
    /// Exit codes: 0 nothing failed, 1 something did (warnings do not count), 64 what was asked for makes no sense, 130
    /// --deep was stopped.
    Doctor(Doctor),
    /// Shows the queues, what runs, and what holds it up
    Status(Status),
    /// Prints completions for a shell: source <(correction-runner completions bash)
    Completions(Completions),
    /// Writes the manual pages into a folder
    Man(Man),
    /// Runs one correction as the components would, without Redis, and shows what comes of it
    ///
    /// Exit codes: 0 the verdict is success, 1 the verdict is a failure, 2 the grader is broken (no valid verdict,
    /// out of time or memory, it cannot start), 64 what was asked for cannot be tried (no such file or image, an
    /// image that is not allowed), 69 Docker is not there or failed, 130 it was stopped.
    Try(TryLine),
    /// Writes a grader that works, with its Dockerfile, submissions and a test
    NewGrader(NewGrader),
}

/// A command that is no component, with the settings that it uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// Says which rule applies to an image.
    PolicyCheck(Box<PolicyCheck>),
    /// Makes a key.
    Keygen(Keygen),
    /// Checks a callback.
    Verify(Verify),
    /// Lists deliveries, or makes them anew.
    Deliveries(Deliveries),
    /// Submits a correction.
    Submit(Box<Submit>),
    /// Cancels corrections.
    Cancel(Box<Cancel>),
    /// Shows what a correction printed.
    Logs(Box<Logs>),
    /// Lists, empties or retries queues.
    Queues(Box<Queues>),
    /// Lists or removes containers.
    Containers(Box<Containers>),
    /// Asks a component how it is.
    Health(Health),
    /// Checks everything that is needed.
    Doctor(Doctor),
    /// Shows what goes on.
    Status(Status),
    /// Prints completions.
    Completions(Completions),
    /// Writes manual pages.
    Man(Man),
    /// Runs one correction.
    Try(Box<Trial>),
    /// Writes a new grader.
    NewGrader(NewGrader),
}

/// The path of each command, and which settings it takes as flags.
type Taken = (&'static [&'static str], fn(&Setting) -> bool);
const TOOLS: &[Taken] = &[
    (&["policy", "check"], |setting| setting.group == SANDBOX),
    (&["health"], |setting| setting.name == "HTTP_LISTEN"),
    (&["deliveries", "list"], is_of_redis),
    (&["deliveries", "show"], is_of_redis),
    (&["deliveries", "redeliver"], is_of_redis),
    (&["submit"], is_of_queues),
    (&["cancel"], is_of_queues),
    (&["logs"], is_of_redis_or_docker),
    (&["queues", "list"], is_of_redis),
    (&["queues", "reset"], is_of_redis),
    (&["queues", "drain"], is_of_queues),
    (&["queues", "retry-failed"], is_of_redis),
    (&["containers", "list"], is_of_redis_or_docker),
    (&["containers", "prune"], is_of_redis_or_docker),
    (&["doctor"], |_| true),
    (&["status"], |setting| is_of_redis(setting) || setting.name == "KEEP_COMPLETED"),
    (&["try"], is_of_a_trial),
];

/// Redis, and what is written into the jobs of results.
fn is_of_queues(setting: &Setting) -> bool {
    let of_results = ["KEEP_COMPLETED", "NOTIFY_ATTEMPTS", "NOTIFY_BACKOFF", "NOTIFY_SCHEDULE"];
    is_of_redis(setting) || of_results.contains(&setting.name)
}

fn is_of_redis_or_docker(setting: &Setting) -> bool {
    let of_pulls = setting.name.starts_with("DOCKER_PULL") || setting.name.starts_with("DOCKER_RE");
    is_of_redis(setting) || setting.group == DOCKER && !of_pulls
}

fn is_of_redis(setting: &Setting) -> bool {
    setting.group == REDIS && !setting.name.starts_with("KEEP_")
}

fn is_of_a_trial(setting: &Setting) -> bool {
    let of_engine = setting.group == DOCKER || setting.group == SANDBOX;
    of_engine || matches!(setting.name, "CONTAINER_OUTPUT_LIMIT" | "EXERCISE_FOLDERS")
}

/// The command line with the commands added.
pub(super) fn added_to(command: Command) -> Command {
    let command = ToolLine::augment_subcommands(command);
    let command = TOOLS.iter().fold(command, |command, (path, takes)| with_flags(command, path, *takes));
    command.mut_subcommand("try", |command| {
        command.mut_arg("POLICY_FILE", |argument| argument.visible_alias("policy"))
    })
}

/// The command at the end of a path, with a flag for each setting that it takes.
fn with_flags(command: Command, path: &[&'static str], takes: fn(&Setting) -> bool) -> Command {
    match path.split_first() {
        Some((first, rest)) => command.mut_subcommand(*first, |inner| with_flags(inner, rest, takes)),
        None => command.args(
            settings()
                .filter(|setting| takes(setting))
                .map(|setting| super::command_line::argument(setting, Component::Starter)),
        ),
    }
}

/// The command that the command line names, if it names one, and the flags given to it.
pub(super) fn chosen(matches: &ArgMatches) -> Option<(ToolLine, &ArgMatches)> {
    let line = ToolLine::from_arg_matches(matches).ok()?;
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    Some((line, innermost))
}

impl ToolLine {
    /// For which component it needs the settings, where it says so.
    pub(super) fn component(&self) -> Option<Component> {
        match self {
            Self::Doctor(doctor) => doctor.component,
            _ => None,
        }
    }

    /// Whether it is for a single component, if one is named.
    pub(super) fn is_for_component(&self) -> bool {
        matches!(self, Self::Doctor(_))
    }
}

/// The command with its settings; what is wrong with them is told by the inputs.
pub(super) fn tool(line: ToolLine, inputs: &mut Inputs) -> Tool {
    let password =
        |inputs: &mut Inputs| inputs.find("PRIVATE_KEY_PASSWORD").map(|found| Secret::new(found.text));
    match line {
        ToolLine::Policy(PolicyLine::Check(CheckLine { image, json })) => {
            Tool::PolicyCheck(Box::new(PolicyCheck { image, json, policy: super::sandbox::policy(inputs) }))
        }
        ToolLine::Keygen(keygen) => Tool::Keygen(Keygen { password: password(inputs), ..keygen }),
        ToolLine::Verify(verify) => {
            let named = !verify.keys.is_empty() || verify.keys_file.is_some();
            let settings_keys = if named { Vec::new() } else { signing::texts(inputs) };
            Tool::Verify(Verify { password: password(inputs), settings_keys, ..verify })
        }
        ToolLine::Deliveries(deliveries) => Tool::Deliveries(Deliveries {
            redis: Some(redis(inputs)),
            instance: inputs.read_optional("INSTANCE_ID", formats::instance),
            ..deliveries
        }),
        ToolLine::Submit(submit) => Tool::Submit(Box::new(Submit { common: Some(common(inputs)), ..submit })),
        ToolLine::Cancel(cancel) => Tool::Cancel(Box::new(Cancel { common: Some(common(inputs)), ..cancel })),
        ToolLine::Logs(logs) => {
            let (common, docker) = (Some(common(inputs)), Some(docker(inputs)));
            Tool::Logs(Box::new(Logs { common, docker, ..logs }))
        }
        ToolLine::Queues(queues) => Tool::Queues(Box::new(Queues { common: Some(common(inputs)), ..queues })),
        ToolLine::Containers(containers) => {
            let (common, docker) = (Some(common(inputs)), Some(docker(inputs)));
            Tool::Containers(Box::new(Containers { common, docker, ..containers }))
        }
        ToolLine::Health(health) => {
            let listens_at = inputs.read_optional("HTTP_LISTEN", formats::listen_address);
            Tool::Health(Health { listens_at, ..health })
        }
        ToolLine::Doctor(doctor) => {
            let configuration = super::gathered(inputs);
            let (warnings, problems) = inputs.take();
            let configuration = Configuration { warnings, ..configuration };
            Tool::Doctor(Doctor { settings: Some(Box::new(Diagnosed { configuration, problems })), ..doctor })
        }
        ToolLine::Status(status) => Tool::Status(Status {
            redis: Some(redis(inputs)),
            kept: inputs.read("KEEP_COMPLETED", |text| formats::whole(text, 0, 10_000_000)),
            ..status
        }),
        ToolLine::Completions(completions) => Tool::Completions(completions),
        ToolLine::Man(man) => Tool::Man(man),
        ToolLine::Try(line) => Tool::Try(Box::new(line.with(inputs))),
        ToolLine::NewGrader(new_grader) => Tool::NewGrader(new_grader),
    }
}
