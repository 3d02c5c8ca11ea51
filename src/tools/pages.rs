//! `man` and `completions`: manual pages and completions, made of the command line itself, so that they cannot
//! say anything else.

use std::fs;
use std::io::{self, Write};

use super::Answer;
use crate::config::{self, Completions, Man};

/// Writes a page for the program and one for each of its commands.
pub fn write_pages(asked: &Man, out: &mut impl Write) -> io::Result<Answer> {
    let folder = &asked.folder;
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(config::command(), folder));
    if let Err(error) = written {
        return Ok(Answer::Senseless(format!("cannot write to {}: {error}", folder.display())));
    }
    writeln!(out, "The pages are in {}; man correction-runner begins with them.", folder.display())?;
    Ok(Answer::Yes)
}

/// Prints a script for a shell.
pub fn complete(asked: &Completions, out: &mut impl Write) -> io::Result<Answer> {
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut config::command(), "correction-runner", &mut script);
    out.write_all(&script)?;
    Ok(Answer::Yes)
}
