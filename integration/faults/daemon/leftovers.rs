//! Containers without labels, made by the original's starter: they too are removed, whatever dies.

use correction_runner::job::RUNNING_QUEUE;
use correction_runner::queue::{JobOptions, NewJob};
use serde_json::json;

use super::super::campaign::Expected;
use super::Host;
use crate::support::docker::GRADER_IMAGE;

const NOTES: [&str; 3] = ["--scan", "--pattern", "bull:correction-runner:removals:*"];

#[tokio::test(flavor = "multi_thread")]
async fn a_completer_that_dies_before_it_removed_a_container_without_labels_leaves_it_to_the_next() {
    let mut host = Host::start(&[], &[]).await;
    host.campaign.system.kill("all").await;
    host.campaign.system.set(&[("CRASH_POINTS", "completer-handed-over=kill")]);
    host.campaign.system.spawn("completer");
    host.campaign.system.set(&[("CRASH_POINTS", "")]);
    host.campaign.expect_result("unlabelled", Expected::Grade(7));

    let (system, verdict) = (&host.campaign.system, r#"{"success":true,"grade":7}"#);
    let run = ["run", "-d", "--network", "none", GRADER_IMAGE, "echo", verdict];
    let container = host.engine.docker(&run).await;
    let data =
        json!({ "work_id": "w", "container_id": container, "callback": system.receiver.url("unlabelled") });
    let job = NewJob {
        id: None,
        name: "Correction of the original".to_owned(),
        data: data.to_string(),
        options: JobOptions::default(),
    };
    system.redis.queue(RUNNING_QUEUE).add(&job).await.expect("Redis takes it");
    system.until("it is noted", async || (!system.ask(&NOTES).await.is_empty()).then_some(())).await;
    assert_eq!(
        host.engine.docker(&["ps", "-aq", "--no-trunc"]).await,
        container,
        "the completer died too late"
    );

    host.campaign.system.kill("completer").await;
    for component in ["notifier", "completer"] {
        host.campaign.system.spawn(component);
    }
    let system = &host.campaign.system;
    let removed = async || host.engine.docker(&["ps", "-aq"]).await.is_empty().then_some(());
    system.until("the container is removed", removed).await;
    system.until("its note is gone", async || system.ask(&NOTES).await.is_empty().then_some(())).await;
    host.prove().await;
}
