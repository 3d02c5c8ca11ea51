//! Killing what runs beyond its time: kills that are refused, that come too late, and that never work.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{BUSY, NO_SWEEP, Row};
use crate::faults::campaign::Expected;
use crate::support::simulated_engine::{Call, Fault, script};

async fn endless(row: &mut Row, count: usize, outcome: &'static str) {
    for number in 0..count {
        let name = format!("endless{number}");
        let mut data = row.campaign.system.job(&name, "sleep 3600");
        data["params"] = json!([format!("{}=3600000", script::RUN_MS), format!("{}=", script::STDOUT)]);
        row.campaign.submit_one(&name, &data, Expected::Outcome(outcome)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_that_are_refused_at_first_are_sent_again() {
    let mut row = Row::with(&[NO_SWEEP, ("CONTAINER_TIMEOUT", "2s"), ("DOCKER_TIMEOUT", "1s")]).await;
    row.engine.inject(Call::Kill, Fault::Refuse(500, "cannot kill".to_owned()), 4);
    row.engine.inject(Call::Kill, Fault::Refuse(409, "Container c is not running".to_owned()), 4);
    row.engine.inject(Call::Kill, Fault::CarryOutAndRefuse(500, "it did not exit".to_owned()), 2);
    row.engine.inject(Call::Kill, Fault::CarryOutAndDrop, 2);
    row.engine.inject(Call::Kill, Fault::Hang, 2);
    let begun = Instant::now();
    endless(&mut row, 10, "timeout").await;
    row.submit(20, Duration::from_millis(300)).await;
    row.delivered_within(Duration::from_secs(2 + 8) + BUSY, begun).await;
    row.prove().await;
}

/// The engine answers, and will not kill: 15 s later the teacher is told, and the container is removed by force.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_the_engine_will_never_kill_is_told_as_lost() {
    let mut row = Row::with(&[NO_SWEEP, ("CONTAINER_TIMEOUT", "1s")]).await;
    row.engine.inject(Call::Kill, Fault::Refuse(500, "cannot kill".to_owned()), usize::MAX);
    let begun = Instant::now();
    endless(&mut row, 3, "container_lost").await;
    row.submit(20, Duration::from_millis(100)).await;
    row.campaign.until_delivered(20).await;
    assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    row.delivered_within(Duration::from_secs(1 + 15 + 16) + BUSY, begun).await;
    row.prove().await;
}
