//! The engine itself: away, half away, mute, another one.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::campaign::Expected;
use super::{BUSY, Row, SWEEP};
use crate::support::simulated_engine::{Call, Fault, Options, Rule, SimulatedEngine};

/// The waits of whoever looks for the engine, and of starts that failed for it, are 5 s at the most here.
const BACK: Duration = Duration::from_secs(8);
/// The id of another engine.
const ANOTHER: &str = "ANOT:HERO:NE00";

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

/// An engine goes away, and another one answers at its address.
async fn another_in_its_place(engine: &SimulatedEngine) -> SimulatedEngine {
    engine.go_away();
    std::fs::remove_file(engine.socket()).expect("its socket was there");
    let (socket, id) = (Some(engine.socket().to_owned()), ANOTHER.to_owned());
    SimulatedEngine::start(Options { socket, id, ..Options::default() }).await
}

/// Other containers, another id; the corrections of the first are waited for, and not given up as gone.
#[tokio::test(flavor = "multi_thread")]
async fn another_engine_in_its_place_for_a_while_fails_no_correction_of_either() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(30).await;
    let other = another_in_its_place(&row.engine).await;
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

/// What the host lost while nobody could see it is run again; what somebody removes under our eyes is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_vanished_in_an_outage_is_run_again_and_one_that_was_removed_is_told_as_killed() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(1).await;
    let name = row.campaign.outstanding().into_iter().next().expect("one");
    row.campaign.expect(&name, Expected::Outcome("killed"));
    assert!(row.engine.remove(&row.engine.containers()[0].id));
    row.delivered_within(BUSY, Instant::now()).await;
    row.held = 0;
    row.hold(2).await;
    row.engine.go_away();
    for container in row.engine.containers() {
        assert!(row.engine.remove(&container.id));
    }
    row.engine.come_back(true);
    row.campaign
        .system
        .until("both run again", async || (row.engine.stats().started == 5).then_some(()))
        .await;
    row.end_all();
    row.delivered_within(BUSY, Instant::now()).await;
    row.prove().await;
}

/// A correction of an engine that did not come back is run again; while a completer watches that engine, others pass
/// it on, however often they were the ones who took it.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_of_another_engine_is_given_up_only_once_nobody_watches_that_one() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(3).await;
    let other = another_in_its_place(&row.engine).await;
    let system = &row.campaign.system;
    let passed_on = async |least: u32| {
        let script = "local least = 1e9 \
            for _, state in ipairs({'wait', 'active'}) do \
                if redis.call('LLEN', KEYS[1] .. state) > 0 then return 0 end end \
            for _, id in ipairs(redis.call('ZRANGE', KEYS[1] .. 'delayed', 0, -1)) do \
                redis.call('HSET', KEYS[1] .. id, 'tried-for', 36000000) \
                least = math.min(least, tonumber(redis.call('HGET', KEYS[1] .. id, 'retries') or 0)) end \
            return least";
        system
            .until("its corrections are passed on", async || {
                let retries = system.ask(&["EVAL", script, "1", "bull:running_corrections:"]).await;
                retries
                    .trim()
                    .parse::<u32>()
                    .is_ok_and(|retries| (least..1000).contains(&retries))
                    .then_some(())
            })
            .await;
    };
    passed_on(1).await;
    // From here on they were passed on for ten hours.
    passed_on(4).await;
    assert_eq!(other.stats().started, 0, "its engine is watched");
    let noted = system.ask(&["--scan", "--pattern", "bull:correction-runner:engines:*"]).await;
    assert_eq!(noted.lines().count(), 2, "{noted}");
    for engine in noted.lines().filter(|key| !key.ends_with(ANOTHER)) {
        system.ask(&["SET", engine, "1000"]).await;
    }
    system.until("they are run again", async || (other.stats().started == 3).then_some(())).await;
    other.end_all(0);
    row.delivered_within(BUSY, Instant::now()).await;
    assert_eq!(other.stats().max_starts_of_one, 1);
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
    // It is back, and stumbles once more over the first of them; over more, and the probes of the image's gate would
    // use up the four seconds.
    row.engine.inject(Call::Create, Fault::Refuse(500, "starting up".to_owned()), 3);
    row.engine.come_back(true);
    row.delivered_within(BACK + BUSY, Instant::now()).await;
    row.prove().await;
}
