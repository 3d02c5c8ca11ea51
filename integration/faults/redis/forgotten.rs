//! Keys are deleted while corrections run: one by one, all of them, or with the server that kept nothing.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use super::{lasts, prepare, start};
use crate::faults::campaign::Campaign;
use crate::faults::figures::{note, note_times};
use crate::support::simulated_engine::{Call, Fault, SimulatedEngine};

#[tokio::test(flavor = "multi_thread")]
async fn lists_locks_and_notes_deleted_one_by_one_lose_and_double_nothing() {
    let (engine, mut campaign) = start(&[]).await;
    campaign.allow_repeats();
    let load = campaign.submit_steadily(120, Duration::from_millis(700), Duration::from_millis(25));
    let patterns = [
        "bull:*_corrections:active",
        "bull:*_corrections:meta",
        "bull:*_corrections:marker",
        "bull:*_corrections:*:lock",
        "bull:*_corrections:events",
        "bull:correction-runner:done:*",
        "bull:running_corrections:active",
        "bull:running_corrections:wait",
        "bull:*_corrections:stalled*",
        "bull:pending_corrections:active",
    ];
    for pattern in patterns {
        lasts(Duration::from_millis(250)).await;
        campaign.system.lose(pattern).await;
    }
    load.await.expect("all are submitted");
    let served = async || campaign.outstanding().is_empty().then_some(());
    campaign.system.until("each has its result", served).await;
    // Apart from the others: what was in hand when its list went would be a stranger's under another id.
    let load = campaign.submit_steadily(20, Duration::from_millis(700), Duration::from_millis(25));
    lasts(Duration::from_millis(250)).await;
    campaign.system.lose("bull:correction-runner:instance").await;
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 140);
    note("keys deleted", "results repeated of 140", proof.repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_deleted_while_nobody_holds_its_jobs_is_made_again_from_the_containers() {
    let (engine, mut campaign) = prepare(&[]).await;
    campaign.system.spawn("starter");
    campaign.submit(10, Duration::from_millis(100)).await;
    campaign.system.until_running("all are started", |counts| counts.waiting == 10).await;
    campaign.system.lose("bull:running_corrections:wait").await;
    campaign.system.spawn("completer");
    campaign.system.spawn("notifier");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_deleted_while_their_containers_run_are_made_good_by_the_containers() {
    let (engine, mut campaign) = start(&[]).await;
    campaign.submit(10, Duration::from_secs(5)).await;
    campaign.system.until_running("all run", |counts| counts.active == 10).await;
    campaign.system.lose("bull:running_corrections:*").await;
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_container_that_is_gone_when_it_is_to_be_read_has_no_second_result() {
    let (engine, mut campaign) = start(&[]).await;
    engine.inject(Call::Remove, Fault::Refuse(500, "device or resource busy".to_owned()), usize::MAX);
    campaign.submit(4, Duration::ZERO).await;
    campaign.until_delivered(4).await;
    engine.inject(Call::Logs, Fault::Delay(Duration::from_secs(2)), 4);
    for pattern in
        ["bull:running_corrections:*", "bull:finished_corrections:*", "bull:correction-runner:done:*"]
    {
        campaign.system.lose(pattern).await;
    }
    // Each was read once before.
    engine.until(|stats| stats.calls(Call::Logs) == 8).await;
    for container in engine.containers() {
        assert!(engine.remove(&container.id));
    }
    let seen = async || {
        let dropped = campaign.system.logs().matches("is gone before it was read").count();
        (dropped == 4 || campaign.system.receiver.all().len() > 4).then_some(())
    };
    campaign.system.until("all were found gone", seen).await;
    campaign.prove().await;
}

/// What was submitted before all keys went may be lost; what comes after is served as ever.
async fn life_goes_on(row: &str, engine: &SimulatedEngine, mut campaign: Campaign, before: usize) {
    for number in 1..=before {
        campaign.may_be_lost(&format!("c{number}"));
    }
    let begun = tokio::time::Instant::now();
    let load = campaign.submit_steadily(30, Duration::from_millis(300), Duration::from_millis(100));
    load.await.expect("all are submitted");
    let served = async || campaign.outstanding().is_empty().then_some(());
    campaign.system.until("what came after is served", served).await;
    note_times(row, "first submission after it to the last result of 30", vec![begun.elapsed()]);
    let proof = campaign.prove().await;
    note(row, &format!("submissions of before without a result, of {before}"), proof.lost);
    assert_eq!(engine.stats().max_starts_of_one, 1);
    // What is left is of the installation that nobody remembers, and a person's to remove.
    note(row, "containers of the old installation left", engine.containers().len());
}

/// A load of 40, half of it running and the rest on its way.
async fn under_way(engine: &SimulatedEngine, campaign: &mut Campaign) {
    campaign.allow_repeats();
    let load = campaign.submit_steadily(40, Duration::from_secs(2), Duration::from_millis(25));
    engine.until(|stats| stats.started >= 20).await;
    load.await.expect("all are submitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_all_keys_were_flushed_what_comes_is_served_and_nothing_of_before_comes_twice() {
    let (engine, mut campaign) = start(&[]).await;
    under_way(&engine, &mut campaign).await;
    assert_eq!(campaign.system.ask(&["FLUSHALL"]).await, "OK");
    life_goes_on("FLUSHALL", &engine, campaign, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reset_what_comes_is_served_and_nothing_of_before_comes_twice() {
    let (engine, mut campaign) = start(&[]).await;
    under_way(&engine, &mut campaign).await;
    let port = campaign.system.server.port().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/reset_queues");
    let reset = Command::new(script)
        .args(["--yes-delete", &format!("127.0.0.1:{port}/0/bull")])
        .env("REDIS_HOST", "127.0.0.1")
        .env("REDIS_PORT", &port)
        .current_dir(campaign.system.server.directory())
        .output();
    let reset = reset.await.expect("it runs");
    assert!(reset.status.success(), "{}", String::from_utf8_lossy(&reset.stderr));
    life_goes_on("reset_queues", &engine, campaign, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_comes_back_empty_serves_what_comes() {
    let (engine, mut campaign) = start(&[]).await;
    under_way(&engine, &mut campaign).await;
    campaign.system.server.restart();
    life_goes_on("restarted empty", &engine, campaign, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_pinned_installation_redis_that_comes_back_empty_costs_no_correction_that_was_started() {
    let (engine, mut campaign) = prepare(&[]).await;
    campaign.system.set(&[("INSTANCE_ID", "pinned")]);
    campaign.system.spawn("all");
    campaign.allow_repeats();
    campaign.submit(30, Duration::from_secs(3)).await;
    engine.until(|stats| stats.started == 30).await;
    campaign.system.server.restart();
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 30);
    note("restarted empty, pinned", "started corrections without a result, of 30", proof.lost);
    note("restarted empty, pinned", "results repeated of 30", proof.repeats);
}

/// All keys go, a correction comes, again and again: each is served.
async fn resets(row: &str, times: usize) {
    let (_engine, mut campaign) = prepare(&[]).await;
    campaign.system.set(&[("INSTANCE_ID", "pinned")]);
    campaign.system.spawn("all");
    campaign.allow_repeats();
    let mut waits = Vec::new();
    for _ in 0..times {
        assert_eq!(campaign.system.ask(&["FLUSHALL"]).await, "OK");
        let begun = tokio::time::Instant::now();
        campaign.submit(1, Duration::ZERO).await;
        let served = async || campaign.outstanding().is_empty().then_some(());
        campaign.system.until("it is served", served).await;
        waits.push(begun.elapsed());
    }
    note_times(row, "submission after a reset to its result", waits);
    campaign.prove().await;
    note(row, &format!("consumers stuck after {times} resets"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_resets_leave_no_consumer_stuck() {
    resets("resets, 50", 50).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_thousand_resets_leave_no_consumer_stuck() {
    resets("resets, 1,000", 1000).await;
}
