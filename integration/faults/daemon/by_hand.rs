//! What a person with the `docker` command line does to the runner's containers and images.

use std::time::Duration;

use super::super::campaign::Expected;
use super::Host;
use crate::support::docker::GRADER_IMAGE;

/// The end is told as what it was, and only that correction feels it.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_killed_stopped_removed_or_restarted_by_hand_ends_its_own_correction_alone() {
    let mut host = Host::start(&[], &[]).await;
    let other = host.submit_waiting("other", Expected::Grade(7)).await;
    let renamed = host.submit_waiting("renamed", Expected::Grade(7)).await;
    let commands: [(&str, &[&str]); 3] =
        [("killed", &["kill"]), ("stopped", &["stop"]), ("removed", &["rm", "-f"])];
    for (name, _) in commands {
        host.submit_endless(name, Expected::Outcome("killed")).await;
    }
    // Its second run is nobody's: what it prints comes too late, or just in time.
    let restarted = host.campaign.system.job("restarted", "sleep 2; echo '{\"success\":true,\"grade\":7}'");
    host.campaign.submit_one("restarted", &restarted, Expected::Either(7, &["killed"])).await;
    let container = host.container("restarted", "running").await;
    host.engine.docker(&["restart", &container]).await;
    let container = host.container("renamed", "running").await;
    host.engine.docker(&["rename", &container, "somebody-elses-name"]).await;
    for (name, command) in commands {
        let container = host.container(name, "running").await;
        host.engine.docker(&[command, &[container.as_str()]].concat()).await;
    }
    host.campaign.until_delivered(4).await;
    other.open();
    renamed.open();
    host.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_paused_by_hand_goes_on_when_unpaused_and_ends_when_its_time_is_up() {
    let mut host = Host::start(&[], &[("CONTAINER_TIMEOUT", "12s")]).await;
    let unpaused = host.submit_waiting("unpaused", Expected::Grade(7)).await;
    host.submit_endless("paused", Expected::Outcome("timeout")).await;
    for name in ["unpaused", "paused"] {
        let container = host.container(name, "running").await;
        host.engine.docker(&["pause", &container]).await;
    }
    unpaused.open();
    let container = host.container("unpaused", "paused").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    host.engine.docker(&["unpause", &container]).await;
    host.prove().await;
}

/// What waits for its collection is gone then, and with it what the grader printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_prune_and_an_image_removed_by_hand_lose_no_correction() {
    let mut host = Host::start(&[], &[]).await;
    let ended = host.submit_waiting("ended", Expected::Outcome("killed")).await;
    let running = host.submit_waiting("running", Expected::Grade(7)).await;
    host.until_running(2).await;
    host.campaign.system.signal("all", "STOP").await;
    ended.open();
    host.container("ended", "exited").await;
    host.engine.docker(&["system", "prune", "-f"]).await;
    host.campaign.system.signal("all", "CONT").await;
    host.campaign.until_delivered(1).await;
    // Refused while it is in use; what is forced takes the name away, and the container runs on.
    host.engine.docker(&["rmi", "-f", GRADER_IMAGE]).await;
    let data = host.campaign.system.job("without-image", "");
    host.campaign.submit_one("without-image", &data, Expected::Outcome("image_not_found")).await;
    host.campaign.until_delivered(2).await;
    host.engine.import(GRADER_IMAGE).await;
    host.submit(Duration::ZERO).await;
    running.open();
    host.campaign.until_delivered(4).await;
    // What was delivered waits 2 s for its removal: a prune is quicker.
    host.engine.docker(&["system", "prune", "-f"]).await;
    host.prove().await;
}
