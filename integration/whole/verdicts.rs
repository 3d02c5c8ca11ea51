//! Submissions that get a verdict: what arrives at the callback, byte for byte.

use serde_json::{Value, json};

use crate::support::system::System;

const SAYS_OK: &str = r#"echo '{"success": true, "grade": 7.50, "comments": ["ok"]}'"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_arrives_at_the_callback_as_the_original_sends_it() {
    let system = System::start(&[]).await;
    let plain = system.job("w0", SAYS_OK);
    let mut unnamed = system.job("unnamed", SAYS_OK);
    unnamed.as_object_mut().expect("an object").remove("work_id");
    let mut nested = system.job(
        "nested",
        r#"echo '{"comments":["ñ €","𝄞"],"success":true,"big":12345678901234567890,"work_id":"forged"}'"#,
    );
    nested["work_id"] = json!({"b": [1, null, true], "a": "é"});
    let failed =
        system.job("failed", r#"echo '{"success":false,"error":"The dog ate my correction"}'; exit 3"#);
    let block = system.job(
        "block",
        "echo noise; echo 'x--BEGIN CORRECTOMATIC RESPONSE--'; echo '{\"success\":true,\"grade\":1e21}'; echo '-END CORRECTOMATIC RESPONSE-'; echo more",
    );
    let mut params = system.job("params", r#"echo "{\"success\":true,\"comments\":[\"$WHO $OTHER\"]}""#);
    params["params"] = json!(["WHO=me and you", "OTHER=a=b"]);
    params["course"] = json!({"unknown": "carried"});
    let stderr = system.job("stderr", r#"echo '{"success":true,' ; echo '"grade":100.0}' >&2"#);
    for job in [&plain, &unnamed, &nested, &failed, &block, &params, &stderr] {
        system.submit(job).await;
    }
    for (path, body) in [
        ("w0", r#"{"comments":["ok"],"grade":7.5,"success":true,"work_id":"w0"}"#),
        ("unnamed", r#"{"comments":["ok"],"grade":7.5,"success":true}"#),
        (
            "nested",
            r#"{"big":12345678901234567000,"comments":["ñ €","𝄞"],"success":true,"work_id":{"a":"é","b":[1,null,true]}}"#,
        ),
        ("failed", r#"{"error":"The dog ate my correction","success":false,"work_id":"failed"}"#),
        ("block", r#"{"grade":1e+21,"success":true,"work_id":"block"}"#),
        ("params", r#"{"comments":["me and you a=b"],"success":true,"work_id":"params"}"#),
        ("stderr", r#"{"grade":100,"success":true,"work_id":"stderr"}"#),
    ] {
        let received = system.result(path).await;
        assert_eq!(received.body, body, "{path}");
        assert_eq!(received.content_type, "application/json");
        assert!(!received.webhook_id.is_empty());
    }
    system.until_clean().await;
    assert_eq!(system.receiver.all().len(), 7, "each exactly once");
    system.end().await;
}

/// As BullMQ's clients and dashboards show it: a return value is JSON.
#[tokio::test(flavor = "multi_thread")]
async fn each_queue_remembers_in_words_what_was_done() {
    let system = System::start(&[]).await;
    let id = system.submit(&system.job("said", SAYS_OK)).await;
    let webhook_id = system.result("said").await.webhook_id;
    for (queue, id, said) in [
        ("pending_corrections", id.as_str(), "Correction started at 2"),
        ("running_corrections", webhook_id.as_str(), "Correction completed at 2"),
        ("finished_corrections", webhook_id.as_str(), "Notification sent to http://127.0.0.1:"),
    ] {
        let key = format!("bull:{queue}:{id}");
        let value = system
            .until("the job is completed", async || {
                serde_json::from_str::<String>(&system.ask(&["hget", &key, "returnvalue"]).await).ok()
            })
            .await;
        assert!(value.starts_with(said), "{queue}: {value}");
    }
    system.end().await;
}

/// What an operator follows a correction by, without any of its passwords.
#[tokio::test(flavor = "multi_thread")]
async fn each_stage_logs_one_line_a_correction_with_its_ids_and_no_secret() {
    let mut system = System::prepare().await;
    system.set(&[("LOG_LEVEL", "info")]);
    system.spawn("all");
    let mut job = system.job("logged", SAYS_OK);
    job["params"] = json!(["TOKEN=geheim1"]);
    job["callback"] = json!(system.receiver.url("logged?token=geheim2").replace("//", "//me:geheim3@"));
    let mut refused = system.job("refused", SAYS_OK);
    refused["params"] = json!("TOKEN=geheim4");
    let id = system.submit(&job).await;
    system.submit(&refused).await;
    let correction = system.result("logged").await.webhook_id;
    system.result("refused").await;
    system.until_clean().await;
    let logs = system.logs();
    let lines: Vec<Value> = logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |work_id: &str| lines.iter().filter(move |line| line["work_id"] == work_id).collect::<Vec<_>>();
    let [started, completed, delivered] = of("logged")[..] else { panic!("{logs}") };
    assert_eq!((&started["msg"], &started["level"]), (&json!("correction started"), &json!("info")));
    assert_eq!((&started["job_id"], &started["correction"]), (&json!(id.as_str()), &json!(correction)));
    assert_eq!((&completed["msg"], &completed["level"]), (&json!("correction completed"), &json!("info")));
    assert_eq!((&completed["job_id"], &completed["outcome"]), (&json!(correction), &json!("verdict")));
    assert!(started["container_id"].is_string() && started["container_id"] == completed["container_id"]);
    assert_eq!((&delivered["msg"], &delivered["level"]), (&json!("result delivered"), &json!("info")));
    assert!(delivered["job_id"] == correction && delivered["ms"].is_u64(), "{delivered}");
    let [refused, delivered] = of("refused")[..] else { panic!("{logs}") };
    assert_eq!((&refused["outcome"], &refused["correction"]), (&json!("invalid_job"), &delivered["job_id"]));
    assert!(!logs.contains("geheim"), "{logs}");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_sees_its_submission_read_only_and_nothing_else_of_ours() {
    let system = System::start(&[]).await;
    let script = r#"
        if echo x >> /tmp/exercise 2>/dev/null; then writable=yes; else writable=no; fi
        if [ -t 0 ]; then terminal=yes; else terminal=no; fi
        read line || line=none
        echo "{\"success\":true,\"comments\":[\"$writable\",\"$terminal\",\"$line\"]}"
    "#;
    system.submit(&system.job("seen", script)).await;
    let received = system.result("seen").await;
    assert_eq!(received.json()["comments"], json!(["no", "no", "none"]));
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_original_profile_the_submission_is_writable_as_it_was() {
    let system = System::start(&[("CONTAINER_PROFILE", "original")]).await;
    let script = r#"
        if echo '# x' >> /tmp/exercise; then writable=yes; else writable=no; fi
        echo "{\"success\":true,\"comments\":[\"$writable\"]}"
    "#;
    system.submit(&system.job("seen", script)).await;
    assert_eq!(system.result("seen").await.json()["comments"], json!(["yes"]));
    system.end().await;
}
