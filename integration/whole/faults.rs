//! Faults of the engine that the real one cannot be made to show, through the real binary: each
//! correction still ends exactly once.

use std::time::Duration;

use crate::support::simulated_engine::{Call, Ending, Fault, Loss, Options, SimulatedEngine};
use crate::support::system::{System, calls_back_at};

const AN_HOUR: Duration = Duration::from_secs(3600);

/// The runner on an engine whose containers run until a test ends them.
async fn on_simulated_engine(settings: &[(&str, &str)]) -> (SimulatedEngine, System) {
    let engine = SimulatedEngine::start(Options { run_time: AN_HOUR, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(settings);
    system.spawn("all");
    (engine, system)
}

/// Submits corrections and waits until the completer holds them all.
async fn run(system: &System, names: &[&str]) {
    for name in names {
        system.submit(&system.job(name, "not looked at")).await;
    }
    let held = u64::try_from(names.len()).expect("a few");
    system.until_running("all are held", |counts| counts.active == held).await;
}

async fn all_arrived_once(system: System, names: &[&str]) {
    for name in names {
        assert_eq!(system.result(name).await.json()["grade"], 7.5, "{name}");
    }
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), names.len());
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths_that_nobody_told_of_are_found_by_the_sweep() {
    let (engine, system) = on_simulated_engine(&[("SWEEP_INTERVAL", "1s")]).await;
    run(&system, &["a", "b", "c"]).await;
    engine.lose_events(None, 100, Loss::Everywhere);
    engine.end_all(0);
    all_arrived_once(system, &["a", "b", "c"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths_while_the_stream_is_away_are_found_when_it_is_back() {
    let (engine, system) = on_simulated_engine(&[("SWEEP_INTERVAL", "1h")]).await;
    run(&system, &["a", "b", "c"]).await;
    engine.close_streams(Ending::MidLine);
    engine.end_all(0);
    all_arrived_once(system, &["a", "b", "c"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_away_and_forgets_its_events_loses_no_correction() {
    let (engine, system) = on_simulated_engine(&[("SWEEP_INTERVAL", "1s")]).await;
    run(&system, &["a", "b"]).await;
    engine.go_away();
    system.submit(&system.job("c", "not looked at")).await;
    engine.end_all(0);
    engine.come_back(true);
    system.until_running("the third is held", |counts| counts.active == 1).await;
    engine.end_all(0);
    all_arrived_once(system, &["a", "b", "c"]).await;
}

/// Whatever the engine notes of a container that ended while it was away itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_a_verdict_that_nobody_saw_is_the_engines_fault_and_not_the_students() {
    let silent = Options { run_time: AN_HOUR, verdict: String::new(), ..Options::default() };
    let engine = SimulatedEngine::start(silent).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("SWEEP_INTERVAL", "1s"), ("CONTAINER_RERUNS", "0")]);
    system.spawn("all");
    run(&system, &["zero", "killed"]).await;
    engine.go_away();
    let containers = engine.containers();
    for (container, exit_code) in containers.iter().zip([0, 137]) {
        engine.end(&container.id, exit_code);
    }
    engine.come_back(true);
    for name in ["zero", "killed"] {
        let body = system.result(name).await.json();
        assert_eq!(body["outcome"], "engine_unavailable", "{body}");
    }
    system.until_clean().await;
    system.end().await;
}

/// Of nobody's record, far beyond their time, and they cannot be killed: one ends by itself then.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_cannot_be_killed_holds_up_no_other() {
    let (engine, system) =
        on_simulated_engine(&[("SWEEP_INTERVAL", "1s"), ("CONTAINER_TIMEOUT", "3s")]).await;
    run(&system, &["stuck", "orphan"]).await;
    let containers = system.containers().await;
    let container = |name: &str| {
        let found = containers.iter().find(|one| calls_back_at(one, name)).expect("it was started");
        found.id.as_str().to_owned()
    };
    let refused = Fault::Refuse(500, "it will not die".to_owned());
    engine.inject(Call::Kill, refused, usize::MAX);
    system.lose("bull:running_corrections*").await;
    system.until_running("the records are gone", |counts| counts.active == 0).await;
    // Nobody holds them any more, and they are past their time and the grace that a holder would have.
    let lost = async || (system.logs().matches("the lock of job").count() == 2).then_some(());
    system.until("the locks are known to be lost", lost).await;
    let killed = engine.stats().calls(Call::Kill);
    engine.until(|seen| seen.calls(Call::Kill) > killed).await;
    engine.lose_events(None, 100, Loss::Everywhere);
    engine.end(&container("/orphan"), 0);
    assert_eq!(system.result("orphan").await.json()["grade"], 7.5);
    engine.clear_rules();
    engine.lose_no_events();
    // Once it can be killed it is, and the verdict that it had printed counts.
    assert_eq!(system.result("stuck").await.json()["grade"], 7.5);
    all_arrived_once(system, &["stuck", "orphan"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_for_a_while_is_read_later() {
    let (engine, system) = on_simulated_engine(&[("DOCKER_TIMEOUT", "500ms")]).await;
    run(&system, &["a"]).await;
    engine.inject(Call::Logs, Fault::Refuse(500, "not now".to_owned()), 1);
    engine.inject(Call::Logs, Fault::StallBody, 1);
    engine.end_all(0);
    all_arrived_once(system, &["a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_create_or_start_that_is_lost_runs_nothing_twice() {
    let engine = SimulatedEngine::start(Options { run_time: Duration::ZERO, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("DOCKER_TIMEOUT", "500ms")]);
    engine.inject(Call::Create, Fault::CarryOutAndDrop, 1);
    engine.inject(Call::Create, Fault::CarryOutAndHang, 1);
    engine.inject(Call::Start, Fault::CarryOutAndDrop, 1);
    engine.inject(Call::Start, Fault::CarryOutAndHang, 1);
    system.spawn("all");
    let names = ["a", "b", "c", "d"];
    for name in names {
        system.submit(&system.job(name, "not looked at")).await;
    }
    for name in names {
        system.result(name).await;
    }
    let stats = engine.stats();
    assert_eq!(stats.max_starts_of_one, 1, "{stats:?}");
    all_arrived_once(system, &names).await;
}
