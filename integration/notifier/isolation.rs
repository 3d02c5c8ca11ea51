//! Receivers that hang cost their own deliveries only: those that answer get theirs as if they were alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::receiver::{Answer, Receiver};
use super::{CONCURRENCY, NO_WAIT, System, verdict, within};
use crate::support::node::{Node, Version};
use correction_runner::identity::JobId;
use correction_runner::job::FINISHED_QUEUE;
use correction_runner::metrics::ReceiverState;
use correction_runner::queue::{JobOptions, NewJob};

/// Time-outs in these tests, so long that no delivery that waits for one is in time.
const TIMEOUT: Duration = Duration::from_secs(20);
/// What a delivery to a receiver that answers may take on a busy machine: far less than a time-out.
const IN_TIME: Duration = Duration::from_secs(5);

/// A receiver that takes connections and never says anything.
struct BlackHole {
    url: String,
    connections: Arc<AtomicUsize>,
}

impl BlackHole {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    // Only what brings a request is counted, and only until the client gives up.
                    let mut request = [0; 4096];
                    if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                    while stream.read(&mut request).await.is_ok_and(|length| length > 0) {}
                });
            }
        });
        Self { url, connections }
    }

    fn seen(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn black_holes(count: usize) -> Vec<BlackHole> {
    futures::future::join_all((0..count).map(|_| BlackHole::open())).await
}

/// Adds a result and waits for it; answers how long that took.
async fn delivered(system: &System, receiver: &mut Receiver, id: &str) -> Duration {
    let started = Instant::now();
    system.add_as(Some(id), &verdict(&receiver.url("/")), 1, NO_WAIT).await;
    assert_eq!(receiver.next().await.header("webhook-id"), id);
    started.elapsed()
}

#[tokio::test]
async fn a_hundred_black_holes_with_many_results_each_hold_up_no_other_receiver() {
    let mut good = Receiver::start(|_, _| Answer::status(200)).await;
    let holes = black_holes(100).await;
    let system = System::start_with("holes", TIMEOUT, |settings| settings.concurrency = 50);
    delivered(&system, &mut good, "first").await;
    for round in 0..5 {
        for (number, hole) in holes.iter().enumerate() {
            system.add_as(Some(&format!("{round}-{number}")), &verdict(&hole.url), 3, NO_WAIT).await;
        }
    }
    for number in 0..20 {
        let took = delivered(&system, &mut good, &format!("good-{number}")).await;
        assert!(took < IN_TIME, "the {number}th took {took:?}");
    }
    // One that nobody knows yet gets its turn as well.
    let mut newcomer = Receiver::start(|_, _| Answer::status(200)).await;
    let took = delivered(&system, &mut newcomer, "new").await;
    assert!(took < IN_TIME, "the newcomer's took {took:?}");
    // More of them are tried at once than there are slots.
    within(async {
        while holes.iter().filter(|hole| hole.seen() > 0).count() <= 60 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn thousands_of_results_for_one_dead_receiver_wait_without_an_attempt_and_hold_up_nobody() {
    const MANY: usize = 2000;
    let mut good = Receiver::start(|_, _| Answer::status(200)).await;
    let hole = BlackHole::open().await;
    let system = System::start("thousands", TIMEOUT);
    delivered(&system, &mut good, "first").await;
    for number in 0..MANY {
        system.add_as(Some(&format!("dead-{number}")), &verdict(&hole.url), 3, NO_WAIT).await;
    }
    let took = delivered(&system, &mut good, "second").await;
    assert!(took < TIMEOUT / 2, "{took:?}");
    system.until(|counts| counts.waiting == 0 && counts.delayed > (MANY - 3 * CONCURRENCY) as u64).await;
    for number in 0..5 {
        let took = delivered(&system, &mut good, &format!("good-{number}")).await;
        assert!(took < IN_TIME, "the {number}th took {took:?}");
    }
    assert!(hole.seen() <= CONCURRENCY, "{} at once", hole.seen());
    let last = format!("dead-{}", MANY - 1);
    let hash = system.hash(&last);
    assert!(!hash.contains_key("atm") && !hash.contains_key("failedReason"), "no attempt was made: {hash:?}");
    assert!(system.log(&last).is_empty());
}

#[tokio::test]
async fn a_receiver_that_hung_gets_all_its_results_once_it_answers_again() {
    let hangs = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&hangs);
    let receiver = Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
        1 => Answer::Never,
        _ => Answer::status(200),
    })
    .await;
    let system = System::start("again-well", Duration::from_secs(1));
    for number in 0..3 * CONCURRENCY {
        let id = format!("r-{number}");
        system.add_as(Some(&id), &verdict(&receiver.url("/")), 50, Duration::from_millis(10)).await;
    }
    let hung = |id: String| system.hash(&id).contains_key("failedReason");
    within(async {
        while !(0..3 * CONCURRENCY).any(|number| hung(format!("r-{number}"))) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    system.until_receivers(ReceiverState::Hanging, |count| count > 0.0).await;
    hangs.store(0, Ordering::SeqCst);
    system.until(|counts| counts.completed == 3 * CONCURRENCY as u64).await;
    system.until_receivers(ReceiverState::Hanging, |count| count < 1.0).await;
}

#[tokio::test]
async fn a_result_that_waits_for_its_turn_costs_nothing_of_the_rate() {
    let mut good = Receiver::start(|_, _| Answer::status(200)).await;
    let hole = BlackHole::open().await;
    let rate = Some(correction_runner::config::RateLimit { max: 30, duration: Duration::from_secs(3600) });
    let system = System::start_with("rated", TIMEOUT, |settings| settings.rate = rate);
    delivered(&system, &mut good, "first").await;
    for number in 0..100 {
        system.add_as(Some(&format!("dead-{number}")), &verdict(&hole.url), 3, NO_WAIT).await;
    }
    system.until(|counts| counts.waiting == 0).await;
    delivered(&system, &mut good, "second").await;
    let counted: usize = system.place.ask_of(FINISHED_QUEUE, "GET", "limiter", &[]);
    assert!(counted <= 2 + CONCURRENCY, "{counted} were counted");
}

#[tokio::test]
async fn all_results_of_a_receiver_that_answers_nobody_are_dead_letters_about_when_their_attempts_are_over() {
    const MANY: usize = 150;
    let hole = BlackHole::open().await;
    let system = System::start_with("nobody", Duration::from_millis(500), |settings| {
        settings.common.retention.failed = 1000;
    });
    let begun = Instant::now();
    for number in 0..MANY {
        let wait = Duration::from_secs(1);
        system.add_as(Some(&format!("dead-{number}")), &verdict(&hole.url), 3, wait).await;
    }
    system.until(|counts| counts.failed == MANY as u64).await;
    // One second, and two, and thrice as long as a job is put back at most; one at a time it would be minutes.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(hole.seen() < MANY, "they were not all sent: {}", hole.seen());
    let mut unsent = 0;
    for number in 0..MANY {
        let log = system.log(&format!("dead-{number}"));
        assert_eq!(log.len(), 3, "a line for each attempt: {log:?}");
        unsent += log.iter().filter(|line| line.contains("the receiver answers nobody")).count();
    }
    assert!(unsent > MANY, "{unsent}");
}

/// How many attempts the ledgers count that were not made.
fn unsent(system: &System, ids: &[String]) -> usize {
    let lines = ids.iter().flat_map(|id| system.log(id));
    lines.filter(|line| line.contains("the receiver answers nobody")).count()
}

async fn retried_by(version: Version) {
    let hangs = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&hangs);
    let receiver = Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
        1 => Answer::Never,
        _ => Answer::status(200),
    })
    .await;
    let system = System::start(&format!("retried-{version:?}"), Duration::from_secs(1));
    let ids: Vec<_> = (0..60).map(|number| format!("dead-{number}")).collect();
    for id in &ids {
        system.add_as(Some(id), &verdict(&receiver.url("/")), 1, NO_WAIT).await;
    }
    let all = ids.len() as u64;
    system.until(|counts| counts.failed == all).await;
    let before = unsent(&system, &ids);
    assert!(before > 0);
    hangs.store(0, Ordering::SeqCst);
    let node = Node::shared(version);
    // On a busy machine one that answers may be too late too, and is retried once more.
    loop {
        let args = json!([{ "state": "failed" }]);
        let request = json!({ "prefix": system.place.prefix, "queue": FINISHED_QUEUE, "method": "retryJobs", "args": args });
        node.call("queue", request).await;
        system.until(|counts| counts.failed + counts.completed == all).await;
        assert_eq!(unsent(&system, &ids), before, "each was sent");
        if system.queue.counts().await.expect("counts").completed == all {
            break;
        }
    }
}

#[tokio::test]
async fn dead_letters_that_a_dashboard_retries_once_their_receiver_answers_again_are_all_sent() {
    tokio::join!(retried_by(Version::Five), retried_by(Version::Six));
}

#[tokio::test]
async fn where_some_paths_of_a_receiver_hang_results_for_the_others_are_sent_and_none_dies_unsent() {
    let mut receiver = Receiver::start(|asked, _| match asked.path.as_str() {
        "/hangs" => Answer::Never,
        _ => Answer::status(200),
    })
    .await;
    let system = System::start("paths", Duration::from_secs(2));
    let soon = Duration::from_millis(10);
    let ids: Vec<_> = (0..30).map(|number| format!("good-{number}")).collect();
    for id in &ids {
        let options = JobOptions { attempts: Some(10), delay: IN_TIME * 720, ..JobOptions::default() };
        let (name, data) = (String::new(), verdict(&receiver.url("/")));
        let job = NewJob { id: Some(JobId::new(id)), name, data, options };
        system.queue.add(&job).await.expect("added");
        // As if it had waited for its turn since long ago.
        let _: u64 = system.place.ask_of(FINISHED_QUEUE, "HSET", id, &["tried-for", "3600000"]);
    }
    delivered(&system, &mut receiver, "first").await;
    for bad in 0..2 {
        let id = format!("bad-{bad}");
        system.add_as(Some(&id), &verdict(&receiver.url("/hangs")), 1000, soon).await;
    }
    // Both timed out, and the third request is alone.
    for _ in 0..3 {
        assert_eq!(receiver.next().await.path, "/hangs");
    }
    for id in &ids {
        let request =
            json!({ "prefix": system.place.prefix, "queue": FINISHED_QUEUE, "id": id, "method": "promote" });
        Node::shared(Version::Six).call("jobCall", request).await;
    }
    system.until(|counts| counts.completed == 1 + ids.len() as u64).await;
    assert_eq!(unsent(&system, &ids), 0);
}

#[tokio::test]
async fn one_that_answers_again_beside_many_that_hang_gets_its_result_within_a_few_time_outs() {
    let time_out = Duration::from_secs(1);
    let hangs = Arc::new(AtomicUsize::new(1));
    let state = Arc::clone(&hangs);
    let mut recovering = Receiver::start(move |_, _| match state.load(Ordering::SeqCst) {
        1 => Answer::Never,
        _ => Answer::status(200),
    })
    .await;
    let holes = black_holes(150).await;
    let system = System::start("recovers", time_out);
    let wait = Duration::from_millis(100);
    system.add_as(Some("late"), &verdict(&recovering.url("/")), 1000, wait).await;
    for hole in &holes {
        system.add_as(None, &verdict(&hole.url), 1000, wait).await;
    }
    // All of them are known to hang by then.
    within(async {
        while holes.iter().any(|hole| hole.seen() < 2) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    hangs.store(0, Ordering::SeqCst);
    while recovering.came().is_some() {}
    let begun = Instant::now();
    system.until(|counts| counts.completed == 1).await;
    let took = begun.elapsed();
    assert!(took < time_out * 8, "{took:?}");
}
