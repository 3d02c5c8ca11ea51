//! `status`: what is in the queues, who holds what, and for how long, as it is in Redis.

use std::process::Stdio;
use std::time::Duration;

use correction_runner::identity::{ContainerId, CorrectionId, EngineId, JobId};
use correction_runner::job::{Errand, FINISHED_QUEUE, Origin, PENDING_QUEUE, RUNNING_QUEUE, RunningJob};
use correction_runner::queue::JobOptions;
use correction_runner::rerun::Rerun;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::window::Watch;
use super::{asked, assert_described, nobody};
use crate::queue::{Place, job, next, within, worker};
use crate::support::node::{Node, Version};
use crate::support::redis::RedisServer;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

const HOUR: Duration = Duration::from_secs(3600);

async fn status(place: &Place) -> Value {
    let port = RedisServer::shared().port().to_string();
    let environment = [("REDIS_PORT", port.as_str()), ("QUEUE_PREFIX", place.prefix.as_str())];
    let said = asked(&["status", "--json"], &environment).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.text.lines().count(), 1, "{said:?}");
    said.json()
}

#[tokio::test]
async fn jobs_in_every_state_are_counted_those_of_node_too() {
    let place = Place::new("status");
    let node = Node::shared(Version::Five);
    let pending = |opts: Value| {
        let data = json!({ "work_id": "w", "image": "i", "file": "/f", "callback": "http://h/" });
        let request = json!({ "prefix": place.prefix, "queue": PENDING_QUEUE, "data": data, "opts": opts });
        node.call("add", request)
    };
    let first = pending(json!({})).await;
    pending(json!({ "lifo": true })).await;
    pending(json!({ "priority": 3 })).await;
    pending(json!({ "delay": 3_600_000 })).await;
    pending(json!({ "delay": 3_600_000 })).await;
    let told = status(&place).await;
    let queue = &told["queues"][PENDING_QUEUE];
    for (field, count) in
        [("waiting", 2), ("prioritized", 1), ("delayed", 2), ("active", 0), ("completed", 0)]
    {
        assert_eq!(queue[field], count, "{field}: {queue}");
    }
    assert_eq!(queue["oldest_waiting"]["id"], first, "{queue}");
    assert!(queue["oldest_waiting"]["age"].as_f64().is_some_and(|age| age >= 0.0), "{queue}");
    // That one does not write its version down.
    assert_eq!(queue["client"], Value::Null, "{queue}");
    let newer = json!({ "prefix": place.prefix, "queue": RUNNING_QUEUE, "data": { "work_id": 7 } });
    Node::shared(Version::Six).call("add", newer).await;
    let retry = &told["retries"][PENDING_QUEUE]["shown"][0];
    assert!(retry["in"].as_f64().is_some_and(|left| left > 1000.0), "{retry}");

    // One is taken by a Node worker, one completes, one fails.
    let work = json!({ "prefix": place.prefix, "queue": PENDING_QUEUE, "worker": place.prefix, "hangs": true, "opts": { "concurrency": 1, "name": "a node" } });
    node.call("work", work).await;
    node.call("seen", json!({ "worker": place.prefix, "count": 1 })).await;
    let finished = place.redis.queue(FINISHED_QUEUE);
    for data in ["{}", "{}"] {
        finished.add(&job(data)).await.expect("added");
    }
    let mut deliveries = worker(&finished, 2);
    let (delivered, dead) = (next(&mut deliveries).await, next(&mut deliveries).await);
    finished.complete(&delivered.job, "null", crate::queue::KEEP).await.expect("completed");
    finished.fail(&dead.job, "nobody \u{1b}[31mthere", crate::queue::KEEP).await.expect("failed");
    node.call("queue", json!({ "prefix": place.prefix, "queue": FINISHED_QUEUE, "method": "pause" })).await;
    // Somebody wrote what is no job into the line.
    place.ask::<u32>("RPUSH", "wait", &["odd"]);
    place.ask::<u32>("SADD", "odd", &["1"]);
    let told = status(&place).await;
    assert_described(&told);
    assert_eq!(told["queues"][PENDING_QUEUE]["active"], 1, "{told}");
    assert_eq!(told["queues"][RUNNING_QUEUE]["client"], "bullmq:6.7.0", "{told}");
    let nobodys = &told["corrections"]["running"]["shown"][0];
    assert_eq!((&nobodys["work_id"], &nobodys["container_id"]), (&json!(7), &Value::Null), "{nobodys}");
    let starting = &told["corrections"]["starting"]["shown"][0];
    assert_eq!((&starting["work_id"], &starting["image"]), (&json!("w"), &json!("i")), "{starting}");
    assert_eq!(
        (&starting["held_by"]["worker"], &starting["held_by"]["pid"]),
        (&json!("a node"), &Value::Null)
    );
    let queue = &told["queues"][FINISHED_QUEUE];
    assert_eq!(
        (&queue["paused"], &queue["completed"], &queue["failed"]),
        (&json!(true), &json!(1), &json!(1))
    );
    assert_eq!(told["dead_letters"], 1);
    for (rate, name) in [("completed_per_minute", "1m"), ("failed_per_minute", "15m")] {
        assert!(queue[rate][name].as_f64().is_some_and(|rate| rate > 0.0), "{rate}: {queue}");
    }
    assert_eq!(queue["times"]["of_last"], 1, "{queue}");
    node.call("closeWorker", json!({ "worker": place.prefix, "force": true })).await;
}

#[tokio::test]
async fn what_runs_is_told_with_its_holder_and_how_long_it_may_still_run() {
    let place = Place::new("status-running");
    let running = |container: &str, timeout_ms| {
        let origin = Origin {
            correction: CorrectionId::new(container),
            engine: EngineId::new("AA:BB"),
            timeout_ms,
            sealed: false,
        };
        let errand = Errand { callback: Some("http://u:canary@h/".into()), ..Errand::default() };
        let running = RunningJob { errand, container: ContainerId::new(container), origin: Some(origin) };
        let rerun = Rerun {
            image: "grader:7".into(),
            file: "/f".into(),
            params: vec!["SECRET=canary".into()],
            priority: 0,
            timestamp: 1,
            runs: 0,
        };
        let id = Some(JobId::new(container));
        correction_runner::queue::NewJob {
            id,
            options: JobOptions::default(),
            ..job(&running.to_data_with(Some(&rerun)))
        }
    };
    let queue = place.redis.queue(RUNNING_QUEUE);
    queue.add(&running("held", 600_000)).await.expect("added");
    let mut completer = worker(&queue, 1);
    let held = next(&mut completer).await;
    queue.add(&running("unheld", 0)).await.expect("added");
    let told = status(&place).await;
    assert!(!told.to_string().contains("canary"), "{told}");
    let shown = told["corrections"]["running"]["shown"].as_array().expect("a list");
    assert_eq!((shown.len(), &told["corrections"]["running"]["more"]), (2, &json!(0)), "{told}");
    let (first, second) = (&shown[0], &shown[1]);
    for (field, value) in [
        ("id", "held"),
        ("image", "grader:7"),
        ("container_id", "held"),
        ("engine", "AA:BB"),
        ("callback", "http://h/"),
    ] {
        assert_eq!(first[field], value, "{field}: {first}");
    }
    let left = first["time_left"].as_f64().expect("a number");
    assert!(
        left <= 600.0 && (left + first["age"].as_f64().expect("a number") - 600.0).abs() < 0.01,
        "{first}"
    );
    let holder = &first["held_by"];
    assert_eq!(
        (&holder["pid"], &holder["this_machine"]),
        (&json!(std::process::id()), &json!(true)),
        "{holder}"
    );
    assert!(holder["lock_expires_in"].as_f64().is_some_and(|left| left > 0.0 && left <= 15.0), "{holder}");
    assert_eq!((&second["held_by"], &second["deadline"]), (&Value::Null, &Value::Null), "{second}");
    assert_described(&told);
    // Its lock runs out, as that of a process that died.
    place.ask_of::<u32>(RUNNING_QUEUE, "DEL", "held:lock", &[]);
    let told = status(&place).await;
    assert_eq!(told["queues"][RUNNING_QUEUE]["active_without_lock"], 1, "{told}");
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_at_work_is_seen_with_its_permits_its_starter_and_its_completer() {
    let engine = SimulatedEngine::start(Options { run_time: HOUR, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("MAX_RUNNING", "1"), ("CONTAINER_TIMEOUT", "2h"), ("SWEEP_INTERVAL", "1s")]);
    system.spawn("starter");
    system.spawn("completer");
    for name in ["a", "b"] {
        system.submit(&system.job(name, "exit")).await;
    }
    let port = system.server.port().to_string();
    let environment = [("REDIS_PORT", port.as_str())];
    let told = system
        .until("one runs, held by the completer", async || {
            let told = asked(&["status", "--json"], &environment).await.json();
            let running = &told["corrections"]["running"]["shown"][0];
            let is_seen =
                told["engines"][0]["completer_seen"].is_string() && told["engines"][0]["permits"] == 1;
            (running["held_by"]["worker"] == "completer" && is_seen).then_some(told)
        })
        .await;
    let running = &told["corrections"]["running"]["shown"][0];
    assert_eq!(running["held_by"]["pid"], system.process_id("completer"), "{running}");
    assert_eq!((&running["engine"], &running["timeout"]), (&json!("SIMU:LATE:DENG:INE0"), &json!(7200.0)));
    assert_described(&told);
    let engines = &told["engines"][0];
    assert_eq!(
        (&engines["engine"], &engines["permits_used"]),
        (&json!("SIMU:LATE:DENG:INE0"), &json!(1)),
        "{engines}"
    );
    assert!(engines["starter_seen_ago"].is_number() && engines["held_back"].is_null(), "{engines}");
    assert_eq!(told["instance"], json!(system.instance().await.as_str()), "{told}");

    let text = asked(&["status"], &environment).await.text;
    for part in ["running (1)", "1 of 1", "grader", "completer, process ", "pending"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The engine goes away: the starter says that it starts nothing.
    engine.go_away();
    system
        .until("the starter says that the engine is away", async || {
            let told = asked(&["status", "--json"], &environment).await.json();
            told["engines"][0]["held_back"].as_str().filter(|why| why.contains("cannot be reached")).map(drop)
        })
        .await;
    engine.come_back(false);
    system.stop_all().await;
}

/// `status --watch`, and the lines that it prints.
fn watching(port: u16, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_correction-runner"))
        .args(["status", "--watch"])
        .args(arguments)
        .env_clear()
        .env("REDIS_PORT", port.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    (child, lines)
}

#[tokio::test]
async fn who_watches_gets_a_document_a_line_through_an_outage_until_ctrl_c() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let redis = server.client("bull");
    let (mut child, mut lines) = watching(server.port(), &["--json"]);
    let mut until = async |wanted: &dyn Fn(&Value) -> bool| {
        within(async {
            loop {
                let line = lines.next_line().await.expect("text").expect("another line");
                let document: Value = serde_json::from_str(&line).expect("a document a line");
                if wanted(&document) {
                    return;
                }
            }
        })
        .await;
    };
    let waiting = |count: u64| move |told: &Value| told["queues"][PENDING_QUEUE]["waiting"] == count;
    until(&waiting(0)).await;
    redis.queue(PENDING_QUEUE).add(&job("{}")).await.expect("added");
    until(&waiting(1)).await;
    server.kill();
    until(&|told| told["error"].as_str().is_some_and(|error| error.contains("cannot be reached"))).await;
    server.restart();
    until(&waiting(1)).await;
    let pid = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().await.expect("kill runs").success());
    assert_eq!(within(child.wait()).await.expect("it is ours").code(), Some(0));
}

#[tokio::test]
async fn on_a_terminal_a_watch_is_drawn_over_itself_in_colour_and_ends_with_ctrl_c() {
    let mut watch = Watch::start_after("");
    watch.until_shown(|shown| shown.matches("\u{1b}[J").count() >= 2).await;
    let shown = &watch.shown;
    assert!(
        shown.contains("\u{1b}[H\u{1b}[2J\u{1b}[?7l\u{1b}[H") && shown.contains("\u{1b}[1mQUEUE\u{1b}[0m"),
        "{shown:?}"
    );
    watch.ends_with_ctrl_c().await;
}

#[tokio::test]
async fn without_redis_there_is_no_status() {
    let said = asked(&["status", "--json", "--redis-port", &nobody()], &[]).await;
    assert!(said.code == Some(69) && said.errors.contains("cannot be reached"), "{said:?}");
    let said = asked(&["status", "--limit", "0"], &[]).await;
    assert_eq!(said.code, Some(64), "{said:?}");
}
