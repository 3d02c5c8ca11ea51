//! Every failure ends in one callback that names its outcome, and leaves no container behind.

use serde_json::{Value, json};

use crate::support::docker;
use crate::support::system::{System, calls_back_at};

/// A submission, what its outcome is, and what a teacher is told of it.
struct Case {
    name: &'static str,
    outcome: &'static str,
    told: &'static str,
}

fn failing(system: &System) -> Vec<(Value, Case)> {
    let script = |name, outcome, told, script: &str| (system.job(name, script), Case { name, outcome, told });
    let changed = |name, outcome, told, field: &str, value: Value| {
        let mut job = system.job(name, "true");
        job[field] = value;
        (job, Case { name, outcome, told })
    };
    vec![
        script("silent", "no_verdict", "printed nothing", "true"),
        script("text", "no_verdict", "exit code 3", "echo hello; exit 3"),
        script("broken", "invalid_verdict", "line 1", r#"echo '{"success": true, grade: 1}'"#),
        script("type", "invalid_verdict", "grade", r#"echo '{"success":true,"grade":"7.5"}'"#),
        script("empty", "invalid_verdict", "comments", r#"echo '{"success":true}'"#),
        script(
            "twice",
            "invalid_verdict",
            "2",
            "for i in 1 2; do echo '-BEGIN CORRECTOMATIC RESPONSE-'; echo '{\"success\":true,\"grade\":1}'; echo '-END CORRECTOMATIC RESPONSE-'; done",
        ),
        script(
            "unclosed",
            "invalid_verdict",
            "not the second one",
            "echo '-BEGIN CORRECTOMATIC RESPONSE-'; echo '{\"success\":true,\"grade\":1}'",
        ),
        script("suicide", "killed", "SIGKILL", "kill -9 $$; sleep 9"),
        changed(
            "image",
            "image_not_found",
            "does-not-exist:1",
            "image",
            json!("correction-runner-test/does-not-exist:1"),
        ),
        changed("name", "image_not_found", "Check its name", "image", json!("Not a name")),
        changed("entrypoint", "start_failed", "image", "image", json!(docker::BAD_ENTRYPOINT_IMAGE)),
        changed("missing", "exercise_not_found", "/no/such/file", "file", json!("/no/such/file")),
        changed("number", "invalid_job", "\"image\"", "image", json!(7)),
        changed("relative", "invalid_job", "\"file\"", "file", json!("a/b")),
        changed("params", "invalid_job", "\"params\"", "params", json!({"A": 1})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_told_with_its_outcome_and_leaves_nothing() {
    let system = System::start(&[]).await;
    let cases = failing(&system);
    for (job, _) in &cases {
        system.submit(job).await;
    }
    for (_, case) in &cases {
        let body = system.result(case.name).await.json();
        assert_eq!(body["outcome"], case.outcome, "{}: {body}", case.name);
        assert_eq!(body["success"], false);
        assert_eq!(body["work_id"], case.name);
        let told = body["error"].as_str().expect("a text");
        assert!(told.contains(case.told), "{}: {told:?} does not say {:?}", case.name, case.told);
        assert!(!told.contains("undefined") && !told.contains("panicked"), "{told}");
    }
    assert!(!std::path::Path::new("/no/such/file").exists(), "Docker made no directory of it");
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), cases.len(), "each exactly once");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_callback_cannot_be_read_becomes_a_listed_dead_letter() {
    let system = System::start(&[]).await;
    system.submit_text("undefined").await;
    system.submit(&json!({"work_id": 1, "image": "i", "file": "/f"})).await;
    system.submit(&json!({"work_id": 2, "image": "i", "file": "/f", "callback": "gopher://x"})).await;
    let finished = system.redis.queue(correction_runner::job::FINISHED_QUEUE);
    system
        .until("three dead letters are listed", async || {
            let counts = finished.counts().await.expect("Redis answers");
            (counts.failed == 3).then_some(())
        })
        .await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_arrives_a_little_after_its_job_is_waited_for() {
    let system = System::start(&[]).await;
    let mut job = system.job("late", "unused");
    let path = system.submission("unused").with_extension("late");
    job["file"] = json!(path);
    system.submit(&job).await;
    let pending = system.redis.queue(correction_runner::job::PENDING_QUEUE);
    system
        .until("the start is postponed", async || {
            (pending.counts().await.expect("Redis answers").delayed == 1).then_some(())
        })
        .await;
    std::fs::write(&path, r#"echo '{"success":true,"grade":1}'"#).expect("a file can be written");
    assert_eq!(system.result("late").await.json()["grade"], 1);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_or_removed_by_hand_is_told_as_killed() {
    let system = System::start(&[]).await;
    system.submit(&system.job("killed", "exec sleep 600")).await;
    system.submit(&system.job("removed", "exec sleep 600")).await;
    system.until_running("both run", |counts| counts.active == 2).await;
    for (number, container) in system.containers().await.into_iter().enumerate() {
        let killed = calls_back_at(&container, "/killed");
        let arguments = if killed { vec!["kill"] } else { vec!["rm", "-f"] };
        docker::command(&[&arguments[..], &[container.id.as_str()]].concat()).await;
        assert!(number < 2);
    }
    for path in ["killed", "removed"] {
        let body = system.result(path).await.json();
        assert_eq!(body["outcome"], "killed", "{body}");
    }
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), 2);
    system.end().await;
}
