//! What a worker does with the jobs it holds: keeps them, loses them, gives them back.

use std::time::Duration;

use correction_runner::heartbeat::Hearts;
use correction_runner::identity::JobId;
use correction_runner::metrics::Format;
use correction_runner::queue::{Assignment, Keep, RetryCount, Settled};

use super::{KEEP, Place, next, within, worker};

#[tokio::test]
async fn a_stage_that_drops_its_job_unsettled_gives_it_back_at_once() {
    let place = Place::new("dropped");
    place.add("{}").await;
    let mut worker = place.worker();
    let panicked = next(&mut worker).await;
    tokio::spawn(async move {
        let _held = panicked;
        panic!("as a stage with a bug does");
    })
    .await
    .expect_err("a panic");
    let again = next(&mut worker).await;
    assert_eq!((again.job.id.as_str(), again.job.stalled), ("1", 1));
    assert_eq!(place.queue.complete(&again.job, "null", KEEP).await.expect("answered"), Settled::Done);
}

/// The worker of another process of this machine, of this one and of another machine held a job each.
#[tokio::test]
async fn the_lock_of_a_dead_process_of_this_machine_is_given_up_at_once_and_no_other() {
    let place = Place::new("dead-owner");
    for _ in 0..3 {
        place.add("{}").await;
    }
    let mut worker = worker(&place.queue, 3);
    let held = [next(&mut worker).await, next(&mut worker).await, next(&mut worker).await];
    let token = held[0].job.token.to_string();
    let (_, owner) = token.split_once('@').expect("a token with an owner");
    let (machine, _) = owner.split_once('.').expect("a place");
    // No process has this number.
    let dead = format!("{}.1", i32::MAX);
    place.ask::<String>("SET", "1:lock", &[&format!("0@{machine}.{dead}"), "PX", "15000"]);
    place.ask::<String>("SET", "3:lock", &[&format!("0@0123456789ab.{dead}"), "PX", "15000"]);
    assert_eq!(place.queue.recover().await.expect("recovered"), [JobId::new("1")]);
    assert_eq!(place.ask::<u32>("EXISTS", "1:lock", &[]), 0);
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "wait", &["0", "-1"]), ["1"]);
    assert_eq!(place.ask::<String>("GET", "2:lock", &[]), held[1].job.token.to_string());
    assert_eq!(place.queue.recover().await.expect("recovered"), []);
}

/// Job 1 is in the hands of a process of this machine that is no more.
fn its_owner_dies(place: &Place, held: Assignment) {
    let token = held.job.token.to_string();
    drop(held);
    let owner = token.split('.').next().expect("a place");
    place.ask::<String>("SET", "1:lock", &[&format!("{owner}.{}.1", i32::MAX), "PX", "15000"]);
}

/// Processes that are killed every second harm no submission that is in their hands by chance.
#[tokio::test]
async fn deaths_in_short_order_count_as_one_stall() {
    let place = Place::new("short-order");
    place.add("{}").await;
    for stalled in [0, 1, 1, 1, 2] {
        let held = place.take_one().await;
        assert_eq!(held.job.stalled, stalled);
        its_owner_dies(&place, held);
        if stalled == 1 && place.ask::<u32>("HINCRBY", "1", &["deaths", "1"]) == 3 {
            // As if the first of them were long ago.
            place.ask::<u32>("HSET", "1", &["stalled-at", "0"]);
        }
        assert_eq!(place.queue.recover().await.expect("recovered"), [JobId::new("1")]);
    }
}

#[tokio::test]
async fn a_stall_that_a_wrong_clock_noted_in_the_future_hides_no_other() {
    let place = Place::new("future-stall");
    place.add("{}").await;
    let in_an_hour = jiff::Timestamp::now().as_millisecond() + 3_600_000;
    for (stalled, noted) in [(0, in_an_hour), (1, in_an_hour), (2, in_an_hour - 3_600_000 + 2000), (2, 0)] {
        let held = place.take_one().await;
        assert_eq!(held.job.stalled, stalled);
        its_owner_dies(&place, held);
        // The third is that of a clock which goes two seconds before ours.
        place.ask::<u32>("HSET", "1", &["stalled-at", &noted.to_string()]);
        assert_eq!(place.queue.recover().await.expect("recovered"), [JobId::new("1")]);
    }
}

#[tokio::test]
async fn closing_hands_back_everything_in_its_order_and_wakes_another_worker() {
    let place = Place::new("closing");
    for _ in 0..6 {
        place.add("{}").await;
    }
    let mut first = worker(&place.queue, 5);
    let held = [next(&mut first).await, next(&mut first).await];
    let mut second = worker(&place.queue, 6);
    let sixth = next(&mut second).await;
    assert_eq!(sixth.job.id.as_str(), "6");
    assert_eq!(within(first.close()).await.expect("handed back"), 5);
    for assignment in &held {
        assert!(assignment.lost.is_cancelled());
        assert_eq!(place.queue.complete(&assignment.job, "1", KEEP).await.expect("answered"), Settled::Lost);
    }
    let started = std::time::Instant::now();
    let mut got = Vec::new();
    for _ in 0..5 {
        let assignment = next(&mut second).await;
        assert_eq!(assignment.job.stalled, 0);
        got.push(assignment.job.id.as_str().to_owned());
        place.queue.complete(&assignment.job, "null", KEEP).await.expect("answered");
    }
    assert_eq!(got, ["1", "2", "3", "4", "5"]);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_stopped_worker_gives_out_nothing_more_but_keeps_what_is_out() {
    let place = Place::new("stopped");
    for _ in 0..3 {
        place.add("{}").await;
    }
    let mut worker = worker(&place.queue, 3);
    let out = next(&mut worker).await;
    worker.stop();
    assert!(worker.next().await.is_none());
    assert_eq!(place.queue.complete(&out.job, "null", KEEP).await.expect("answered"), Settled::Done);
    drop(out);
    within(worker.close()).await.expect("closed");
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.active, counts.completed), (2, 0, 1));
    let waiting: Vec<String> = place.ask("LRANGE", "wait", &["0", "-1"]);
    assert_eq!(waiting, ["3", "2"]);
}

#[tokio::test]
async fn a_lock_that_somebody_else_got_is_told_to_the_stage_and_counted() {
    let hearts = Hearts::default();
    hearts
        .loop_of("a test", async {
            let place = Place::new("taken-away");
            place.add("{}").await;
            let mut worker = place.worker();
            let assignment = next(&mut worker).await;
            place.ask::<String>("SET", "1:lock", &["somebody"]);
            within(assignment.lost.cancelled()).await;
            assert!(assignment.job.settlement.is_settled());
        })
        .await;
    let page = hearts.metrics().page(Format::Prometheus);
    let counted = "correction_runner_lock_losses_total{queue=\"pending_corrections\"} 1\n";
    assert!(page.contains(counted), "{page}");
}

#[tokio::test]
async fn a_lock_outlives_its_own_time_because_it_is_renewed() {
    let place = Place::new("renewed");
    place.add("{}").await;
    let mut worker = place.worker();
    let assignment = next(&mut worker).await;
    // As if its time were nearly over: the next renewal gives it all of it again.
    assert_eq!(place.ask::<u32>("PEXPIRE", "1:lock", &["7000"]), 1);
    place.ask::<u32>("SADD", "stalled", &["1"]);
    within(async {
        while place.ask::<i64>("PTTL", "1:lock", &[]) < 8000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(place.ask::<u32>("SISMEMBER", "stalled", &["1"]), 0);
    assert!(!assignment.lost.is_cancelled());
}

#[tokio::test]
async fn a_paused_worker_takes_nothing_and_swallows_no_wake_up() {
    let place = Place::new("worker-paused");
    let mut paused = place.worker();
    let mut other = place.worker();
    // Both wait; one pauses while it waits.
    tokio::time::sleep(Duration::from_millis(300)).await;
    paused.pause();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..5 {
        place.add("{}").await;
        let taken = tokio::time::timeout(Duration::from_secs(2), other.next()).await.expect("at once");
        let taken = taken.expect("a job");
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
    within(other.close()).await.expect("closed");
    place.add("{}").await;
    assert!(tokio::time::timeout(Duration::from_millis(500), paused.next()).await.is_err());
    paused.resume();
    assert_eq!(next(&mut paused).await.job.id.as_str(), "6");
}

#[tokio::test]
async fn a_closing_worker_swallows_no_wake_up() {
    let place = Place::new("swallowed");
    let mut other = place.worker();
    for round in 0..5 {
        let closing = place.worker();
        tokio::time::sleep(Duration::from_millis(150)).await;
        let (id, closed) = tokio::join!(place.add("{}"), closing.close());
        closed.expect("closed");
        let taken = tokio::time::timeout(Duration::from_secs(2), other.next()).await;
        let taken = taken.unwrap_or_else(|_| panic!("job {id} of round {round} woke nobody")).expect("a job");
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
}

#[tokio::test]
async fn delayed_and_prioritised_jobs_come_in_their_turn() {
    let place = Place::new("turns");
    let mut urgent = super::job(r#""urgent""#);
    urgent.options.priority = 1;
    let mut casual = super::job(r#""casual""#);
    casual.options.priority = 9;
    let mut later = super::job(r#""later""#);
    later.options.delay = Duration::from_secs(3);
    for job in [&casual, &urgent, &later, &super::job(r#""plain""#)] {
        place.queue.add(job).await.expect("added");
    }
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.prioritized, counts.delayed), (1, 2, 1));
    let mut worker = worker(&place.queue, 1);
    let mut order = Vec::new();
    for _ in 0..4 {
        let taken = next(&mut worker).await;
        order.push(taken.job.data.clone());
        place.queue.complete(&taken.job, "null", Keep::Count(9)).await.expect("answered");
    }
    assert_eq!(order, [r#""plain""#, r#""urgent""#, r#""casual""#, r#""later""#]);
}

#[tokio::test]
async fn a_retry_waits_for_its_delay_and_no_longer() {
    let place = Place::new("retry");
    place.add("{}").await;
    let mut worker = place.worker();
    let taken = next(&mut worker).await;
    let before = std::time::Instant::now();
    let wait = Duration::from_millis(400);
    place.queue.retry_later(&taken.job, wait, "no answer", RetryCount::Attempt).await.expect("answered");
    drop(taken);
    let again = next(&mut worker).await;
    let waited = before.elapsed();
    assert!(waited >= Duration::from_millis(395) && waited < Duration::from_secs(2), "{waited:?}");
    assert_eq!((again.job.attempts_made, again.job.id), (1, JobId::new("1")));
}

#[tokio::test]
async fn the_queues_own_concurrency_is_honoured_and_room_is_used_at_once() {
    let place = Place::new("concurrency");
    place.ask::<u32>("HSET", "meta", &["concurrency", "1"]);
    for _ in 0..10 {
        place.add("{}").await;
    }
    let mut worker = place.worker();
    let started = std::time::Instant::now();
    for _ in 0..10 {
        let taken = next(&mut worker).await;
        assert_eq!(place.queue.counts().await.expect("counts").active, 1);
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
}

#[tokio::test]
async fn over_stalled_jobs_come_back_and_are_told() {
    let place = Place::new("overstalled");
    place.add("{}").await;
    place.add("{}").await;
    // As 6.x leaves one: back in line with the wish that its taker fails it.
    let reason = "job stalled more than allowable limit";
    place.ask::<u32>("HSET", "1", &["defa", reason, "stc", "2"]);
    let mut worker = place.worker();
    let told = next(&mut worker).await;
    assert_eq!(told.job.deferred_failure.as_deref(), Some(reason));
    assert_eq!(place.ask::<u32>("HEXISTS", "1", &["defa"]), 0);
    // As 5.12 leaves one: failed.
    let other = next(&mut worker).await;
    place.ask::<u32>("HSET", "2", &["stalledCounter", "2"]);
    place.queue.fail(&other.job, reason, KEEP).await.expect("answered");
    place.queue.complete(&told.job, "null", KEEP).await.expect("answered");
    // A worker would do it by itself, in its time.
    within(worker.close()).await.expect("closed");
    assert_eq!(place.queue.revive_overstalled().await.expect("revived"), [JobId::new("2")]);
    assert_eq!(place.queue.revive_overstalled().await.expect("revived"), []);
    let revived = place.take_one().await;
    assert_eq!((revived.job.id.as_str(), revived.job.stalled), ("2", 2));
}

/// On one thread, so that the worker learns of its wake-up and of its end at the same moment.
#[tokio::test(flavor = "current_thread")]
async fn a_wake_up_that_was_swallowed_is_given_to_another_worker() {
    for ends in [true, false] {
        let place = Place::new("swallows");
        let first = place.worker();
        tokio::time::sleep(Duration::from_millis(400)).await;
        let mut second = place.worker();
        tokio::time::sleep(Duration::from_millis(400)).await;
        // Without letting the runtime go on: Redis wakes whoever has waited longest, the first.
        place.ask::<u32>("HSET", "a", &["name", "n", "data", "{}", "timestamp", "1"]);
        place.ask::<u32>("LPUSH", "wait", &["a"]);
        place.ask::<u32>("ZADD", "marker", &["0", "0"]);
        if ends {
            first.stop();
        } else {
            first.pause();
        }
        let taken = tokio::time::timeout(Duration::from_secs(2), second.next()).await;
        assert_eq!(taken.expect("woken").expect("a job").job.id.as_str(), "a");
    }
}
