//! Redis dies, loses its last second, stalls, refuses, cuts connections, swallows replies, forgets keys.

mod append_only;
mod away;
mod connections;
mod forgotten;
mod lost_replies;
mod lost_second;
mod power_cuts;
mod refusals;
mod relay;
mod wire;

use std::time::Duration;

use super::campaign::Campaign;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// How an append-only file is kept that loses nothing that was answered.
const ALWAYS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];
/// How one is kept that a power cut takes the last second of; it is never rewritten, so that its place
/// does not change.
const EVERY_SECOND: &[&str] =
    &["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"];

/// A runner that is not started yet on a simulated engine, with options of `redis-server`.
async fn prepare(options: &[&str]) -> (SimulatedEngine, Campaign) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_with_redis(options).await;
    system.use_engine(engine.socket());
    system.set(&[("SWEEP_INTERVAL", "2s"), ("CONCURRENT_STARTERS", "16"), ("MAX_RUNNING", "0")]);
    (engine, Campaign::of(system))
}

/// The same, started.
async fn start(options: &[&str]) -> (SimulatedEngine, Campaign) {
    let (engine, mut campaign) = prepare(options).await;
    campaign.system.spawn("all");
    // Else a file that is cut before the first submission would have lost the installation's id too.
    let asked = &["EXISTS", "bull:correction-runner:instance"];
    let known = async || (campaign.system.ask(asked).await == "1").then_some(());
    campaign.system.until("the installation has an id", known).await;
    (engine, campaign)
}

/// Lets time pass in which a fault lasts: that is the fault, and no synchronisation.
async fn lasts(time: Duration) {
    tokio::time::sleep(time).await;
}

/// From now until a result comes that was not there yet; nothing where all have come.
async fn until_next_result(campaign: &Campaign) -> Duration {
    let before = campaign.system.receiver.all().len();
    if campaign.outstanding().is_empty() {
        return Duration::ZERO;
    }
    let started = tokio::time::Instant::now();
    campaign.until_delivered(before + 1).await;
    started.elapsed()
}
