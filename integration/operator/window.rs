//! `status --watch` at a terminal, also one whose window changes its size.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::queue::within;
use crate::support::redis::RedisServer;

/// A watch at a terminal of its own, and all that it has shown.
pub(super) struct Watch {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    pub shown: String,
}

impl Watch {
    /// Starts it in a shell that does this before.
    pub fn start_after(before: &str) -> Self {
        let binary = env!("CARGO_BIN_EXE_correction-runner");
        let port = RedisServer::shared().port();
        // Without `exec` the shell in between is interrupted too, and its exit code is told.
        let line = format!("{before}exec {binary} status --watch --redis-port {port}");
        // `script` gives it a terminal of its own.
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .envs([("PATH", std::env::var("PATH").unwrap_or_default()), ("TERM", "xterm".into())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("script runs");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Self { child, input, output, shown: String::new() }
    }

    /// Reads on until all this has been shown.
    pub async fn until_shown(&mut self, wanted: impl Fn(&str) -> bool) {
        within(async {
            while !wanted(&self.shown) {
                let mut bytes = [0; 4096];
                let count = self.output.read(&mut bytes).await.expect("text");
                assert!(count > 0, "it ended: {}", self.shown);
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        })
        .await;
    }

    /// Presses Ctrl-C, with which it has to end well.
    pub async fn ends_with_ctrl_c(self) {
        let Self { mut child, mut input, mut output, .. } = self;
        input.write_all(b"\x03").await.expect("it reads");
        // What it still writes has to be read, or it would wait for ever.
        let rest = tokio::spawn(async move {
            let mut rest = Vec::new();
            let _ = output.read_to_end(&mut rest).await;
        });
        assert_eq!(within(child.wait()).await.expect("it is ours").code(), Some(0));
        rest.await.expect("read");
    }
}

#[tokio::test]
async fn a_watch_in_a_window_that_became_smaller_is_cut_to_it() {
    let mut watch = Watch::start_after("stty rows 50 cols 200; tty; ");
    watch.until_shown(|shown| shown.contains("\u{1b}[J")).await;
    let shown = &watch.shown;
    assert!(shown.contains("finished") && !shown.contains("more lines"), "{shown:?}");
    let terminal =
        shown.lines().find_map(|line| line.trim().strip_prefix("/dev/")).expect("its name").to_owned();
    let smaller = ["--file", &format!("/dev/{terminal}"), "rows", "4"];
    assert!(Command::new("stty").args(smaller).status().await.expect("stty runs").success());
    watch.until_shown(|shown| shown.contains(" more lines")).await;
    watch.ends_with_ctrl_c().await;
}
