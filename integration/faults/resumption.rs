//! How long after a SIGKILL, with an immediate restart, a component goes on: until the result of a
//! correction submitted in that moment is delivered, and until the very jobs that it held are in hand again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::campaign::Campaign;
use super::figures::note_times;
use super::fleet::{KINDS, ended_by, kill_and_restart, locks, queue_of};
use super::front::{Act, Front};
use crate::support::simulated_engine::{Call, Fault, Options, Rule, SimulatedEngine};
use crate::support::system::System;

const AN_HOUR: Duration = Duration::from_secs(3600);
/// How many jobs a component holds when it is killed.
const HELD: usize = 6;
/// How often the locks are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A job whose owner died on this machine has to be in hand again within this time.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The times of one component.
#[derive(Default)]
struct Times {
    new_work: Vec<Duration>,
    same_jobs: Vec<Duration>,
}

/// When each of some jobs has been taken anew, or was ended by whoever took it.
async fn retaken(system: &System, kind: &str, before: &BTreeMap<String, String>) -> Instant {
    let queue = queue_of(kind);
    let started = Instant::now();
    let mut missing = before.clone();
    while !missing.is_empty() {
        let now = locks(system, queue).await;
        let ended = ended_by(system, queue, missing.keys().filter(|id| !now.contains_key(*id))).await;
        missing.retain(|id, old| match now.get(id).or(ended.get(id)) {
            Some(token) => token.is_empty() || token == old,
            None => true,
        });
        assert!(started.elapsed() < Duration::from_secs(60), "{missing:?}; logs:\n{}", system.logs());
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Instant::now()
}

/// One kill of a component that holds jobs.
async fn killed_once(
    campaign: &mut Campaign,
    engine: &SimulatedEngine,
    front: &Front,
    kind: &str,
    times: &mut Times,
) {
    let url = |name: &str| front.url(name);
    let submitted = match kind {
        "starter" => {
            let hang = Rule { call: Some(Call::Create), container: None, fault: Fault::Hang, left: HELD };
            engine.add_rule(hang);
            campaign.submit_to(url, HELD, AN_HOUR).await
        }
        "completer" => campaign.submit_to(url, HELD, AN_HOUR).await,
        _ => {
            front.plan(|_, before| if before == 0 { Act::TakeAndHold } else { Act::Take });
            campaign.submit_to(url, HELD, Duration::ZERO).await
        }
    };
    let held = campaign.system.until("the jobs are held", async || {
        let held = locks(&campaign.system, queue_of(kind)).await;
        let posted = kind != "notifier" || front.holding() == HELD;
        let asked = kind != "starter" || engine.rules_left() == 0;
        (held.len() == HELD && posted && asked).then_some(held)
    });
    let held = held.await;
    front.plan(|_, _| Act::Take);
    let killed = Instant::now();
    kill_and_restart(&mut campaign.system, &[kind.to_owned()]).await;
    let new = campaign.submit_to(url, 1, Duration::ZERO).await;
    let system = &campaign.system;
    let delivered = async {
        system.receiver.posted_to(&new[0], Duration::from_secs(60)).await;
        Instant::now()
    };
    let (delivered, retaken) = tokio::join!(delivered, retaken(system, kind, &held));
    times.new_work.push(delivered - killed);
    times.same_jobs.push(retaken - killed);
    front.release();
    // All that was held ends before the next round.
    let mut left = submitted;
    system
        .until("the round is over", async || {
            engine.end_all(0);
            left.retain(|name| system.receiver.times(name) == 0);
            let active = locks(system, queue_of(kind)).await.len();
            (left.is_empty() && active == 0).then_some(())
        })
        .await;
}

async fn measure(rounds: usize) {
    let engine = SimulatedEngine::start(Options { run_time: AN_HOUR, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    // What hangs is held by the component that waits for it.
    system.set(&[("DOCKER_TIMEOUT", "60s")]);
    for kind in KINDS {
        system.spawn(kind);
    }
    let front = Front::before(&system.receiver).await;
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    let mut all: BTreeMap<&str, Times> = BTreeMap::new();
    for _ in 0..rounds {
        for kind in KINDS {
            let times = all.entry(kind).or_default();
            killed_once(&mut campaign, &engine, &front, kind, times).await;
        }
    }
    let submitted = campaign.submitted() as u64;
    campaign.prove().await;
    assert_eq!(engine.stats().started, submitted, "each was started once");
    for (kind, times) in all {
        let row = format!("SIGKILL to resumed, {kind}");
        let slowest = times.same_jobs.iter().max().copied().unwrap_or_default();
        note_times(&row, "until new work is delivered", times.new_work);
        note_times(&row, "until it holds the same jobs", times.same_jobs);
        assert!(slowest < AT_ONCE, "{kind} had its jobs again after {slowest:?} only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_killed_and_restarted_has_its_jobs_in_hand_at_once() {
    measure(2).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_component_that_was_killed_thirty_times_has_its_jobs_in_hand_at_once_each_time() {
    measure(30).await;
}
