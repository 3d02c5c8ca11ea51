//! `status` where any number of containers may run: they are counted all the same.

use std::time::Duration;

use serde_json::{Value, json};

use super::{asked, assert_described};
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_without_permits_is_counted_by_engine() {
    let hour = Duration::from_secs(3600);
    let engine = SimulatedEngine::start(Options { run_time: hour, ..Options::default() }).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("MAX_RUNNING", "0")]);
    system.spawn("starter");
    for name in ["a", "b", "c"] {
        system.submit(&system.job(name, "exit")).await;
    }
    system.until_running("all run", |counts| counts.waiting == 3).await;
    let line = "bull:running_corrections:wait";
    // Of another engine, and what is no job.
    let other = json!({ "runner": { "engine": "OTHER" } }).to_string();
    system.ask(&["HSET", "bull:running_corrections:foreign", "name", "n", "data", &other]).await;
    system.ask(&["HSET", "bull:running_corrections:garbled", "name", "n", "data", "{"]).await;
    system.ask(&["RPUSH", line, "foreign", "garbled", "missing"]).await;
    let port = system.server.port().to_string();
    let environment = [("REDIS_PORT", port.as_str())];
    let told = system
        .until("the starter said what it may", async || {
            let told: Value = asked(&["status", "--json"], &environment).await.json();
            told["engines"][0]["starter_seen"].is_string().then_some(told)
        })
        .await;
    let engines = told["engines"].as_array().expect("a list");
    assert_eq!((engines.len(), &engines[0]["permits_used"]), (1, &json!(3)), "{engines:?}");
    assert_eq!(engines[0]["permits"], Value::Null, "{engines:?}");
    assert_described(&told);
    let text = asked(&["status"], &environment).await.text;
    assert!(text.contains("3, no limit"), "{text}");
    system.ask(&["LREM", line, "0", "foreign"]).await;
    system.stop_all().await;
}
