//! Creating and starting: refused, carried out all the same, done by somebody else, undone by somebody else.

use std::time::Duration;

use tokio::time::Instant;

use super::{AN_HOUR, BUSY, NO_SWEEP, Row};
use crate::support::simulated_engine::{Call, Fault, Status};

#[tokio::test(flavor = "multi_thread")]
async fn starts_answered_with_an_error_although_the_container_runs_are_not_repeated() {
    let mut row = Row::with(&[NO_SWEEP, ("DOCKER_TIMEOUT", "2s")]).await;
    let late = || Fault::CarryOutAndRefuse(500, "context deadline exceeded".to_owned());
    row.engine.inject(Call::Start, late(), 15);
    row.engine.inject(Call::Create, late(), 10);
    row.engine.inject(Call::Start, Fault::CarryOutAndDrop, 5);
    row.engine.inject(Call::Create, Fault::CarryOutAndRefuse(502, "Bad Gateway".to_owned()), 5);
    let begun = Instant::now();
    row.submit(30, Duration::ZERO).await;
    row.submit(30, Duration::from_millis(400)).await;
    row.delivered_within(Duration::from_secs(4) + BUSY, begun).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_somebody_starts_first_are_the_correction_all_the_same() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    row.engine.inject(Call::Start, Fault::Delay(Duration::from_secs(3)), 8);
    row.submit(8, Duration::from_secs(4)).await;
    row.engine.until(|stats| stats.calls(Call::Start) == 8).await;
    for container in row.engine.containers() {
        assert_eq!(container.status, Status::Created);
        assert!(row.engine.start_by_hand(&container.id));
    }
    let begun = Instant::now();
    row.submit(20, Duration::from_millis(100)).await;
    row.delivered_within(Duration::from_secs(8) + BUSY, begun).await;
    let stats = row.prove_whoever_started().await;
    assert_eq!((stats.started, stats.max_starts_of_one), (28, 2), "a 304 is a start that was not needed");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_somebody_removes_before_their_start_are_made_anew() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    row.engine.inject(Call::Start, Fault::Delay(Duration::from_secs(3)), 8);
    row.submit(8, Duration::from_millis(100)).await;
    row.engine.until(|stats| stats.calls(Call::Start) == 8).await;
    for container in row.engine.containers() {
        assert_eq!(container.status, Status::Created);
        assert!(row.engine.remove(&container.id));
    }
    let begun = Instant::now();
    row.submit(20, Duration::from_millis(100)).await;
    row.delivered_within(Duration::from_secs(8) + BUSY, begun).await;
    let stats = row.prove().await;
    assert_eq!((stats.created, stats.started), (36, 28));
}

/// A name that is taken by nobody: its container is just going.
#[tokio::test(flavor = "multi_thread")]
async fn creates_and_starts_that_are_refused_for_a_while_are_tried_again() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    let taken = "Conflict. The container name \"/c\" is already in use by container \"d\".";
    row.engine.inject(Call::Create, Fault::Refuse(409, taken.to_owned()), 25);
    row.engine.inject(Call::Create, Fault::Refuse(500, "cannot create".to_owned()), 3);
    row.engine.inject(Call::Create, Fault::Refuse(429, "slow down".to_owned()), 5);
    row.engine.inject(
        Call::Start,
        Fault::Refuse(500, "cgroup: resource temporarily unavailable".to_owned()),
        1,
    );
    row.engine.inject(Call::Start, Fault::Refuse(503, "starting up".to_owned()), 1);
    let begun = Instant::now();
    row.submit(40, Duration::from_millis(100)).await;
    row.submit(1, AN_HOUR / 3600).await;
    // All are of one image: after a failure one of them tries for all, after 1, 2, 4 and 8 s.
    row.delivered_within(Duration::from_secs(25) + BUSY, begun).await;
    row.prove().await;
}
