//! One bad image harms one image: a hundred submissions of an image that cannot be pulled or started, and good ones
//! between them.

use std::time::Duration;

use serde_json::json;

use super::campaign::{Campaign, Expected};
use crate::support::simulated_engine::{Call, Fault, Options, Present, Rule, SimulatedEngine, script};
use crate::support::system::System;
use crate::watching::{address_of, until_sample, watched};

const GOOD: &str = "good/grader:1";
const BAD: &str = "bad/grader:1";
const OF_BAD: u64 = 100;
const OF_GOOD: u64 = 20;

/// An engine that has the images, and a starter with eight slots: the settings' default.
async fn row(images: &[&str], settings: &[(&str, &str)]) -> (SimulatedEngine, Campaign) {
    let present = Present::Only(images.iter().map(|image| (*image).to_owned()).collect());
    let engine = SimulatedEngine::start(Options { images: present, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("CONCURRENT_STARTERS", "8")]);
    watched(&mut system);
    system.set(settings);
    (engine, Campaign::of(system))
}

/// Submits five bad ones and one good one by turns, and only then starts the runner.
async fn submit_interleaved(campaign: &mut Campaign, of_bad: &Expected) {
    for number in 0..OF_BAD + OF_GOOD {
        let is_good = number % 6 == 5;
        let (name, image) = if is_good { (format!("g{number}"), GOOD) } else { (format!("b{number}"), BAD) };
        let verdict = format!(r#"{{"success":true,"grade":{number}}}"#);
        let mut data = campaign.system.job(&name, "");
        data["image"] = json!(image);
        data["params"] = json!([format!("{}=0", script::RUN_MS), format!("{}={verdict}", script::STDOUT)]);
        let expected = match of_bad {
            Expected::Grade(_) => Expected::Grade(number),
            other if !is_good => other.clone(),
            _ => Expected::Grade(number),
        };
        campaign.submit_one(&name, &data, expected).await;
    }
    campaign.system.spawn("all");
}

fn goes_wrong(engine: &SimulatedEngine, call: Call, fault: Fault, left: usize) {
    engine.add_rule(Rule { call: Some(call), container: Some("bad/".to_owned()), fault, left });
}

/// Waits for that, and until it is told that the other image's submissions wait, and why.
async fn until_good_are_started(
    engine: &SimulatedEngine,
    campaign: &Campaign,
    held: &str,
) -> crate::support::simulated_engine::Stats {
    let started = engine.until(|stats| stats.started_of.get(GOOD) == Some(&OF_GOOD));
    let started = tokio::time::timeout(crate::support::system::PATIENCE, started);
    let address = address_of(&campaign.system, "all").await;
    let sample = format!("correction_runner_images_held{{state=\"{held}\"}}");
    let told = until_sample(&campaign.system, &address, &sample, |images| images > 0.0);
    let (stats, ()) = tokio::join!(started, told);
    stats.expect("the good ones are started")
}

/// Waits until the process has counted this.
async fn until_counted(campaign: &Campaign, sample: &str) {
    let address = address_of(&campaign.system, "all").await;
    until_sample(&campaign.system, &address, sample, |number| number > 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn good_images_are_started_while_a_silent_registry_is_waited_for() {
    let settings = [("DOCKER_PULL", "yes"), ("DOCKER_PULL_TIMEOUT", "12s")];
    let (engine, mut campaign) = row(&[GOOD], &settings).await;
    engine.allow_pull(BAD);
    goes_wrong(&engine, Call::Pull, Fault::Hang, 1);
    submit_interleaved(&mut campaign, &Expected::Grade(0)).await;
    let stats = until_good_are_started(&engine, &campaign, "pulling").await;
    assert_eq!((stats.calls(Call::Pull), stats.started), (1, OF_GOOD), "the first pull is still waited for");
    // Each asked once whether the image is here, at most.
    assert!(stats.calls(Call::Create) <= OF_GOOD + 16, "{}", stats.calls(Call::Create));
    until_counted(&campaign, "correction_runner_stage_duration_seconds_count{stage=\"pull\"}").await;
    campaign.prove().await;
    assert_eq!(engine.stats().calls(Call::Pull), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_images_are_started_while_a_registry_refuses_and_all_who_asked_are_told() {
    let (engine, mut campaign) = row(&[GOOD], &[("DOCKER_PULL", "yes")]).await;
    goes_wrong(&engine, Call::Pull, Fault::Delay(Duration::from_millis(300)), usize::MAX);
    submit_interleaved(&mut campaign, &Expected::Outcome("image_not_found")).await;
    campaign.prove().await;
    let stats = engine.stats();
    assert!(stats.calls(Call::Pull) <= 20, "one answer serves many: {}", stats.calls(Call::Pull));
    assert_eq!(stats.started, OF_GOOD);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_images_are_started_while_containers_of_another_cannot_be_made() {
    let (engine, mut campaign) = row(&[GOOD, BAD], &[]).await;
    let cannot = Fault::Refuse(500, "devmapper: this image cannot be unpacked".to_owned());
    goes_wrong(&engine, Call::Create, cannot, usize::MAX);
    submit_interleaved(&mut campaign, &Expected::Grade(0)).await;
    let stats = until_good_are_started(&engine, &campaign, "failing").await;
    until_counted(&campaign, "correction_runner_docker_call_errors_total{call=\"create\",kind=\"failed\"}")
        .await;
    // As many as were under way together, and a few that tried again.
    assert!(stats.calls(Call::Create) <= OF_GOOD + 16, "{}", stats.calls(Call::Create));
    engine.clear_rules();
    campaign.prove().await;
    assert_eq!(engine.stats().max_starts_of_one, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn good_images_are_started_while_starts_of_another_hang() {
    let (engine, mut campaign) = row(&[GOOD, BAD], &[("DOCKER_TIMEOUT", "12s")]).await;
    goes_wrong(&engine, Call::Start, Fault::Hang, usize::MAX);
    submit_interleaved(&mut campaign, &Expected::Grade(0)).await;
    let stats = until_good_are_started(&engine, &campaign, "hanging").await;
    let of_bad = stats.calls(Call::Start) - OF_GOOD;
    assert!(of_bad <= 16, "no more hang than there is room for twice: {of_bad}");
    assert_eq!(stats.started, OF_GOOD);
    engine.clear_rules();
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_back_for_too_long_is_told_why() {
    let (engine, mut campaign) = row(&[GOOD, BAD], &[("START_RETRY_FOR", "3s")]).await;
    let cannot = Fault::Refuse(500, "devmapper: this image cannot be unpacked".to_owned());
    goes_wrong(&engine, Call::Create, cannot, usize::MAX);
    let either = Expected::Either(u64::MAX, &["start_failed", "image_suspended"]);
    submit_interleaved(&mut campaign, &either).await;
    campaign.until_delivered(campaign.submitted()).await;
    let all = campaign.system.receiver.all();
    let suspended = all.iter().filter(|one| one.json()["outcome"] == "image_suspended");
    let texts: Vec<_> = suspended.map(|one| one.json()["error"].to_string()).collect();
    assert!(!texts.is_empty() && (texts.len() as u64) < OF_BAD, "{}", texts.len());
    for text in texts {
        assert!(text.contains(BAD) && text.contains("cannot be unpacked"), "{text}");
    }
    campaign.prove().await;
}
