//! Every connection is cut, a thousand times; Redis holds its breath for longer than locks live.

use std::time::Duration;

use super::wire::Wire;
use super::{lasts, start};
use crate::faults::figures::{note, note_times};

async fn cut(row: &str, times: u32, every: Duration) {
    let (engine, mut campaign) = start(&[]).await;
    campaign.allow_repeats();
    let count = 300;
    let pace = every * times / count;
    let load = campaign.submit_steadily(count as usize, Duration::from_millis(200), pace);
    let mut wire = Wire::open(campaign.system.server.port()).await.expect("it listens");
    let mut killed = 0;
    for _ in 0..times {
        killed += wire.number("CLIENT KILL TYPE normal SKIPME yes").await.expect("it is not killed itself");
        lasts(every).await;
    }
    let during = campaign.system.receiver.all().len();
    let over = tokio::time::Instant::now();
    load.await.expect("all are submitted");
    let left = async || campaign.outstanding().is_empty().then_some(());
    campaign.system.until("all is delivered", left).await;
    note_times(row, "last cut to the last result", vec![over.elapsed()]);
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), count as usize);
    note(row, "connections cut", killed);
    note(row, &format!("results delivered meanwhile, of {count}"), during);
    note(row, &format!("results repeated of {count}"), proof.repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_cut_a_hundred_times_lose_and_double_nothing() {
    cut("CLIENT KILL 100 times", 100, Duration::from_millis(40)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn all_connections_cut_a_thousand_times_lose_and_double_nothing() {
    cut("CLIENT KILL 1,000 times", 1000, Duration::from_millis(25)).await;
}

/// All stands still for so long, with corrections in all places.
async fn paused(row: &str, command: &str, length: Duration) {
    let (engine, mut campaign) = start(&["--enable-debug-command", "yes"]).await;
    campaign.allow_repeats();
    let load = campaign.submit_steadily(150, Duration::from_millis(700), Duration::from_millis(20));
    lasts(Duration::from_millis(1500)).await;
    let mut wire = Wire::open(campaign.system.server.port()).await.expect("it listens");
    let begun = tokio::time::Instant::now();
    wire.say(command).await.expect("it is answered");
    lasts(length.saturating_sub(begun.elapsed())).await;
    let next = super::until_next_result(&campaign).await;
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 150);
    note_times(row, "Redis back to the next result", vec![next]);
    note(row, "results repeated of 150", proof.repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_longer_than_locks_live_loses_and_doubles_nothing() {
    paused("CLIENT PAUSE 17 s, all", "CLIENT PAUSE 17000 ALL", Duration::from_secs(17)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_pause_of_twenty_seconds_loses_and_doubles_nothing() {
    paused("CLIENT PAUSE 20 s, all", "CLIENT PAUSE 20000 ALL", Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_pause_of_writes_loses_and_doubles_nothing() {
    paused("CLIENT PAUSE 20 s, writes", "CLIENT PAUSE 20000 WRITE", Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_server_that_sleeps_loses_and_doubles_nothing() {
    paused("DEBUG SLEEP 20 s", "DEBUG SLEEP 20", Duration::from_secs(20)).await;
}
