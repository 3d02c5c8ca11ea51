//! Engines of other kinds: the shape of their events, and the versions that they speak.

use tokio::time::Instant;

use super::{BUSY, NO_SWEEP, Row};
use crate::support::simulated_engine::{Call, Options, Shape};

/// Only the events can tell the deaths in time; their exit codes are in the events alone.
async fn deaths_are_told_by(options: Options) {
    let mut row = Row::on(options, &[NO_SWEEP]).await;
    row.hold(40).await;
    let begun = Instant::now();
    row.end_all();
    row.submit(20, std::time::Duration::from_millis(100)).await;
    row.delivered_within(BUSY, begun).await;
    assert_eq!(row.engine.stats().calls(Call::Events), 1, "the stream never broke");
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_29_is_understood() {
    deaths_are_told_by(Options {
        shape: Shape::Docker29,
        api_version: "1.52",
        min_api_version: "1.44",
        server: "Docker/29.1.0 (linux)",
        ..Options::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_is_understood() {
    deaths_are_told_by(Options {
        shape: Shape::Podman,
        api_version: "1.41",
        min_api_version: "1.24",
        server: "Libpod/5.4.0 (linux)",
        ..Options::default()
    })
    .await;
}
