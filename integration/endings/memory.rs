//! Graders that need more memory than they may use.

use super::{SAYS_OK, assert_says, graded, told};
use crate::support::system::System;

/// A program that grows without end, but not before the engine listens for that.
const GROWS: &str = "sleep 1; tail /dev/zero";

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_grows_without_end_is_told_with_its_limit() {
    let own = "sleep 1; x=0123456789; while :; do x=$x$x; done";
    for (profile, script) in
        [("hardened", own), ("hardened", &format!("{GROWS}; exit $?")), ("original", own)]
    {
        let system = System::start(&[("CONTAINER_PROFILE", profile), ("CONTAINER_MEMORY", "32m")]).await;
        system.submit(&system.job("grows", script)).await;
        let text = told(&system, "grows", "out_of_memory").await;
        assert_says(
            &text,
            &[
                "The grader needed more than the 32 MiB of memory that it may use, and was killed after 1",
                "CONTAINER_MEMORY",
            ],
        );
        system.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_counts_although_a_process_of_the_grader_was_killed_for_its_memory() {
    let system = System::start(&[("CONTAINER_MEMORY", "32m")]).await;
    system.submit(&system.job("child", &format!("{GROWS}; {SAYS_OK}"))).await;
    graded(&system, "child").await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_for_its_memory_is_told_although_the_grader_outlived_it() {
    let system = System::start(&[("CONTAINER_MEMORY", "32m")]).await;
    system.submit(&system.job("child", &format!("{GROWS}; echo no more; exit 3"))).await;
    let text = told(&system, "child", "out_of_memory").await;
    assert_says(
        &text,
        &[
            "A process of the grader was killed for want of memory: together they needed more than the 32 MiB",
            "The grader itself ended with an error (exit code 3) after 1",
            "no more",
        ],
    );
    system.end().await;
}

/// Docker begins to listen for it some time after the start, and tells nothing of what came before.
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_ran_out_in_the_first_moments_is_told_or_said_to_be_possible() {
    let system = System::start(&[("CONTAINER_MEMORY", "16m")]).await;
    let names: Vec<String> = (0..8).map(|number| format!("early{number}")).collect();
    for name in &names {
        system.submit(&system.job(name, "exec dd if=/dev/zero of=/dev/null bs=64M")).await;
    }
    for name in &names {
        let body = system.result(name).await.json();
        let text = body["error"].as_str().expect("a text");
        assert_says(text, &["more than the 16 MiB of memory that it may use", "CONTAINER_MEMORY"]);
        let outcome = body["outcome"].as_str().expect("a word");
        assert!(["out_of_memory", "killed"].contains(&outcome), "{body}");
    }
    system.end().await;
}
