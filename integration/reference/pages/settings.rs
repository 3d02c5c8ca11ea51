//! The tables of settings, and the example of a `.env` file.

use correction_runner::config::{Component, Setting, settings};

use super::marked_up;

/// How wide a line of the example is.
const WIDTH: usize = 104;

/// The groups in the order of the help text, each with its settings.
fn groups() -> Vec<(&'static str, Vec<&'static Setting>)> {
    let mut groups: Vec<(&str, Vec<&Setting>)> = Vec::new();
    for setting in settings() {
        match groups.last_mut() {
            Some((name, group)) if *name == setting.group => group.push(setting),
            _ => groups.push((setting.group, vec![setting])),
        }
    }
    groups
}

/// One table for each group.
pub fn tables() -> String {
    let mut text = String::new();
    for (name, group) in groups() {
        text.push_str(&format!(
            "## {name}\n\n| setting | used by | default | meaning |\n| --- | --- | --- | --- |\n"
        ));
        text.extend(group.into_iter().map(row));
        text.push('\n');
    }
    text
}

fn row(setting: &Setting) -> String {
    let aliases: String = setting.aliases.iter().map(|alias| format!(" (or `{alias}`)")).collect();
    let default = match (setting.default, setting.unset) {
        ("", "") => "–".to_owned(),
        ("", unset) => marked_up(unset),
        (default, _) => format!("`{default}`"),
    };
    let original = setting.original.map(|original| format!(" (original: `{original}`)")).unwrap_or_default();
    let (users, help) = (users(setting), marked_up(setting.help));
    format!("| `{}`{aliases} | {users} | {default}{original} | {help} |\n", setting.name)
}

fn users(setting: &Setting) -> String {
    if setting.users.len() == 3 {
        return "all".to_owned();
    }
    let letter = |user: &Component| &user.name()[..1];
    setting.users.iter().map(letter).collect::<Vec<_>>().join(", ")
}

/// `.env.example`: every setting, commented out, with its default.
pub fn example() -> String {
    let mut text = comment(
        "Settings of correction-runner. Copy this file to .env in the directory where the components run, and remove \
         the number sign before what you want to change. Each line that is commented out shows the default, or \
         nothing where there is none. A flag or an environment variable wins over this file. The page \
         docs/reference/settings.md has the same settings as tables. (This file is made from the code: make docs.)",
    );
    for (name, group) in groups() {
        text.push_str(&format!("\n# --- {name} ---\n"));
        for setting in group {
            text.push('\n');
            text.push_str(&comment(setting.help));
            if setting.default.is_empty() && !setting.unset.is_empty() {
                text.push_str(&comment(&format!("Unset: {}", setting.unset)));
            }
            text.push_str(&format!("# {}={}\n", setting.name, setting.default));
        }
    }
    text
}

/// A text as lines of comments.
fn comment(text: &str) -> String {
    let mut lines = vec![String::from("#")];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        if last.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(format!("# {word}"));
        } else {
            last.push(' ');
            last.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}
