//! The append-only file loses its end while results of what it lost are out already: each step of one
//! correction is forgotten in turn, Redis coming back at once or after the containers' grace is over.

use std::collections::BTreeSet;
use std::time::Duration;

use correction_runner::docker::Listed;
use correction_runner::job::FINISHED_QUEUE;

use super::append_only::AppendOnlyFile;
use super::{EVERY_SECOND, lasts, start};
use crate::faults::campaign::Campaign;
use crate::faults::figures::note;
use crate::support::system::System;

/// Longer than a container whose result is safe is kept.
const BEYOND_THE_GRACE: Duration = Duration::from_secs(4);
/// So much is left of the command that a power cut falls into.
const A_PART: u64 = 45;

/// Submits, has everything delivered, cuts the file before the transaction with these words in it,
/// brings Redis back after a time and proves the total: each result came once more, since Redis forgot
/// that it was delivered.
async fn forgets(words: &[&str], away: Duration, and_some: u64) {
    let (engine, mut campaign) = start(EVERY_SECOND).await;
    campaign.allow_repeats();
    let file = AppendOnlyFile::of(campaign.system.server.directory());
    campaign.submit(3, Duration::from_millis(100)).await;
    let finished = campaign.system.redis.queue(FINISHED_QUEUE);
    let delivered = async || (finished.counts().await.ok()?.completed == 3).then_some(());
    campaign.system.until("all is delivered", delivered).await;
    campaign.system.server.kill();
    // The grace of the containers has not begun to end.
    assert_eq!(engine.stats().removed, 0);
    let lost = file.cut_before(words, 0, and_some);
    lasts(away).await;
    assert_eq!(engine.stats().removed, 0, "while Redis is away nobody knows whether a result is safe");
    campaign.system.server.restart();
    // What Redis forgot is not there: else the cut would prove nothing.
    assert!(lost > 0);
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), proof.results);
    note(
        "lost second",
        &format!("POSTs repeated of 3, from {} on forgotten", words.join(" ")),
        proof.repeats,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_delivery_is_repeated_under_the_same_id() {
    forgets(&["ZADD", "bull:finished_corrections:completed"], Duration::ZERO, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_hand_over_of_a_result_is_made_again_from_the_container() {
    let words = ["ZADD", "bull:running_corrections:completed"];
    forgets(&words, BEYOND_THE_GRACE, A_PART).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_hand_over_of_a_start_does_not_start_again() {
    let words = ["ZADD", "bull:pending_corrections:completed"];
    forgets(&words, BEYOND_THE_GRACE, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_take_of_a_submission_does_not_start_it_again() {
    let words = ["LPUSH", "bull:pending_corrections:active"];
    forgets(&words, BEYOND_THE_GRACE, A_PART).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_submission_whose_container_was_there_is_finished_from_it() {
    let words = ["HSET", "bull:pending_corrections:1"];
    forgets(&words, BEYOND_THE_GRACE, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_start_of_a_real_container_does_not_start_another() {
    let mut system = System::prepare_with_redis(EVERY_SECOND).await;
    system.set(&[("SWEEP_INTERVAL", "2s")]);
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    let file = AppendOnlyFile::of(campaign.system.server.directory());
    campaign.submit(2, Duration::from_millis(100)).await;
    campaign.until_delivered(2).await;
    campaign.system.server.kill();
    file.cut_before(&["ZADD", "bull:pending_corrections:completed"], 0, A_PART);
    campaign.system.server.restart();
    let ids = |listed: Vec<Listed>| listed.into_iter().map(|one| one.id).collect::<BTreeSet<_>>();
    let before = ids(campaign.system.containers().await);
    assert_eq!(before.len(), 2);
    campaign.until_delivered(4).await;
    assert_eq!(ids(campaign.system.containers().await), before, "each ran once");
    campaign.prove().await;
}
