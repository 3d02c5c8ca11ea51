//! The engine's disk is full: when containers are to be made, and when they run and print.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::super::campaign::Expected;
use super::{ENGINES, Host};
use crate::support::second_engine::SecondEngine;

const DISK: u64 = 64 << 20;

/// A runner on an engine whose disk is small.
async fn start() -> Host {
    let turn = ENGINES.acquire().await.expect("never closed");
    let engine = SecondEngine::on_disk_of(DISK).await;
    Host::on(engine, turn, &[]).await
}

/// Fills the engine's disk to the last byte, with a file that can be deleted again.
fn fill(host: &Host) -> PathBuf {
    let path = host.engine.file("data/full");
    let mut file = std::fs::File::create(&path).expect("a file");
    for size in [1 << 20, 4096, 1] {
        let zeros = vec![0_u8; size];
        while file.write_all(&zeros).is_ok() {}
    }
    path
}

fn is_full(host: &Host) -> bool {
    host.campaign.system.logs().contains("no space left on device")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_delays_a_start_and_fails_no_submission() {
    let mut host = start().await;
    let before = host.submit_waiting("before", Expected::Grade(7)).await;
    host.container("before", "running").await;
    let full = fill(&host);
    for number in 0..3 {
        let name = format!("refused-{number}");
        host.submit_waiting(&name, Expected::Grade(7)).await.open();
    }
    host.campaign
        .system
        .until("the engine says that it is full", async || is_full(&host).then_some(()))
        .await;
    assert!(host.campaign.system.receiver.all().is_empty(), "nobody is told of it");
    std::fs::remove_file(full).expect("it can be deleted");
    before.open();
    host.prove().await;
}

/// Docker 20.10 drops what it cannot write, tells no death and lists the container as running for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_swallowed_is_run_again_once_there_is_room() {
    let mut host = start().await;
    let mut gates = Vec::new();
    for number in 0..2 {
        let name = format!("prints-{number}");
        gates.push(host.submit_waiting(&name, Expected::Grade(7)).await);
    }
    let later = host.submit_waiting("later", Expected::Grade(7)).await;
    host.until_running(3).await;
    // Once a later one is through, the completer has done with its first look at these.
    host.submit(Duration::ZERO).await;
    host.campaign.until_delivered(1).await;
    let full = fill(&host);
    for gate in &gates {
        gate.open();
    }
    let put_back = async || {
        let count = host.campaign.system.logs().matches("it is run again").count();
        (count == gates.len()).then_some(())
    };
    host.campaign.system.until("both are to be run again", put_back).await;
    assert_eq!(host.campaign.system.receiver.all().len(), 1, "nobody is told of it");
    std::fs::remove_file(full).expect("it can be deleted");
    later.open();
    host.prove().await;
}
