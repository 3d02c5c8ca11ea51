//! `man` and `completions`: manual pages and completions, made of the command line itself, so that they cannot
//! say anything else.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man as Page;

use super::Answer;
use crate::config::{self, Completions, Man};
use crate::version::{NUMBER, REVISION, VERSION};

/// The name of the program.
const NAME: &str = "correction-runner";

/// Writes a page for the program and one for each of its commands.
pub fn write_pages(asked: &Man, out: &mut impl Write) -> io::Result<Answer> {
    let folder = &asked.folder;
    let mut whole = config::command().disable_help_subcommand(true);
    whole.build();
    if let Err(error) = fs::create_dir_all(folder).and_then(|()| write_page(&whole, folder)) {
        return Ok(Answer::Senseless(format!("cannot write to {}: {error}", folder.display())));
    }
    writeln!(out, "The pages are in {}; man {NAME} begins with them.", folder.display())?;
    Ok(Answer::Yes)
}

/// Writes the pages of a command and of those below it.
fn write_page(command: &Command, folder: &Path) -> io::Result<()> {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write_page(inner, folder)?;
    }
    // The day of the commit, so that a page is the same whenever it is made. It must not be empty: what follows
    // it would be taken for it.
    let date = REVISION.rsplit_once(", ").map_or(NUMBER, |(_, day)| day);
    let page =
        Page::new(command.clone()).date(date).source(format!("{NAME} {VERSION}")).manual("Correctomatic");
    page.generate_to(folder).map(drop)
}

/// Prints a script for a shell.
pub fn complete(asked: &Completions, out: &mut impl Write) -> io::Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut config::command(), NAME, &mut script);
    let script = String::from_utf8_lossy(&script);
    let script = match asked.shell {
        // Of a program with a hyphen in its name the generator writes the states of its commands in two ways,
        // so that none is found: https://github.com/clap-rs/clap/issues/6421
        Shell::Bash => script.replace("correction__subcmd__runner", "correction__runner"),
        _ => script.into_owned(),
    };
    out.write_all(script.as_bytes())?;
    Ok(Answer::Yes)
}
