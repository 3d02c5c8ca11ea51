//! An engine that takes its time, up to and beyond what a call is given.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{BUSY, Row, SWEEP};
use crate::support::simulated_engine::{Fault, Rule};

fn slow(row: &Row, fault: Fault) {
    row.engine.add_rule(Rule { call: None, container: None, fault, left: usize::MAX });
}

/// Create, start, look, read: each takes so long, and all of them together not much more.
async fn every_call_slow_by(delay: Duration, timeout: &str) {
    let mut row =
        Row::with(&[("SWEEP_INTERVAL", "5s"), ("DOCKER_TIMEOUT", timeout), ("CONCURRENT_STARTERS", "20")])
            .await;
    slow(&row, Fault::Delay(delay));
    let begun = Instant::now();
    row.submit(40, Duration::from_millis(100)).await;
    row.delivered_within(delay * 12 + BUSY, begun).await;
    row.engine.clear_rules();
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_whose_every_call_takes_a_second_is_waited_for() {
    every_call_slow_by(Duration::from_secs(1), "2s").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn an_engine_whose_every_call_takes_five_seconds_is_waited_for() {
    every_call_slow_by(Duration::from_secs(5), "8s").await;
}

/// Everything is carried out at once and answered too late to be believed, for a while.
async fn carried_out_and_answered_too_late(delay: Duration, timeout: &str, lasting: Duration) {
    let mut row = Row::with(&[SWEEP, ("DOCKER_TIMEOUT", timeout)]).await;
    row.submit(30, Duration::from_millis(100)).await;
    row.engine.until(|stats| stats.started > 5).await;
    slow(&row, Fault::DelayAnswer(delay));
    row.submit(30, Duration::from_millis(100)).await;
    sleep(lasting).await;
    row.engine.clear_rules();
    // The longest wait between two tries is 5 s for the engine, and 8 s for an output after four failures.
    row.delivered_within(Duration::from_secs(10) + BUSY, Instant::now()).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_answers_too_late_for_a_while_runs_nothing_twice() {
    carried_out_and_answered_too_late(Duration::from_millis(1500), "500ms", Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn an_engine_that_answers_too_late_with_the_default_time_runs_nothing_twice() {
    carried_out_and_answered_too_late(Duration::from_secs(6), "5s", Duration::from_secs(20)).await;
}
