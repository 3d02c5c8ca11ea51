//! What the log says of each correction: whose line it is, one line for each stage, and nothing secret.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::redis::free_port;
use crate::support::system::System;

/// A correction as the test knows it.
#[derive(Debug, Default)]
struct Known {
    work_id: String,
    pending: String,
    correction: String,
    container: Option<String>,
}

fn lines(log: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| !line.starts_with("--- "));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

fn text<'line>(line: &'line Value, field: &str) -> &'line str {
    line[field].as_str().unwrap_or_default()
}

/// How many lines of a stage about a correction fit.
fn count(lines: &[Value], known: &Known, stage: &str, fits: impl Fn(&Value) -> bool) -> usize {
    let own = |line: &&Value| text(line, "correction") == known.correction && text(line, "stage") == stage;
    lines.iter().filter(own).filter(|line| fits(line)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_about_a_correction_has_its_ids_and_each_stage_tells_of_it_once() {
    let settings = [
        ("CONTAINER_TIMEOUT", "3s"),
        ("NOTIFY_ATTEMPTS", "3"),
        ("NOTIFY_BACKOFF", "50ms"),
        ("LOG_FORMAT", "json"),
    ];
    let mut system = System::start(&settings).await;
    let ok = r#"echo '{"success": true}'"#;
    let mut jobs: BTreeMap<&str, Value> = [
        ("w-good", ok),
        ("w-silent", "exit 3"),
        ("w-slow", "exec sleep 1000"),
        ("w-imageless", ok),
        ("w-invalid", ok),
        ("w-undelivered", ok),
    ]
    .into_iter()
    .map(|(name, script)| (name, system.job(name, script)))
    .collect();
    let mut set = |name: &str, field: &str, value: Value| jobs.get_mut(name).expect("a job")[field] = value;
    set("w-imageless", "image", json!("correction-runner-test/no-such-image:1"));
    set("w-invalid", "file", json!("not/absolute"));
    set("w-undelivered", "callback", json!(format!("http://127.0.0.1:{}/hook", free_port())));
    let mut all: BTreeMap<&str, Known> = BTreeMap::new();
    for (name, job) in &jobs {
        let pending = system.submit(job).await.to_string();
        all.insert(name, Known { work_id: (*name).to_owned(), pending, ..Known::default() });
    }
    for name in jobs.keys().filter(|name| **name != "w-undelivered") {
        system.result(name).await;
    }
    let finished = system.redis.queue("finished_corrections");
    system.until("a dead letter", async || (finished.counts().await.ok()?.failed == 1).then_some(())).await;
    system.until_clean().await;
    system.stop_all().await;

    let lines = lines(&system.log_of("all"));
    for line in lines.iter().filter(|line| text(line, "stage") == "starter") {
        let Some(known) = all.get_mut(text(line, "work_id")) else { continue };
        text(line, "correction").clone_into(&mut known.correction);
        if let Some(container) = line["container_id"].as_str() {
            known.container = Some(container.to_owned());
        }
    }
    for known in all.values() {
        assert!(!known.correction.is_empty(), "{known:?} is not in the log:\n{}", system.logs());
        let ids = [Some(&known.work_id), Some(&known.correction), known.container.as_ref()];
        for line in &lines {
            let whole = line.to_string();
            if ids.iter().flatten().any(|id| whole.contains(*id)) {
                has_its_ids(line, known);
            }
        }
        counted(&lines, known);
    }
}

fn has_its_ids(line: &Value, known: &Known) {
    let stage = text(line, "stage");
    assert_eq!(text(line, "correction"), known.correction, "{line}");
    let job = if stage == "starter" { &known.pending } else { &known.correction };
    assert_eq!(text(line, "job_id"), job, "{line}");
    // A starter and a notifier take a job before they have read it.
    if !(stage == "starter" && line["work_id"].is_null()) {
        assert_eq!(text(line, "work_id"), known.work_id, "{line}");
    }
    let container = line["container_id"].as_str();
    match stage {
        "completer" => assert_eq!(container, known.container.as_deref(), "{line}"),
        "starter" => assert!(container.is_none() || container == known.container.as_deref(), "{line}"),
        "notifier" => assert_eq!(container, None, "{line}"),
        _ => panic!("of which stage? {line}"),
    }
    if let Some(id) = &known.container {
        assert!(!line.to_string().contains(id.as_str()) || container.is_some(), "{line}");
    }
}

/// One line of information for each stage that went well, and one warning or error for one that did not.
fn counted(lines: &[Value], known: &Known) {
    let info = |stage: &str| count(lines, known, stage, |line| text(line, "level") == "info");
    let said = |stage: &str, words: &str| count(lines, known, stage, |line| text(line, "msg") == words);
    let was_started = known.container.is_some();
    assert_eq!(
        (info("starter"), said("starter", "correction started")),
        if was_started { (1, 1) } else { (0, 0) },
        "{known:?}"
    );
    assert_eq!(said("starter", "correction not started"), usize::from(!was_started), "{known:?}");
    let completed = (info("completer"), said("completer", "correction completed"));
    assert_eq!(completed, if was_started { (1, 1) } else { (0, 0) }, "{known:?}");
    let delivered = (info("notifier"), said("notifier", "result delivered"));
    if known.work_id == "w-undelivered" {
        assert_eq!(delivered, (0, 0), "{known:?}");
        let failures = count(lines, known, "notifier", |line| text(line, "level") == "warn");
        let given_up = count(lines, known, "notifier", |line| text(line, "level") == "error");
        assert_eq!((failures, given_up), (2, 1), "two tries that are repeated, and the end: {known:?}");
    } else {
        assert_eq!(delivered, (1, 1), "{known:?}");
    }
}
