//! The engine's clock: an hour off in either direction, from the beginning and all of a sudden.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{AN_HOUR, BUSY, Row, SWEEP};
use crate::faults::campaign::Expected;
use crate::support::simulated_engine::{Ending, script};

const HOUR_MS: i64 = 3_600_000;

/// A correction that runs until its time is up, without a verdict.
fn endless(row: &Row, name: &str) -> Value {
    let mut data = row.campaign.system.job(name, "sleep 3600");
    data["params"] = json!([format!("{}=3600000", script::RUN_MS), format!("{}=", script::STDOUT)]);
    data
}

/// A clock that is off from the start: short ones succeed, endless ones are stopped in time.
async fn wrong_from_the_beginning(skew: i64) {
    let mut row = Row::with(&[SWEEP, ("CONTAINER_TIMEOUT", "5s")]).await;
    row.engine.set_clock_skew(skew);
    let begun = Instant::now();
    for number in 0..5 {
        let name = format!("endless{number}");
        let data = endless(&row, &name);
        row.campaign.submit_one(&name, &data, Expected::Outcome("timeout")).await;
    }
    row.submit(40, Duration::from_millis(300)).await;
    row.campaign.until_delivered(40).await;
    assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    row.delivered_within(Duration::from_secs(5) + BUSY, begun).await;
    assert!(begun.elapsed() >= Duration::from_secs(5), "stopped early: {:?}", begun.elapsed());
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_clock_an_hour_ahead_deadlines_and_results_are_as_ever() {
    wrong_from_the_beginning(HOUR_MS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_clock_an_hour_behind_deadlines_and_results_are_as_ever() {
    wrong_from_the_beginning(-HOUR_MS).await;
}

/// A clock that is set while corrections run, and everything is looked at again.
async fn set_while_running(skew: i64) {
    let mut row = Row::with(&[SWEEP, ("CONTAINER_TIMEOUT", "12s")]).await;
    // Held from their beginning: their time is measured by our own clock.
    let begun = Instant::now();
    row.hold(20).await;
    let data = endless(&row, "endless");
    row.campaign.submit_one("endless", &data, Expected::Outcome("timeout")).await;
    row.campaign.system.until_running("all are held", |counts| counts.active == 21).await;
    row.engine.set_clock_skew(skew);
    row.engine.close_streams(Ending::Broken);
    row.submit(20, Duration::from_millis(200)).await;
    row.campaign.until_delivered(20).await;
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "too slow a machine for this test: {:?}",
        begun.elapsed()
    );
    // Deaths are told by the new clock.
    for container in row.engine.containers() {
        let endless = container.labels["org.correctomatic.callback"].ends_with("/endless");
        assert!(endless || row.engine.end(&container.id, 0) || !container.status.is_alive());
    }
    row.delivered_within(Duration::from_secs(24) + BUSY, begun).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_an_hour_ahead_stops_no_correction_early() {
    set_while_running(HOUR_MS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_an_hour_back_gives_no_correction_an_hour_more() {
    set_while_running(-HOUR_MS).await;
}

/// A completer that begins after the clock was set knows the container's age only by that clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_completer_that_takes_over_after_the_clock_was_set_stops_no_correction_early() {
    let mut row = Row::with(&[SWEEP, ("CONTAINER_TIMEOUT", "600s")]).await;
    row.hold(20).await;
    row.campaign.system.stop("all").await;
    row.engine.set_clock_skew(HOUR_MS);
    row.campaign.system.spawn("all");
    // One that holds none of them may stop what it finds overdue.
    row.campaign.system.spawn_as("second", "completer");
    row.campaign.system.until_running("all are held again", |counts| counts.active == 20).await;
    tokio::time::sleep(AN_HOUR / 1800).await;
    assert_eq!(row.engine.stats().killed, 0, "logs:\n{}", row.campaign.system.logs());
    let begun = Instant::now();
    row.end_all();
    row.delivered_within(BUSY, begun).await;
    row.prove().await;
}
