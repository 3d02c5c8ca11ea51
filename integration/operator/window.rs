//! `status --watch` at a terminal whose window changes its size.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdout, Command};

use crate::queue::within;
use crate::support::redis::RedisServer;

/// Reads on until all this has been shown.
async fn until_shown(output: &mut ChildStdout, shown: &mut String, wanted: impl Fn(&str) -> bool) {
    within(async {
        while !wanted(shown) {
            let mut bytes = [0; 4096];
            let count = output.read(&mut bytes).await.expect("text");
            assert!(count > 0, "it ended: {shown}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    })
    .await;
}

#[tokio::test]
async fn a_watch_in_a_window_that_became_smaller_is_cut_to_it() {
    let binary = env!("CARGO_BIN_EXE_correction-runner");
    let port = RedisServer::shared().port();
    let line = format!("stty rows 50 cols 200; tty; exec {binary} status --watch --redis-port {port}");
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
    let (mut input, mut output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
    let mut shown = String::new();
    until_shown(&mut output, &mut shown, |shown| shown.contains("\u{1b}[J")).await;
    assert!(shown.contains("finished") && !shown.contains("more lines"), "{shown:?}");
    let terminal =
        shown.lines().find_map(|line| line.trim().strip_prefix("/dev/")).expect("its name").to_owned();
    let smaller = ["--file", &format!("/dev/{terminal}"), "rows", "4"];
    assert!(Command::new("stty").args(smaller).status().await.expect("stty runs").success());
    until_shown(&mut output, &mut shown, |shown| shown.contains(" more lines")).await;
    input.write_all(b"\x03").await.expect("it reads");
    // What it still writes has to be read, or it would wait for ever.
    let rest = tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = output.read_to_end(&mut rest).await;
    });
    assert_eq!(within(child.wait()).await.expect("it is ours").code(), Some(0));
    rest.await.expect("read");
}
