//! What a person runs by hand, run here against a real Redis and the real Docker engine.

mod containers;
mod queues;
mod services;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The text of what a script printed, errors after the rest.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The path of a script.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

/// A script in a directory of its own, with no terminal and none of the runner's settings.
fn call(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(script(name));
    command.current_dir(directory).stdin(Stdio::null()).env_clear();
    for kept in ["PATH", "HOME"] {
        command.env(kept, std::env::var_os(kept).unwrap_or_default());
    }
    command
}

/// Runs a script at a terminal (that of util-linux's `script`) and answers its question: `answer`
/// is given the word that is asked for.
pub fn call_at_terminal(
    line: &str,
    settings: &[(&str, &str)],
    answer: impl FnOnce(&str) -> String,
) -> (String, Option<i32>) {
    let mut child = Command::new("script")
        .args(["-qefc", line, "/dev/null"])
        .envs(settings.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("util-linux has `script`");
    let (mut input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut output = BufReader::new(output);
    let mut said = String::new();
    // The question does not end its line.
    let word = loop {
        let mut piece = Vec::new();
        let length = output.read_until(b' ', &mut piece).expect("readable");
        assert!(length > 0, "it ended without a question: {said}");
        said.push_str(&String::from_utf8_lossy(&piece));
        if let Some((_, rest)) = said.split_once("Type the word ")
            && let Some((word, _)) = rest.split_once(' ')
        {
            break word.to_owned();
        }
    };
    writeln!(input, "{}", answer(&word)).expect("it listens");
    output.read_to_string(&mut said).expect("readable");
    let status = child.wait().expect("it ended");
    (said, status.code())
}
