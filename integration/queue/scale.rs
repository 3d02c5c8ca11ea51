//! Thousands of jobs: what must stay fast does.

use std::time::{Duration, Instant};

use correction_runner::queue::{Keep, Settled};

use super::{Place, job_with_id, next, within, worker};
use crate::support::redis::RedisServer;

const MANY: usize = 10_000;

/// Debug builds on a busy machine of two cores: generous, and still far below what a walk through
/// the wrong end of a list would take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_jobs_are_taken_renewed_handed_over_and_handed_back_in_time() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "many");
    let ids: Vec<_> = (0..MANY).collect();
    for batch in ids.chunks(200) {
        futures::future::join_all(batch.iter().map(|_| place.add("{}"))).await;
    }
    let mut worker = worker(&place.queue, MANY);
    let mut held = Vec::with_capacity(MANY);
    let started = Instant::now();
    while held.len() < MANY {
        held.push(next(&mut worker).await);
    }
    eprintln!("took {MANY} in {:?}", started.elapsed());

    let pairs: Vec<_> = held.iter().map(|held| (held.job.id.clone(), held.job.token.clone())).collect();
    let started = Instant::now();
    assert_eq!(place.queue.renew(&pairs).await.expect("renewed"), []);
    let renewed = started.elapsed();
    eprintln!("renewed {MANY} in {renewed:?}");
    assert!(renewed < Duration::from_secs(10), "{renewed:?}");

    // From the middle, where removing from the list of active jobs is slowest.
    let started = Instant::now();
    for (number, assignment) in held.drain(MANY / 2..MANY / 2 + 200).enumerate() {
        let to = job_with_id(&format!("n-{number}"), "{}");
        let settled =
            place.queue.hand_over(&assignment.job, &place.next, &to, None, "null", Keep::Count(100)).await;
        assert_eq!(settled.expect("answered"), Settled::Done);
    }
    let each = started.elapsed() / 200;
    eprintln!("handed over with {MANY} active in {each:?} each");
    assert!(each < Duration::from_millis(20), "{each:?}");

    let started = Instant::now();
    assert_eq!(place.queue.recover().await.expect("recovered"), []);
    eprintln!("looked for stalled ones among {MANY} in {:?}", started.elapsed());

    let started = Instant::now();
    assert_eq!(within(worker.close()).await.expect("handed back"), MANY - 200);
    let closed = started.elapsed();
    eprintln!("handed back {MANY} in {closed:?}");
    assert!(closed < Duration::from_secs(3), "{closed:?}");
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.active), (MANY as u64 - 200, 0));
    // They stand in the order in which they were added.
    let first: Vec<String> = place.ask("LRANGE", "wait", &["-3", "-1"]);
    assert_eq!(first, ["3", "2", "1"]);
}

#[tokio::test]
async fn thousands_of_stalled_jobs_are_recovered_in_one_pass() {
    let place = Place::new("stalled-many");
    for _ in 0..25 {
        futures::future::join_all((0..100).map(|_| place.add("{}"))).await;
    }
    let mut lost = worker(&place.queue, 2500);
    let mut held = Vec::new();
    while held.len() < 2500 {
        held.push(next(&mut lost).await);
    }
    for (number, assignment) in held.iter().enumerate() {
        if number % 5 != 0 {
            place.ask::<u32>("DEL", &format!("{}:lock", assignment.job.id), &[]);
        }
    }
    // The worker's own sweep may be a little earlier.
    within(async {
        while place.queue.counts().await.expect("counts").active != 500 {
            place.queue.recover().await.expect("recovered");
        }
    })
    .await;
    assert_eq!(place.queue.counts().await.expect("counts").waiting, 2000);
}

#[tokio::test]
async fn an_idle_worker_asks_for_little() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "idle");
    let worker = place.worker();
    let commands = || {
        let info: String = place.tell(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.expect("a count").trim().parse::<u64>().expect("a number")
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = commands();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let asked = commands() - before;
    eprintln!("an idle worker asks {asked} in 11 s");
    // 29 on a quiet machine; what is tried again on a busy one is counted too, up to 5 a second.
    assert!(asked <= 55, "{asked} in 11 s");
    within(worker.close()).await.expect("closed");
}
