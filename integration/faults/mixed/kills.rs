//! Members of a mixed fleet that die, sleep past their locks, lose Redis: nothing is lost.

use std::time::Duration;

use super::fleet::Fleet;
use super::tally::Tally;

const RUN_TIME: Duration = Duration::from_millis(300);

/// Both shared queues have a worker of each kind; running is never shared with the original (DESIGN 4).
const AROUND_OUR_COMPLETER: [&str; 7] = [
    "starter-ours",
    "starter-bullmq5",
    "starter-bullmq6",
    "completer-ours",
    "notifier-ours",
    "notifier-bullmq5",
    "notifier-bullmq6",
];

/// Kills each of them under load, then all connections to Redis, then Redis.
async fn everything_dies_once(fleet: &mut Fleet, members: &[&str]) {
    for member in members {
        fleet.submit(4, RUN_TIME).await;
        fleet.engine.until(|stats| stats.alive > 0).await;
        fleet.kill(member).await;
    }
    for _ in 0..10 {
        fleet.submit(1, RUN_TIME).await;
        fleet.system.ask(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    }
    fleet.submit(6, RUN_TIME).await;
    fleet.system.server.restart();
    fleet.submit(6, RUN_TIME).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_in_a_fleet_of_three_kinds_no_correction_is_lost_and_none_doubled_by_us() {
    let mut fleet = Fleet::of(&AROUND_OUR_COMPLETER, false).await;
    everything_dies_once(&mut fleet, &AROUND_OUR_COMPLETER).await;
    Tally::of(fleet).await.prove("mixed fleet, everything dies once", true);
}

/// A Node process that stopped for longer than its lock goes on as if nothing had been.
async fn sleeps(fleet: &mut Fleet, member: &str, time: Duration) {
    fleet.submit(6, RUN_TIME).await;
    fleet.engine.until(|stats| stats.alive > 0).await;
    fleet.system.signal(member, "STOP").await;
    fleet.submit(3, RUN_TIME).await;
    tokio::time::sleep(time).await;
    fleet.system.signal(member, "CONT").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn sleeping_past_the_locks_of_either_kind_loses_no_correction() {
    let mut fleet = Fleet::of(&AROUND_OUR_COMPLETER, false).await;
    for member in AROUND_OUR_COMPLETER {
        let lock = if member.ends_with("ours") { 17 } else { 5 };
        sleeps(&mut fleet, member, Duration::from_secs(lock)).await;
    }
    Tally::of(fleet).await.prove("mixed fleet, everyone sleeps past its lock", true);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_long_campaign_with_the_locks_of_the_original_loses_no_correction() {
    let mut fleet = Fleet::of(&AROUND_OUR_COMPLETER, true).await;
    for _ in 0..8 {
        everything_dies_once(&mut fleet, &AROUND_OUR_COMPLETER).await;
    }
    Tally::of(fleet).await.prove("mixed fleet, everything dies eight times", true);
}

/// The original's completer in place of ours, beside starters and notifiers of both kinds.
async fn around_the_originals_completer(version: &str) {
    let completer = format!("completer-{version}");
    let (starter, notifier) = (format!("starter-{version}"), format!("notifier-{version}"));
    let members = ["starter-ours", &starter, &completer, "notifier-ours", &notifier];
    let mut fleet = Fleet::of(&members, false).await;
    everything_dies_once(&mut fleet, &members).await;
    Tally::of(fleet).await.prove(&format!("mixed fleet around a completer on {version}"), true);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn around_the_originals_completer_on_5_no_correction_is_lost() {
    around_the_originals_completer("bullmq5").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn around_the_originals_completer_on_6_no_correction_is_lost() {
    around_the_originals_completer("bullmq6").await;
}

/// What the original alone makes of the same deaths, as a measure: it may lose and double.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn the_original_alone_is_measured_under_the_same_deaths() {
    for version in ["bullmq5", "bullmq6"] {
        let members = ["starter", "completer", "notifier"].map(|component| format!("{component}-{version}"));
        let members: Vec<_> = members.iter().map(String::as_str).collect();
        let mut fleet = Fleet::of(&members, false).await;
        for _ in 0..3 {
            everything_dies_once(&mut fleet, &members).await;
        }
        let tally = Tally::of_the_original(fleet).await;
        tally.note(&format!("the original alone on {version}, everything dies three times"));
        tally.assert_none_of_it_is_ours();
    }
}
