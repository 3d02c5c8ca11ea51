//! The commands with their arguments, as clap knows them.

use clap::{Arg, Command};
use correction_runner::config::{self, Component, settings};

use super::marked_up;

fn whole() -> Command {
    let mut command = config::command();
    command.build();
    command
}

fn is_component(command: &Command) -> bool {
    Component::named(command.get_name()).is_some()
}

/// The table of the components.
pub fn components() -> String {
    let mut text = String::from("| command | what it does |\n| --- | --- |\n");
    for command in whole().get_subcommands().filter(|command| is_component(command)) {
        text.push_str(&format!("| `correction-runner {}` | {} |\n", command.get_name(), about(command)));
    }
    text
}

/// The other commands: a list of all, and each with its arguments.
pub fn for_a_person() -> String {
    let whole = whole();
    let mut found = Vec::new();
    for command in whole.get_subcommands().filter(|command| !is_component(command)) {
        leaves(command, command.get_name(), &mut found);
    }
    let mut text = String::from("| command | what it does |\n| --- | --- |\n");
    for (name, command) in &found {
        text.push_str(&format!("| [`{name}`](#{}) | {} |\n", name.replace(' ', "-"), about(command)));
    }
    for (name, command) in found {
        text.push_str(&section(&name, command));
    }
    text
}

/// The commands below one that have none below them, with their whole names.
fn leaves<'all>(command: &'all Command, name: &str, found: &mut Vec<(String, &'all Command)>) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    if !command.has_subcommands() {
        found.push((name.to_owned(), command));
    }
    for inner in command.get_subcommands() {
        leaves(inner, &format!("{name} {}", inner.get_name()), found);
    }
}

fn about(command: &Command) -> String {
    command.get_about().map(|about| marked_up(&about.to_string())).unwrap_or_default()
}

fn section(name: &str, command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let long = command.get_long_about().map_or_else(|| about(command), |long| paragraphs(&long.to_string()));
    let mut text = format!("\n### `{name}`\n\n{long}\n\n```text\n{usage}\n```\n");
    let shown = |argument: &&Arg| !argument.is_hide_set() && argument.get_id() != "help";
    let is_setting = |argument: &Arg| settings().any(|setting| argument.get_id() == setting.name);
    let (flags, own): (Vec<_>, Vec<_>) =
        command.get_arguments().filter(shown).partition(|one| is_setting(one));
    if !own.is_empty() {
        text.push_str("\n| argument | meaning |\n| --- | --- |\n");
        text.extend(own.into_iter().map(row));
    }
    if !flags.is_empty() {
        let names: Vec<_> = flags.iter().map(|flag| format!("`{}`", flag.get_id())).collect();
        text.push_str(&format!("\nSettings that are flags of it as well: {}.\n", names.join(", ")));
    }
    if let Some(after) = command.get_after_long_help().or(command.get_after_help()) {
        text.push_str(&format!("\n{}\n", paragraphs(&after.to_string())));
    }
    text
}

/// A text of some paragraphs; one whose lines are indented is shown as it is.
fn paragraphs(text: &str) -> String {
    let mut out = Vec::new();
    for paragraph in text.trim().split("\n\n") {
        if paragraph.starts_with("  ") {
            out.push(format!("```text\n{paragraph}\n```"));
        } else {
            out.push(marked_up(paragraph));
        }
    }
    out.join("\n\n")
}

fn row(argument: &Arg) -> String {
    let values: Vec<_> =
        argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect();
    let takes = argument.get_action().takes_values() && !values.is_empty();
    let name = match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let name = match (name.is_empty(), takes) {
        (true, _) => values.join(" "),
        (false, true) => format!("{name} {}", values.join(" ")),
        (false, false) => name,
    };
    let help = argument.get_long_help().or(argument.get_help());
    let mut help = help.map(|help| marked_up(&help.to_string())).unwrap_or_default();
    let kinds: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set() && takes)
        .map(|value| match value.get_help() {
            Some(meaning) => format!("`{}` ({})", value.get_name(), marked_up(&meaning.to_string())),
            None => format!("`{}`", value.get_name()),
        })
        .collect();
    if !kinds.is_empty() {
        help.push_str(&format!(". One of {}", kinds.join(", ")));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        help.push_str(&format!(". Default: `{}`", defaults.join(" ")));
    }
    format!("| `{}` | {help} |\n", name.replace('|', "\\|"))
}
