//! The engine itself: away, half away, mute, another one.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{BUSY, Row, SWEEP};
use crate::support::simulated_engine::{Call, Fault, Options, Rule, SimulatedEngine};

/// The waits of whoever looks for the engine, and of starts that failed for it, are 5 s at the most here.
const BACK: Duration = Duration::from_secs(8);

fn all_but_ping() -> Vec<Call> {
    let calls = [
        Call::Version,
        Call::Info,
        Call::Create,
        Call::Start,
        Call::Inspect,
        Call::Logs,
        Call::List,
        Call::Kill,
        Call::Remove,
        Call::Events,
    ];
    calls.to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_only_pings_for_a_while_fails_no_correction() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(20).await;
    for call in all_but_ping() {
        let fault = Fault::Refuse(500, "server error".to_owned());
        row.engine.add_rule(Rule { call: Some(call), container: None, fault, left: usize::MAX });
    }
    row.end_all();
    row.submit(30, Duration::from_millis(100)).await;
    sleep(Duration::from_secs(4)).await;
    row.engine.clear_rules();
    row.delivered_within(BACK + BUSY, Instant::now()).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_accepts_and_never_answers_for_a_while_fails_no_correction() {
    let mut row = Row::with(&[SWEEP, ("DOCKER_TIMEOUT", "500ms")]).await;
    row.hold(20).await;
    row.engine.add_rule(Rule { call: None, container: None, fault: Fault::Hang, left: usize::MAX });
    row.end_all();
    row.submit(30, Duration::from_millis(100)).await;
    sleep(Duration::from_secs(5)).await;
    row.engine.clear_rules();
    row.delivered_within(BACK + BUSY, Instant::now()).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_again_and_again_fails_no_correction() {
    let mut row = Row::with(&[SWEEP]).await;
    for round in 0..5 {
        row.submit(20, Duration::from_millis(150)).await;
        sleep(Duration::from_millis(300)).await;
        row.engine.go_away();
        sleep(Duration::from_millis(700)).await;
        row.engine.come_back(round % 2 == 0);
    }
    row.delivered_within(BACK + BUSY, Instant::now()).await;
    row.prove().await;
}

/// Other containers, another id; the corrections of the first are waited for, and not given up as gone.
#[tokio::test(flavor = "multi_thread")]
async fn another_engine_in_its_place_for_a_while_fails_no_correction_of_either() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(30).await;
    row.engine.go_away();
    std::fs::remove_file(row.engine.socket()).expect("its socket was there");
    let other = SimulatedEngine::start(Options {
        socket: Some(row.engine.socket().to_owned()),
        id: "ANOT:HERO:NE00".to_owned(),
        ..Options::default()
    })
    .await;
    row.submit(20, Duration::from_millis(100)).await;
    row.campaign.until_delivered(20).await;
    row.campaign.system.until_clean().await;
    sleep(Duration::from_secs(2)).await;
    let told = row.campaign.system.receiver.all();
    assert_eq!(told.len(), 20, "{:?}", told.last().map(|one| &one.body));
    let stats = other.stats();
    assert_eq!((stats.started, stats.max_starts_of_one), (20, 1));
    other.go_away();
    row.engine.end_all(0);
    row.engine.come_back(true);
    row.held = 0;
    row.delivered_within(BACK + BUSY, Instant::now()).await;
    row.prove().await;
}

/// A start is tried for so long; while the engine is away it is not tried.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_the_engine_was_away_is_no_time_of_trying() {
    let mut row = Row::with(&[SWEEP, ("START_RETRY_FOR", "4s")]).await;
    row.submit(1, Duration::ZERO).await;
    row.delivered_within(BUSY, Instant::now()).await;
    row.engine.go_away();
    row.submit(30, Duration::from_millis(100)).await;
    sleep(Duration::from_secs(6)).await;
    // It is back, and stumbles once more over the first of them.
    row.engine.inject(Call::Create, Fault::Refuse(500, "starting up".to_owned()), 8);
    row.engine.come_back(true);
    row.delivered_within(BACK + BUSY, Instant::now()).await;
    row.prove().await;
}
