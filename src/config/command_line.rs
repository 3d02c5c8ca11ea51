//! The command line: subcommands, and a flag for each setting of the table.

use std::collections::HashMap;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::table::{Component, Setting, settings};
use super::tools::{self, ToolLine};
use crate::version::VERSION;

/// What the command line asks for.
pub(super) enum Line {
    /// A component with these flags, by setting.
    Run(Component, HashMap<&'static str, String>),
    /// A command that is no component, with these flags.
    Tool(Box<ToolLine>, HashMap<&'static str, String>),
    /// A text to be shown, such as the help.
    Show(String),
}

const ABOUT: &str = "Runs strangers' submissions in containers and tells the caller the grade";

const DETAILS: &str = "\
Corrections come in through Redis (BullMQ) queues. The starter takes them from pending_corrections and starts
a container for each; the completer waits for the containers to end, reads their verdicts and queues them in
finished_corrections; the notifier delivers them to the callback that came with the correction. Run the three
as processes of their own, on one machine or several, or 'all' of them in one.";

const AFTER: &str = "\
Settings: each is a flag, an environment variable, or a line of a .env file in the working directory; the first
of these counts. 'correction-runner starter --help' and so on show those of one component, 'correction-runner
--help' shows all. With PROCESS=starter (or another component) in the environment no command is needed.

Exit codes: 0 stopped as asked, or a command's answer is yes; 1 the answer is no; 2 a grader is broken (try), the
runner could not correct it (submit); 3 it has not ended yet (submit, cancel); 64 a setting is wrong; 69 Redis or
Docker was not there; 70 internal error; 130 a command was stopped; 141 whoever read a command's output went away.

Try it: correction-runner all --redis-host 127.0.0.1";

const AFTER_COMPONENT: &str = "\
Each setting is a flag, the environment variable named with it, or a line of a .env file in the working
directory; the first of these counts. Durations take ms, s, m, h, d; sizes take k, m, g.";

/// The widest line of the help text.
const WIDTH: usize = 100;

/// The whole command line, as clap knows it: what the help, the manual pages and the reference are made of.
#[must_use]
pub fn command() -> Command {
    let mut command = Command::new("correction-runner")
        .version(VERSION)
        .about(ABOUT)
        .after_help(format!("{DETAILS}\n\n{AFTER}"))
        .after_long_help(format!("{DETAILS}\n\n{AFTER}\n\n{}", every_setting()))
        .subcommand_value_name("COMMAND")
        .subcommand_help_heading("Components, and commands for a person")
        .disable_help_subcommand(true);
    for component in Component::EACH {
        command = command.subcommand(subcommand(component));
    }
    // The derived commands bring a text of their own along.
    tools::added_to(command).about(ABOUT).long_about(None)
}

fn subcommand(component: Component) -> Command {
    let about = match component {
        Component::Starter => "Takes pending corrections and starts a container for each",
        Component::Completer => "Waits for containers to end and reads their verdicts",
        Component::Notifier => "Delivers results to the callbacks",
        Component::All => "The three of them in one process",
    };
    let arguments =
        settings().filter(|setting| setting.is_of(component)).map(|setting| argument(setting, component));
    Command::new(component.name())
        .about(about)
        .after_help(AFTER_COMPONENT)
        .next_line_help(true)
        .args(arguments)
}

/// The settings of all components, each with who uses it.
fn every_setting() -> String {
    let mut all = subcommand(Component::All).disable_help_flag(true).help_template("{all-args}");
    format!("All settings\n------------\n\n{}", all.render_help())
}

pub(super) fn argument(setting: &'static Setting, component: Component) -> Arg {
    let mut notes = vec![setting.name.to_owned()];
    if !setting.aliases.is_empty() {
        notes.push(format!("or {}", setting.aliases.join(", ")));
    }
    match (setting.default, setting.unset, setting.original) {
        ("", "", _) => {}
        ("", unset, _) => notes.push(format!("default: {unset}")),
        (default, _, None) => notes.push(format!("default: {default}")),
        (default, _, Some(original)) => {
            notes.push(format!("default: {default}, or {original} with CONTAINER_PROFILE=original"));
        }
    }
    if component == Component::All && setting.users.len() < 3 {
        let users: Vec<_> = setting.users.iter().map(|user| user.name()).collect();
        notes.push(format!("of the {}", users.join(" and ")));
    }
    let help = format!("{}\n[{}]", setting.help, notes.join("; "));
    let argument = Arg::new(setting.name)
        .long(setting.flag())
        .value_name(setting.value)
        .help_heading(setting.group)
        .help(wrapped(&help))
        .action(ArgAction::Set);
    if setting.is_boolean() { argument.num_args(0..=1).default_missing_value("yes") } else { argument }
}

/// The text with line breaks where it is too wide, which clap without its terminal feature does not do.
fn wrapped(text: &str) -> String {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH - 10 {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Whether the arguments (the program's name first) leave open which component is meant.
pub(super) fn is_open(arguments: &[OsString]) -> bool {
    let first = arguments.get(1).map(|first| first.to_string_lossy());
    let shows = |first: &str| matches!(first, "-h" | "--help" | "-V" | "--version");
    first.is_none_or(|first| first.starts_with('-') && !shows(&first))
}

/// Reads the command line, the program's name first.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<Line, String> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Line::Show(error.to_string()));
        }
        Err(error) => return Err(refusal(&error)),
    };
    if let Some((component, flags)) = chosen(&matches) {
        return Ok(Line::Run(component, flags));
    }
    let (tool, matches) = tools::chosen(&matches).ok_or_else(|| String::from("error: name a component"))?;
    Ok(Line::Tool(Box::new(tool), flags(matches)))
}

/// The help text of the whole.
pub(super) fn help() -> String {
    command().render_help().to_string()
}

fn chosen(matches: &ArgMatches) -> Option<(Component, HashMap<&'static str, String>)> {
    let (name, matches) = matches.subcommand()?;
    Some((Component::named(name)?, flags(matches)))
}

/// The settings that are given as flags, by their names.
fn flags(matches: &ArgMatches) -> HashMap<&'static str, String> {
    // Of a setting that the command does not take clap says an error.
    let flag = |name| matches.try_get_one::<String>(name).ok().flatten().cloned();
    settings().filter_map(|setting| Some((setting.name, flag(setting.name)?))).collect()
}

/// Clap's error, without a stray value in it: it may be a part of a password that holds a space.
fn refusal(error: &clap::Error) -> String {
    let stray = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => !argument.starts_with('-'),
        _ => false,
    };
    if error.kind() == ErrorKind::UnknownArgument && stray {
        return "error: there is a value that belongs to no flag (not shown, since it may be part of a secret); \
                put values that hold spaces in quotes\n"
            .into();
    }
    error.to_string()
}
