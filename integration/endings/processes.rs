//! Graders that make as many processes as they can.

use std::time::Duration;

use tokio::time::Instant;

use super::{SAYS_OK, assert_says, graded, told};
use crate::support::docker;
use crate::support::system::{System, calls_back_at};

/// More than a minute, so that nothing of a bomb ends by itself.
const BOMB: &str = "(while :; do sleep 90 & done) 2>/dev/null; exec sleep 90";

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_is_contained_while_others_are_graded_and_told_with_its_limit() {
    let system = System::start(&[("CONTAINER_PIDS", "64"), ("CONTAINER_TIMEOUT", "12s")]).await;
    system.submit(&system.job("bomb", BOMB)).await;
    let bomb = system
        .until("the bomb runs", async || {
            let all = system.containers().await;
            all.into_iter().find(|one| calls_back_at(one, "/bomb")).map(|one| one.id)
        })
        .await;
    let processes = async || {
        let listed = tokio::process::Command::new("docker").args(["top", bomb.as_str()]).output().await;
        // A title stands above them; before it runs there is no list.
        String::from_utf8_lossy(&listed.expect("docker runs").stdout).lines().count().saturating_sub(1)
    };
    system.until("it has made all that it can", async || (processes().await >= 60).then_some(())).await;
    assert!(processes().await <= 64, "its limit holds");
    let submitted = Instant::now();
    system.submit(&system.job("beside", SAYS_OK)).await;
    graded(&system, "beside").await;
    assert!(submitted.elapsed() < Duration::from_secs(10), "the host is well: {:?}", submitted.elapsed());
    docker::command(&["version"]).await;
    let text = told(&system, "bomb", "timeout").await;
    assert_says(&text, &["It had as many processes and threads as it may have: 64 (CONTAINER_PIDS)"]);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_ends_since_it_cannot_fork_is_told_why() {
    let system = System::start(&[("CONTAINER_PIDS", "16")]).await;
    system.submit(&system.job("bomb", "while :; do sleep 90 & done")).await;
    let text = told(&system, "bomb", "no_verdict").await;
    assert_says(
        &text,
        &["can't fork", "more than the 16 processes and threads that it may have (CONTAINER_PIDS)"],
    );
    system.end().await;
}
