//! Very many corrections that end at once, and a completer that goes while another comes.

use std::time::{Duration, Instant};

use super::campaign::Campaign;
use super::figures::note;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

const ROW: &str = "2,000 end at once";
const MANY: usize = 2_000;
const HOUR: Duration = Duration::from_secs(3600);

/// The benchmark `mass` measures the same with ten thousand; here it is proved that nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn thousands_that_end_at_once_arrive_once_each_though_one_completer_hands_over_to_another() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    // What is logged of each correction costs more than the correction.
    system.set(&[("LOG_LEVEL", "info"), ("MAX_RUNNING", "0"), ("CONCURRENT_STARTERS", "32")]);
    for component in ["starter", "notifier"] {
        system.spawn(component);
    }
    system.spawn_as("first", "completer");
    let mut campaign = Campaign::of(system);
    campaign.submit(MANY, HOUR).await;
    engine.until(|seen| seen.alive == MANY as u64).await;
    let held = |counts: &correction_runner::queue::Counts| counts.active == MANY as u64;
    campaign.system.until_running("the first completer holds them all", held).await;
    assert_eq!(engine.end_all(0), MANY);
    let ended = Instant::now();
    campaign.until_delivered(MANY / 20).await;
    campaign.system.spawn_as("second", "completer");
    let (code, took) = campaign.system.stop("first").await;
    assert_eq!(code, Some(0), "it stops as asked; logs:\n{}", campaign.system.logs());
    note(ROW, "graceful stop of a completer in the middle of it", format!("{} ms", took.as_millis()));
    campaign.until_delivered(MANY).await;
    note(ROW, "from the deaths to the last result", format!("{} ms", ended.elapsed().as_millis()));
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (MANY, 0));
}
