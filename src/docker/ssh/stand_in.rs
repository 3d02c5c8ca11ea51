//! What this program does when it is called for ssh and not by a person.
//!
//! - It *becomes* ssh, having asked the kernel to end it with us: whoever is killed leaves no ssh behind.
//! - It *answers* ssh's question for the passphrase (`SSH_ASKPASS`), from the memory that ssh was given as its
//!   standard input, and no other question.
//!
//! Only the binary can do so: it says so by calling [`stand_in`]. Where the library is part of another program, ssh
//! is called directly, and ends when its handle is dropped.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitCode, id};
use std::sync::OnceLock;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::process::Command;

/// What it is called as.
const ROLE: &str = "CORRECTION_RUNNER_STANDS_IN_AS";
const SSH: &str = "ssh";
const ANSWER: &str = "answer";
/// Whose end is its own end.
const PARENT: &str = "CORRECTION_RUNNER_PARENT";
/// What stands before the passphrase.
pub(super) const PASSPHRASE: &str = "\n-----PASSPHRASE-----\n";

static CAN: OnceLock<()> = OnceLock::new();

/// To be called first by a program that is given to ssh in its own place: does what it was called for, if it was, and
/// tells how it ended.
#[must_use]
pub fn stand_in() -> Option<ExitCode> {
    CAN.get_or_init(|| ());
    let role = std::env::var_os(ROLE)?;
    let mut arguments = std::env::args_os().skip(1);
    if role == OsStr::new(ANSWER) {
        let question = arguments.next().unwrap_or_default();
        return Some(answer(&question.to_string_lossy()));
    }
    if role != OsStr::new(SSH) {
        return None;
    }
    let program = arguments.next()?;
    let parent = std::env::var(PARENT).ok()?;
    if set_parent_process_death_signal(Some(Signal::TERM)).is_err()
        || getppid().is_none_or(|now| now.as_raw_nonzero().to_string() != parent)
    {
        return Some(ExitCode::FAILURE);
    }
    let mut command = std::process::Command::new(program);
    command.args(arguments).env_remove(PARENT);
    match std::env::var_os("SSH_ASKPASS") {
        Some(_) => command.env(ROLE, ANSWER),
        None => command.env_remove(ROLE),
    };
    let error = command.exec();
    let _ = writeln!(std::io::stderr(), "ssh cannot be run: {error}");
    Some(ExitCode::FAILURE)
}

fn answer(question: &str) -> ExitCode {
    let held = std::fs::read_to_string("/dev/stdin").unwrap_or_default();
    let passphrase = held.split_once(PASSPHRASE).map(|(_, passphrase)| passphrase);
    match passphrase.filter(|_| question.contains("passphrase")) {
        Some(passphrase) if writeln!(std::io::stdout(), "{passphrase}").is_ok() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// A call of a program that ends with us, where we can see to it.
pub(super) fn bound_to_us(program: &Path) -> Command {
    if CAN.get().is_none() {
        return Command::new(program);
    }
    let mut command = Command::new("/proc/self/exe");
    command.arg(program);
    command
}

/// Gives a call of ssh the environment in which we are asked for what only we know.
pub(super) fn arm(command: &mut Command, is_asked: bool) {
    if CAN.get().is_some() {
        command.env(ROLE, SSH).env(PARENT, id().to_string());
        if is_asked {
            command.env("SSH_ASKPASS", format!("/proc/{}/exe", id())).env("SSH_ASKPASS_REQUIRE", "force");
        }
    }
}
