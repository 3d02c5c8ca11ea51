//! A stage that stops: what it held and drops goes back as it was, and in time.

use std::time::{Duration, Instant};

use correction_runner::queue::{QueueError, Settled};

use super::{KEEP, Place, next, within, worker};
use crate::support::redis::RedisServer;

const MANY: usize = 10_000;
const SETTLED: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_dropped_after_a_stop_are_handed_back_in_order_and_count_no_stall() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "stops");
    for _ in 0..MANY / 200 {
        futures::future::join_all((0..200).map(|_| place.add("{}"))).await;
    }
    let line: Vec<String> = place.ask("LRANGE", "wait", &["0", "-1"]);
    let mut worker = worker(&place.queue, MANY);
    let mut held = Vec::with_capacity(MANY);
    while held.len() < MANY {
        held.push(next(&mut worker).await);
    }
    worker.stop();
    for assignment in held.drain(..SETTLED) {
        assert_eq!(
            place.queue.complete(&assignment.job, "null", KEEP).await.expect("answered"),
            Settled::Done
        );
    }
    // As stages do: they drop what they hold, then close.
    held.clear();
    assert_eq!(place.queue.counts().await.expect("counts").active, (MANY - SETTLED) as u64);

    let started = Instant::now();
    assert_eq!(within(worker.close()).await.expect("handed back"), MANY - SETTLED);
    let closed = started.elapsed();
    eprintln!("closed with {MANY} dropped in {closed:?}");
    assert!(closed < Duration::from_secs(2), "{closed:?}");
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.active), ((MANY - SETTLED) as u64, 0));
    // The line's end is its beginning: the first of it are settled.
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "wait", &["0", "-1"]), line[..MANY - SETTLED]);
    let stalled = format!(
        "local count = 0
        for _, id in ipairs(redis.call('LRANGE', '{0}:{1}:wait', 0, -1)) do
            count = count + redis.call('HEXISTS', '{0}:{1}:' .. id, 'stc') + redis.call('EXISTS', '{0}:{1}:' .. id .. ':lock')
        end
        return count",
        place.prefix,
        super::QUEUE
    );
    assert_eq!(place.tell::<u32>(&["EVAL", &stalled, "0"]), 0);
}

#[tokio::test]
async fn what_was_dropped_after_a_stop_keeps_its_lock_until_the_close() {
    let place = Place::new("stops-slowly");
    for _ in 0..3 {
        place.add("{}").await;
    }
    let mut worker = worker(&place.queue, 3);
    let out = next(&mut worker).await;
    let token = out.job.token.as_str().to_owned();
    worker.stop();
    drop(out);
    // Those that were fetched and not given out are dropped here.
    assert!(within(worker.next()).await.is_none());
    assert_eq!(place.ask::<u32>("PEXPIRE", "1:lock", &["7000"]), 1);
    within(async {
        while place.ask::<i64>("PTTL", "1:lock", &[]) < 8000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(place.ask::<String>("GET", "1:lock", &[]), token);
    assert_eq!(within(worker.close()).await.expect("handed back"), 3);
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "wait", &["0", "-1"]), ["3", "2", "1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_closes_in_time_although_redis_does_not_answer() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "frozen");
    place.add("1").await;
    let mut worker = place.worker();
    let held = next(&mut worker).await;
    signal(&server, "-STOP");
    let started = Instant::now();
    let closed = worker.close().await;
    let took = started.elapsed();
    signal(&server, "-CONT");
    assert!(matches!(closed, Err(QueueError::Timeout { .. })), "{closed:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(held.lost.is_cancelled());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_gives_up_at_its_deadline_although_redis_does_not_answer() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "deadline");
    place.add("1").await;
    let mut worker = place.worker();
    let held = next(&mut worker).await;
    signal(&server, "-STOP");
    let started = Instant::now();
    let closed = worker.close_by(tokio::time::Instant::now() + Duration::from_millis(600)).await;
    let took = started.elapsed();
    signal(&server, "-CONT");
    assert!(matches!(closed, Err(QueueError::Timeout { .. })), "{closed:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    assert!(held.lost.is_cancelled());
}

#[tokio::test]
async fn a_close_with_a_near_deadline_hands_back_where_redis_answers() {
    let place = Place::new("near-deadline");
    place.add("1").await;
    let mut worker = place.worker();
    let _held = next(&mut worker).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    assert_eq!(within(worker.close_by(deadline)).await.expect("handed back"), 1);
}

fn signal(server: &RedisServer, signal: &str) {
    let id = server.process_id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &id]).status().expect("kill").success());
}
