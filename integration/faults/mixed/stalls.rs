//! Jobs that Node's workers take and lose, and count as stalled too often in either way.

use std::time::Duration;

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE};
use serde_json::json;

use super::fleet::Fleet;
use super::tally::Tally;
use crate::support::node::{Node, Version};

/// A worker that takes jobs and never ends them, and gives up each that stalled once.
async fn thief(fleet: &Fleet, version: Version, queue: &str) -> Node {
    let node = Node::start(version, &fleet.system.server);
    let opts =
        json!({ "concurrency": 4, "lockDuration": 1000, "stalledInterval": 400, "maxStalledCount": 0 });
    let request = json!({ "prefix": "bull", "queue": queue, "worker": "thief", "hangs": true, "opts": opts });
    node.call("work", request).await;
    node
}

/// Corrections go on while thieves of both versions take jobs of a queue and die.
async fn thieves_of(queue: &str, row: &str) {
    let mut fleet = Fleet::of(&["starter-ours", "completer-ours", "notifier-ours"], false).await;
    let mut stolen = 0;
    for version in [Version::Five, Version::Six, Version::Five, Version::Six] {
        let node = thief(&fleet, version, queue).await;
        // It gets some of them sooner or later: it waits for the marker as ours do.
        let seen = loop {
            fleet.submit(3, Duration::from_millis(20)).await;
            let seen = node.call("seenNow", json!({ "worker": "thief" })).await;
            if let Some(seen) = seen.as_array().filter(|seen| !seen.is_empty()) {
                break seen.len();
            }
        };
        stolen += seen;
        node.kill();
    }
    assert!(stolen >= 4, "{stolen}");
    // Whatever is stalled now, both versions judge it once more.
    let judges = [thief(&fleet, Version::Five, queue).await, thief(&fleet, Version::Six, queue).await];
    tokio::time::sleep(Duration::from_secs(2)).await;
    for judge in judges {
        judge.kill();
    }
    let tally = Tally::of(fleet).await;
    tally.prove(row, false);
    tally.assert_nothing_twice();
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_jobs_that_node_lost_and_gave_up_as_stalled_are_started_once() {
    thieves_of(PENDING_QUEUE, "mixed fleet, pending jobs given up as stalled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_jobs_that_node_lost_and_gave_up_as_stalled_are_posted_once() {
    thieves_of(FINISHED_QUEUE, "mixed fleet, finished jobs given up as stalled").await;
}
