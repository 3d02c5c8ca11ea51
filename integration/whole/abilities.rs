//! What an engine cannot do: told at start, learned from its refusals, and never a reason for no grade.

use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use serde_json::{Value, json};

use super::policies::{SAYS_WHAT, comment, until_logged};
use crate::support::simulated_engine::{Call, Fault, Options, SimulatedEngine};
use crate::support::socket_client::SocketClient;
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn more_open_files_than_the_engine_may_have_are_as_many_as_it_has() {
    let system = System::start(&[("CONTAINER_NOFILE", "1048576")]).await;
    for name in ["one", "two"] {
        system.submit(&system.job(name, SAYS_WHAT)).await;
    }
    for name in ["one", "two"] {
        let said = comment(&system, name).await;
        let files: u32 = said.rsplit(' ').next().and_then(|files| files.parse().ok()).expect("a number");
        assert!((1024..=1_048_576).contains(&files), "{said}");
    }
    assert!(system.logs().matches("the engine cannot allow").count() <= 1, "{}", system.logs());
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_that_only_its_owner_may_read_is_read_by_its_grader() {
    const CAPABILITIES: &str =
        r#"echo "{\"success\":true,\"comments\":[\"$(sed -n 's/^CapEff:.*0//p' /proc/self/status)\"]}""#;
    let system = System::start(&[]).await;
    for (name, mode) in [("private", 0o600), ("public", 0o644)] {
        let job = system.job(name, CAPABILITIES);
        let file = job["file"].as_str().expect("a path");
        // Whoever is not root owns what it made, which is as good.
        let _ = chown(file, Some(4711), Some(4711));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("it is ours");
        system.submit(&job).await;
    }
    assert_eq!(comment(&system, "private").await, "2", "DAC_OVERRIDE and nothing else");
    assert_eq!(comment(&system, "public").await, "", "nothing at all");
    system.end().await;
}

/// An engine that can do next to nothing.
async fn poor_engine() -> SimulatedEngine {
    let info = json!({
        "MemoryLimit": true, "SwapLimit": false, "PidsLimit": false, "CpuCfsQuota": false, "Driver": "vfs",
        "SecurityOptions": ["name=apparmor"], "Runtimes": {"runc": {"path": "runc"}, "kata": {"path": "kata"}},
    });
    SimulatedEngine::start(Options { info, ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_that_the_engine_cannot_hold_is_warned_of_once_at_start() {
    let engine = poor_engine().await;
    let mut system = System::prepare_on(&engine).await;
    let file = system.submission("[[rule]]\nimages = ['a', 'b']\n[[rule]]\nimages = '**'\npids = 0\n");
    system.set(&[("POLICY_FILE", file.to_str().expect("text"))]);
    system.spawn("all");
    until_logged(&system, "all", "starter: taking submissions", 1).await;
    system.signal("all", "HUP").await;
    until_logged(&system, "all", "was read again and is in force", 1).await;
    let log = system.log_of("all");
    for part in [
        "swapaccount=1",
        "(CONTAINER_PIDS) are not in force",
        "(CONTAINER_CPUS) are not in force",
        "(seccomp)",
        "with vfs",
    ] {
        assert_eq!(log.matches(part).count(), 1, "{part}: {log}");
    }
    assert!(!log.contains("cgroup_enable=memory"), "{log}");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_the_engine_does_not_have_ends_the_starter_with_the_names_of_those_that_it_has() {
    let engine = poor_engine().await;
    let mut system = System::prepare_on(&engine).await;
    let file = system.submission("[[rule]]\nname = 'odd'\nimages = '**'\nruntime = 'runsc'\n");
    let file = file.to_str().expect("text");
    for (component, setting, value, told) in [
        (
            "one",
            "CONTAINER_RUNTIME",
            "runsc",
            "CONTAINER_RUNTIME: the engine has no runtime \"runsc\"; it has kata, runc",
        ),
        ("two", "POLICY_FILE", file, "the rule \"odd\" of "),
    ] {
        system.set(&[("CONTAINER_RUNTIME", ""), (setting, value)]);
        system.spawn_as(component, "starter");
        assert_eq!(system.until_ended(component).await, Some(64), "{}", system.logs());
        assert!(system.log_of(component).contains(told), "{}", system.logs());
    }
    // One that it has is taken.
    system.set(&[("POLICY_FILE", ""), ("CONTAINER_RUNTIME", "kata")]);
    system.spawn("starter");
    until_logged(&system, "starter", "starter: taking submissions", 1).await;
    system.stop_all().await;
}

/// What engines say where they cannot do it.
const NO_QUOTA: &str = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
const NO_FILES: &str =
    "OCI runtime create failed: error setting rlimit type 7: operation not permitted: unknown";

/// What each container of a simulated engine was asked to be held to.
async fn asked_for(engine: &SimulatedEngine) -> Vec<Value> {
    let mut client = SocketClient::connect(engine.socket()).await.expect("it listens");
    let mut all = Vec::new();
    for container in engine.containers() {
        let path = format!("/containers/{}/json", container.id);
        let (_, body) = client.call("GET", &path, "").await.expect("it answers");
        let inspected: Value = serde_json::from_slice(&body).expect("JSON");
        all.push(inspected["HostConfig"].clone());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_the_engine_refuses_is_left_away_and_its_submission_runs() {
    let info = json!({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "xfs"]]});
    let options = Options { info, run_time: Duration::from_secs(600), ..Options::default() };
    let engine = SimulatedEngine::start(options).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("CONTAINER_DISK", "1g"), ("CONTAINER_NOFILE", "4096")]);
    system.spawn("all");
    system.submit(&system.job("able", "")).await;
    engine.until(|stats| stats.alive == 1).await;
    let before = asked_for(&engine).await;
    assert_eq!(before[0]["StorageOpt"], json!({"size": "1073741824"}));
    let nofile = json!({"Name": "nofile", "Soft": 4096, "Hard": 4096});
    assert!(before[0]["Ulimits"].as_array().expect("a list").contains(&nofile), "{before:#?}");

    engine.inject(Call::Create, Fault::Refuse(500, NO_QUOTA.to_owned()), 1);
    engine.inject(Call::Start, Fault::Refuse(400, NO_FILES.to_owned()), 1);
    for name in ["one", "two", "three"] {
        system.submit(&system.job(name, "")).await;
    }
    engine.until(|stats| stats.alive == 4).await;
    assert_eq!((engine.rules_left(), engine.containers().len()), (0, 4), "what was not started is not left");
    assert!(engine.containers().iter().all(|container| container.start_calls == 1), "a start is sent once");
    let fresh = asked_for(&engine).await;
    let limits = |asked: &Value| {
        let names = asked["Ulimits"].as_array().expect("a list").iter();
        names.map(|limit| limit["Name"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    let without_quota = fresh.iter().filter(|asked| asked["StorageOpt"].is_null()).count();
    assert!(without_quota >= 1, "{fresh:#?}");
    assert!(fresh.iter().any(|asked| limits(asked) == ["core", "fsize"]), "{fresh:#?}");
    for part in
        ["its data is on no XFS that is mounted with pquota", "the engine cannot allow 4096 open files"]
    {
        assert_eq!(system.logs().matches(part).count(), 1, "{part}: {}", system.logs());
    }
    engine.end_all(0);
    for name in ["able", "one", "two", "three"] {
        assert_eq!(system.result(name).await.json()["success"], true);
    }
    system.end().await;
}
