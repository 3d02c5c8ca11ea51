//! Graders that do not end by themselves.

use super::{SAYS_OK, assert_says, graded, told};
use crate::support::system::System;

const LIMIT: [(&str, &str); 3] =
    [("CONTAINER_TIMEOUT", "3s"), ("CONTAINER_MEMORY", "64m"), ("CONTAINER_CPUS", "0.5")];

/// Runs a script for ever, and gives what its caller is told.
async fn stopped(script: &str) -> String {
    let system = System::start(&LIMIT).await;
    system.submit(&system.job("endless", script)).await;
    let text = told(&system, "endless", "timeout").await;
    assert_says(
        &text,
        &["ran longer than the 3 s that it may take", "CONTAINER_TIMEOUT", "was stopped after "],
    );
    system.end().await;
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_loop_is_stopped_and_told_with_its_memory_and_its_last_lines() {
    let text = stopped("echo working; while :; do :; done").await;
    // What it ever used (cgroup v1), or what it used when it was stopped (v2).
    assert!(text.contains("It had used up to ") || text.contains("It used "), "{text}");
    assert_says(
        &text,
        &["of memory of the 64 MiB that it may use", "The last lines of its output:\nworking"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ignores_every_signal_is_stopped_all_the_same() {
    let signals: Vec<String> =
        (1..=31).filter(|one| ![9, 19].contains(one)).map(|one| one.to_string()).collect();
    stopped(&format!("trap '' {}; while :; do sleep 1; done", signals.join(" "))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stopped_itself_is_stopped_for_good() {
    let text = stopped("echo before; kill -STOP $$; echo after").await;
    assert_says(&text, &["The last lines of its output:\nbefore"]);
    assert!(!text.contains("after\n") && !text.ends_with("after"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_closed_its_output_and_sleeps_is_stopped_too() {
    let text = stopped("exec >&- 2>&-; exec sleep 600").await;
    assert_says(&text, &["It printed nothing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_was_printed_in_time_counts_although_the_grader_had_to_be_stopped() {
    let system = System::start(&LIMIT).await;
    system.submit(&system.job("graded", &format!("{SAYS_OK}; kill -STOP $$"))).await;
    graded(&system, "graded").await;
    system.end().await;
}

/// The container ends with its first process, and takes what that left behind with it.
#[tokio::test(flavor = "multi_thread")]
async fn children_that_live_on_in_the_background_hold_nothing_up() {
    for profile in ["hardened", "original"] {
        let system = System::start(&[("CONTAINER_PROFILE", profile), ("CONTAINER_TIMEOUT", "60s")]).await;
        let script = format!("(setsid sleep 600 &); (trap '' HUP; sleep 600) & {SAYS_OK}");
        system.submit(&system.job("daemons", &script)).await;
        let submitted = tokio::time::Instant::now();
        graded(&system, "daemons").await;
        assert!(submitted.elapsed() < std::time::Duration::from_secs(30), "it ended with its first process");
        system.end().await;
    }
}
