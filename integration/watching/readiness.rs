//! `/readyz` names what is wrong while it is, and `/healthz` says that the process lives.

use std::time::Duration;

use super::{address_of, asked, page, sample, sum, until_sample, watched};
use crate::support::simulated_engine::{Call, Fault, Options, SimulatedEngine};
use crate::support::system::System;

const RUNS_200_MS: &str = "sleep 0.2; echo '{\"success\":true,\"grade\":1}'";

/// A system on a simulated engine that is watched.
async fn watched_system(settings: &[(&str, &str)]) -> (SimulatedEngine, System, String) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(settings);
    watched(&mut system);
    system.spawn("all");
    let address = address_of(&system, "all").await;
    (engine, system, address)
}

async fn readyz(address: &str) -> (u16, String) {
    asked(address, "/readyz", "*/*").await
}

async fn until_ready(system: &System, address: &str) -> String {
    system
        .until("it is ready", async || {
            let (status, text) = readyz(address).await;
            (status == 200).then_some(text)
        })
        .await
}

/// Waits until it says all these words. (On a busy machine it may for a moment say more than that is not ready.)
async fn until_unready(system: &System, address: &str, words: &[&str]) {
    system
        .until(&format!("it is not ready: {words:?}"), async || {
            let (status, text) = readyz(address).await;
            (status == 503 && words.iter().all(|words| text.contains(words))).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_and_docker_are_named_while_they_are_away_and_no_more_once_they_are_back() {
    let (engine, mut system, address) = watched_system(&[]).await;
    let text = until_ready(&system, &address).await;
    for check in ["process", "redis", "docker", "starter", "completer", "notifier", "loop completer"] {
        assert!(text.contains(&format!("[+] {check}\n")), "{check}: {text}");
    }

    system.server.kill();
    until_unready(&system, &address, &["not ready: ", "[-] redis: Redis at 127.0.0.1", "[+] docker\n"]).await;
    let down = page(&address).await;
    assert_eq!(sample(&down, "correction_runner_check_up{check=\"redis\"}"), Some(0.0));
    assert_eq!(sample(&down, "correction_runner_ready"), Some(0.0));
    assert_eq!(asked(&address, "/healthz", "*/*").await, (200, "alive\n".to_owned()));
    system.server.restart();
    until_ready(&system, &address).await;
    let errors = sum(&page(&address).await, "correction_runner_redis_call_errors_total");
    assert!(errors >= 1.0, "{errors} calls to Redis failed");

    let before = sum(&page(&address).await, "correction_runner_docker_call_errors_total");
    engine.go_away();
    until_unready(&system, &address, &["[-] docker: the Docker engine at unix://", "[+] redis\n"]).await;
    system
        .until("the stream of events is away", async || {
            (sample(&page(&address).await, "correction_runner_event_stream_up") == Some(0.0)).then_some(())
        })
        .await;
    // It is a start that meets it so.
    system.submit(&system.job("one", RUNS_200_MS)).await;
    until_sample(&system, &address, "correction_runner_starts_paused", |paused| paused > 0.0).await;
    engine.come_back(false);
    until_ready(&system, &address).await;
    system.result("one").await;
    until_sample(&system, &address, "correction_runner_starts_paused", |paused| paused < 1.0).await;
    let errors = sum(&page(&address).await, "correction_runner_docker_call_errors_total");
    assert!(errors > before, "{errors} calls to Docker failed, and {before} before it went away");
    let reconnects = system
        .until("the stream of events is back", async || {
            let page = page(&address).await;
            let up = sample(&page, "correction_runner_event_stream_up") == Some(1.0);
            up.then(|| sample(&page, "correction_runner_event_stream_reconnects_total"))
        })
        .await;
    assert!(reconnects.is_some_and(|number| number >= 1.0), "{reconnects:?}");
    system.stop_all().await;
}

/// Longer than it is between two looks, and far shorter than a call may take.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_slow_and_answers_is_not_said_to_be_away() {
    let (engine, mut system, address) = watched_system(&[("DOCKER_TIMEOUT", "60s")]).await;
    until_ready(&system, &address).await;
    engine.inject(Call::Ping, Fault::Delay(Duration::from_millis(2500)), usize::MAX);
    let asked_before = engine.stats().calls(Call::Ping);
    system
        .until("it was asked three times", async || {
            let (_, text) = readyz(&address).await;
            assert!(!text.contains("[-] docker"), "{text}");
            (engine.stats().calls(Call::Ping) >= asked_before + 4).then_some(())
        })
        .await;
    engine.clear_rules();
    system.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_hangs_is_named_in_lines_and_in_json_while_all_else_is_well() {
    let (_engine, mut system, address) = watched_system(&[("CRASH_POINTS", "completer-taken=hang:1")]).await;
    until_ready(&system, &address).await;
    system.submit(&system.job("one", RUNS_200_MS)).await;
    let words = ["not ready: loop completer\n", "[-] loop completer: stuck for", "[+] loop starter\n"];
    until_unready(&system, &address, &words).await;
    let (status, json) = asked(&address, "/readyz", "application/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((status, &json["ready"]), (503, &false.into()));
    let check =
        json["checks"].as_array().and_then(|all| all.iter().find(|check| check["name"] == "loop completer"));
    assert!(
        check.is_some_and(|check| check["problem"].as_str().is_some_and(|text| text.starts_with("stuck")))
    );
    system.kill("all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_executor_keeps_nobody_from_being_answered() {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let traps = vec!["starter-taken=block"; threads].join(",");
    let concurrency = (threads + 1).to_string();
    let settings = [("CRASH_POINTS", traps.as_str()), ("CONCURRENT_STARTERS", &concurrency)];
    let (_engine, mut system, address) = watched_system(&settings).await;
    until_ready(&system, &address).await;
    for number in 0..threads + 2 {
        system.submit(&system.job(&format!("job-{number}"), RUNS_200_MS)).await;
    }
    until_unready(&system, &address, &["[-] process: its executor has run no task for"]).await;
    assert_eq!(asked(&address, "/healthz", "*/*").await.0, 200);
    assert!(page(&address).await.contains("correction_runner_ready 0\n"));
    system.kill("all").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_redis_is_there_it_is_alive_and_not_ready_and_says_what_it_waits_for() {
    let mut system = System::prepare().await;
    watched(&mut system);
    system.server.kill();
    system.spawn("notifier");
    let address = address_of(&system, "notifier").await;
    let words = ["[-] notifier: it takes no work yet: waiting for Redis", "[-] redis: "];
    until_unready(&system, &address, &words).await;
    assert_eq!(asked(&address, "/healthz", "*/*").await.0, 200);
    system.server.restart();
    until_ready(&system, &address).await;
    system.stop_all().await;
}

/// The socket is the last thing that goes: while the rest stops it says so.
#[tokio::test(flavor = "multi_thread")]
async fn while_it_stops_it_says_so_and_the_socket_is_closed_in_the_end() {
    // A start that hangs is waited for until the graceful stop gives it up.
    let (_engine, mut system, address) = watched_system(&[("CRASH_POINTS", "starter-created=hang:1")]).await;
    until_ready(&system, &address).await;
    system.submit(&system.job("one", RUNS_200_MS)).await;
    system
        .until("a start hangs", async || {
            let held = "correction_runner_jobs_in_flight{queue=\"pending_corrections\"}";
            let created = "correction_runner_stage_duration_seconds_count{stage=\"create\"}";
            let page = page(&address).await;
            (sample(&page, held) == Some(1.0) && sample(&page, created) == Some(1.0)).then_some(())
        })
        .await;
    system.signal("all", "TERM").await;
    // It does not take long to stop, and a busy machine may look only once in that time.
    let mut seen = Vec::new();
    while seen.last() != Some(&"gone") {
        match readyz(&address).await {
            (0, _) => seen.push("gone"),
            (503, text) if text.contains("[-] process: stopping\n") => seen.push("stopping"),
            (200, _) => seen.push("ready"),
            _ => {}
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    seen.dedup();
    let in_order = ["ready", "stopping", "gone"].into_iter().filter(|state| seen.contains(state));
    assert!(in_order.eq(seen.iter().copied()), "{seen:?}");
    assert_eq!(system.until_ended("all").await, Some(0));
}

#[tokio::test]
async fn a_port_that_is_in_use_ends_it_with_69_and_an_address_that_is_not_ours_with_64() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let in_use = other.local_addr().expect("it is bound").to_string();
    for (address, code, words) in [
        (in_use.as_str(), 69, format!("error: HTTP_LISTEN: {in_use} is in use")),
        ("192.0.2.1:9464", 64, "error: HTTP_LISTEN: cannot listen at 192.0.2.1:9464".to_owned()),
    ] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.args(["notifier", "--http-listen", address]).env_clear().kill_on_drop(true);
        let output = command.output().await.expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(&words), "{error}");
    }
}
