//! The commands that are no components: each does one thing for a person and ends. They may use adapters,
//! vocabulary, and what stages offer to whoever has no queue.

mod cancel;
mod containers;
mod corrections;
mod deliveries;
mod doctor;
pub mod failure;
mod health;
mod keygen;
mod logs;
mod new_grader;
mod pages;
mod policy;
mod premises;
mod queues;
mod status;
mod submit;
pub mod terminal;
mod trial;
mod verify;

use std::io;

use crate::config::Tool;
use terminal::Terminal;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As hoped for: exit code 0.
    Yes,
    /// It works, and the answer is no: exit code 1.
    No,
    /// What was to be tried works in no way: exit code 2.
    Broken,
    /// There is no answer yet: exit code 3.
    NotYet,
    /// It was stopped by a signal: exit code 130.
    Interrupted,
    /// What was asked for makes no sense, for this reason: exit code 64.
    Senseless(String),
    /// A service is not there, for this reason: exit code 69.
    Unreachable(String),
}

/// Does what a command asks for, and writes the answer.
///
/// # Errors
/// The answer cannot be written, or a file or the system itself fails.
pub fn run(tool: Tool, out: &mut Terminal<'_>) -> io::Result<Answer> {
    match tool {
        Tool::PolicyCheck(check) => policy::check(&check, out),
        Tool::Keygen(keygen) => keygen::make(&keygen, out),
        Tool::Verify(verify) => verify::check(&verify, out),
        Tool::Deliveries(deliveries) => deliveries::run(deliveries, out),
        Tool::Submit(submit) => submit::run(*submit, out),
        Tool::Cancel(cancel) => cancel::run(*cancel, out),
        Tool::Logs(logs) => logs::run(*logs, out),
        Tool::Queues(queues) => queues::run(*queues, out),
        Tool::Containers(containers) => containers::run(*containers, out),
        Tool::Health(health) => health::ask(&health, out),
        Tool::Doctor(doctor) => doctor::examine(&doctor, out),
        Tool::Status(status) => status::show(&status, out),
        Tool::Completions(completions) => pages::complete(&completions, out),
        Tool::Man(man) => pages::write_pages(&man, out),
        Tool::Try(trial) => trial::run(&trial, out),
        Tool::NewGrader(new_grader) => new_grader::write(&new_grader, out),
    }
}
