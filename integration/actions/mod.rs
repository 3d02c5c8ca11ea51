//! What a person does to corrections: submits them, cancels them, watches them, empties queues, removes containers.

mod commands;
mod following;
mod watching;

use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::simulated_engine::script;
use crate::support::system::System;

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

/// Runs a command of the binary with the settings of a system, as a script does: without a terminal.
pub async fn run(system: &System, arguments: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    command.args(arguments).env_clear().envs(system.settings()).current_dir(system.folder());
    let told = command.stdin(Stdio::null()).kill_on_drop(true).output().await.expect("the binary starts");
    let Output { status, stdout, stderr } = told;
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Told { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Runs a command whose standard output nobody reads any more.
pub async fn run_unread(system: &System, arguments: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    command.args(arguments).env_clear().envs(system.settings()).current_dir(system.folder());
    let told = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null()).kill_on_drop(true).status();
    told.await.expect("the binary starts").code()
}

/// A correction that a simulated engine runs for so long; it has this grade then.
pub fn simulated(system: &System, name: &str, run_ms: u64, grade: u64) -> Value {
    let mut data = system.job(name, "exit");
    let verdict = format!(r#"{{"success":true,"grade":{grade}}}"#);
    data["params"] = json!([format!("{}={run_ms}", script::RUN_MS), format!("{}={verdict}", script::STDOUT)]);
    data
}

/// Where the queues of a system are, as a person has to name it.
fn target(system: &System) -> String {
    format!("127.0.0.1:{}/0/bull", system.server.port())
}
