//! A power cut takes the last second of an append-only file that is flushed each second, under load:
//! submissions of that second may be gone, as Redis says itself; nothing that had a container may be.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use correction_runner::job::RUNNING_QUEUE;

use super::append_only::AppendOnlyFile;
use super::wire::Wire;
use super::{ALWAYS, EVERY_SECOND, lasts, start};
use crate::faults::campaign::Campaign;
use crate::faults::figures::note;
use crate::support::redis::RedisServer;
use crate::support::simulated_engine::SimulatedEngine;

/// What everysec has not flushed yet.
const LAST: Duration = Duration::from_secs(1);
/// For so long, at most, Redis answers and does not even write, while the disk is busy with a flush.
const PUT_OFF: Duration = Duration::from_secs(2);
/// How exactly it is known when the file had which size.
const BLUR: Duration = Duration::from_millis(50);

/// The names of the corrections that have a container now.
fn with_container(engine: &SimulatedEngine) -> BTreeSet<String> {
    let name = |label: &String| label.trim_matches('"').to_owned();
    let containers = engine.containers();
    containers.iter().filter_map(|one| one.labels.get("org.correctomatic.work_id").map(name)).collect()
}

/// Load, the death of Redis and, where the file is given, a cut of its last second. Answers how many
/// submissions were not answered.
async fn cut(
    campaign: &mut Campaign,
    engine: &SimulatedEngine,
    file: Option<&AppendOnlyFile>,
    away: Duration,
) -> usize {
    let count = 600;
    let before = campaign.outstanding();
    let load = campaign.submit_until_refused(count, Duration::from_millis(400), Duration::from_millis(10));
    lasts(Duration::from_secs(4)).await;
    let moment = Instant::now();
    campaign.system.server.kill();
    let answered = load.await.expect("no panic");
    assert!(answered.len() > 10 && answered.len() < count, "{}", answered.len());
    let safe = with_container(engine);
    let delivered: BTreeSet<_> = campaign
        .system
        .receiver
        .all()
        .iter()
        .map(|one| one.path.trim_start_matches('/').to_owned())
        .collect();
    for name in &campaign.outstanding() - &before {
        let lost_second = answered.get(&name).is_none_or(|at| *at + LAST + PUT_OFF + BLUR >= moment);
        if lost_second && !safe.contains(&name) && !delivered.contains(&name) {
            campaign.may_be_lost(&name);
        }
    }
    if let Some(file) = file {
        file.cut_at(LAST, moment, 3);
    }
    lasts(away).await;
    campaign.system.server.restart();
    // A submission is sent once: none goes out on a connection of before the power cut.
    let running = campaign.system.redis.queue(RUNNING_QUEUE);
    let again = async || running.counts().await.ok();
    for _ in 0..8 {
        campaign.system.until("Redis answers", again).await;
    }
    count - answered.len()
}

async fn cuts(row: &str, power: bool, away: &[Duration]) {
    let (engine, mut campaign) = start(EVERY_SECOND).await;
    campaign.allow_repeats();
    let file = power.then(|| AppendOnlyFile::of(campaign.system.server.directory()));
    let mut unanswered = 0;
    for away in away {
        unanswered += cut(&mut campaign, &engine, file.as_ref(), *away).await;
    }
    // Their numbers are those of submissions that were lost.
    campaign.submit(20, Duration::from_millis(100)).await;
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), proof.results);
    let cuts = away.len();
    note(
        row,
        &format!("answered submissions lost, {cuts} cuts, each at up to 100/s"),
        proof.lost.saturating_sub(unanswered),
    );
    note(row, &format!("results repeated of {}", proof.results), proof.repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_takes_submissions_of_its_last_second_and_nothing_else() {
    cuts("power cut, everysec", true, &[Duration::ZERO]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_killed_while_its_disk_lags_takes_submissions_of_the_last_seconds_and_nothing_else() {
    cuts("Redis killed, everysec", false, &[Duration::ZERO; 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn power_cut_after_power_cut_takes_submissions_of_the_last_seconds_and_nothing_else() {
    let away = [Duration::ZERO, Duration::from_secs(4), Duration::ZERO, Duration::from_secs(20)];
    cuts("power cuts, everysec", true, &away).await;
}

/// How many answered writes are gone when Redis comes back: of those of two and a half seconds, one
/// after another.
async fn writes_lost(options: &[&str], power_cut: bool) -> (u64, u64) {
    let mut server = RedisServer::start(options);
    let file = power_cut.then(|| AppendOnlyFile::of(server.directory()));
    let mut wire = Wire::open(server.port()).await.expect("it listens");
    let begun = Instant::now();
    let mut answered = 0;
    while begun.elapsed() < Duration::from_millis(2500) {
        answered = wire.number("INCR written").await.expect("a number");
    }
    let moment = Instant::now();
    server.kill();
    if let Some(file) = file {
        file.cut_at(LAST, moment, 0);
    }
    server.restart();
    let mut wire = Wire::open(server.port()).await.expect("it listens");
    let kept = wire.number("INCR written").await.expect("a number") - 1;
    (answered - kept, answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_loses_of_what_it_answered_is_measured_for_each_append_only_mode() {
    let snapshots: &[&str] = &["--save", "1", "1"];
    let modes: [(&str, &[&str], bool); 5] = [
        ("always, killed", ALWAYS, false),
        ("everysec, killed", EVERY_SECOND, false),
        ("everysec, power cut", EVERY_SECOND, true),
        ("snapshots only (each second), killed", snapshots, false),
        ("nothing kept, killed", &[], false),
    ];
    let mut lost = Vec::new();
    for (mode, options, power_cut) in modes {
        let (gone, answered) = writes_lost(options, power_cut).await;
        note("acknowledged writes lost", mode, format!("{gone} of {answered} in 2.5 s"));
        lost.push((gone, answered));
    }
    // The second is 0 unless the disk was slow: Redis then answers before it writes.
    assert_eq!(lost[0].0, 0);
    assert!(lost[2].0 > 0 && lost[2].0 < lost[2].1 && lost[4].0 == lost[4].1, "{lost:?}");
}
