//! Removing what is done: refused, in progress for ever, failing for long.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{BUSY, NO_SWEEP, Row, SWEEP};
use crate::support::simulated_engine::{Call, Fault};

#[tokio::test(flavor = "multi_thread")]
async fn removals_that_are_refused_or_in_progress_are_made_up_for_by_the_sweep() {
    let mut row = Row::with(&[SWEEP]).await;
    let in_progress = "removal of container c is already in progress";
    let runs = "You cannot remove a running container c. Stop the container before attempting removal or force remove";
    row.engine.inject(Call::Remove, Fault::Refuse(409, in_progress.to_owned()), 20);
    row.engine.inject(Call::Remove, Fault::Refuse(409, runs.to_owned()), 20);
    row.engine.inject(Call::Remove, Fault::CarryOutAndRefuse(500, "device or resource busy".to_owned()), 10);
    row.engine.inject(Call::Remove, Fault::CarryOutAndDrop, 10);
    let begun = Instant::now();
    row.submit(60, Duration::from_millis(50)).await;
    row.delivered_within(BUSY, begun).await;
    row.clean_within(BUSY + Duration::from_secs(10), begun).await;
    row.has_counted("correction_runner_sweep_finds_total{kind=\"removable\"}").await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_that_fail_for_long_hold_up_no_result_and_are_made_in_the_end() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    let busy = Fault::Refuse(500, "driver \"overlay2\" failed to remove root filesystem".to_owned());
    row.engine.inject(Call::Remove, busy, usize::MAX);
    for _ in 0..6 {
        let begun = Instant::now();
        row.submit(15, Duration::from_millis(50)).await;
        row.delivered_within(BUSY, begun).await;
        sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(row.engine.containers().len(), 90);
    row.engine.clear_rules();
    // Tried again 8 s after the third failure at the latest.
    row.clean_within(Duration::from_secs(8) + BUSY, Instant::now()).await;
    row.prove().await;
}
