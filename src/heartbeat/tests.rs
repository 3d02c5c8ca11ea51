//! Tests of the heartbeats, on a clock that stands still where it can.

use std::future::pending;

use tokio::time::sleep;

use super::*;

/// A call.
async fn during<T>(words: &'static str, at_most: Duration, call: impl Future<Output = T>) -> T {
    let _waiting = waiting_for(words, at_most);
    call.await
}

const MOMENT: Duration = Duration::from_millis(10);
const CALL: Duration = Duration::from_secs(2);

fn state_of(hearts: &Hearts, name: &str) -> Option<State> {
    hearts.snapshot().into_iter().find(|beat| beat.name == name).map(|beat| beat.state)
}

/// Starts a loop with hearts of its own.
async fn begun(
    work: impl Future<Output = ()> + Send + 'static,
) -> (Hearts, CancellationToken, AbortOnDropHandle<()>) {
    let (hearts, stop) = (Hearts::default(), CancellationToken::new());
    let task = HEARTS.sync_scope(hearts.clone(), || spawn("inner", &stop, work));
    tokio::task::yield_now().await;
    (hearts, stop, task)
}

#[tokio::test(start_paused = true)]
async fn an_idle_loop_is_well_for_ever_and_one_with_a_rhythm_is_not() {
    let (idle, _stop, _task) = begun(pending()).await;
    let (rhythmic, _stop, _task) = begun(async {
        beats_every(CALL);
        pending::<()>().await;
    })
    .await;
    sleep((CALL + MARGIN).saturating_sub(MOMENT)).await;
    assert_eq!(state_of(&rhythmic, "inner"), Some(State::Idle));
    sleep(Duration::from_millis(20)).await;
    assert_eq!(state_of(&rhythmic, "inner"), Some(State::Stuck));
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(state_of(&idle, "inner"), Some(State::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_waits_for_a_call_is_stuck_once_its_time_and_a_margin_are_over() {
    let (hearts, _stop, _task) = begun(during("take", CALL, pending())).await;
    assert_eq!(state_of(&hearts, "inner"), Some(State::Working));
    sleep(CALL + MARGIN + Duration::from_millis(10)).await;
    let beats = hearts.snapshot();
    assert_eq!((beats[0].state, beats[0].doing), (State::Stuck, "take"), "{beats:?}");
    assert!(beats[0].since >= CALL + MARGIN);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_given_up_is_not_waited_for() {
    let (hearts, _stop, _task) = begun(async {
        let _ = tokio::time::timeout(CALL, during("take", CALL, pending::<()>())).await;
        pending::<()>().await;
    })
    .await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(state_of(&hearts, "inner"), Some(State::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_panics_or_ends_unasked_is_dead_and_one_that_was_stopped_or_dropped_is_gone() {
    let (hearts, _stop, task) = begun(async { panic!("as the test wants") }).await;
    assert!(task.await.is_err());
    assert_eq!(state_of(&hearts, "inner"), Some(State::Panicked));
    let (hearts, _stop, task) = begun(async {}).await;
    task.await.expect("it ends");
    assert_eq!(state_of(&hearts, "inner"), Some(State::Ended));
    let failed = tokio::time::timeout(Duration::from_secs(2), hearts.watch()).await;
    assert_eq!(failed, Ok(LoopFailed::Ended("inner".to_owned())));
    let (hearts, stop, task) = begun(sleep(CALL)).await;
    stop.cancel();
    task.await.expect("it ends");
    assert_eq!(state_of(&hearts, "inner"), None);
    let (hearts, _stop, task) = begun(pending()).await;
    drop(task);
    tokio::task::yield_now().await;
    assert_eq!(state_of(&hearts, "inner"), None);
}

#[tokio::test(start_paused = true)]
async fn work_that_makes_headway_may_last() {
    let work = async {
        for _ in 0..100 {
            during("inspect", CALL, sleep(CALL)).await;
            sleep(OWN_WORK.saturating_sub(MOMENT)).await;
        }
        7
    };
    assert_eq!(bounded(work).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn work_that_stands_still_is_given_up_and_tells_where() {
    let began = Instant::now();
    let stuck = bounded(async {
        during("inspect", CALL, sleep(CALL)).await;
        pending::<()>().await;
    })
    .await
    .expect_err("it hangs");
    assert_eq!((stuck.waited_for, stuck.after), (None, Some("inspect")));
    assert!(began.elapsed() < CALL + OWN_WORK + Duration::from_millis(20), "{:?}", began.elapsed());
    let stuck = bounded(during("logs", CALL, pending::<()>())).await.expect_err("it hangs");
    assert_eq!((stuck.waited_for, stuck.after), (Some("logs"), None));
    assert_eq!(stuck.to_string(), "no headway for 7 s: waiting for `logs`");
}

#[tokio::test]
async fn a_loop_that_never_waits_is_seen_from_outside_the_executor() {
    let (hearts, stop) = (Hearts::default(), CancellationToken::new());
    let (told, heard) = std::sync::mpsc::channel::<()>();
    let watcher = hearts.clone();
    let seen = std::thread::spawn(move || {
        heard.recv().expect("the loop began");
        std::thread::sleep(Duration::from_millis(20));
        watcher.snapshot()
    });
    let busy = async move {
        told.send(()).expect("somebody waits");
        std::thread::sleep(Duration::from_millis(200));
    };
    stop.cancel();
    HEARTS.sync_scope(hearts.clone(), || spawn("inner", &stop, busy)).await.expect("it ends");
    let beats = seen.join().expect("it looked");
    assert_eq!((beats[0].state, beats[0].doing), (State::Working, "its own work, without ever waiting"));
}

#[test]
fn gauges_add_up_for_as_long_as_they_live() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let hearts = Hearts::default();
    let gauges = runtime
        .block_on(hearts.loop_of("outer", async { [Gauge::of(Vital::Parked), Gauge::of(Vital::Parked)] }));
    gauges[0].set(3);
    let more = gauges[1].one_more();
    assert_eq!(hearts.inner.gauges.sum(Vital::Parked), 4);
    drop(more);
    assert_eq!(hearts.inner.gauges.sum(Vital::Parked), 3);
    drop(gauges);
    assert_eq!(hearts.inner.gauges.sum(Vital::Parked), 0);
}
