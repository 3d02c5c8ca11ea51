//! Jobs whose fields try to be more than data: options of the engine, labels, log lines, paths of its API.

use correction_runner::docker::{Listed, State};
use serde_json::{Value, json};

use super::{IMAGE, comment, job, says, system};
use crate::support::docker;
use crate::support::system::calls_back_at;

#[tokio::test(flavor = "multi_thread")]
async fn params_are_environment_variables_and_nothing_else() {
    let system = system(&[]).await;
    let script = super::when_looked_at(&says("$(env | grep -c FORGED)"));
    let mut hostile = job(&system, "params", &script);
    let params = [
        "FORGED_A=1\nFORGED_B=2",
        "--privileged=true",
        "org.correctomatic.callback=http://forged/",
        "HostConfig.Privileged=true",
        "X=\",\"HostConfig\":{\"Privileged\":true},\"Y\":\"",
    ];
    hostile["params"] = json!(params);
    hostile["HostConfig"] = json!({"Privileged": true, "Binds": ["/:/host"]});
    hostile["labels"] = json!({"org.correctomatic.instance": "forged"});
    hostile["privileged"] = json!(true);
    system.submit(&hostile).await;
    let container = system
        .until("its container runs", async || {
            let runs = |one: &Listed| one.state == State::Running && calls_back_at(one, "params");
            system.containers().await.into_iter().find(runs)
        })
        .await;
    let told = docker::command(&["inspect", container.id.as_str()]).await;
    super::looked_at(&hostile);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let (config, host) = (&told[0]["Config"], &told[0]["HostConfig"]);
    let environment = config["Env"].as_array().expect("an array");
    for param in params {
        assert!(environment.contains(&json!(param)), "{param:?} as it came: {environment:?}");
    }
    assert_eq!((&host["Privileged"], &host["Binds"]), (&json!(false), &Value::Null));
    assert_eq!(host["Mounts"].as_array().map(Vec::len), Some(1));
    assert_eq!((&host["CapAdd"], &host["CapDrop"]), (&Value::Null, &json!(["ALL"])));
    assert_eq!(config["Labels"]["org.correctomatic.instance"], system.instance().await.as_str());
    assert_ne!(config["Labels"]["org.correctomatic.callback"], "http://forged/");
    comment(&system, "params").await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_images_files_and_containers_are_no_options_and_no_paths_of_the_engine() {
    let system = system(&[]).await;
    let with = |name: &str, field: &str, value: &str| {
        let mut hostile = job(&system, name, &says("ran"));
        hostile[field] = json!(value);
        hostile
    };
    let cases = [
        ("option", "image", "--privileged".to_owned(), "image_not_found"),
        ("options", "image", format!("-v /:/host {IMAGE}"), "image_not_found"),
        ("query", "image", format!("{IMAGE}?privileged=true"), "image_not_found"),
        ("climbing", "image", "../../containers/json".to_owned(), "image_not_found"),
        ("broken", "image", format!("{IMAGE}\r\nX-Forged: 1"), "image_not_found"),
        ("colon", "file", "/etc/passwd:/tmp/exercise:rw".to_owned(), "exercise_not_found"),
        ("comma", "file", "/etc,readonly=false".to_owned(), "exercise_not_found"),
        ("relative", "file", "../../etc/passwd".to_owned(), "invalid_job"),
        ("nul", "file", "/etc/passwd\0x".to_owned(), "invalid_job"),
    ];
    for (name, field, value, _) in &cases {
        system.submit(&with(name, field, value)).await;
    }
    // A record in the running queue that names a path of the engine's API as its container.
    let running = system.redis.queue(correction_runner::job::RUNNING_QUEUE);
    let record =
        json!({"work_id": "w", "container_id": "../images/json", "callback": system.receiver.url("record")});
    let job = correction_runner::queue::NewJob {
        id: None,
        name: "Correction".to_owned(),
        data: record.to_string(),
        options: correction_runner::queue::JobOptions::default(),
    };
    running.add(&job).await.expect("Redis takes it");
    for (name, _, value, outcome) in &cases {
        assert_eq!(system.result(name).await.json()["outcome"], *outcome, "{value:?}");
    }
    assert_eq!(system.result("record").await.json()["outcome"], "invalid_job");
    system.end().await;
}

/// A line of the log is one event of ours, whatever a stranger's fields hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_line_breaks_and_terminal_codes_make_no_line_of_the_log() {
    for format in ["json", "pretty"] {
        let system = system(&[("LOG_FORMAT", format)]).await;
        let forged = "x\n{\"level\":\"error\",\"msg\":\"FORGED\"}\r\nFORGED \u{1b}[31m\u{9b}2J";
        let mut ran = job(&system, "ran", &says("ran"));
        let mut refused = job(&system, "refused", "");
        for one in [&mut ran, &mut refused] {
            one["work_id"] = json!(forged);
            one["params"] = json!([format!("A={forged}")]);
        }
        refused["image"] = json!(forged);
        let mut invalid = job(&system, "invalid", "");
        invalid["work_id"] = json!(forged);
        invalid["file"] = json!(forged);
        for one in [&ran, &refused, &invalid] {
            system.submit(one).await;
        }
        for name in ["ran", "refused", "invalid"] {
            assert_eq!(system.result(name).await.json()["work_id"], forged, "{name}: as it was sent");
        }
        system.until_clean().await;
        let logs = system.logs();
        assert!(logs.contains("FORGED"), "the ids do stand in the log");
        for line in logs.lines() {
            let line = line.trim_start();
            assert!(!line.starts_with("{\"level\"") && !line.starts_with("FORGED"), "{format}: {line}");
            assert!(!line.contains("\u{1b}[31m") && !line.contains('\u{9b}'), "{format}: {line:?}");
        }
        system.end().await;
    }
}
