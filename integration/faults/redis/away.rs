//! redis-server is killed and comes back, at once or after a while, again and again under load: with an
//! append-only file that is always flushed nothing that it had answered is lost.

use std::time::Duration;

use super::{ALWAYS, lasts, start, until_next_result};
use crate::faults::campaign::Campaign;
use crate::faults::figures::{note, note_times};
use crate::support::system::System;

/// Kills Redis so often, each time away for so long, while corrections are submitted; proves the total.
async fn killed(row: &str, times: u32, away: Duration) {
    let (engine, mut campaign) = start(ALWAYS).await;
    campaign.allow_repeats();
    let count = 40 * times as usize;
    let load = campaign.submit_steadily(count, Duration::from_millis(300), Duration::from_millis(20));
    let mut waits = Vec::new();
    for _ in 0..times {
        lasts(Duration::from_millis(1100)).await;
        campaign.system.server.kill();
        lasts(away).await;
        campaign.system.server.restart();
        waits.push(until_next_result(&campaign).await);
    }
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), count);
    note_times(row, "Redis back to the next result", waits);
    note(row, &format!("results repeated of {count}"), proof.repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_again_and_again_loses_nothing_that_it_flushes_always() {
    killed("Redis killed, always", 3, Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_and_three_seconds_away_loses_nothing() {
    killed("Redis killed, 3 s away", 2, Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn redis_away_for_longer_than_locks_live_loses_nothing() {
    killed("Redis killed, 20 s away", 3, Duration::from_secs(20)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn redis_killed_thirty_times_loses_nothing() {
    killed("Redis killed 30 times", 30, Duration::from_millis(200)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_while_real_containers_run_and_end_loses_nothing() {
    let mut system = System::prepare_with_redis(ALWAYS).await;
    system.set(&[("SWEEP_INTERVAL", "2s")]);
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    let load = campaign.submit_steadily(6, Duration::from_secs(1), Duration::from_millis(200));
    campaign.system.until_running("containers run", |counts| counts.active >= 2).await;
    campaign.system.server.kill();
    lasts(Duration::from_secs(2)).await;
    campaign.system.server.restart();
    load.await.expect("all are submitted");
    campaign.prove().await;
}
