//! Faults of the engine that only a simulated one can be made to show, each under load through the whole
//! real binary: one right result each, in a time that a user would accept, and nothing started twice.

mod collecting;
mod killing;
mod looks;
mod orders;
mod outages;
mod removing;
mod shapes;
mod slowness;
mod starting;
mod streams;
mod times;

use std::time::Duration;

use tokio::time::Instant;

use super::campaign::{BROKEN_PROMISE, Campaign};
use crate::support::simulated_engine::{Options, SimulatedEngine, Stats};
use crate::support::system::System;
use crate::watching::{address_of, until_sample, watched};

/// The run time of a container that a test ends.
const AN_HOUR: Duration = Duration::from_secs(3600);
/// What a machine that is busy with other tests may add to any time.
const BUSY: Duration = Duration::from_secs(15);
/// A sweep that comes too late for any test: what is found is found otherwise.
const NO_SWEEP: (&str, &str) = ("SWEEP_INTERVAL", "1h");
/// A sweep that is soon here.
const SWEEP: (&str, &str) = ("SWEEP_INTERVAL", "1s");
/// How long [`SWEEP`] takes at the most.
const A_SWEEP: Duration = Duration::from_secs(2);

/// A row: an engine, and the whole runner on it.
struct Row {
    engine: SimulatedEngine,
    campaign: Campaign,
    held: u64,
}

impl Row {
    /// The runner as one process, on an engine like Docker's.
    async fn with(settings: &[(&str, &str)]) -> Self {
        Self::on(Options::default(), settings).await
    }

    /// The same on an engine of a kind.
    async fn on(options: Options, settings: &[(&str, &str)]) -> Self {
        let engine = SimulatedEngine::start(options).await;
        let mut system = System::prepare_on(&engine).await;
        watched(&mut system);
        system.set(settings);
        system.spawn("all");
        Self { engine, campaign: Campaign::of(system), held: 0 }
    }

    /// Submits corrections that run for a time.
    async fn submit(&mut self, count: usize, run_time: Duration) {
        self.campaign.submit(count, run_time).await;
    }

    /// Submits corrections that run until the test ends them, and waits until the completer holds them.
    async fn hold(&mut self, count: usize) {
        self.campaign.submit(count, AN_HOUR).await;
        self.held += count as u64;
        let held = self.held;
        self.campaign.system.until_running("all are held", |counts| counts.active == held).await;
    }

    /// Ends what is held.
    fn end_all(&mut self) {
        let ended = self.engine.end_all(0) as u64;
        assert!(ended >= self.held, "only {ended} ran of {}", self.held);
        self.held = 0;
    }

    /// All that was submitted has its result, so long after `since` at the latest.
    async fn delivered_within(&self, limit: Duration, since: Instant) {
        let all = self.campaign.submitted();
        self.campaign.until_delivered(all).await;
        let took = since.elapsed();
        assert!(took <= limit, "{took:?} and not {limit:?}; logs:\n{}", self.campaign.system.logs());
    }

    /// The process has counted this.
    async fn has_counted(&self, sample: &str) {
        let system = &self.campaign.system;
        until_sample(system, &address_of(system, "all").await, sample, |number| number > 0.0).await;
    }

    /// No container is left, so long after `since` at the latest.
    async fn clean_within(&self, limit: Duration, since: Instant) {
        self.campaign.system.until_clean().await;
        let took = since.elapsed();
        assert!(took <= limit, "{took:?} and not {limit:?}; logs:\n{}", self.campaign.system.logs());
    }

    /// Proves the total, and that no start was asked for twice.
    async fn prove(self) -> Stats {
        let stats = self.prove_whoever_started().await;
        assert!(stats.max_starts_of_one <= 1, "{BROKEN_PROMISE}: {stats:?}");
        stats
    }

    /// Proves the total where somebody else started containers too.
    async fn prove_whoever_started(self) -> Stats {
        let Self { engine, campaign, .. } = self;
        campaign.prove().await;
        let (stats, left) = (engine.stats(), engine.containers());
        assert!(left.is_empty() && stats.alive == 0, "{left:?} {stats:?}");
        stats
    }
}
