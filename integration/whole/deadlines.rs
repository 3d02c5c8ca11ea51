//! Corrections that run too long: stopped in time, told as a time-out, unless a verdict came before.

use crate::support::docker;
use crate::support::system::{System, calls_back_at};

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_past_its_time_is_stopped_whatever_it_does() {
    let system = System::start(&[("CONTAINER_TIMEOUT", "4s")]).await;
    system.submit(&system.job("sleeps", "exec sleep 600")).await;
    system.submit(&system.job("stubborn", "trap '' TERM INT HUP; while :; do sleep 1; done")).await;
    system.submit(&system.job("graded", r#"echo '{"success":true,"grade":4}'; exec sleep 600"#)).await;
    system.submit(&system.job("paused", "exec sleep 600")).await;
    let paused = system
        .until("the container runs", async || {
            let all = system.containers().await;
            all.into_iter().find(|one| {
                calls_back_at(one, "/paused") && one.state == correction_runner::docker::State::Running
            })
        })
        .await;
    docker::command(&["pause", paused.id.as_str()]).await;
    for path in ["sleeps", "stubborn", "paused"] {
        let body = system.result(path).await.json();
        assert_eq!(body["outcome"], "timeout", "{body}");
        assert!(body["error"].as_str().expect("a text").contains("4 s"), "{body}");
    }
    let graded = system.result("graded").await;
    assert_eq!(graded.body, r#"{"grade":4,"success":true,"work_id":"graded"}"#);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_outlives_the_completer_that_knew_it() {
    let mut system = System::prepare().await;
    system.set(&[("CONTAINER_TIMEOUT", "6s")]);
    for component in ["starter", "completer", "notifier"] {
        system.spawn(component);
    }
    system.submit(&system.job("sleeps", "exec sleep 600")).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    system.kill("completer").await;
    system.spawn("completer");
    assert_eq!(system.result("sleeps").await.json()["outcome"], "timeout");
    system.end().await;
}
