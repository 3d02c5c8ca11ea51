//! Redis answers with an error for a while: it loads, is read-only, full, locked, cannot save, is busy.

use std::time::Duration;

use super::relay::Relay;
use super::wire::Wire;
use super::{lasts, prepare, start, until_next_result};
use crate::faults::campaign::Campaign;
use crate::faults::figures::note_times;
use crate::support::simulated_engine::SimulatedEngine;

/// How long it refuses: longer than a call may take, shorter than a lock lives.
const REFUSES: Duration = Duration::from_secs(6);

/// Says each line on a connection of its own.
async fn say(campaign: &Campaign, lines: &[&str]) {
    for line in lines {
        let mut wire = Wire::open(campaign.system.server.port()).await.expect("it listens");
        let answer = wire.say(line).await.expect("it is answered");
        assert!(!answer.starts_with('-'), "{line}: {answer}");
    }
}

/// Load, before and after a refusal, and the proof.
async fn refused(row: &str, engine: &SimulatedEngine, mut campaign: Campaign, begin: &[&str], end: &[&str]) {
    campaign.allow_repeats();
    let load = campaign.submit_steadily(100, Duration::from_millis(500), Duration::from_millis(20));
    lasts(Duration::from_millis(1200)).await;
    say(&campaign, begin).await;
    lasts(REFUSES).await;
    say(&campaign, end).await;
    let next = until_next_result(&campaign).await;
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 100);
    note_times(row, "Redis well again to the next result", vec![next]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_read_only_for_a_while_loses_nothing() {
    let (engine, campaign) = start(&[]).await;
    // Nobody listens there, so that its data stays.
    refused("READONLY", &engine, campaign, &["REPLICAOF 127.0.0.1 1"], &["REPLICAOF NO ONE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_memory_for_a_while_loses_nothing() {
    let (engine, campaign) = start(&["--maxmemory-policy", "noeviction"]).await;
    refused("OOM", &engine, campaign, &["CONFIG SET maxmemory 1"], &["CONFIG SET maxmemory 0"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_wrong_for_a_while_loses_nothing() {
    let (engine, mut campaign) = prepare(&["--requirepass", "old"]).await;
    // The test's own looks need no password.
    campaign.system.set(&[("REDIS_PASSWORD", "old"), ("REDIS_USER", "runner")]);
    let mut wire = Wire::open(campaign.system.server.port()).await.expect("it listens");
    for line in ["AUTH old", "ACL SETUSER runner on >old ~* +@all", "CONFIG SET requirepass \"\""] {
        assert_eq!(wire.say(line).await.as_deref(), Some("+OK"));
    }
    campaign.system.spawn("all");
    let begin = ["ACL SETUSER runner resetpass >new", "CLIENT KILL USER runner"];
    let end = ["ACL SETUSER runner resetpass >old"];
    refused("WRONGPASS", &engine, campaign, &begin, &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_appears_for_a_while_loses_nothing() {
    let (engine, mut campaign) = start(&[]).await;
    campaign.allow_repeats();
    let load = campaign.submit_steadily(100, Duration::from_millis(500), Duration::from_millis(20));
    lasts(Duration::from_millis(1200)).await;
    let mut wire = Wire::open(campaign.system.server.port()).await.expect("it listens");
    // This connection stays let in.
    for line in ["CONFIG SET requirepass x", "CLIENT KILL TYPE normal SKIPME yes"] {
        assert!(!wire.say(line).await.expect("answered").starts_with('-'), "{line}");
    }
    lasts(REFUSES).await;
    assert_eq!(wire.say("CONFIG SET requirepass \"\"").await.as_deref(), Some("+OK"));
    let next = until_next_result(&campaign).await;
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 100);
    note_times("NOAUTH", "Redis well again to the next result", vec![next]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_taken_away_for_a_while_lose_nothing() {
    let (engine, campaign) = start(&[]).await;
    let (begin, end) = (["ACL SETUSER default -evalsha -eval"], ["ACL SETUSER default +@all"]);
    refused("NOPERM", &engine, campaign, &begin, &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_save_for_a_while_loses_nothing() {
    let (engine, campaign) = start(&["--save", "3600 1000000"]).await;
    // A directory stands where the snapshot is to go.
    let in_the_way = campaign.system.server.directory().join("dump.rdb");
    std::fs::create_dir(&in_the_way).expect("a directory");
    let end = ["CONFIG SET stop-writes-on-bgsave-error no"];
    refused("MISCONF", &engine, campaign, &["SET a b", "BGSAVE"], &end).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_of_somebody_else_that_does_not_end_for_a_while_loses_nothing() {
    let (engine, mut campaign) = start(&["--lua-time-limit", "200"]).await;
    campaign.allow_repeats();
    let load = campaign.submit_steadily(100, Duration::from_millis(500), Duration::from_millis(20));
    lasts(Duration::from_millis(1200)).await;
    let port = campaign.system.server.port();
    let busy = tokio::spawn(async move {
        let mut wire = Wire::open(port).await.expect("it listens");
        wire.say("EVAL \"while true do end\" 0").await
    });
    lasts(REFUSES).await;
    say(&campaign, &["SCRIPT KILL"]).await;
    let told = busy.await.expect("no panic").expect("answered");
    assert!(told.contains("killed by user"), "{told}");
    let next = until_next_result(&campaign).await;
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 100);
    note_times("BUSY", "Redis well again to the next result", vec![next]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_loads_for_a_while_loses_nothing() {
    let (engine, mut campaign) = prepare(&[]).await;
    let relay = Relay::to(campaign.system.server.port()).await;
    campaign.system.set(&[("REDIS_PORT", &relay.port().to_string())]);
    // It loads when the runner starts, too.
    relay.answer_all_with(Some("-LOADING Redis is loading the dataset in memory"));
    campaign.system.spawn("all");
    lasts(Duration::from_secs(1)).await;
    relay.answer_all_with(None);
    campaign.allow_repeats();
    let load = campaign.submit_steadily(100, Duration::from_millis(500), Duration::from_millis(20));
    campaign.until_delivered(10).await;
    relay.answer_all_with(Some("-LOADING Redis is loading the dataset in memory"));
    lasts(REFUSES).await;
    assert!(relay.answered_itself() > 0);
    relay.answer_all_with(None);
    let next = until_next_result(&campaign).await;
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 100);
    note_times("LOADING", "Redis well again to the next result", vec![next]);
}
