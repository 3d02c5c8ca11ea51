//! Bytes in Redis per correction: while it runs, and after its end for as long as anything of it is kept.

use std::time::{Duration, Instant};

use super::vitals::used_memory;
use crate::faults::campaign::Campaign;
use crate::faults::figures::note;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// More than Redis keeps of ended jobs and of events at defaults, so that only what is kept by time grows.
const WARM_UP: usize = 6_000;
const MEASURED: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_correction_costs_few_bytes_in_redis_while_it_runs_and_fewer_after_its_end() {
    let row = "bytes in Redis per correction";
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("CONCURRENT_STARTERS", "32"), ("LOG_LEVEL", "info")]);
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    let begun = Instant::now();
    for _ in 0..WARM_UP / 500 {
        campaign.submit(500, Duration::ZERO).await;
        campaign.until_delivered(campaign.submitted()).await;
    }
    let before = settled(&campaign).await;
    for _ in 0..MEASURED / 500 {
        campaign.submit(500, Duration::ZERO).await;
        campaign.until_delivered(campaign.submitted()).await;
    }
    let after = settled(&campaign).await;
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let per = |bytes: f64, count: usize| bytes / count as f64;
    let ended = per(after - before, MEASURED);
    campaign.submit(1000, Duration::from_secs(3600)).await;
    campaign.system.until_running("all are held", |counts| counts.active == 1000).await;
    let running = per(settled(&campaign).await - after, 1000);
    note(row, "while it runs", format!("{running:.0}"));
    note(row, "after its end (a day, then the note of its end for a week)", format!("{ended:.0}"));
    note(row, "corrections in this row", format!("{} in {:.0?}", campaign.submitted(), begun.elapsed()));
    assert!(running < 8192.0 && ended < 3072.0, "{running} {ended}");
    engine.end_all(0);
    campaign.prove().await;
}

/// What Redis uses once nothing changes any more.
async fn settled(campaign: &Campaign) -> f64 {
    let mut last = 0.0;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let used = used_memory(&campaign.system).await.expect("Redis answers");
        if (used - last).abs() < 20_000.0 {
            return used;
        }
        last = used;
    }
}
