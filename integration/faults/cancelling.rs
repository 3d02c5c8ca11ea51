//! Cancelling: in each place in which a correction may stand, and where whoever has it dies over it.

use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::PENDING_QUEUE;
use correction_runner::queue::{JobOptions, NewJob};

use super::campaign::{Campaign, Expected};
use crate::actions::{run, simulated};
use crate::support::simulated_engine::{Call, Fault, Options, SimulatedEngine};
use crate::support::system::System;
use crate::watching::{address_of, until_sample, watched};

/// A system on a simulated engine, with one correction that would run for an hour.
async fn with_one() -> (SimulatedEngine, Campaign) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut campaign = Campaign::of(System::prepare_on(&engine).await);
    // The sweep comes soon only where a test waits for it.
    campaign.system.set(&[("SWEEP_INTERVAL", "1s")]);
    let data = simulated(&campaign.system, "one", 3_600_000, 1);
    campaign.submit_one("one", &data, Expected::Outcome("cancelled")).await;
    (engine, campaign)
}

async fn until_pending(system: &System, what: &str, wanted: impl Fn(u64) -> bool) {
    let queue = system.redis.queue(PENDING_QUEUE);
    system
        .until(what, async || {
            let counts = queue.counts().await.expect("Redis answers");
            wanted(counts.active).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_ends_at_once_and_is_never_started() {
    let (engine, mut campaign) = with_one().await;
    let told = run(&campaign.system, &["cancel", "one", "--json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let one = &told.json()["corrections"][0];
    assert_eq!(
        (&one["result"], &one["was"], &one["work_id"]),
        (&"cancelled".into(), &"waiting".into(), &"one".into())
    );
    campaign.system.spawn("all");
    campaign.until_delivered(1).await;
    let again = run(&campaign.system, &["cancel", "one"]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stdout.contains("too late"), "{again:?}");
    assert_eq!(engine.stats().started, 0);
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_is_killed_and_its_result_says_cancelled() {
    let mut system = System::start(&[]).await;
    let data = system.job("real", r#"echo '{"success":true,"grade":9}'; sleep 3600"#);
    let job = system.submit(&data).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    // The pending job has ended; its id is what its submitter knows.
    let told = run(&system, &["cancel", job.as_str()]).await;
    assert_eq!(told.code, Some(0), "{told:?}; logs:\n{}", system.logs());
    let result = system.result("real").await.json();
    assert_eq!((&result["outcome"], &result["success"]), (&"cancelled".into(), &false.into()), "{result}");
    system.until_clean().await;
    assert_eq!(system.receiver.times("real"), 1);
    system.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_starter_that_died_before_the_start_leaves_nothing_that_is_started() {
    let (engine, mut campaign) = with_one().await;
    campaign.system.set(&[("CRASH_POINTS", "starter-created=kill")]);
    campaign.system.spawn("starter");
    campaign.system.until_ended("starter").await;
    campaign.system.set(&[("CRASH_POINTS", "")]);
    let system = &campaign.system;
    // The dead process's lock is still there: the job is marked for whoever takes it.
    let asked = run(system, &["cancel", "one", "--no-wait", "--json"]).await;
    assert_eq!(asked.code, Some(3), "{asked:?}");
    assert_eq!(asked.json()["corrections"][0]["result"], "asked");
    campaign.system.spawn("all");
    campaign.until_delivered(1).await;
    assert_eq!(engine.stats().started, 0);
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_starter_had_started_is_killed_by_whoever_goes_on() {
    let (engine, mut campaign) = with_one().await;
    campaign.system.set(&[("CRASH_POINTS", "starter-started=kill")]);
    campaign.system.spawn("starter");
    campaign.system.until_ended("starter").await;
    campaign.system.set(&[("CRASH_POINTS", "")]);
    let asked = run(&campaign.system, &["cancel", "one", "--no-wait"]).await;
    assert_eq!(asked.code, Some(3), "{asked:?}");
    campaign.system.spawn("all");
    campaign.until_delivered(1).await;
    assert_eq!(engine.stats().started, 1);
    campaign.prove().await;
}

/// Where even the lock has run out, the result is told at once, and the sweep finds what runs.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_though_its_correction_was_told_as_cancelled_is_killed_by_the_sweep() {
    let (_engine, mut campaign) = with_one().await;
    campaign.system.set(&[("CRASH_POINTS", "starter-started=kill")]);
    campaign.system.spawn("starter");
    campaign.system.until_ended("starter").await;
    campaign.system.set(&[("CRASH_POINTS", "")]);
    campaign.system.lose("bull:pending_corrections:*:lock").await;
    let told = run(&campaign.system, &["cancel", "one"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    watched(&mut campaign.system);
    campaign.system.spawn("all");
    let address = address_of(&campaign.system, "all").await;
    let finds = "correction_runner_sweep_finds_total{kind=\"overdue\"}";
    until_sample(&campaign.system, &address, finds, |number| number > 0.0).await;
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completer_that_dies_over_it_leaves_one_result_that_says_cancelled() {
    for point in ["completer-killed", "completer-handed-over"] {
        let (_engine, mut campaign) = with_one().await;
        campaign.allow_repeats();
        for component in ["starter", "notifier"] {
            campaign.system.spawn(component);
        }
        campaign.system.set(&[("CRASH_POINTS", &format!("{point}=kill"))]);
        campaign.system.spawn("completer");
        campaign.system.until_running("it runs", |counts| counts.active == 1).await;
        let asked = run(&campaign.system, &["cancel", "one", "--no-wait"]).await;
        assert_eq!(asked.code, Some(3), "{asked:?}");
        campaign.system.until_ended("completer").await;
        campaign.system.set(&[("CRASH_POINTS", "")]);
        campaign.system.spawn("completer");
        campaign.prove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_refuses_the_kill_is_asked_again() {
    let (engine, mut campaign) = with_one().await;
    engine.inject(Call::Kill, Fault::Refuse(500, "cannot kill".to_owned()), 2);
    campaign.system.spawn("all");
    campaign.system.until_running("it runs", |counts| counts.active == 1).await;
    let told = run(&campaign.system, &["cancel", "one"]).await;
    assert_eq!(told.code, Some(0), "{told:?}; logs:\n{}", campaign.system.logs());
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn what_the_engine_never_tells_of_again_was_cancelled_in_the_end() {
    let (engine, mut campaign) = with_one().await;
    campaign.system.spawn("all");
    campaign.system.until_running("it runs", |counts| counts.active == 1).await;
    engine.inject(Call::Inspect, Fault::Refuse(500, "a broken layer".to_owned()), usize::MAX);
    let asked = run(&campaign.system, &["cancel", "one", "--no-wait"]).await;
    assert_eq!(asked.code, Some(3), "{asked:?}");
    engine.end_all(0);
    campaign.until_delivered(1).await;
    engine.clear_rules();
    campaign.prove().await;
}

/// With nobody there who could start it, a container waits; with `DONT_START_CONTAINER` it is never started by us.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_started_by_hand_ends_as_well() {
    let (engine, mut campaign) = with_one().await;
    campaign.system.set(&[("DONT_START_CONTAINER", "yes")]);
    campaign.system.spawn("all");
    campaign.system.until_running("it was prepared", |counts| counts.active == 1).await;
    let told = run(&campaign.system, &["cancel", "one"]).await;
    assert_eq!(told.code, Some(0), "{told:?}; logs:\n{}", campaign.system.logs());
    assert_eq!(engine.stats().started, 0);
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_tried_again_ends_at_once() {
    let (engine, mut campaign) = with_one().await;
    engine.inject(Call::Create, Fault::Refuse(500, "no space left on device".to_owned()), usize::MAX);
    campaign.system.spawn("all");
    let system = &campaign.system;
    let retried = async || {
        let counts = system.redis.queue(PENDING_QUEUE).counts().await.expect("Redis answers");
        (counts.delayed == 1).then_some(())
    };
    system.until("it is tried again later", retried).await;
    let told = run(system, &["cancel", "one"]).await;
    assert_eq!(told.code, Some(0), "{told:?}; logs:\n{}", system.logs());
    campaign.prove().await;
}

/// What a completer put back since the host failed it waits for its next run under an id of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_be_run_again_is_not_where_it_was_cancelled() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut campaign = Campaign::of(System::prepare_on(&engine).await);
    let mut data = simulated(&campaign.system, "one", 1, 1);
    data["runner"] = serde_json::json!({ "runs": 1 });
    let again = NewJob {
        id: Some(JobId::new("rerun-of-a-correction")),
        name: "Correction one".into(),
        data: data.to_string(),
        options: JobOptions { delay: Duration::from_secs(3600), ..JobOptions::default() },
    };
    campaign.expect_result("one", Expected::Outcome("cancelled"));
    campaign.system.redis.queue(PENDING_QUEUE).add(&again).await.expect("added");
    campaign.system.spawn("all");
    let told = run(&campaign.system, &["cancel", "one", "--json"]).await;
    assert_eq!((told.code, &told.json()["corrections"][0]["was"]), (Some(0), &"delayed".into()), "{told:?}");
    campaign.prove().await;
    assert_eq!(engine.stats().started, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_correction_of_the_originals_starter_is_cancelled_too() {
    let mut system = System::prepare().await;
    system.set(&[("CONTAINER_PROFILE", "original"), ("SWEEP_INTERVAL", "1s")]);
    system.spawn_node("starter", "bullmq5");
    system.spawn("completer");
    system.spawn("notifier");
    system.submit(&system.job("foreign", "sleep 3600")).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    let told = run(&system, &["cancel", "foreign"]).await;
    assert_eq!(told.code, Some(0), "{told:?}; logs:\n{}", system.logs());
    let result = system.result("foreign").await.json();
    assert_eq!(result["outcome"], "cancelled", "{result}");
    system.until_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_component_of_the_original_holds_is_said_to_heed_nothing() {
    let mut system = System::prepare().await;
    system.set(&[("CONTAINER_PROFILE", "original")]);
    system.spawn("starter");
    system.spawn_node("completer", "bullmq5");
    system.submit(&system.job("foreign", "sleep 20; echo '{\"success\":true,\"grade\":4}'")).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    let told = run(&system, &["cancel", "foreign", "--no-wait"]).await;
    assert_eq!(told.code, Some(3), "{told:?}");
    assert!(told.stdout.contains("heeds no cancelling"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_means_two_corrections_is_refused_until_it_is_said_which() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    // The first has the id 1; the second has the work_id 1.
    system.submit(&simulated(&system, "first", 1, 1)).await;
    let mut second = simulated(&system, "second", 1, 1);
    second["work_id"] = 1.into();
    system.submit(&second).await;
    let told = run(&system, &["cancel", "1"]).await;
    assert_eq!(told.code, Some(64), "{told:?}");
    assert!(told.stderr.contains("--by work-id") && told.stderr.contains("--by job-id"), "{told:?}");
    let told = run(&system, &["cancel", "1", "--by", "work-id", "--json"]).await;
    assert_eq!((told.code, &told.json()["corrections"][0]["job_id"]), (Some(0), &"2".into()), "{told:?}");
    for name in ["first", "first"] {
        system.submit(&simulated(&system, name, 1, 1)).await;
    }
    let told = run(&system, &["cancel", "first"]).await;
    assert!(told.code == Some(64) && told.stderr.contains("--all"), "{told:?}");
    let told = run(&system, &["cancel", "first", "--all", "--json"]).await;
    let all = told.json()["corrections"].as_array().map(Vec::len);
    assert_eq!((told.code, all), (Some(0), Some(3)), "{told:?}");
    let told = run(&system, &["cancel", "nobody"]).await;
    assert!(told.code == Some(1) && told.stdout.contains("no correction nobody"), "{told:?}");
    until_pending(&system, "nothing is left", |active| active == 0).await;
}
