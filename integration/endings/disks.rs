//! Graders that write more to the host's disk than they may.

use std::time::Duration;

use serde_json::json;

use super::{SAYS_OK, assert_says, graded, told};
use crate::support::simulated_engine::{Call, Fault, Options, SimulatedEngine, script};
use crate::support::system::System;

/// Writes 8 MB every quarter of a second, each time into another file.
const FILLS: &str = "n=0; while :; do head -c 8000000 /dev/zero >/tmp/$n; n=$((n+1)); sleep 0.25; done";

const LIMIT: [(&str, &str); 2] = [("CONTAINER_DISK", "32m"), ("CONTAINER_TIMEOUT", "60s")];

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_fills_the_disk_is_stopped_and_told_with_the_numbers() {
    let system = System::start(&LIMIT).await;
    system.submit(&system.job("fills", &format!("echo writing; {FILLS}"))).await;
    system.submit(&system.job("graded", &format!("{SAYS_OK}; {FILLS}"))).await;
    system
        .submit(&system.job("modest", &format!("head -c 8000000 /dev/zero >/tmp/x; sleep 4; {SAYS_OK}")))
        .await;
    let text = told(&system, "fills", "disk_full").await;
    assert_says(
        &text,
        &[
            "The grader was stopped after ",
            " to its disk, more than the 32 MiB that it may use.",
            "of memory of the 1 GiB that it may use",
            "CONTAINER_DISK",
            "The last lines of its output:\nwriting",
        ],
    );
    graded(&system, "graded").await;
    graded(&system, "modest").await;
    system.end().await;
}

/// Why it was killed stands on its own disk: a completer that comes later reads it there.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_although_the_completer_that_saw_it_died() {
    let mut system = System::prepare().await;
    system.set(&LIMIT);
    for component in ["starter", "notifier"] {
        system.spawn(component);
    }
    system.set(&[("CRASH_POINTS", "completer-killed=kill")]);
    system.spawn("completer");
    system.submit(&system.job("fills", FILLS)).await;
    // (It is borrowed for a moment each time only.)
    let deadline = tokio::time::Instant::now() + crate::support::system::PATIENCE;
    while system.ended("completer").is_none() {
        assert!(tokio::time::Instant::now() < deadline, "it was not killed; logs:\n{}", system.logs());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    system.set(&[("CRASH_POINTS", "")]);
    system.spawn("completer");
    let text = told(&system, "fills", "disk_full").await;
    assert_says(&text, &["more than the 32 MiB that it may use"]);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_is_longer_than_the_disk_may_hold_is_cut_off_and_told() {
    let system = System::start(&LIMIT).await;
    system.submit(&system.job("long", "exec head -c 90000000 /dev/zero >/tmp/x")).await;
    let text = told(&system, "long", "disk_full").await;
    assert_says(&text, &["wrote a file larger than the 32 MiB that it may use", "CONTAINER_DISK"]);
    system.end().await;
}

/// Of a container without an end that wrote so much, to its file system and to an anonymous volume.
fn endless(system: &System, name: &str, written: u64, volume: u64) -> serde_json::Value {
    let mut job = system.job(name, "");
    job["params"] = json!([
        format!("{}=3600000", script::RUN_MS),
        format!("{}=", script::STDOUT),
        format!("{}={}", script::MEMORY, 5 << 20),
        format!("{}={written}", script::WRITTEN),
        format!("{}={volume}", script::VOLUME),
    ]);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_to_anonymous_volumes_counts_where_the_engine_tells_it() {
    for (api_version, outcome) in [("1.43", "disk_full"), ("1.41", "timeout")] {
        let engine = SimulatedEngine::start(Options { api_version, ..Options::default() }).await;
        let mut system = System::prepare_on(&engine).await;
        system.set(&[("CONTAINER_DISK", "32m"), ("CONTAINER_TIMEOUT", "6s")]);
        system.spawn("all");
        system.submit(&endless(&system, "volume", 16 << 20, 17 << 20)).await;
        let text = told(&system, "volume", outcome).await;
        // An engine of API 1.41 would have to add up all of its images too: it is not asked.
        assert_eq!(engine.stats().calls(Call::DiskUsage) > 0, api_version == "1.43");
        if outcome == "disk_full" {
            assert_says(&text, &["wrote 33 MiB to its disk, more than the 32 MiB"]);
        }
        system.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_will_not_tell_a_size_holds_nothing_up() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("CONTAINER_DISK", "32m"), ("CONTAINER_TIMEOUT", "8s"), ("DOCKER_TIMEOUT", "500ms")]);
    system.spawn("all");
    engine.inject(Call::Size, Fault::Refuse(500, "no such layer".to_owned()), 1);
    engine.inject(Call::Size, Fault::Hang, 1);
    for name in ["refused", "silent"] {
        system.submit(&endless(&system, name, 33 << 20, 0)).await;
    }
    for name in ["refused", "silent"] {
        told(&system, name, "timeout").await;
    }
    system.end().await;
}

/// Sizes cost the engine walks over its disk: of what ends soon nobody asks, and no more often than is needed.
#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_asked_for_rarely_and_not_at_all_while_nothing_runs_for_long() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("CONTAINER_DISK", "32m"), ("CONTAINER_TIMEOUT", "9s")]);
    system.spawn("all");
    for number in 0..20 {
        let mut job = system.job(&format!("short{number}"), "");
        job["params"] = json!([format!("{}=300", script::RUN_MS)]);
        system.submit(&job).await;
    }
    for number in 0..20 {
        system.result(&format!("short{number}")).await;
    }
    system.submit(&endless(&system, "modest", 1 << 20, 0)).await;
    told(&system, "modest", "timeout").await;
    let asked = engine.stats().calls(Call::Size);
    assert!((1..=3).contains(&asked), "{asked} times in 9 s");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(engine.stats().calls(Call::Size), asked, "nothing runs");
    system.end().await;
}
