//! `try` and `new-grader` as the author of a grader uses them, on the real engine.

mod endings;
mod graders;
mod stopping;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::docker::{self, GRADER_IMAGE};

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// A verdict that is success.
const GOOD: &str = r#"echo '{"success": true, "grade": 7.5, "comments": ["ok"]}'"#;

/// A folder with a submission, which the grader's image runs as a shell script.
struct Bench {
    folder: TempDir,
}

/// What a `try` said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Bench {
    async fn new(script: impl AsRef<str>) -> Self {
        docker::build_images().await;
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        bench.write(script.as_ref());
        bench
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("submission")
    }

    fn write(&self, script: &str) {
        std::fs::write(self.file(), script).expect("a file");
    }

    /// `try` with the grader's image, the submission by its relative path, and these arguments.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(GRADER_IMAGE, arguments)
    }

    fn command_of(&self, image: &str, arguments: &[&str]) -> Command {
        let mut command = runner(self.folder.path());
        command.args(["try", image, "submission"]).args(arguments);
        command
    }

    async fn tried(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments)).await
    }

    /// The same with its JSON document.
    async fn told(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let said = self.tried(&[&["--json"], arguments].concat()).await;
        let document = serde_json::from_str(&said.out);
        (said.code, document.unwrap_or_else(|error| panic!("{error}: {said:?}")))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("the binary starts")
    }

    /// The ids of the containers of its submission.
    async fn containers(&self) -> Vec<String> {
        let filter = format!("volume={}", self.file().display());
        let listed = docker::command(&["ps", "-aq", "--no-trunc", "--filter", &filter]).await;
        listed.lines().map(str::to_owned).collect()
    }

    /// Waits until the container of its submission runs.
    async fn until_it_runs(&self) -> String {
        let filter = format!("volume={}", self.file().display());
        let begun = tokio::time::Instant::now();
        loop {
            let arguments = ["ps", "-q", "--no-trunc", "--filter", "status=running", "--filter", &filter];
            let listed = docker::command(&arguments).await;
            if let Some(id) = listed.lines().next() {
                return id.to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "no container runs");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Nothing is there unless a test failed.
        docker::remove_containers_of_submissions(self.folder.path());
    }
}

impl Said {
    #[track_caller]
    fn has(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(self.out.contains(part) || self.error.contains(part), "{part} is not in {self:?}");
        }
    }
}

/// The binary in a folder, with none of the runner's settings.
fn runner(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    command.current_dir(folder).env_clear().kill_on_drop(true);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // On a busy machine the engine takes its time.
    command.env("DOCKER_TIMEOUT", "60s");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn said(mut command: Command) -> Said {
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.expect("it ends").expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
}
