//! dockerd asked to stop, or killed, while containers run, while they end and when they just ended.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::campaign::Expected;
use super::super::figures::note;
use super::Host;
use crate::support::second_engine::SecondEngine;

const AWAY: &str = "engine_unavailable";

/// How an engine is ended.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// SIGTERM: it stops its containers, and then itself.
    Stop,
    /// SIGKILL: the containers live on for now.
    Kill,
    /// All that it consists of dies at once, as with the machine; its traces are left.
    PowerCut,
}

impl Way {
    async fn end(self, engine: &mut SecondEngine) {
        match self {
            Self::Stop => engine.stop().await,
            Self::Kill => engine.kill().await,
            Self::PowerCut => {
                let shims = engine.processes("containerd-shim");
                let inside: Vec<u32> = shims.iter().flat_map(|shim| children(*shim)).collect();
                kill(&[engine.processes("dockerd"), shims, inside].concat()).await;
                engine.kill_and_leave_traces().await;
            }
        }
    }
}

/// The child processes of a process.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Kills processes, all in one go.
async fn kill(pids: &[u32]) {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    // One that was a child of another may be gone already.
    let _ = tokio::process::Command::new("kill").arg("-9").args(&pids).status().await.expect("kill runs");
}

/// One time that the engine is away: with corrections that run all the while, that end meanwhile, and
/// that ended just before without anybody having heard of it. Waits for all results.
async fn absence(host: &mut Host, way: Way, away: Duration, row: &str) {
    let before = host.campaign.submitted();
    let mut ended = Vec::new();
    for _ in 0..2 {
        let name = format!("endless-{}", host.campaign.submitted());
        host.submit_endless(&name, Expected::Outcome(AWAY)).await;
    }
    for run_time in [1500, 1600] {
        let name = host.submit(Duration::from_millis(run_time)).await;
        let grade = host.campaign.submitted() as u64;
        host.campaign.expect(&name, Expected::Either(grade, &[AWAY]));
    }
    for _ in 0..2 {
        ended.push(host.submit(Duration::from_millis(1000)).await);
    }
    host.until_running(6).await;
    host.campaign.system.signal("all", "STOP").await;
    for name in &ended {
        host.container(name, "exited").await;
    }
    way.end(&mut host.engine).await;
    host.campaign.system.signal("all", "CONT").await;
    sleep(away).await;
    host.engine.run().await;
    let back = Instant::now();
    host.campaign.until_delivered(before + 6).await;
    note(row, &format!("{way:?}, away {away:?}: all results after"), format!("{:.1?}", back.elapsed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_and_comes_back_loses_no_correction_and_is_told_at_fault() {
    let mut host = Host::start(&[], &[]).await;
    for away in [0, 3] {
        absence(&mut host, Way::Kill, Duration::from_secs(away), "dockerd killed").await;
    }
    host.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_asked_to_stop_and_comes_back_loses_no_correction_and_is_told_at_fault() {
    let mut host = Host::start(&[], &[]).await;
    for away in [0, 3] {
        absence(&mut host, Way::Stop, Duration::from_secs(away), "dockerd stopped").await;
    }
    host.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_dies_with_all_its_shims_loses_no_correction() {
    let mut host = Host::start(&[], &[]).await;
    absence(&mut host, Way::PowerCut, Duration::from_secs(1), "power cut").await;
    host.prove().await;
}
