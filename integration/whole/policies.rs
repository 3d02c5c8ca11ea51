//! Which images may run and what their containers get, as the whole system keeps to it: the policy file,
//! read again on SIGHUP, and what the engine cannot do.

use std::os::unix::fs::{PermissionsExt, chown};

use correction_runner::job::PENDING_QUEUE;
use serde_json::json;

use crate::support::docker;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// Says what it was given.
const SAYS_WHAT: &str =
    r#"echo "{\"success\":true,\"comments\":[\"$WHAT $(ls /sys/class/net | tr '\n' ' ')$(ulimit -n)\"]}""#;

/// The rule for the tests' grader, with what else it says.
fn rule(more: &str) -> String {
    format!("[[rule]]\nname = 'tests'\nimages = 'docker.io/correction-runner-test/*'\n{more}\n")
}

async fn until_logged(system: &System, component: &str, text: &str, times: usize) {
    system
        .until(&format!("{component} says {text:?} {times} times"), async || {
            (system.log_of(component).matches(text).count() >= times).then_some(())
        })
        .await;
}

async fn comment(system: &System, name: &str) -> String {
    let body = system.result(name).await.json();
    body["comments"][0].as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_file_decides_and_is_read_again_on_a_signal_without_dropping_a_job() {
    let mut system = System::prepare().await;
    let file = system.submission(&rule("env = { WHAT = 'first' }\nnofile = 100"));
    system.set(&[("POLICY_FILE", file.to_str().expect("text")), ("DOCKER_PULL", "yes")]);
    for component in ["starter", "completer", "notifier"] {
        system.spawn(component);
    }
    system.submit(&system.job("first", SAYS_WHAT)).await;
    let slow = system.job("slow", &format!("until [ -e /go ]; do sleep 0.1; done; {SAYS_WHAT}"));
    system.submit(&slow).await;
    assert_eq!(comment(&system, "first").await, "first lo 100");
    let running = system.until_running("the slow one runs", |counts| counts.active == 1).await;
    assert_eq!(running.active, 1);

    // Asked all at once, those that have nothing to read again go on too.
    std::fs::write(&file, rule("allow = false")).expect("a file");
    for component in ["starter", "completer", "notifier"] {
        system.signal(component, "HUP").await;
    }
    until_logged(&system, "starter", "was read again and is in force", 1).await;
    for (name, image) in [("refused", docker::GRADER_IMAGE), ("unknown", "127.0.0.1:1/some/grader")] {
        let mut job = system.job(name, SAYS_WHAT);
        job["image"] = json!(image);
        system.submit(&job).await;
    }
    for (name, part) in [("refused", "the rule \"tests\" of "), ("unknown", "no rule of ")] {
        let body = system.result(name).await.json();
        assert_eq!(body["outcome"], "image_not_allowed", "{body}");
        let text = body["error"].as_str().expect("a text");
        assert!(text.contains(part) && text.contains(file.to_str().expect("text")), "{text}");
    }
    assert!(!system.log_of("starter").contains("pulling an image"), "{}", system.logs());

    // What cannot be used changes nothing.
    std::fs::write(&file, rule("memroy = '1g'")).expect("a file");
    system.signal("starter", "HUP").await;
    until_logged(&system, "starter", "line 4, column 1: there is no", 1).await;
    std::fs::write(&file, rule("runtime = 'nosuch'")).expect("a file");
    system.signal("starter", "HUP").await;
    until_logged(&system, "starter", "the engine has no runtime", 1).await;
    std::fs::remove_file(&file).expect("a file");
    system.signal("starter", "HUP").await;
    until_logged(&system, "starter", "cannot read", 1).await;
    system.submit(&system.job("still", SAYS_WHAT)).await;
    assert_eq!(system.result("still").await.json()["outcome"], "image_not_allowed");

    std::fs::write(&file, rule("env = { WHAT = 'second' }\nnofile = 200")).expect("a file");
    system.signal("starter", "HUP").await;
    until_logged(&system, "starter", "was read again and is in force", 2).await;
    system.submit(&system.job("second", SAYS_WHAT)).await;
    assert_eq!(comment(&system, "second").await, "second lo 200");

    // The one that ran all along was made by the first policy.
    let container = system.containers().await.into_iter().find(|container| {
        container
            .labels
            .as_ref()
            .and_then(|labels| labels.errand.callback.as_deref())
            .is_some_and(|to| to.ends_with("slow"))
    });
    let container = container.expect("it runs").id;
    docker::command(&["exec", container.as_str(), "touch", "/go"]).await;
    assert_eq!(comment(&system, "slow").await, "first lo 100");
    assert_eq!(system.redis.queue(PENDING_QUEUE).counts().await.expect("Redis answers").active, 0);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_says_how_long_its_containers_run_and_what_they_reach() {
    let mut system = System::prepare().await;
    let file = system.submission(&format!(
        "[[rule]]\nimages = '{}'\ntimeout = '1s'\n\n[[rule]]\nimages = '**'\nprofile = 'original'",
        docker::BAD_ENTRYPOINT_IMAGE.replace("bad-entrypoint", "grader"),
    ));
    system.set(&[("POLICY_FILE", file.to_str().expect("text"))]);
    system.spawn("all");
    system.submit(&system.job("long", "exec sleep 600")).await;
    let mut other = system.job("other", "true");
    other["image"] = json!(docker::BAD_ENTRYPOINT_IMAGE);
    system.submit(&other).await;
    let body = system.result("long").await.json();
    assert_eq!(body["outcome"], "timeout", "{body}");
    assert!(body["error"].as_str().expect("a text").contains("1 s"), "{body}");
    // Under the original's profile there is no init process to start in the place of what cannot be.
    let body = system.result("other").await.json();
    assert_eq!(body["outcome"], "start_failed", "{body}");
    system.end().await;
}

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
