//! Queues that are emptied under running workers: what is added afterwards is taken, each time.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::Command;

use super::fleet::Fleet;
use crate::faults::figures::{note, note_times};
use crate::support::node::Version;
use crate::support::simulated_engine::script;

const ROW: &str = "queues emptied under running workers";
/// From then on a worker counts as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(20);

/// What a person does to the keys.
async fn empty(fleet: &Fleet, round: usize) {
    match round % 10 {
        0 => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let port = fleet.system.server.port().to_string();
            let target = format!("127.0.0.1:{port}/0/bull");
            let mut script = Command::new(root.join("scripts/reset_queues"));
            script.args(["--yes-delete", &target]).env("REDIS_HOST", "127.0.0.1").env("REDIS_PORT", &port);
            let output =
                script.current_dir(fleet.engine.socket().parent().expect("a directory")).output().await;
            let output = output.expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        1 => drop(fleet.system.redis.reset().await.expect("reset")),
        2 => fleet.system.lose("bull:*").await,
        // The markers, the installation's id and the events go too, in one instant.
        _ => drop(fleet.system.ask(&["FLUSHDB"]).await),
    }
}

/// Empties the queues so often, half of the times with a correction under way.
async fn nobody_is_stuck(resets: usize) {
    let mut fleet = Fleet::of(&["all-ours", "notifier-bullmq5", "notifier-bullmq6"], true).await;
    // Beside ours at the pending and the finished queue; those that are idle in Node hold connections.
    fleet.submit(3, Duration::ZERO).await;
    assert!(fleet.system.receiver.until_count(3, Duration::from_secs(60)).await, "{}", fleet.system.logs());
    let (mut times, mut stuck) = (Vec::new(), Vec::new());
    for round in 0..resets {
        let job = |name: &str, run_ms: usize| {
            let mut data = fleet.system.job(name, "");
            data["params"] = json!([format!("{}={run_ms}", script::RUN_MS)]);
            data
        };
        if round % 2 == 1 {
            fleet.system.submit(&job(&format!("before-{round}"), round % 50)).await;
        }
        empty(&fleet, round).await;
        let name = format!("after-{round}");
        let began = Instant::now();
        let data = job(&name, 0);
        match round % 3 {
            0 => drop(fleet.system.submit(&data).await),
            kind => {
                let version = if kind == 1 { Version::Five } else { Version::Six };
                let request = json!({ "prefix": "bull", "queue": "pending_corrections", "data": data });
                fleet.producer(version).call("add", request).await;
            }
        }
        while fleet.system.receiver.times(&name) == 0 && began.elapsed() < STUCK_AFTER {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if fleet.system.receiver.times(&name) == 0 {
            stuck.push(round);
        }
        times.push(began.elapsed());
    }
    note(ROW, &format!("stuck consumers after {resets} resets"), stuck.len());
    note_times(ROW, &format!("reset to result of the next correction, {resets} resets"), times);
    assert!(stuck.is_empty(), "stuck after the resets {stuck:?}; logs:\n{}", fleet.system.logs());
    fleet.end_node().await;
    fleet.system.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_each_of_fifty_resets_the_next_correction_is_taken_within_seconds() {
    nobody_is_stuck(50).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn after_each_of_a_thousand_resets_the_next_correction_is_taken_within_seconds() {
    nobody_is_stuck(1000).await;
}
