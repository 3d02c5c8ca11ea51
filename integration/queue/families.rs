//! Jobs that others depend on: parents that wait for them, deduplication that they hold up.

use serde_json::{Value, json};

use super::{KEEP, Place, QUEUE, next};
use crate::support::node::{Node, Version};

const PARENTS: &str = "courses";

async fn flow(node: &Node, place: &Place, rule: Value) -> (String, String) {
    let request = json!({ "prefix": place.prefix, "queue": QUEUE, "parents": PARENTS, "failParent": rule });
    let ids = node.call("flow", request).await;
    let id = |name: &str| ids[name].as_str().expect("an id").to_owned();
    (id("parent"), id("child"))
}

async fn parent(node: &Node, place: &Place, id: &str, method: &str) -> Value {
    let request = json!({ "prefix": place.prefix, "queue": PARENTS, "id": id, "method": method });
    node.call("jobCall", request).await
}

async fn a_parent_goes_on(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("parent"));
    let (above, child) = flow(node, &place, json!({})).await;
    assert_eq!(parent(node, &place, &above, "getState").await, "waiting-children");
    let taken = place.take_one().await;
    assert_eq!(taken.job.id.as_str(), child);
    place.queue.complete(&taken.job, r#"{"grade":9}"#, KEEP).await.expect("answered");
    assert_eq!(parent(node, &place, &above, "getState").await, "waiting");
    let values = parent(node, &place, &above, "getChildrenValues").await;
    assert_eq!(values, json!({ format!("{}:{QUEUE}:{child}", place.prefix): { "grade": 9 } }));
}

async fn a_parent_that_ignores_failures_goes_on(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("ignoring"));
    let (above, _) = flow(node, &place, json!({ "ignoreDependencyOnFailure": true })).await;
    let taken = place.take_one().await;
    place.queue.fail(&taken.job, "broken", KEEP).await.expect("answered");
    assert_eq!(parent(node, &place, &above, "getState").await, "waiting");
    let (strict, _) = flow(node, &place, json!({})).await;
    let taken = place.take_one().await;
    place.queue.fail(&taken.job, "broken", KEEP).await.expect("answered");
    assert_eq!(parent(node, &place, &strict, "getState").await, "waiting-children");
}

async fn a_deduplication_key_is_released(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("deduplication"));
    let option = if version == Version::Five { "debounce" } else { "deduplication" };
    let add = json!({ "prefix": place.prefix, "queue": QUEUE, "data": 1, "opts": { option: { "id": "w" } } });
    let first = node.call("add", add.clone()).await;
    let taken = place.take_one().await;
    assert_eq!(node.call("add", add.clone()).await, first);
    place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    assert_ne!(node.call("add", add.clone()).await, first);
}

#[tokio::test]
async fn the_last_job_that_was_refused_meanwhile_is_added_where_six_wants_it_so() {
    let (node, place) = (Node::shared(Version::Six), Place::new("keep-last"));
    let opts = json!({ "deduplication": { "id": "w", "keepLastIfActive": true }, "attempts": 2 });
    let add = |data: u32| json!({ "prefix": place.prefix, "queue": QUEUE, "data": data, "opts": opts });
    node.call("add", add(1)).await;
    let mut worker = place.worker();
    let first = next(&mut worker).await;
    node.call("add", add(2)).await;
    node.call("add", add(3)).await;
    place.queue.complete(&first.job, "null", KEEP).await.expect("answered");
    let last = next(&mut worker).await;
    assert_eq!((last.job.data.as_str(), last.job.attempts), ("3", 2));
    place.queue.complete(&last.job, "null", KEEP).await.expect("answered");
    node.call("add", add(4)).await;
    assert_eq!(next(&mut worker).await.job.data, "4");
}

macro_rules! in_both_versions {
    ($($name:ident = $test:ident;)+) => {
        mod five { $(#[tokio::test] async fn $name() { super::$test(super::Version::Five).await; })+ }
        mod six { $(#[tokio::test] async fn $name() { super::$test(super::Version::Six).await; })+ }
    };
}

in_both_versions! {
    a_parent_goes_on_when_we_complete_its_child = a_parent_goes_on;
    a_parent_goes_on_when_we_fail_a_child_that_it_ignores = a_parent_that_ignores_failures_goes_on;
    a_deduplication_key_is_released_by_the_end_of_its_job = a_deduplication_key_is_released;
}
