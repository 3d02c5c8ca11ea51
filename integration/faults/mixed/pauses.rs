//! Pause and resume by either version, in every order, under load of producers of every kind.

use std::collections::BTreeSet;
use std::time::Duration;

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use correction_runner::queue::{Keep, Worker, WorkerOptions};
use serde_json::{Value, json};

use super::fleet::Fleet;
use super::tally::Tally;
use crate::faults::figures::note;
use crate::support::node::{Node, Version};
use crate::support::redis::RedisServer;

const BOTH: [Version; 2] = [Version::Five, Version::Six];
const RUN_TIME: Duration = Duration::from_millis(50);

/// Every order of two pauses and two resumes.
async fn pause_in_every_order(fleet: &mut Fleet, queue: &str) {
    for pauses in BOTH {
        for resumes in BOTH {
            fleet.submit(2, RUN_TIME).await;
            fleet.tell(pauses, queue, "pause").await;
            fleet.submit(3, RUN_TIME).await;
            // The other one does it too, while jobs of all producers wait.
            for version in BOTH {
                fleet.tell(version, queue, "pause").await;
                fleet.submit(2, RUN_TIME).await;
            }
            fleet.tell(resumes, queue, "resume").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_by_either_version_in_every_order_under_load_loses_no_correction_and_doubles_none() {
    let members = [
        "starter-ours",
        "starter-bullmq5",
        "completer-ours",
        "notifier-ours",
        "notifier-bullmq5",
        "notifier-bullmq6",
    ];
    let mut fleet = Fleet::of(&members, true).await;
    for queue in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
        pause_in_every_order(&mut fleet, queue).await;
    }
    let tally = Tally::of(fleet).await;
    tally.prove("mixed fleet, pauses in every order", false);
    tally.assert_nothing_twice();
}

async fn ask(node: &Node, method: &str) -> Value {
    node.call("queue", json!({ "prefix": "bull", "queue": PENDING_QUEUE, "method": method })).await
}

async fn add(node: &Node, count: usize) -> BTreeSet<String> {
    let jobs = vec![json!({ "data": {} }); count];
    let ids = node.call("addMany", json!({ "prefix": "bull", "queue": PENDING_QUEUE, "jobs": jobs })).await;
    ids.as_array().expect("ids").iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// BullMQ's own loss, without a line of ours: 5.12's resume renames `paused` over the `wait` of 6.x.
#[tokio::test(flavor = "multi_thread")]
async fn what_two_versions_of_bullmq_lose_between_them_a_worker_of_ours_puts_back() {
    let server = RedisServer::start(&[]);
    let [five, six] = BOTH.map(|version| Node::start(version, &server));
    ask(&five, "pause").await;
    add(&five, 5).await;
    let theirs = add(&six, 7).await;
    ask(&five, "resume").await;
    let waiting = ask(&six, "getJobs").await;
    let seen = waiting.as_array().expect("jobs").len();
    assert_eq!(seen, 5, "of twelve jobs the dashboards of both versions know five");
    let redis = server.client("bull");
    let astray = redis.queue(PENDING_QUEUE).astray().await.expect("found");
    let astray: BTreeSet<_> = astray.iter().map(|id| id.as_str().to_owned()).collect();
    assert_eq!(astray, theirs);

    let options = WorkerOptions { concurrency: 20, batch: 20, rate: None, name: "ours".into() };
    let queue = redis.queue(PENDING_QUEUE);
    let mut worker = Worker::start(queue.clone(), options);
    let began = std::time::Instant::now();
    let mut done = BTreeSet::new();
    while done.len() < 12 {
        let next = tokio::time::timeout(Duration::from_secs(60), worker.next()).await;
        let taken = next.expect("all jobs come").expect("the worker runs");
        queue.complete(&taken.job, "null", Keep::Count(100)).await.expect("answered");
        assert!(done.insert(taken.job.id.as_str().to_owned()), "{} came twice", taken.job.id);
    }
    let time = began.elapsed().as_secs_f64();
    let value =
        format!("12 added, 7 lost by BullMQ alone, 7 put back by ours in {time:.1} s, 0 lost in the end");
    note("two versions of BullMQ, one pause", "mixed-fleet losses", value);
}
