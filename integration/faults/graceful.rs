//! Graceful stops (SIGTERM, SIGINT) under load: in time, with everything handed back, and others of the kind
//! go on at once.

use std::time::Duration;

use tokio::process::Command;
use tokio::time::Instant;

use super::campaign::Campaign;
use super::figures::note;
use super::fleet::{KINDS, locks, names, queue_of, spawn_all};
use super::front::{Act, Front};
use crate::support::simulated_engine::{Call, Fault, Options, Rule, SimulatedEngine};
use crate::support::system::System;

/// So many answers make a receiver known: its limit is as wide as that of any then.
const KNOWN: usize = 6;

const AN_HOUR: Duration = Duration::from_secs(3600);
/// How long a stop may take as this process sees it. The runner cuts itself off after 5 s (contract, section 7)
/// and exits with 70 then, so exit code 0 tells the same more exactly.
const STOP: Duration = Duration::from_secs(6);
/// A correction that was handed back has to be in another's hands within this time.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn system(engine: &SimulatedEngine, settings: &[(&str, &str)]) -> System {
    let mut system = System::prepare_on(engine).await;
    system.set(settings);
    system
}

/// Asks a component to stop; it does so in time and with success.
async fn stop(campaign: &mut Campaign, name: &str) -> Duration {
    let (code, took) = campaign.system.stop(name).await;
    assert_eq!(code, Some(0), "{name}; logs:\n{}", campaign.system.logs());
    assert!(took < STOP, "{name} took {took:?} to stop; logs:\n{}", campaign.system.logs());
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completer_with_a_thousand_running_corrections_stops_and_another_has_them_at_once() {
    const RUNNING: usize = 1000;
    const ROW: &str = "graceful stop of a completer with 1,000 running";
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = system(&engine, &[("CONCURRENT_STARTERS", "50"), ("SWEEP_INTERVAL", "2s")]).await;
    spawn_all(&mut system, 1);
    let mut campaign = Campaign::of(system);
    campaign.submit(RUNNING, AN_HOUR).await;
    campaign.system.until_running("all are held", |counts| counts.active == RUNNING as u64).await;
    let before = locks(&campaign.system, queue_of("completer")).await;
    campaign.system.spawn_as("completer-2", "completer");
    engine.until_streams(2).await;
    // Some end in the very moment of the stop.
    for container in engine.containers().iter().take(RUNNING / 10) {
        engine.end(&container.id, 0);
    }
    let asked = Instant::now();
    campaign.system.signal("completer-1", "TERM").await;
    let system = &campaign.system;
    let running = system.redis.queue(queue_of("completer"));
    system
        .until("all that still run are in the other's hands", async || {
            let now = locks(system, queue_of("completer")).await;
            let counts = running.counts().await.expect("Redis answers");
            let old = now.iter().any(|(id, token)| before.get(id) == Some(token));
            (!old && counts.waiting == 0 && now.len() as u64 == counts.active).then_some(())
        })
        .await;
    let in_hand = asked.elapsed();
    let recovered = system.log_of("completer-2").matches("stalled and is back in line").count();
    assert_eq!(recovered, 0, "they were handed back, and not found as those of a dead process");
    let code = campaign.system.until_ended("completer-1").await;
    let took = asked.elapsed();
    assert_eq!(code, Some(0), "logs:\n{}", campaign.system.logs());
    assert!(took < STOP, "it took {took:?} to stop; logs:\n{}", campaign.system.logs());
    assert!(in_hand < AT_ONCE, "all were in the other's hands after {in_hand:?} only");
    engine.end_all(0);
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (RUNNING, 0));
    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    note(ROW, "stopped after", seconds(took));
    note(ROW, "all in another's hands after", seconds(in_hand));
}

/// Some are slow and are waited for, some will never be answered and go back.
#[tokio::test(flavor = "multi_thread")]
async fn a_starter_with_starts_under_way_stops_and_nothing_is_started_twice() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = system(&engine, &[("CONCURRENT_STARTERS", "40"), ("DOCKER_TIMEOUT", "60s")]).await;
    spawn_all(&mut system, 1);
    let mut campaign = Campaign::of(system);
    engine.inject(Call::Create, Fault::Hang, 5);
    engine.inject(Call::Create, Fault::CarryOutAndHang, 5);
    engine.inject(Call::Create, Fault::DelayAnswer(Duration::from_secs(1)), 15);
    engine.inject(Call::Create, Fault::Delay(Duration::from_secs(1)), 15);
    engine.inject(Call::Start, Fault::CarryOutAndHang, 5);
    campaign.submit(120, Duration::from_millis(300)).await;
    tokio::time::timeout(Duration::from_secs(60), engine.until(|stats| stats.calls(Call::Create) >= 40))
        .await
        .expect("forty are under way");
    campaign.system.spawn_as("starter-2", "starter");
    let took = stop(&mut campaign, "starter-1").await;
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (120, 0));
    proof.nothing_ran_twice(&engine.stats(), 120);
    note(
        "graceful stop of a starter with 40 starts under way",
        "stopped after",
        format!("{:.2} s", took.as_secs_f64()),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_with_deliveries_under_way_waits_for_answers_and_hands_back_the_rest() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = system(&engine, &[]).await;
    spawn_all(&mut system, 1);
    let front = Front::before(&system.receiver).await;
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    // A receiver gets so many at once only once it is known to answer.
    front.plan(|_, _| Act::Take);
    campaign.submit_to(|name| front.url(name), KNOWN, Duration::ZERO).await;
    campaign.until_delivered(KNOWN).await;
    front.plan(|_, _| Act::TakeAndHold);
    let answered = campaign.submit_to(|name| front.url(name), 20, Duration::ZERO).await;
    let held = async || (front.holding() == 20).then_some(());
    campaign.system.until("they are under way", held).await;
    front.plan(|_, before| if before == 0 { Act::TakeAndSayNothing } else { Act::Take });
    let unanswered = campaign.submit_to(|name| front.url(name), 20, Duration::ZERO).await;
    let posted = async || (front.count() == KNOWN + 40).then_some(());
    campaign.system.until("they are under way too", posted).await;
    campaign.system.spawn_as("notifier-2", "notifier");
    let answers = async {
        // The receiver takes its time, less than a stop gives.
        tokio::time::sleep(Duration::from_secs(1)).await;
        front.release();
    };
    let (took, ()) = tokio::join!(stop(&mut campaign, "notifier-1"), answers);
    campaign.until_delivered(KNOWN + 60).await;
    let times = |names: &[String]| -> Vec<usize> {
        names.iter().map(|name| campaign.system.receiver.times(name)).collect()
    };
    assert_eq!(times(&answered), vec![1; 20], "what was answered in time is not posted again");
    assert_eq!(times(&unanswered), vec![2; 20]);
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (KNOWN + 40, 20));
    note(
        "graceful stop of a notifier with 40 deliveries under way",
        "stopped after",
        format!("{:.2} s", took.as_secs_f64()),
    );
}

/// Every component holds work that would not end in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once_and_whoever_comes_next_goes_on() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = system(&engine, &[("DOCKER_TIMEOUT", "60s")]).await;
    spawn_all(&mut system, 1);
    let front = Front::before(&system.receiver).await;
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    front.plan(|_, before| if before == 0 { Act::TakeAndSayNothing } else { Act::Take });
    campaign.submit_to(|name| front.url(name), 5, Duration::ZERO).await;
    campaign.system.until("posted", async || (front.count() == 5).then_some(())).await;
    campaign.submit(5, AN_HOUR).await;
    campaign.system.until_running("all are held", |counts| counts.active == 5).await;
    engine.inject(Call::Logs, Fault::CarryOutAndHang, 5);
    engine.end_all(0);
    engine.inject(Call::Create, Fault::CarryOutAndHang, 5);
    let creates = engine.stats().calls(Call::Create);
    campaign.submit(5, Duration::ZERO).await;
    engine.until(|stats| stats.calls(Call::Create) == creates + 5 && stats.calls(Call::Logs) >= 10).await;
    for (kind, first) in KINDS.into_iter().zip(["INT", "TERM", "TERM"]) {
        let name = format!("{kind}-1");
        campaign.system.signal(&name, first).await;
        let said =
            async || campaign.system.log_of(&name).contains("a second signal stops at once").then_some(());
        campaign.system.until("it stops", said).await;
        let took = stop(&mut campaign, &name).await;
        assert!(took < Duration::from_secs(1), "{name} took {took:?} to stop at once");
    }
    spawn_all(&mut campaign.system, 1);
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (15, 5));
    proof.nothing_ran_twice(&engine.stats(), 15);
}

/// Sends a signal to a process of the test's own.
async fn signal(process: u32, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status().await;
    assert!(sent.expect("kill runs").success());
}

/// Corrections in every place, and then Redis is gone (or hangs) while all are asked to stop.
async fn stopped_without_redis(hangs: bool) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let options = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut system = System::prepare_with_redis(&options).await;
    system.use_engine(engine.socket());
    spawn_all(&mut system, 1);
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    campaign.submit(20, AN_HOUR).await;
    campaign.system.until_running("all are held", |counts| counts.active == 20).await;
    campaign.submit(20, Duration::from_millis(200)).await;
    campaign.until_delivered(3).await;
    let redis = campaign.system.server.process_id();
    if hangs {
        signal(redis, "STOP").await;
    } else {
        campaign.system.server.kill();
    }
    engine.end_all(0);
    for name in names(&campaign.system) {
        stop(&mut campaign, &name).await;
    }
    if hangs {
        signal(redis, "CONT").await;
    } else {
        campaign.system.server.restart();
    }
    spawn_all(&mut campaign.system, 1);
    let proof = campaign.prove().await;
    assert_eq!(proof.results, 40);
    proof.nothing_ran_twice(&engine.stats(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stop_in_time_although_redis_is_gone() {
    stopped_without_redis(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stop_in_time_although_redis_does_not_answer() {
    stopped_without_redis(true).await;
}

/// Corrections in every place, and then the engine is gone (or hangs) while all are asked to stop.
async fn stopped_without_docker(hangs: bool) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = system(&engine, &[]).await;
    spawn_all(&mut system, 1);
    let mut campaign = Campaign::of(system);
    campaign.submit(20, AN_HOUR).await;
    campaign.system.until_running("all are held", |counts| counts.active == 20).await;
    campaign.submit(20, Duration::from_millis(200)).await;
    campaign.until_delivered(3).await;
    if hangs {
        engine.add_rule(Rule { call: None, container: None, fault: Fault::Hang, left: usize::MAX });
    } else {
        engine.go_away();
    }
    engine.end_all(0);
    for name in names(&campaign.system) {
        stop(&mut campaign, &name).await;
    }
    if hangs {
        engine.clear_rules();
    } else {
        engine.come_back(true);
    }
    spawn_all(&mut campaign.system, 1);
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (40, 0));
    proof.nothing_ran_twice(&engine.stats(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stop_in_time_although_docker_is_gone() {
    stopped_without_docker(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_stop_in_time_although_docker_does_not_answer() {
    stopped_without_docker(true).await;
}
