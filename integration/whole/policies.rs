//! Which images may run and what their containers get, as the whole system keeps to it: the policy file, read
//! again on SIGHUP.

use correction_runner::job::PENDING_QUEUE;
use serde_json::json;

use crate::support::docker;
use crate::support::system::System;

/// Says what it was given: a variable, its networks, and how many files it may open.
pub const SAYS_WHAT: &str =
    r#"echo "{\"success\":true,\"comments\":[\"$WHAT $(ls /sys/class/net | tr '\n' ' ')$(ulimit -n)\"]}""#;

/// The rule for the tests' grader, with what else it says.
fn rule(more: &str) -> String {
    format!("[[rule]]\nname = 'tests'\nimages = 'docker.io/correction-runner-test/*'\n{more}\n")
}

/// Waits until a component has said something so often.
pub async fn until_logged(system: &System, component: &str, text: &str, times: usize) {
    system
        .until(&format!("{component} says {text:?} {times} times"), async || {
            (system.log_of(component).matches(text).count() >= times).then_some(())
        })
        .await;
}

/// The comment of the verdict that was posted to a path.
pub async fn comment(system: &System, name: &str) -> String {
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
