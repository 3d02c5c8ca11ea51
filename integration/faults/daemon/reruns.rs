//! Corrections that the engine fails again and again, that nobody may run again, and that are killed by a person.

use super::super::campaign::Expected;
use super::{Gate, Host};

/// Kills the shim of a correction's container once it runs, and gives that container.
async fn fail(host: &Host, name: &str, before: Option<&str>) -> String {
    let other = async || {
        let container = host.container(name, "running").await;
        (before != Some(container.as_str())).then_some(container)
    };
    let container = host.campaign.system.until(&format!("{name} runs"), other).await;
    host.kill_shim_of(&container).await;
    container
}

async fn text_of(host: &Host, name: &str) -> String {
    let body = host.campaign.system.result(name).await.json();
    body["error"].as_str().unwrap_or_else(|| panic!("no failure: {body}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_fails_each_time_is_told_with_the_number_of_runs() {
    let mut host = Host::start(&[], &[("CONTAINER_RERUNS", "1")]).await;
    host.submit_endless("unlucky", Expected::Outcome("engine_unavailable")).await;
    let lucky = host.submit_waiting("lucky", Expected::Grade(7)).await;
    let first = fail(&host, "unlucky", None).await;
    fail(&host, "lucky", None).await;
    fail(&host, "unlucky", Some(&first)).await;
    let text = text_of(&host, "unlucky").await;
    assert!(text.contains("run 2 times") && text.contains("Docker engine went away"), "{text}");
    lucky.open();
    host.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_further_runs_and_where_a_person_ends_a_container_it_is_told_at_once() {
    let mut host = Host::start(&[], &[("CONTAINER_RERUNS", "0")]).await;
    host.submit_endless("failed", Expected::Outcome("engine_unavailable")).await;
    fail(&host, "failed", None).await;
    let text = text_of(&host, "failed").await;
    assert!(!text.contains("times"), "{text}");
    host.campaign.system.stop("all").await;
    host.campaign.system.set(&[("CONTAINER_RERUNS", "2")]);
    host.campaign.system.spawn("all");
    host.submit_endless("killed", Expected::Outcome("killed")).await;
    let silent = host.campaign.system.job("silent", "exit 3");
    host.campaign.submit_one("silent", &silent, Expected::Outcome("no_verdict")).await;
    let container = host.container("killed", "running").await;
    host.engine.docker(&["kill", &container]).await;
    host.prove().await;
}

/// The whole runner dies with its correction half way back, too, and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_dies_while_it_puts_a_correction_back_runs_it_again_once() {
    for point in ["completer-rerunning", "completer-reran"] {
        let mut host = Host::start(&[], &[("CRASH_POINTS", &format!("{point}=kill"))]).await;
        host.campaign.system.set(&[("CRASH_POINTS", "")]);
        let job = host.campaign.system.job("again", super::WAITING);
        host.campaign.submit_one("again", &job, Expected::Grade(7)).await;
        fail(&host, "again", None).await;
        let died = async |host: &mut Host| host.campaign.system.ended("all");
        let started = tokio::time::Instant::now();
        while died(&mut host).await.is_none() {
            assert!(
                started.elapsed() < super::super::super::support::system::PATIENCE,
                "it does not die at {point}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Gate::of(&job).open();
        host.campaign.system.spawn("all");
        host.prove().await;
    }
}
