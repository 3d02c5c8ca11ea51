//! Two systems on one daemon, and one system after its queues were reset: nobody touches what is not
//! its own.

use correction_runner::docker::State;
use correction_runner::identity::{ContainerId, CorrectionId, EngineId, JobId};
use correction_runner::job::{Errand, Origin, RUNNING_QUEUE, RunningJob};
use correction_runner::queue::{JobOptions, NewJob};

use crate::support::docker;
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn two_systems_on_one_daemon_leave_each_other_alone() {
    let sweeping = [("SWEEP_INTERVAL", "1s"), ("CONTAINER_TIMEOUT", "60s")];
    let (left, right) = tokio::join!(System::start(&sweeping), System::start(&sweeping));
    left.submit(&left.job("left", r#"sleep 3; echo '{"success":true,"grade":1}'"#)).await;
    right.submit(&right.job("right", r#"sleep 3; echo '{"success":true,"grade":2}'"#)).await;
    assert_eq!(left.result("left").await.json()["grade"], 1);
    assert_eq!(right.result("right").await.json()["grade"], 2);
    assert_eq!((left.receiver.all().len(), right.receiver.all().len()), (1, 1));
    tokio::join!(left.end(), right.end());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reset_the_containers_of_before_are_left_alone() {
    let system = System::start(&[("SWEEP_INTERVAL", "1s"), ("CONTAINER_TIMEOUT", "5s")]).await;
    system.submit(&system.job("before", "exec sleep 600")).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    let (old, container) = (system.instance().await, system.containers().await.remove(0).id);
    system.redis.reset().await.expect("Redis answers");
    system.submit(&system.job("after", r#"echo '{"success":true,"grade":3}'"#)).await;
    assert_eq!(system.result("after").await.json()["grade"], 3);
    assert_ne!(system.instance().await, old, "a reset system is another one");
    // Far beyond its deadline and after sweeps it still runs: nobody here owns it.
    system.submit(&system.job("later", r#"sleep 6; echo '{"success":true,"grade":4}'"#)).await;
    system.result("later").await;
    let inspected = system.engine.inspect(container.as_str()).await.expect("Docker answers");
    assert_eq!(inspected.map(|inspected| inspected.state), Some(State::Running));
    assert_eq!(system.receiver.times("before"), 0);
    docker::command(&["rm", "-f", container.as_str()]).await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_of_another_engine_is_handed_back_and_never_failed() {
    let system = System::start(&[]).await;
    let origin = Origin {
        correction: CorrectionId::new("of-another-engine"),
        engine: EngineId::new("another engine"),
        timeout_ms: 1000,
        sealed: false,
    };
    let running = RunningJob {
        errand: Errand { callback: Some(system.receiver.url("elsewhere")), ..Errand::default() },
        container: ContainerId::new("c0ffee"),
        origin: Some(origin),
    };
    let job = NewJob {
        id: Some(JobId::new("of-another-engine")),
        name: "Correction".to_owned(),
        data: running.to_data(),
        options: JobOptions::default(),
    };
    system.redis.queue(RUNNING_QUEUE).add(&job).await.expect("Redis takes it");
    let queue = system.redis.queue(RUNNING_QUEUE);
    let key = "bull:running_corrections:of-another-engine";
    system
        .until("it was handed back three times", async || {
            let retries = system.ask(&["hget", key, "retries"]).await;
            retries.parse::<u32>().is_ok_and(|retries| retries >= 3).then_some(())
        })
        .await;
    let counts = queue.counts().await.expect("Redis answers");
    assert_eq!((counts.failed, counts.completed), (0, 0));
    assert!(system.receiver.all().is_empty());
    system.end().await;
}
