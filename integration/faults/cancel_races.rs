//! Cancelling races with the end of corrections and with the death of whoever has them: each has one result.

use std::time::Duration;

use correction_runner::identity::{CorrectionId, JobId, LockToken};
use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use correction_runner::queue::{Cancelled, Cancelling, JobOptions, Keep, NewJob};
use serde_json::json;

use super::campaign::{Campaign, Expected};
use crate::actions::simulated;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// Asks once for the end of a correction, wherever it is now.
async fn cancel(system: &System, job: &JobId, name: &str) -> bool {
    let Ok(Some((record, _))) = system.redis.queue(PENDING_QUEUE).record(job).await else { return false };
    let instance = system.instance().await;
    let correction = CorrectionId::derive(&instance, job, record.timestamp, 0);
    let cancelling = Cancelling {
        job: job.clone(),
        timestamp: record.timestamp,
        generation: 0,
        correction: correction.clone(),
    };
    let data = json!({
        "work_id": name, "error": true, "correction_data": "cancelled", "callback": system.receiver.url(name),
        "outcome": "cancelled",
    });
    let result = NewJob {
        id: Some(correction.job_id()),
        name: "Correction test".into(),
        data: data.to_string(),
        options: JobOptions::default(),
    };
    let finished = system.redis.queue(FINISHED_QUEUE);
    let (token, keep) = (LockToken::unique(), Keep::Count(1000));
    let pending = system.redis.queue(PENDING_QUEUE);
    let answer = pending.cancel(&cancelling, (&finished, Some(&result)), &token, "1", keep).await;
    if answer.expect("Redis answers") == Cancelled::Ended {
        let _ = system.redis.queue(RUNNING_QUEUE).mark(&correction.job_id()).await;
    }
    true
}

async fn race(count: u64, deaths: u64) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut campaign = Campaign::of(System::prepare_on(&engine).await);
    campaign.allow_repeats();
    campaign.system.set(&[("SWEEP_INTERVAL", "1s")]);
    let components = ["starter", "completer", "notifier"];
    for component in components {
        campaign.system.spawn(component);
    }
    let mut jobs = Vec::new();
    for number in 1..=count {
        let name = format!("race{number}");
        let data = simulated(&campaign.system, &name, number % 10 * 150, number);
        campaign.expect_result(&name, Expected::Either(number, &["cancelled"]));
        jobs.push((campaign.system.submit(&data).await, name));
    }
    for death in 0..deaths {
        // A third of them at each turn, at whatever they are.
        for (job, name) in jobs.iter().skip(usize::try_from(death % 3).expect("small")).step_by(3) {
            cancel(&campaign.system, job, name).await;
        }
        let component = components[usize::try_from(death % 2).expect("small")];
        campaign.system.kill(component).await;
        campaign.system.spawn(component);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_while_corrections_end_and_are_cancelled_each_has_one_result() {
    race(30, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn however_often_it_dies_while_corrections_end_and_are_cancelled_each_has_one_result() {
    for _ in 0..10 {
        race(120, 12).await;
    }
}
