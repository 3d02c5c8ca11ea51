//! The two orders that the original calls tricky, with `DONT_START_CONTAINER`: the record before the
//! death, and the death before the record.

use std::collections::HashMap;

use correction_runner::docker::{ContainerSpec, State};
use correction_runner::identity::{CorrectionId, JobId};
use correction_runner::job::{Errand, Origin, RUNNING_QUEUE, RunningJob};
use correction_runner::labels::Labels;
use correction_runner::profile::Profile;
use correction_runner::queue::{JobOptions, NewJob};
use serde_json::json;

use crate::support::docker;
use crate::support::system::System;

const SAYS_OK: &str = r#"echo '{"success":true,"grade":5}'"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_record_comes_first_and_the_container_is_started_by_hand_later() {
    let system = System::start(&[("DONT_START_CONTAINER", "y"), ("CONTAINER_TIMEOUT", "2s")]).await;
    system.submit(&system.job("by-hand", SAYS_OK)).await;
    system.until_running("the completer holds it", |counts| counts.active == 1).await;
    let containers = system.containers().await;
    assert_eq!(containers.iter().map(|one| one.state).collect::<Vec<_>>(), [State::Created]);
    docker::command(&["start", containers[0].id.as_str()]).await;
    assert_eq!(system.result("by-hand").await.json()["grade"], 5);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_started_by_hand_has_a_deadline_too() {
    let test_mode = [("DONT_START_CONTAINER", "1"), ("CONTAINER_TIMEOUT", "2s"), ("SWEEP_INTERVAL", "1s")];
    let system = System::start(&test_mode).await;
    system.submit(&system.job("endless", "exec sleep 600")).await;
    system.until_running("the completer holds it", |counts| counts.active == 1).await;
    docker::command(&["start", system.containers().await[0].id.as_str()]).await;
    assert_eq!(system.result("endless").await.json()["outcome"], "timeout");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_dies_before_any_completer_is_there() {
    let mut system = System::prepare().await;
    system.set(&[("DONT_START_CONTAINER", "true")]);
    system.spawn("starter");
    system.spawn("notifier");
    system.submit(&system.job("early", SAYS_OK)).await;
    system.until_running("the starter handed it over", |counts| counts.waiting == 1).await;
    let container = system.containers().await.remove(0).id;
    docker::command(&["start", container.as_str()]).await;
    docker::command(&["wait", container.as_str()]).await;
    system.spawn("completer");
    assert_eq!(system.result("early").await.json()["grade"], 5);
    system.end().await;
}

/// A starter that is slow to hand over: the death is told while no record is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_death_is_told_before_its_record_comes() {
    // With this sweep interval only the parked death, or the look at a fresh stream, can end it in time.
    let system = System::start(&[("SWEEP_INTERVAL", "1h")]).await;
    let instance = system.instance().await;
    let job = JobId::new("slow-starter");
    let correction = CorrectionId::derive(&instance, &job, 1, 0);
    let errand = Errand { callback: Some(system.receiver.url("parked")), ..Errand::default() };
    let labels = Labels {
        instance,
        correction: correction.clone(),
        job,
        name: "Correction".to_owned(),
        timestamp: 1,
        generation: 0,
        attempt: "test".to_owned(),
        timeout_ms: 60_000,
        disk: None,
        errand: errand.clone(),
        rerun: None,
        seal: None,
    };
    let spec = ContainerSpec {
        name: correction.container_name(),
        image: docker::GRADER_IMAGE.to_owned(),
        file: system.submission(SAYS_OK).display().to_string(),
        params: Vec::new(),
        labels: labels.to_map(),
        seal: None,
        profile: unlimited(),
    };
    let container = system.engine.create(&spec).await.expect("Docker creates it");
    let engine = system.engine.about().await.expect("Docker answers").id;
    let origin = Origin { correction: correction.clone(), engine, timeout_ms: 60_000, sealed: false };
    let running = RunningJob { errand, container: container.clone(), origin: Some(origin) };
    // While its pending job is live (as a slow starter's is) no sweep may finish it as an orphan.
    system.engine.start(&container).await.expect("Docker starts it");
    docker::command(&["wait", container.as_str()]).await;
    let next = NewJob {
        id: Some(correction.job_id()),
        name: "Correction".to_owned(),
        data: running.to_data(),
        options: JobOptions::default(),
    };
    system.redis.queue(RUNNING_QUEUE).add(&next).await.expect("Redis takes it");
    assert_eq!(system.result("parked").await.body, r#"{"grade":5,"success":true}"#);
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), 1);
    system.end().await;
}

/// What the original's starter leaves: a container without labels, a job with a number for its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_originals_starter_is_completed_in_both_orders() {
    let system = System::start(&[]).await;
    let mut containers = Vec::new();
    for (number, name) in ["ended", "running"].into_iter().enumerate() {
        let script = if name == "ended" { SAYS_OK.to_owned() } else { format!("sleep 2; {SAYS_OK}") };
        let file = system.submission(&script).display().to_string();
        let spec = ContainerSpec {
            name: format!("correction-runner-test-{}-{number}", uuid::Uuid::new_v4()),
            image: docker::GRADER_IMAGE.to_owned(),
            file,
            params: Vec::new(),
            labels: HashMap::new(),
            seal: None,
            profile: unlimited(),
        };
        let container = system.engine.create(&spec).await.expect("Docker creates it");
        system.engine.start(&container).await.expect("Docker starts it");
        if name == "ended" {
            docker::command(&["wait", container.as_str()]).await;
        }
        let data = json!({"work_id": name, "container_id": container, "callback": system.receiver.url(name)});
        let job = NewJob {
            id: None,
            name: "Correction".to_owned(),
            data: data.to_string(),
            options: JobOptions::default(),
        };
        system.redis.queue(RUNNING_QUEUE).add(&job).await.expect("Redis takes it");
        containers.push(container);
    }
    for name in ["ended", "running"] {
        assert_eq!(system.result(name).await.json()["grade"], 5, "{name}");
    }
    for container in containers {
        system
            .until("the container is removed", async || {
                system
                    .engine
                    .inspect(container.as_str())
                    .await
                    .expect("Docker answers")
                    .is_none()
                    .then_some(())
            })
            .await;
    }
    system.end().await;
}

fn unlimited() -> Profile {
    Profile { network: "none".to_owned(), ..Profile::unlimited() }
}
