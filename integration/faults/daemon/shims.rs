//! What holds the containers dies, and dockerd does not: a shim, or containerd.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::super::campaign::Expected;
use super::super::figures::note;
use super::Host;

async fn kill(pid: u32) {
    let sent = Command::new("kill").args(["-9", &pid.to_string()]).status().await.expect("kill runs");
    assert!(sent.success(), "{pid} does not run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_whose_shim_is_killed_is_run_again_once_it_is_dead_and_harms_no_other() {
    let mut host = Host::start(&[], &[]).await;
    let without_shim = host.submit_waiting("without-shim", Expected::Grade(7)).await;
    let gate = host.submit_waiting("other", Expected::Grade(7)).await;
    host.until_running(2).await;
    let first = host.container("without-shim", "running").await;
    let process = host.process_of(&first).await;
    host.kill_shim_of(&first).await;
    let again = async || {
        let second = host.container("without-shim", "running").await;
        (second != first).then_some(())
    };
    host.campaign.system.until("it is run again", again).await;
    assert!(!Path::new(&format!("/proc/{process}")).exists(), "the first run lives on beside the second");
    without_shim.open();
    host.campaign.until_delivered(1).await;
    gate.open();
    host.prove().await;
}

/// Docker 20.10 starts containerd anew after 10 s; of what ended meanwhile it may never hear, and then says
/// that it runs until it is killed: such a correction gets its result, the right one, when its time is up.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn containerd_killed_loses_no_correction() {
    let mut host = Host::start(&[], &[("CONTAINER_TIMEOUT", "30s")]).await;
    let meanwhile = host.submit_waiting("meanwhile", Expected::Grade(7)).await;
    let later = host.submit_waiting("later", Expected::Grade(7)).await;
    let silent = host.campaign.system.job("silent", "sleep 3; exit 3");
    host.campaign.submit_one("silent", &silent, Expected::Outcome("no_verdict")).await;
    host.until_running(3).await;
    let containerd = std::fs::read_to_string(host.engine.file("exec/containerd/containerd.pid"));
    let old: u32 = containerd.expect("its id is written down").trim().parse().expect("a number");
    kill(old).await;
    let killed = Instant::now();
    meanwhile.open();
    let anew = async || {
        let pids = host.engine.processes("containerd.toml");
        pids.iter().any(|pid| *pid != old).then_some(())
    };
    host.campaign.system.until("containerd runs anew", anew).await;
    // It subscribes to containerd's events again a little later.
    tokio::time::sleep(Duration::from_secs(5)).await;
    later.open();
    host.campaign.system.result("later").await;
    host.submit(Duration::from_millis(100)).await;
    host.campaign.until_delivered(4).await;
    note("containerd killed", "all results after", format!("{:.0} s", killed.elapsed().as_secs_f64()));
    host.prove().await;
}
