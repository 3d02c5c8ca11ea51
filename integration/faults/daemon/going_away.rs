//! dockerd asked to stop, or killed, while containers run, while they end and when they just ended.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::super::campaign::Expected;
use super::super::figures::note;
use super::{Gate, Host, WAITING};
use crate::support::second_engine::SecondEngine;

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
    let _ = Command::new("kill").arg("-9").args(&pids).status().await.expect("kill runs");
}

/// One time that the engine is away: with corrections that run all the while, that end in this moment,
/// and that ended just before without anybody having heard of it. Waits for all results, and each is the grade:
/// what the engine ended, or what it swallowed, is run again.
async fn absence(host: &mut Host, way: Way, away: Duration, row: &str) {
    let before = host.campaign.submitted();
    let mut through = Vec::new();
    for number in 0..2 {
        let name = format!("through-{before}-{number}");
        through.push(host.submit_waiting(&name, Expected::Grade(7)).await);
    }
    let mut ending = Vec::new();
    for number in 0..2 {
        let name = format!("ending-{before}-{number}");
        ending.push(host.submit_waiting(&name, Expected::Grade(7)).await);
    }
    let mut ended = Vec::new();
    for number in 0..2 {
        let name = format!("ended-{before}-{number}");
        ended.push((host.submit_waiting(&name, Expected::Grade(7)).await, name));
    }
    host.until_running(6).await;
    host.campaign.system.signal("all", "STOP").await;
    for (gate, name) in &ended {
        gate.open();
        host.container(name, "exited").await;
    }
    for gate in &ending {
        gate.open();
    }
    way.end(&mut host.engine).await;
    host.campaign.system.signal("all", "CONT").await;
    sleep(away).await;
    host.engine.run().await;
    let back = Instant::now();
    for gate in &through {
        gate.open();
    }
    host.campaign.until_delivered(before + 6).await;
    let after = format!("{:.1} s", back.elapsed().as_secs_f64());
    note(row, &format!("away for {away:?}: all results after its return"), after);
}

/// Several such times, one after the other.
async fn absences(way: Way, seconds: &[u64], row: &str) {
    let mut host = Host::start(&[], &[]).await;
    for seconds in seconds {
        absence(&mut host, way, Duration::from_secs(*seconds), row).await;
    }
    host.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_loses_no_correction_and_what_it_ended_is_run_again() {
    absences(Way::Kill, &[0, 3], "dockerd killed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_asked_to_stop_loses_no_correction_and_what_it_ended_is_run_again() {
    absences(Way::Stop, &[0], "dockerd stopped").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn an_engine_that_is_killed_again_and_again_loses_no_correction() {
    absences(Way::Kill, &[0, 3, 20, 0, 3, 0], "dockerd killed repeatedly").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn an_engine_that_is_stopped_again_and_again_loses_no_correction() {
    absences(Way::Stop, &[0, 3, 20, 0, 3, 0], "dockerd stopped repeatedly").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn an_engine_that_dies_with_all_its_shims_loses_no_correction() {
    absences(Way::PowerCut, &[1, 0, 3, 20], "power cut").await;
}

/// While it goes down it tells deaths and answers over the connections that it has.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn who_was_stopped_by_an_engine_that_took_long_to_stop_is_run_again() {
    let mut host = Host::start(&[], &[]).await;
    let mut gates = Vec::new();
    for number in 0..4 {
        gates.push(host.submit_waiting(&format!("through-{number}"), Expected::Grade(7)).await);
    }
    // It does not listen to SIGTERM, so that the engine waits 10 s for it after the others ended.
    let stubborn = host.campaign.system.job("stubborn", &format!("trap '' TERM\n{WAITING}"));
    host.campaign.submit_one("stubborn", &stubborn, Expected::Grade(7)).await;
    gates.push(Gate::of(&stubborn));
    host.until_running(5).await;
    host.engine.stop().await;
    host.engine.run().await;
    for gate in &gates {
        gate.open();
    }
    host.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn what_a_machine_that_is_shut_down_ended_is_run_again_once_it_is_started() {
    let mut host = Host::start(&[], &[]).await;
    let mut through = Vec::new();
    for number in 0..3 {
        through.push(host.submit_waiting(&format!("through-{number}"), Expected::Grade(7)).await);
    }
    let gate = host.submit_waiting("ended", Expected::Grade(7)).await;
    host.until_running(4).await;
    host.campaign.system.stop("all").await;
    gate.open();
    host.container("ended", "exited").await;
    host.engine.stop().await;
    host.engine.run().await;
    host.campaign.system.spawn("all");
    for gate in &through {
        gate.open();
    }
    host.prove().await;
}

/// With live-restore containers run on without their dockerd, and their graders never notice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn with_live_restore_what_runs_on_gets_its_own_result() {
    let mut host = Host::start(&["--live-restore"], &[]).await;
    for (way, away) in [(Way::Kill, 0), (Way::Stop, 3), (Way::Kill, 5)] {
        let before = host.campaign.submitted();
        let mut through = Vec::new();
        for number in 0..3 {
            let name = format!("through-{before}-{number}");
            through.push(host.submit_waiting(&name, Expected::Grade(7)).await);
        }
        let name = format!("meanwhile-{before}");
        let meanwhile = host.submit_waiting(&name, Expected::Grade(7)).await;
        host.until_running(4).await;
        way.end(&mut host.engine).await;
        meanwhile.open();
        sleep(Duration::from_secs(away)).await;
        host.engine.run().await;
        // Its socket is there before it has taken its containers up again, and until then outputs are lost.
        host.engine.docker(&["ps"]).await;
        for gate in &through {
            gate.open();
        }
        host.campaign.until_delivered(before + 4).await;
    }
    host.prove().await;
}
