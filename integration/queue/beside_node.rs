//! Node's workers and ours on the same queue: each takes what the other added, left or lost.

use std::collections::BTreeSet;
use std::time::Duration;

use correction_runner::config::{DeliveryRetries, RateLimit};
use correction_runner::queue::{JobOptions, RetryCount, Settled, Worker, WorkerOptions};
use serde_json::{Value, json};

use super::{KEEP, Place, QUEUE, job, next, within};
use crate::support::node::{Node, Version};
use crate::support::redis::RedisServer;

async fn in_state(node: &Node, place: &Place, id: &str, state: &str) {
    node.call("state", json!({ "prefix": place.prefix, "queue": QUEUE, "id": id, "state": state })).await;
}

async fn work(node: &Node, place: &Place, more: Value) {
    let mut request = json!({ "prefix": place.prefix, "queue": QUEUE, "worker": place.prefix });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    node.call("work", request).await;
}

async fn seen(node: &Node, place: &Place, count: usize) -> Vec<Value> {
    let seen = node.call("seen", json!({ "worker": place.prefix, "count": count })).await;
    seen.as_array().expect("jobs").clone()
}

async fn stop_work(node: &Node, place: &Place) {
    node.call("closeWorker", json!({ "worker": place.prefix })).await;
}

async fn node_adds_we_work(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("node-adds"));
    let mut worker = place.worker();
    // The worker waits already: it must be woken, not find the jobs by its timer.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = std::time::Instant::now();
    let backoff = json!({ "type": "exponential", "delay": 1500, "jitter": 0.5 });
    let add = |name: &str, opts: Value| json!({ "prefix": place.prefix, "queue": QUEUE, "name": name, "data": { "n": 1 }, "opts": opts });
    node.call("add", add("Correction w1", json!({ "attempts": 4, "backoff": backoff }))).await;
    let taken = next(&mut worker).await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!((taken.job.name.as_str(), taken.job.data.as_str()), ("Correction w1", r#"{"n":1}"#));
    assert_eq!((taken.job.attempts, taken.job.attempts_made), (4, 0));
    let backoff = taken.job.backoff.as_ref().expect("a back-off");
    assert!((backoff.delay_ms - 1500.0).abs() < f64::EPSILON && (backoff.jitter - 0.5).abs() < f64::EPSILON);
    place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    // Its own wish of how to be kept wins over ours.
    node.call("add", add("gone", json!({ "removeOnComplete": true }))).await;
    let gone = next(&mut worker).await;
    let id = gone.job.id.clone();
    place.queue.complete(&gone.job, "null", KEEP).await.expect("answered");
    assert_eq!(place.ask::<u32>("EXISTS", id.as_str(), &[]), 0);
    let jobs: Vec<_> = (0..250).map(|number| json!({ "data": { "n": number } })).collect();
    node.call("addMany", json!({ "prefix": place.prefix, "queue": QUEUE, "jobs": jobs })).await;
    for number in 0..250 {
        let taken = next(&mut worker).await;
        assert_eq!(taken.job.data, format!(r#"{{"n":{number}}}"#));
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
}

async fn we_add_node_works(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("we-add"));
    work(node, &place, json!({ "returns": { "ok": 1 }, "failures": 0 })).await;
    let id = place.add(r#"{"n":"ñ"}"#).await;
    in_state(node, &place, id.as_str(), "completed").await;
    let seen = seen(node, &place, 1).await;
    assert_eq!((&seen[0]["data"], &seen[0]["name"]), (&json!({ "n": "ñ" }), &json!("Correction 1")));
    let value: String = place.ask("HGET", id.as_str(), &["returnvalue"]);
    assert_eq!(value, r#"{"ok":1}"#);
    // Delayed, prioritised, and in front.
    let mut later = job("1");
    later.options = JobOptions { delay: Duration::from_millis(300), priority: 3, ..later.options };
    let later = place.queue.add(&later).await.expect("added");
    in_state(node, &place, later.id().as_str(), "completed").await;
    stop_work(node, &place).await;
}

async fn attempts_go_on_across_both(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("attempts"));
    let mut failing = job("{}");
    // A schedule that is 22.5 s in all: for Node 1.5 s, 3 s, 6 s, 12 s.
    let schedule = [700, 900, 6000, 14_900].map(Duration::from_millis).to_vec();
    failing.options =
        JobOptions::of_delivery(&DeliveryRetries { attempts: 9, backoff: Duration::ZERO, schedule });
    let id = place.queue.add(&failing).await.expect("added").id().clone();
    // Ours fails it once; Node's would fail the first two attempts, so the second; ours takes the third.
    let first = place.take_one().await;
    let wait = first.job.next_attempt_in().expect("another attempt");
    assert_eq!(wait, Duration::from_millis(700));
    place.queue.retry_later(&first.job, wait, "first", RetryCount::Attempt).await.expect("answered");
    work(node, &place, json!({ "returns": null, "failures": 2 })).await;
    let seen = seen(node, &place, 1).await;
    assert_eq!(seen[0]["attemptsMade"], 1);
    in_state(node, &place, id.as_str(), "delayed").await;
    assert_eq!(place.ask::<u32>("HGET", id.as_str(), &["delay"]), 3000);
    stop_work(node, &place).await;
    let third = place.take_one().await;
    assert_eq!(third.job.attempts_made, 2);
    assert_eq!(third.job.next_attempt_in(), Some(Duration::from_secs(6)));
    let reason: String = place.ask("HGET", id.as_str(), &["failedReason"]);
    assert_eq!(reason, "failure 2");
    place.queue.fail(&third.job, "third", KEEP).await.expect("answered");
    let request = json!({ "prefix": place.prefix, "queue": QUEUE, "id": id.as_str() });
    let failed = node.call("job", request).await;
    assert_eq!((&failed["state"], &failed["attemptsMade"]), (&json!("failed"), &json!(3)));
    let trace = failed["stacktrace"].as_array().expect("a trace").clone();
    assert_eq!((trace.len(), &trace[0], &trace[2]), (3, &json!("first"), &json!("third")));
    assert!(trace[1].as_str().expect("text").starts_with("Error: failure 2"), "{trace:?}");
}

async fn one_queue_two_kinds_of_workers(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("half"));
    work(node, &place, json!({ "returns": 1, "takes": 3, "opts": { "concurrency": 5 } })).await;
    let mut worker = super::worker(&place.queue, 5);
    let jobs: Vec<_> = (0..200).map(|number| json!({ "data": { "n": number } })).collect();
    node.call("addMany", json!({ "prefix": place.prefix, "queue": QUEUE, "jobs": jobs })).await;
    let mut ours = BTreeSet::new();
    within(async {
        loop {
            let Ok(taken) = tokio::time::timeout(Duration::from_millis(200), worker.next()).await else {
                if place.queue.counts().await.expect("counts").completed == 200 {
                    return;
                }
                continue;
            };
            let taken = taken.expect("a job");
            tokio::time::sleep(Duration::from_millis(2)).await;
            place.queue.complete(&taken.job, "2", super::Keep::Count(1000)).await.expect("answered");
            ours.insert(taken.job.id.as_str().to_owned());
        }
    })
    .await;
    let theirs = node.call("seenNow", json!({ "worker": place.prefix })).await;
    let theirs: BTreeSet<_> = theirs
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| job["id"].as_str().expect("an id").to_owned())
        .collect();
    assert!(ours.is_disjoint(&theirs), "both had {:?}", ours.intersection(&theirs));
    assert_eq!(ours.len() + theirs.len(), 200);
    assert!(ours.len() > 10 && theirs.len() > 10, "{} and {}", ours.len(), theirs.len());
    stop_work(node, &place).await;
}

async fn what_node_loses_we_recover(version: Version) {
    let server = RedisServer::start(&[]);
    let (node, place) = (Node::start(version, &server), Place::on(&server, "node-dies"));
    let opts = json!({ "lockDuration": 1000, "stalledInterval": 600_000 });
    work(&node, &place, json!({ "hangs": true, "opts": opts })).await;
    place.add("{}").await;
    seen(&node, &place, 1).await;
    // Alive it keeps its lock, and we leave its job alone.
    let mut worker = place.worker();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(place.queue.recover().await.expect("recovered"), []);
    node.kill();
    let taken = next(&mut worker).await;
    assert_eq!((taken.job.id.as_str(), taken.job.stalled), ("1", 1));
    assert_eq!(place.queue.complete(&taken.job, "null", KEEP).await.expect("answered"), Settled::Done);
}

async fn what_we_lose_node_recovers(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("we-die"));
    place.add("{}").await;
    let lost = place.take_one().await;
    // As if we had died 15 s ago.
    place.ask::<u32>("DEL", "1:lock", &[]);
    work(node, &place, json!({ "returns": 3, "opts": { "stalledInterval": 300 } })).await;
    in_state(node, &place, "1", "completed").await;
    assert_eq!(place.queue.complete(&lost.job, "4", KEEP).await.expect("answered"), Settled::Lost);
    assert_eq!(place.ask::<String>("HGET", "1", &["returnvalue"]), "3");
    let field = if version == Version::Five { "stalledCounter" } else { "stc" };
    assert_eq!(place.ask::<String>("HGET", "1", &[field]), "1");
    stop_work(node, &place).await;
}

async fn what_node_fails_as_over_stalled_we_revive(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("revive"));
    place.add("{}").await;
    let lost = place.take_one().await;
    place.ask::<u32>("DEL", "1:lock", &[]);
    let opts = json!({ "stalledInterval": 300, "maxStalledCount": 0 });
    work(node, &place, json!({ "returns": 3, "opts": opts })).await;
    in_state(node, &place, "1", "failed").await;
    stop_work(node, &place).await;
    assert_eq!(place.queue.revive_overstalled().await.expect("revived"), std::slice::from_ref(&lost.job.id));
    let again = place.take_one().await;
    assert_eq!((again.job.stalled, again.job.deferred_failure.as_deref()), (1, None));
    place.queue.complete(&again.job, "null", KEEP).await.expect("answered");
    in_state(node, &place, "1", "completed").await;
}

async fn one_limiter_for_both(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("limiter"));
    let jobs: Vec<_> = (0..40).map(|number| json!({ "data": { "n": number } })).collect();
    node.call("addMany", json!({ "prefix": place.prefix, "queue": QUEUE, "jobs": jobs })).await;
    let limiter = json!({ "limiter": { "max": 10, "duration": 700 }, "concurrency": 3 });
    work(node, &place, json!({ "returns": 1, "takes": 20, "opts": limiter })).await;
    let rate = Some(RateLimit { max: 10, duration: Duration::from_millis(700) });
    let options = WorkerOptions { concurrency: 3, batch: 3, rate, name: "ours".into() };
    let mut worker = Worker::start(place.queue.clone(), options);
    let started = std::time::Instant::now();
    let mut ours = 0;
    within(async {
        while place.queue.counts().await.expect("counts").completed < 40 {
            let Ok(taken) = tokio::time::timeout(Duration::from_millis(100), worker.next()).await else {
                continue;
            };
            let taken = taken.expect("a job");
            tokio::time::sleep(Duration::from_millis(20)).await;
            place.queue.complete(&taken.job, "null", super::Keep::Count(100)).await.expect("answered");
            ours += 1;
        }
    })
    .await;
    // Four windows of ten; the first opens with the first job.
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(ours > 0 && ours < 40, "{ours}");
    stop_work(node, &place).await;
}

macro_rules! in_both_versions {
    ($($name:ident = $test:ident;)+) => {
        mod five { $(#[tokio::test] async fn $name() { super::$test(super::Version::Five).await; })+ }
        mod six { $(#[tokio::test] async fn $name() { super::$test(super::Version::Six).await; })+ }
    };
}

in_both_versions! {
    what_node_adds_wakes_us_and_comes_in_order = node_adds_we_work;
    what_we_add_node_works_on = we_add_node_works;
    attempts_and_back_off_go_on_across_both = attempts_go_on_across_both;
    no_job_is_worked_on_by_both = one_queue_two_kinds_of_workers;
    a_job_that_node_lost_comes_to_us_and_one_that_it_holds_does_not = what_node_loses_we_recover;
    a_job_that_we_lost_comes_to_node = what_we_lose_node_recovers;
    a_job_that_node_failed_for_stalling_is_revived = what_node_fails_as_over_stalled_we_revive;
    one_limiter_counts_both = one_limiter_for_both;
}
