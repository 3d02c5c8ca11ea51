//! What Node's clients see of our work: states, counts, events, logs, results, in both versions.

use std::time::Duration;

use correction_runner::job::FINISHED_QUEUE;
use correction_runner::queue::{JobOptions, RetryCount};
use serde_json::{Value, json};

use super::{KEEP, Place, job, job_with_id, next, worker};
use crate::support::node::{Node, Version};

const QUEUE: &str = super::QUEUE;

async fn heard(node: &Node, place: &Place, event: &str, id: &str) -> Value {
    node.call("heard", json!({ "prefix": place.prefix, "queue": QUEUE, "event": event, "id": id })).await
}

async fn job_of(node: &Node, place: &Place, id: &str) -> Value {
    node.call("job", json!({ "prefix": place.prefix, "queue": QUEUE, "id": id })).await
}

async fn counts_of(node: &Node, place: &Place) -> Value {
    let states = ["waiting", "active", "delayed", "prioritized", "completed", "failed"];
    let request = json!({ "prefix": place.prefix, "queue": QUEUE, "method": "getJobCounts", "args": states });
    node.call("queue", request).await
}

async fn a_completed_job(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("completed"));
    node.call("listen", json!({ "prefix": place.prefix, "queue": QUEUE })).await;
    let id = place.add(r#"{"image":"í"}"#).await;
    heard(node, &place, "added", "1").await;
    heard(node, &place, "waiting", "1").await;
    let waiting = job_of(node, &place, "1").await;
    assert_eq!((&waiting["state"], &waiting["name"]), (&json!("waiting"), &json!("Correction 1")));
    let mut worker = place.worker();
    let taken = next(&mut worker).await;
    assert_eq!(heard(node, &place, "active", "1").await["prev"], "waiting");
    let active = job_of(node, &place, "1").await;
    assert_eq!(active["state"], "active");
    assert!(active["processedOn"].as_u64() >= active["timestamp"].as_u64(), "{active}");
    assert_eq!(counts_of(node, &place).await["active"], 1);
    place.queue.log(&id, "a line, ü").await.expect("logged");
    let logs = json!({ "prefix": place.prefix, "queue": QUEUE, "method": "getJobLogs", "args": ["1"] });
    assert_eq!(node.call("queue", logs).await, json!({ "logs": ["a line, ü"], "count": 1 }));
    place.queue.complete(&taken.job, r#"{"grade":7.98}"#, KEEP).await.expect("answered");
    assert_eq!(heard(node, &place, "completed", "1").await["returnvalue"], json!({ "grade": 7.98 }));
    heard(node, &place, "drained", "").await;
    let ended = job_of(node, &place, "1").await;
    assert_eq!((&ended["state"], &ended["returnvalue"]), (&json!("completed"), &json!({ "grade": 7.98 })));
    assert_eq!((&ended["data"], &ended["attemptsMade"]), (&json!({ "image": "í" }), &json!(1)));
    assert!(ended["finishedOn"].as_u64() >= ended["processedOn"].as_u64(), "{ended}");
    assert_eq!(counts_of(node, &place).await["completed"], 1);
}

async fn a_failed_job(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("failed"));
    node.call("listen", json!({ "prefix": place.prefix, "queue": QUEUE })).await;
    let mut failing = job("{}");
    failing.options = JobOptions { attempts: Some(3), ..JobOptions::default() };
    place.queue.add(&failing).await.expect("added");
    let mut worker = place.worker();
    for (attempt, delay) in [(1, 400_u64), (2, 0)] {
        let taken = next(&mut worker).await;
        let why = format!("no {attempt}: \"quoted\"\nsecond line");
        place
            .queue
            .retry_later(&taken.job, Duration::from_millis(delay), &why, RetryCount::Attempt)
            .await
            .expect("answered");
        if delay > 0 {
            let delayed = heard(node, &place, "delayed", "1").await;
            let until = &delayed["delay"];
            let until = until.as_u64().or_else(|| until.as_str()?.parse().ok()).expect("a time");
            let seen = job_of(node, &place, "1").await;
            assert_eq!((&seen["state"], &seen["attemptsMade"]), (&json!("delayed"), &json!(1)));
            assert_eq!((&seen["failedReason"], &seen["delay"]), (&json!(why), &json!(delay)));
            assert!(until > seen["processedOn"].as_u64().expect("a time"));
        }
    }
    let taken = next(&mut worker).await;
    assert_eq!((taken.job.attempts_made, taken.job.next_attempt_in()), (2, None));
    place.queue.fail(&taken.job, "no 3", KEEP).await.expect("answered");
    assert_eq!(heard(node, &place, "failed", "1").await["failedReason"], "no 3");
    assert_eq!(heard(node, &place, "retries-exhausted", "1").await["attemptsMade"], "3");
    let seen = job_of(node, &place, "1").await;
    assert_eq!((&seen["state"], &seen["failedReason"]), (&json!("failed"), &json!("no 3")));
    assert_eq!(seen["attemptsMade"], 3);
    let trace = ["no 1: \"quoted\"\nsecond line", "no 2: \"quoted\"\nsecond line", "no 3"];
    assert_eq!(seen["stacktrace"], json!(trace));
    assert_eq!(counts_of(node, &place).await["failed"], 1);
}

async fn a_hand_over_and_a_stalled_job(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("handed"));
    node.call("listen", json!({ "prefix": place.prefix, "queue": QUEUE })).await;
    place.add("{}").await;
    let taken = place.take_one().await;
    place.ask::<u32>("DEL", "1:lock", &[]);
    place.queue.recover().await.expect("recovered");
    heard(node, &place, "stalled", "1").await;
    drop(taken);
    let again = place.take_one().await;
    let finished = place.redis.queue(FINISHED_QUEUE);
    let mut to = job_with_id("f-1", r#"{"error":false}"#);
    to.options = JobOptions { attempts: Some(10), backoff: Some(Duration::from_secs(5)), ..to.options };
    place.queue.hand_over(&again.job, &finished, &to, None, "null", KEEP).await.expect("answered");
    heard(node, &place, "completed", "1").await;
    let next = json!({ "prefix": place.prefix, "queue": FINISHED_QUEUE, "id": "f-1" });
    let next = node.call("job", next).await;
    assert_eq!((&next["state"], &next["data"]), (&json!("waiting"), &json!({ "error": false })));
    assert_eq!(next["opts"]["attempts"], 10);
    assert_eq!(next["opts"]["backoff"], json!({ "type": "exponential", "delay": 5000 }));
    assert_eq!(next["opts"]["jobId"], "f-1");
}

async fn a_dashboard(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("board"));
    place.add(r#"{"n":1}"#).await;
    let mut later = job(r#"{"n":2}"#);
    later.options.delay = Duration::from_secs(600);
    place.queue.add(&later).await.expect("added");
    let mut urgent = job(r#"{"n":3}"#);
    urgent.options.priority = 5;
    place.queue.add(&urgent).await.expect("added");
    let mut worker = worker(&place.queue, 1);
    let taken = next(&mut worker).await;
    place.queue.log(&taken.job.id, "seen").await.expect("logged");
    let board = node.call("board", json!({ "prefix": place.prefix, "queue": QUEUE })).await;
    assert_eq!((&board["name"], &board["paused"]), (&json!(QUEUE), &json!(false)));
    let counts = &board["counts"];
    assert_eq!(
        (&counts["active"], &counts["delayed"], &counts["prioritized"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(board["logs"], json!(["seen"]));
    let jobs = board["jobs"].as_array().expect("jobs");
    let mut states: Vec<_> =
        jobs.iter().map(|job| (job["data"]["n"].as_u64(), job["state"].as_str())).collect();
    states.sort_unstable();
    assert_eq!(
        states,
        [(Some(1), Some("active")), (Some(2), Some("delayed")), (Some(3), Some("prioritized"))]
    );
    // What its buttons do: promote the delayed one, retry the completed one.
    place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    drop(taken);
    let urgent = next(&mut worker).await;
    assert_eq!(urgent.job.data, r#"{"n":3}"#);
    place.queue.complete(&urgent.job, "null", KEEP).await.expect("answered");
    drop(urgent);
    let press = |id: &str, method: &str, args: Value| json!({ "prefix": place.prefix, "queue": QUEUE, "id": id, "method": method, "args": args });
    node.call("jobCall", press("2", "promote", json!([]))).await;
    assert_eq!(next(&mut worker).await.job.id.as_str(), "2");
    node.call("jobCall", press("1", "retry", json!(["completed"]))).await;
    let retried = next(&mut worker).await;
    // The second of them was dropped unsettled and stands in front.
    let generation = if retried.job.id.as_str() == "1" {
        retried.job.generation
    } else {
        place.queue.complete(&retried.job, "null", KEEP).await.expect("answered");
        drop(retried);
        next(&mut worker).await.job.generation
    };
    assert_eq!(generation, 1);
}

macro_rules! in_both_versions {
    ($($name:ident = $test:ident;)+) => {
        mod five { $(#[tokio::test] async fn $name() { super::$test(super::Version::Five).await; })+ }
        mod six { $(#[tokio::test] async fn $name() { super::$test(super::Version::Six).await; })+ }
    };
}

in_both_versions! {
    a_job_that_we_complete_is_seen_in_every_state_with_its_events = a_completed_job;
    attempts_that_we_fail_are_seen_with_reason_trace_and_delay = a_failed_job;
    a_stalled_job_and_one_handed_over_are_seen = a_hand_over_and_a_stalled_job;
    a_dashboard_reads_our_jobs_and_its_buttons_work = a_dashboard;
}
