//! The commands that are no components: what a person runs to look something up, or to make something.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::inputs::Inputs;
use super::table::{Setting, settings};

/// A command of the command line, as clap reads it.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ToolLine {
    /// Which images may run, and what their containers get
    #[command(subcommand)]
    Policy(PolicyLine),
}

/// What can be asked of the policy.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum PolicyLine {
    /// Checks `POLICY_FILE`, and says which rule applies to an image and what its container would get
    Check(CheckLine),
}

/// What is to be checked.
#[derive(Clone, Debug, Args)]
pub(super) struct CheckLine {
    /// The image, as a job would name it; without one only the file is checked
    image: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// A command that is no component, with the settings that it uses.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// Says which rule applies to an image.
    PolicyCheck(PolicyCheck),
}

/// What `policy check` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyCheck {
    /// The image; without one only the file is checked.
    pub image: Option<String>,
    /// Whether the answer is to be JSON.
    pub json: bool,
    /// The policy in force with these settings.
    pub policy: crate::policy::Policy,
}

/// The path of each command, and which settings it takes as flags.
type Taken = (&'static [&'static str], fn(&Setting) -> bool);
const TOOLS: &[Taken] = &[(&["policy", "check"], |setting| setting.group == super::table::SANDBOX)];

/// The command line with the commands added.
pub(super) fn added_to(command: Command) -> Command {
    let command = ToolLine::augment_subcommands(command);
    TOOLS.iter().fold(command, |command, (path, takes)| with_flags(command, path, *takes))
}

/// The command at the end of a path, with a flag for each setting that it takes.
fn with_flags(command: Command, path: &[&'static str], takes: fn(&Setting) -> bool) -> Command {
    match path.split_first() {
        Some((first, rest)) => command.mut_subcommand(*first, |inner| with_flags(inner, rest, takes)),
        None => command.args(
            settings()
                .filter(|setting| takes(setting))
                .map(|setting| super::command_line::argument(setting, super::table::Component::Starter)),
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

/// The command with its settings; what is wrong with them is told by the inputs.
pub(super) fn tool(line: ToolLine, inputs: &mut Inputs) -> Tool {
    match line {
        ToolLine::Policy(PolicyLine::Check(CheckLine { image, json })) => {
            Tool::PolicyCheck(PolicyCheck { image, json, policy: super::sandbox::policy(inputs) })
        }
    }
}
