//! The built binary as a person meets it: help, wrong settings, exit codes, signals, the log.

mod running;
mod settings;
mod usage;

use std::fs;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary in a directory of its own, with nothing in its environment.
struct Runner {
    directory: TempDir,
    command: Command,
}

impl Runner {
    fn new(arguments: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.args(arguments.split_whitespace()).env_clear().current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { directory, command }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn dotenv(self, text: &str) -> Self {
        fs::write(self.directory.path().join(".env"), text).expect("a file");
        self
    }

    fn output(mut self) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command.output().expect("the binary starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    /// Starts it with its log in a file.
    fn start(mut self) -> Running {
        self.command.env("LOG_FILE", "log").stdout(Stdio::null());
        let child = self.command.spawn().expect("the binary starts");
        Running { child, directory: self.directory }
    }
}

/// The binary while it runs.
struct Running {
    child: Child,
    directory: TempDir,
}

impl Running {
    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Looks at the log until it holds a text.
    fn wait_for_log(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            let over = self.child.try_wait().expect("it is ours").is_some() || begun.elapsed() > PATIENCE;
            assert!(!over, "no {text:?} in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its exit code and what it said on the standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut text).expect("text");
        }
        (status.code(), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at, and that no other test is given.
const DEAD_PORT: &str = "1";
