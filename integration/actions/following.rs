//! `logs` where a container is on another engine, and `logs --follow` where a correction goes on under another name, or
//! not at all.

use std::process::Stdio;

use correction_runner::identity::{ContainerId, CorrectionId, EngineId, JobId};
use correction_runner::job::{Errand, FINISHED_QUEUE, Origin, PENDING_QUEUE, RUNNING_QUEUE, RunningJob};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{run, simulated, target};
use crate::queue::{KEEP, job_with_id, next, within, worker};
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// `logs --follow` of a correction, which goes on.
fn follower(system: &System, name: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    command.args(["logs", name, "--follow"]).env_clear().envs(system.settings()).current_dir(system.folder());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().expect("the binary starts")
}

/// How it ended, and what it printed.
async fn ended(follower: Child) -> (Option<i32>, String) {
    let output = within(follower.wait_with_output()).await.expect("it is ours");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

fn running(container: &str, correction: &CorrectionId) -> RunningJob {
    let origin = Origin {
        correction: correction.clone(),
        engine: EngineId::new("FAR:AWAY"),
        timeout_ms: 0,
        sealed: false,
    };
    let errand = Errand { callback: Some("http://h/".into()), ..Errand::default() };
    RunningJob { errand, container: ContainerId::new(container), origin: Some(origin) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_another_engine_is_told_to_be_there() {
    let hour = std::time::Duration::from_secs(3600);
    let engine = SimulatedEngine::start(Options { run_time: hour, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    system.spawn("starter");
    system.submit(&simulated(&system, "elsewhere", 3_600_000, 1)).await;
    system.until_running("it runs", |counts| counts.waiting == 1).await;
    let other = SimulatedEngine::start(Options { id: "OTHER".into(), ..Options::default() }).await;
    let host = format!("unix://{}", other.socket().display());
    let told = run(&system, &["logs", "elsewhere", "--docker-host", &host]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    for words in
        ["running", "on the Docker engine SIMU:LATE:DENG:INE0", "not on this one (OTHER)", "DOCKER_HOST"]
    {
        assert!(told.stdout.contains(words), "{words}: {told:?}");
    }
    let told = run(&system, &["logs", "elsewhere", "--json", "--docker-host", &host]).await.json();
    assert_eq!((&told["engine"], &told["output"]), (&json!("SIMU:LATE:DENG:INE0"), &json!(null)), "{told}");
    system.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_with_a_correction_that_is_run_again() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    let instance = system.instance().await;
    let queue = |name| system.redis.queue(name);
    let (pending, running_queue, finished) =
        (queue(PENDING_QUEUE), queue(RUNNING_QUEUE), queue(FINISHED_QUEUE));
    let first = CorrectionId::new("first");
    running_queue.add(&job_with_id("first", &running("c-1", &first).to_data())).await.expect("added");
    let mut follower = follower(&system, "first");
    let mut errors = BufReader::new(follower.stderr.take().expect("a pipe")).lines();
    let line = within(errors.next_line()).await.expect("text").expect("a line");
    assert!(line.contains("on the Docker engine FAR:AWAY"), "{line}");

    // As a completer does whose host failed, then a starter, then a completer.
    let mut completer = worker(&running_queue, 2);
    let failed = next(&mut completer).await;
    let data = json!({ "image": "i", "file": "/f", "callback": "http://h/" }).to_string();
    let again = job_with_id("rerun-of-first", &data);
    running_queue.hand_over(&failed.job, &pending, &again, None, "1", KEEP).await.expect("answered");
    let mut starter = worker(&pending, 1);
    let taken = next(&mut starter).await;
    assert_eq!(taken.job.id, JobId::new("rerun-of-first"));
    let second = CorrectionId::derive(&instance, &taken.job.id, taken.job.timestamp, 0);
    let job = job_with_id(second.as_str(), &running("c-2", &second).to_data());
    pending.hand_over(&taken.job, &running_queue, &job, None, "1", KEEP).await.expect("answered");
    let ran = next(&mut completer).await;
    let verdict = r#"{"error":false,"correction_data":{"success":true,"grade":7},"callback":"http://h/"}"#;
    let result = job_with_id(second.as_str(), verdict);
    running_queue.hand_over(&ran.job, &finished, &result, Some(&second), "1", KEEP).await.expect("answered");
    let (code, shown) = ended(follower).await;
    assert!(code == Some(0) && shown.contains(r#""grade":7"#), "{code:?}: {shown}");
    let mut told = Vec::new();
    while let Some(line) = within(errors.next_line()).await.expect("text") {
        told.push(line);
    }
    assert!(told.iter().any(|line| line.contains(&format!("run again, as {second}"))), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_ends_where_its_correction_was_forgotten() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    system.submit(&simulated(&system, "forgotten", 1, 1)).await;
    let follower = follower(&system, "forgotten");
    let forget = ["queues", "drain", "--forget", "--yes-drain", &target(&system)];
    let drained = run(&system, &forget).await;
    assert_eq!(drained.code, Some(0), "{drained:?}");
    let (code, shown) = ended(follower).await;
    assert!(code == Some(0) && shown.contains("No result of it is to be found"), "{code:?}: {shown}");
}
