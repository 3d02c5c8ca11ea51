//! What a `try` shows while it runs, and what becomes of one that is stopped, killed or told to watch: no container
//! is left in the end.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Bench, GOOD, PATIENCE};
use crate::support::docker::{self, GRADER_IMAGE};

async fn signal(child: &Child, signal: &str) {
    let process = child.id().expect("it runs").to_string();
    let sent = Command::new("kill").args([signal, &process]).status().await;
    assert!(sent.expect("kill runs").success());
}

async fn end(child: &mut Child) -> (Option<i32>, String) {
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends").expect("it is ours");
    let mut error = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut error).await.expect("text");
    (status.code(), error)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_stops_it_leaves_no_container_and_no_runner_takes_it_for_its_own() {
    for sent in ["-INT", "-TERM", "-HUP"] {
        let bench = Bench::new("exec sleep 600").await;
        let mut child = bench.start(&[]);
        let container = bench.until_it_runs().await;
        let format = "{{index .Config.Labels \"org.correctomatic.instance\"}} [{{index .Config.Labels \
                      \"org.correctomatic.callback\"}}]";
        let labels = docker::command(&["inspect", "--format", format, &container]).await;
        assert_eq!(labels, "correction-runner-try []");
        signal(&child, sent).await;
        let (code, error) = end(&mut child).await;
        assert_eq!(code, Some(130), "{sent}: {error}");
        assert_eq!(bench.containers().await, Vec::<String>::new(), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_try_left_behind_is_removed_by_the_next_one_and_what_runs_is_not() {
    let (killed, living) = tokio::join!(Bench::new("exec sleep 600"), Bench::new("exec sleep 600"));
    let (mut one, mut other) = (killed.start(&[]), living.start(&[]));
    tokio::join!(killed.until_it_runs(), living.until_it_runs());
    signal(&one, "-KILL").await;
    end(&mut one).await;
    let next = Bench::new(GOOD).await;
    next.tried(&[]).await.has(0, &["PASS"]);
    assert_eq!(killed.containers().await, Vec::<String>::new());
    assert_eq!(living.containers().await.len(), 1);
    signal(&other, "-INT").await;
    assert_eq!(end(&mut other).await.0, Some(130));
    assert_eq!(living.containers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_watches_each_change_of_the_submission_is_tried_until_it_is_stopped() {
    let bench = Bench::new(GOOD).await;
    let mut child = bench.start(&["--watch", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut grade = async || {
        let line =
            timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("text").expect("a line");
        let told: serde_json::Value = serde_json::from_str(&line).expect("a document on each line");
        told["verdict"]["grade"].as_f64()
    };
    assert_eq!(grade().await, Some(7.5));
    bench.write(r#"echo '{"success": true, "grade": 8.5}'"#);
    assert_eq!(grade().await, Some(8.5));
    // One that runs for long is stopped by a change.
    bench.write("exec sleep 600");
    bench.until_it_runs().await;
    bench.write(r#"echo '{"success": true, "grade": 10}'"#);
    assert_eq!(grade().await, Some(10.0));
    signal(&child, "-INT").await;
    let (code, error) = end(&mut child).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("waiting for a change"), "{error}");
    assert_eq!(bench.containers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_too_each_document_of_a_watch_is_on_a_line_of_its_own() {
    let bench = Bench::new(GOOD).await;
    let mut child = on_a_terminal(&bench, "--watch --json").spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    timeout(PATIENCE, async {
        loop {
            let line = lines.next_line().await.expect("text").expect("a line");
            // What is being done stands on the lines of the same terminal, and is wiped out.
            let document = line.rsplit("\u{1b}[K").next().unwrap_or_default();
            if document.starts_with('{') {
                let told: serde_json::Value = serde_json::from_str(document).expect("a whole document");
                assert_eq!(told["verdict"]["grade"].as_f64(), Some(7.5));
                return;
            }
        }
    })
    .await
    .expect("a document in time");
    // As somebody who presses Ctrl-C there.
    child.stdin.as_mut().expect("piped").write_all(b"\x03").await.expect("it reads");
    assert_eq!(end(&mut child).await.0, Some(0));
    assert_eq!(bench.containers().await, Vec::<String>::new());
}

/// `try` on a terminal, which the `script` of util-linux gives it.
fn on_a_terminal(bench: &Bench, arguments: &str) -> Command {
    // Without `exec` the shell in between is interrupted too, and its exit code is told.
    let line =
        format!("exec {} try {GRADER_IMAGE} submission {arguments}", env!("CARGO_BIN_EXE_correction-runner"));
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).current_dir(bench.folder.path()).kill_on_drop(true);
    command.env("DOCKER_TIMEOUT", "60s").env("TERM", "xterm").env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_terminal_a_line_says_what_is_being_done_and_is_gone_in_the_end() {
    let bench = Bench::new(format!("sleep 3; {GOOD}")).await;
    let mut command = on_a_terminal(&bench, "");
    command.stdin(Stdio::null());
    let said = super::said(command).await;
    for part in
        ["\r\u{1b}[Kstarting a container of", "\r\u{1b}[Krunning: ", " of 10m00s", "\u{1b}[32mPASS\u{1b}[0m"]
    {
        assert!(said.out.contains(part), "{part:?} is not in {said:?}");
    }
    assert_eq!(said.code, Some(0));
}
