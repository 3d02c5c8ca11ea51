//! Each of our components in place of one of the original's, beside the two others of it, in every mix.
//!
//! The stand-ins for the original's components are Node workers on the BullMQ that it runs on (and on
//! the newest one): same queues, same data, same calls to Docker.

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use futures::future::join_all;

use crate::support::system::System;

const COMPONENTS: [&str; 3] = ["starter", "completer", "notifier"];

/// Runs corrections through a mix: `ours` are our components, the others are Node's.
async fn corrections_pass(ours: &[&str], alias: &str) {
    let mut system = System::prepare().await;
    system.set(&[("CONTAINER_PROFILE", "original")]);
    for component in COMPONENTS {
        if ours.contains(&component) {
            system.spawn(component);
        } else {
            system.spawn_node(component, alias);
        }
    }
    let quick = system.job("quick", r#"echo '{"success":true,"grade":7.50,"comments":["ñ"]}'"#);
    let slow = system.job("slow", r#"sleep 1; echo '{"success":false,"error":"no"}'"#);
    for job in [&quick, &slow] {
        system.submit(job).await;
    }
    let mix = format!("ours: {ours:?}, others on {alias}");
    let quick = system.result("quick").await;
    assert_eq!(quick.body, r#"{"comments":["ñ"],"grade":7.5,"success":true,"work_id":"quick"}"#, "{mix}");
    let slow = system.result("slow").await;
    assert_eq!(slow.body, r#"{"error":"no","success":false,"work_id":"slow"}"#, "{mix}");
    for queue in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
        let queue = system.redis.queue(queue);
        system
            .until("both jobs are completed, as all clients count", async || {
                let counts = queue.counts().await.expect("Redis answers");
                let open = counts.waiting + counts.active + counts.delayed + counts.failed;
                (counts.completed == 2 && open == 0).then_some(())
            })
            .await;
    }
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), 2, "{mix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_our_components_stands_in_beside_two_of_the_original() {
    join_all(COMPONENTS.map(|ours| async move { corrections_pass(&[ours], "bullmq5").await })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_our_components_stand_in_beside_one_of_the_original() {
    let mixes = [["starter", "completer"], ["starter", "notifier"], ["completer", "notifier"]];
    join_all(mixes.map(|ours| async move { corrections_pass(&ours, "bullmq5").await })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_bullmq_is_as_good_a_neighbour() {
    corrections_pass(&["completer"], "bullmq6").await;
}
