//! Queues that Node pauses and resumes: nothing is taken meanwhile, nothing strands, in either version.

use std::time::Duration;

use correction_runner::identity::LockToken;
use serde_json::{Value, json};

use super::{KEEP, Place, QUEUE, next};
use crate::support::node::{Node, Version};

async fn ask(node: &Node, place: &Place, method: &str) -> Value {
    node.call("queue", json!({ "prefix": place.prefix, "queue": QUEUE, "method": method, "args": [] })).await
}

async fn add_by_node(node: &Node, place: &Place, data: &str) {
    node.call("add", json!({ "prefix": place.prefix, "queue": QUEUE, "data": data })).await;
}

/// Takes all there is and answers the data, in order of the text.
async fn drained(place: &Place, count: usize) -> Vec<String> {
    let mut worker = place.worker();
    let mut data = Vec::new();
    for _ in 0..count {
        let taken = next(&mut worker).await;
        data.push(taken.job.data.clone());
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
    data.sort_unstable();
    data
}

async fn pause_while_jobs_wait(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("paused"));
    let mut worker = place.worker();
    place.add("\"a\"").await;
    let held = next(&mut worker).await;
    add_by_node(node, &place, "late").await;
    let late = next(&mut worker).await;
    drop(worker);
    let back = [(late.job.id.clone(), late.job.token.clone())];
    assert_eq!(place.queue.hand_back(&back).await.expect("handed back"), 1);
    ask(node, &place, "pause").await;
    place.add("\"b\"").await;
    add_by_node(node, &place, "c").await;
    // What leaves the active list meanwhile waits too.
    let back = [(held.job.id.clone(), held.job.token.clone())];
    assert_eq!(place.queue.hand_back(&back).await.expect("handed back"), 1);
    let mut worker = place.worker();
    let nothing = tokio::time::timeout(Duration::from_millis(600), worker.next()).await;
    assert!(nothing.is_err(), "taken while paused");
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.paused, counts.active), (4, true, 0));
    ask(node, &place, "resume").await;
    let first = tokio::time::timeout(Duration::from_secs(3), worker.next()).await.expect("woken at once");
    drop(first);
    drop(worker);
    assert_eq!(drained(&place, 4).await, ["\"a\"", "\"b\"", "\"c\"", "\"late\""]);
    let lists = place.ask::<u32>("LLEN", "wait", &[]) + place.ask::<u32>("LLEN", "paused", &[]);
    assert_eq!(lists, 0);
}

async fn pause_while_nothing_waits(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("paused-empty"));
    ask(node, &place, "pause").await;
    place.add("\"a\"").await;
    add_by_node(node, &place, "b").await;
    place.add("\"c\"").await;
    ask(node, &place, "resume").await;
    assert_eq!(drained(&place, 3).await, ["\"a\"", "\"b\"", "\"c\""]);
}

/// Only we add and the version that resumes is another than the one that paused.
async fn paused_by_one_and_resumed_by_the_other(pauses: Version, resumes: Version) {
    for waiting in [0, 2] {
        let place = Place::new("mixed");
        for number in 0..waiting {
            place.add(&number.to_string()).await;
        }
        ask(Node::shared(pauses), &place, "pause").await;
        for number in waiting..waiting + 3 {
            place.add(&number.to_string()).await;
        }
        ask(Node::shared(resumes), &place, "resume").await;
        let all: Vec<_> = (0..waiting + 3).map(|number| number.to_string()).collect();
        assert_eq!(drained(&place, waiting + 3).await, all);
    }
}

#[tokio::test]
async fn five_resumes_what_six_paused_and_nothing_of_ours_is_lost() {
    paused_by_one_and_resumed_by_the_other(Version::Six, Version::Five).await;
}

#[tokio::test]
async fn six_resumes_what_five_paused_and_nothing_of_ours_is_lost() {
    paused_by_one_and_resumed_by_the_other(Version::Five, Version::Six).await;
}

#[tokio::test]
async fn what_stands_in_paused_of_a_queue_that_is_not_paused_is_taken_first() {
    let place = Place::new("left-over");
    place.add("1").await;
    place.add("2").await;
    place.ask::<String>("RENAME", "wait", &[&format!("{}:{QUEUE}:paused", place.prefix)]);
    place.add("3").await;
    let mut worker = super::worker(&place.queue, 1);
    for expected in ["1", "2", "3"] {
        let taken = next(&mut worker).await;
        assert_eq!(taken.job.data, expected);
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
}

#[tokio::test]
async fn what_stands_in_paused_of_a_queue_that_is_not_paused_wakes_another_worker() {
    let place = Place::new("left-over-wakes");
    for data in ["1", "2", "3"] {
        place.add(data).await;
    }
    place.ask::<String>("RENAME", "wait", &[&format!("{}:{QUEUE}:paused", place.prefix)]);
    place.ask::<u32>("DEL", "marker", &[]);
    let taken = place.queue.take(&[LockToken::unique()], "ours", None).await.expect("answered");
    assert_eq!(taken.jobs[0].data, "1");
    assert_eq!(place.ask::<Vec<String>>("ZRANGE", "marker", &["0", "-1"]), ["0"]);
}

macro_rules! in_both_versions {
    ($($name:ident = $test:ident;)+) => {
        mod five { $(#[tokio::test] async fn $name() { super::$test(super::Version::Five).await; })+ }
        mod six { $(#[tokio::test] async fn $name() { super::$test(super::Version::Six).await; })+ }
    };
}

in_both_versions! {
    a_queue_paused_while_jobs_wait_gives_none_and_loses_none = pause_while_jobs_wait;
    a_queue_paused_while_nothing_waits_loses_none = pause_while_nothing_waits;
}
