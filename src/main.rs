//! The command line: reads the settings, runs the components, ends with an exit code.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use correction_runner::config::{self, Component, Configuration, Request};
use correction_runner::docker::{self, EngineError};
use correction_runner::heartbeat::{self, Hearts};
use correction_runner::queue::QueueError;
use correction_runner::shutdown::{GRACE, Stop};
use correction_runner::startup::{self, BadSetting, Unreachable};
use correction_runner::supervision::{self, Ended, Stage};
use correction_runner::tools::failure::{self, Kind};
use correction_runner::tools::terminal::{Terminal, printable};
use correction_runner::tools::{self, Answer};
use correction_runner::{completer, http, notifier, reload, service_manager, starter, telemetry, version};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Exit codes: that of a command whose answer is no, and those that sysexits.h has.
const ANSWER_IS_NO: u8 = 1;
const BROKEN: u8 = 2;
const NO_ANSWER_YET: u8 = 3;
/// As shells tell of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;
/// As shells tell of a program that SIGPIPE ended.
const NO_READER: u8 = 141;
const BAD_CONFIGURATION: u8 = Kind::Settings.exit_code();
const SERVICE_UNREACHABLE: u8 = Kind::Unreachable.exit_code();
const INTERNAL_ERROR: u8 = Kind::Internal.exit_code();

/// How long the runtime may take to end what it still runs; by then all components have stopped.
const LAST_WORDS: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    if let Some(code) = docker::stand_in() {
        return code;
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    let (mut out, wants_json) = (Terminal::stdout(), config::asks_for_json(&arguments));
    let fail = |kind: Kind, why: &str, out: &mut Terminal<'_>| {
        if wants_json {
            // Whoever does not read it has the exit code.
            let _ = failure::write(kind, why, out);
        }
        refuse(kind.exit_code(), why)
    };
    match config::read(arguments, std::env::vars_os(), Path::new(".")) {
        Ok(Request::Run(configuration)) => run(*configuration),
        Ok(Request::Tool(tool)) => match tools::run(*tool, &mut out) {
            Ok(Answer::Yes) => ExitCode::SUCCESS,
            Ok(Answer::No) => ExitCode::from(ANSWER_IS_NO),
            Ok(Answer::Broken) => ExitCode::from(BROKEN),
            Ok(Answer::NotYet) => ExitCode::from(NO_ANSWER_YET),
            Ok(Answer::Interrupted) => ExitCode::from(INTERRUPTED),
            Ok(Answer::Senseless(why)) => fail(Kind::Settings, &format!("error: {why}"), &mut out),
            Ok(Answer::Unreachable(why)) => fail(Kind::Unreachable, &format!("error: {why}"), &mut out),
            // A reader went away (`| head`): no error, and yet nobody read the answer, which may have been a no.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(NO_READER),
            Err(error) => fail(Kind::Internal, &format!("error: {error}"), &mut out),
        },
        Ok(Request::Show(text)) => {
            // A reader that went away (`| head`) is no error.
            let _ = write!(io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(refusal) => fail(Kind::Settings, refusal.to_string().trim_end(), &mut out),
    }
}

fn run(configuration: Configuration) -> ExitCode {
    if let Err(error) = telemetry::start(&configuration.log, configuration.component.name()) {
        return refuse(BAD_CONFIGURATION, format_args!("error: {error}"));
    }
    let listening = match configuration.http.map(http::listen).transpose() {
        Ok(listening) => listening,
        Err(error) => {
            let code = if error.may_pass() { SERVICE_UNREACHABLE } else { BAD_CONFIGURATION };
            error!("{error}");
            return refuse(code, format_args!("error: {error}"));
        }
    };
    let files = startup::raise_file_limit();
    let threads = available_parallelism().map_or(2, |cores| cores.get().max(2));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return refuse(INTERNAL_ERROR, format_args!("error: no runtime: {error}")),
    };
    let hearts = Hearts::default();
    let ended = runtime.block_on(async {
        let stop = Stop::on_signals()?;
        heartbeat::stop_if_blocked(&hearts, || std::process::exit(INTERNAL_ERROR.into()))?;
        if configuration.starter.as_ref().is_none_or(|starter| starter.policy.file().is_none()) {
            reload::nothing_to_reload()?;
        }
        announce(&configuration);
        if let (Some(files), Some(warning)) = (files, files.and_then(startup::too_few_files)) {
            warn!(files, "{warning}");
        }
        let watched = http::Watched::of(&configuration);
        let serving =
            listening.map(|listening| listening.serve(watched, &hearts, &stop.asked)).transpose()?;
        let stages = stages(configuration, &stop.asked);
        let components = stages.iter().map(|(name, _)| *name).collect();
        service_manager::tell_in_background(&hearts, components, &stop.asked);
        io::Result::Ok((supervision::run(stages, &hearts, &stop, GRACE).await, serving))
    });
    runtime.shutdown_timeout(LAST_WORDS);
    let ended = ended.map(|(ended, serving)| {
        serving.into_iter().for_each(http::Serving::close);
        ended
    });
    match ended {
        Ok(ended) => exit_code(&ended),
        Err(error) => refuse(
            INTERNAL_ERROR,
            format_args!("error: no signal handlers, watchdog or HTTP server: {error}"),
        ),
    }
}

fn stages(configuration: Configuration, shutdown: &CancellationToken) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    if let Some(settings) = configuration.starter {
        stages.push((Component::Starter.name(), Box::pin(starter::run(settings, shutdown.clone()))));
    }
    if let Some(settings) = configuration.completer {
        stages.push((Component::Completer.name(), Box::pin(completer::run(settings, shutdown.clone()))));
    }
    if let Some(settings) = configuration.notifier {
        stages.push((Component::Notifier.name(), Box::pin(notifier::run(settings, shutdown.clone()))));
    }
    stages
}

/// What a person who starts it should know.
fn announce(configuration: &Configuration) {
    let (component, version) = (configuration.component.name(), version::VERSION);
    info!(version, "correction-runner {version}: {component}");
    if configuration.starter.is_some() {
        if configuration.hardened {
            info!(
                "containers run hardened: what is not set otherwise is no network, no capabilities, limits of memory, \
                 processors, processes and time, a read-only submission; CONTAINER_PROFILE=original is the way back"
            );
        } else {
            info!(
                "containers run as the original ran them (CONTAINER_PROFILE=original): without limits of ours"
            );
        }
    }
    for warning in &configuration.warnings {
        warn!("{warning}");
    }
}

fn exit_code(ended: &Ended) -> ExitCode {
    match ended {
        Ended::Gracefully => {
            info!("stopped");
            ExitCode::SUCCESS
        }
        Ended::AtOnce => ExitCode::SUCCESS,
        Ended::Late(stages) => {
            let late = stages.join(", ");
            error!("cut off after {} s: {late}", GRACE.as_secs());
            refuse(INTERNAL_ERROR, format_args!("error: {late} did not stop within {} s", GRACE.as_secs()))
        }
        Ended::Failed { stage, error } => {
            let text = format!("{error:#}");
            error!(stage, error = text, "{stage} failed: {text}");
            refuse(code_of(error), format_args!("error: {stage}: {text}"))
        }
    }
}

/// The exit code for what made a component fail.
fn code_of(error: &anyhow::Error) -> u8 {
    let is_setting = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<BadSetting>()
            || matches!(cause.downcast_ref(), Some(QueueError::BadSettings(_)))
            || matches!(cause.downcast_ref(), Some(EngineError::BadFile { .. } | EngineError::BadEndpoint(_)))
    };
    if error.chain().any(is_setting) {
        BAD_CONFIGURATION
    } else if error.chain().any(<dyn std::error::Error>::is::<Unreachable>) {
        SERVICE_UNREACHABLE
    } else {
        INTERNAL_ERROR
    }
}

/// Says on the standard error why it ends, even where the log goes elsewhere.
fn refuse(code: u8, why: impl Display) -> ExitCode {
    let _ = writeln!(io::stderr(), "{}", without_tricks(&why.to_string()));
    ExitCode::from(code)
}

/// A text for a terminal, line by line: it may quote what strangers wrote.
fn without_tricks(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn no_reason_makes_a_terminal_act_and_its_lines_stay() {
        assert_eq!(without_tricks("a\u{1b}[2J\nb\u{61c}c\n"), "a·[2J\nb·c");
    }

    #[test]
    fn each_cause_of_a_failure_has_its_exit_code() {
        let reason = || String::from("a reason");
        let unreachable =
            Unreachable::GaveUp { service: "Redis", waited: Duration::from_secs(1), last: reason() };
        for (error, code) in [
            (anyhow!(BadSetting::new("CALLBACK_CA_FILE", "no certificate")), 64),
            (anyhow!(QueueError::BadSettings(reason())), 64),
            (anyhow!(EngineError::BadEndpoint(reason())), 64),
            (anyhow!(unreachable), 69),
            (anyhow!("anything else"), 70),
        ] {
            let error = Err::<(), _>(error).context("what a stage adds").expect_err("an error");
            assert_eq!(code_of(&error), code, "{error:#}");
        }
    }
}
