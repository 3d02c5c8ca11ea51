//! Deaths that come before anybody expects them: before the start is answered, before the record is there.

use std::time::Duration;

use tokio::time::Instant;

use super::{BUSY, NO_SWEEP, Row};
use crate::support::simulated_engine::{Call, Fault};

#[tokio::test(flavor = "multi_thread")]
async fn deaths_long_before_their_start_is_answered_wait_for_their_records() {
    let mut row = Row::with(&[NO_SWEEP, ("CONCURRENT_STARTERS", "20")]).await;
    row.engine.die_within_start(true);
    row.engine.inject(Call::Start, Fault::DelayAnswer(Duration::from_secs(1)), 60);
    let begun = Instant::now();
    row.submit(60, Duration::ZERO).await;
    row.delivered_within(Duration::from_secs(3) + BUSY, begun).await;
    row.prove().await;
}

/// The stream is old enough by then that a record is no longer looked at just because the stream is new: only
/// the death that was told before can end it.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_before_its_record_is_not_forgotten_when_nothing_else_would_tell_of_it() {
    let mut row = Row::with(&[NO_SWEEP, ("CONCURRENT_STARTERS", "20")]).await;
    row.submit(1, Duration::ZERO).await;
    row.delivered_within(BUSY, Instant::now()).await;
    let inspections = async |row: &mut Row| {
        let before = row.engine.stats().calls(Call::Inspect);
        row.submit(1, Duration::ZERO).await;
        row.delivered_within(BUSY, Instant::now()).await;
        row.engine.stats().calls(Call::Inspect) - before
    };
    let old = Instant::now();
    while inspections(&mut row).await > 0 {
        assert!(old.elapsed() < BUSY * 3, "records are looked at for ever");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    row.engine.die_within_start(true);
    row.engine.inject(Call::Start, Fault::DelayAnswer(Duration::from_millis(700)), 40);
    let begun = Instant::now();
    row.submit(40, Duration::ZERO).await;
    row.delivered_within(Duration::from_secs(2) + BUSY, begun).await;
    row.prove().await;
}
