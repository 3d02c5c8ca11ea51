//! The page of metrics after real corrections, as Prometheus reads it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use correction_runner::metrics::{Kind, all};
use serde_json::json;

use super::{address_of, asked, page, promtool, sample, watched};
use crate::support::docker::{BAD_ENTRYPOINT_IMAGE, GRADER_IMAGE};
use crate::support::system::{PATIENCE, System};

const VERDICT: &str = r#"echo '{"success":true,"grade":7}'"#;

/// What nothing is told of in a system that has no need for it.
const MAY_BE_SILENT: [&str; 1] = ["correction_runner_host_free_bytes"];

/// Samples, and how high each is at the least once all corrections of the test are over.
const LEAST: &[(&str, f64)] = &[
    ("correction_runner_dead_letters_total", 1.0),
    ("correction_runner_container_removals_total{result=\"done\"}", 4.0),
    ("correction_runner_queue_jobs{queue=\"finished_corrections\",state=\"failed\"}", 1.0),
    ("correction_runner_sweeps_total{result=\"done\"}", 1.0),
    ("correction_runner_ready", 1.0),
    ("correction_runner_stage_duration_seconds_count{stage=\"queued\"}", 6.0),
    ("correction_runner_stage_duration_seconds_count{stage=\"create\"}", 4.0),
    ("correction_runner_stage_duration_seconds_count{stage=\"start\"}", 4.0),
    ("correction_runner_stage_duration_seconds_count{stage=\"run\"}", 4.0),
    ("correction_runner_stage_duration_seconds_count{stage=\"collect\"}", 4.0),
    ("correction_runner_stage_duration_seconds_count{stage=\"deliver\"}", 6.0),
    ("correction_runner_correction_duration_seconds_count", 7.0),
    ("correction_runner_jobs_taken_total{queue=\"running_corrections\"}", 4.0),
    ("correction_runner_events_total{action=\"died\"}", 4.0),
    ("correction_runner_event_lag_seconds_count", 4.0),
    ("correction_runner_event_stream_up", 1.0),
    ("correction_runner_delivery_attempts_total{result=\"delivered\"}", 6.0),
    ("correction_runner_delivery_attempts_total{result=\"unreachable\"}", 1.0),
    ("correction_runner_redis_call_duration_seconds_count{call=\"take\"}", 3.0),
    ("correction_runner_docker_call_duration_seconds_count{call=\"create\"}", 4.0),
    ("correction_runner_redis_connections_total", 1.0),
    ("correction_runner_permits_limit", 50.0),
    ("correction_runner_check_up{check=\"loop pending_corrections: taking\"}", 1.0),
    ("process_resident_memory_bytes", 1e6),
    ("process_cpu_seconds_total", 0.0),
];

#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_each_kind_are_told_by_image_and_outcome_with_their_times_and_promtool_has_no_complaint()
 {
    let mut system = System::prepare().await;
    watched(&mut system);
    system.set(&[("CONTAINER_TIMEOUT", "10s"), ("MAX_RUNNING", "50"), ("NOTIFY_ATTEMPTS", "1")]);
    system.spawn("all");
    let address = address_of(&system, "all").await;
    let changed = |name, field: &str, value| {
        let mut job = system.job(name, VERDICT);
        job[field] = value;
        job
    };
    let no_such_image = "correction-runner-test/does-not-exist:1";
    let jobs = [
        (system.job("verdict", VERDICT), Some((GRADER_IMAGE, "verdict"))),
        (system.job("silent", "true"), Some((GRADER_IMAGE, "no_verdict"))),
        (system.job("endless", "sleep 60"), Some((GRADER_IMAGE, "timeout"))),
        (changed("image", "image", json!(no_such_image)), Some((no_such_image, "image_not_found"))),
        (
            changed("entry", "image", json!(BAD_ENTRYPOINT_IMAGE)),
            Some((BAD_ENTRYPOINT_IMAGE, "start_failed")),
        ),
        (changed("number", "image", json!(7)), Some(("unknown", "invalid_job"))),
        // Nobody listens there: a dead letter.
        (changed("nobody", "callback", json!("http://127.0.0.1:1/")), None),
    ];
    for (job, _) in &jobs {
        system.submit(job).await;
    }
    for (job, _) in jobs.iter().filter(|(_, ends)| ends.is_some()) {
        system.result(job["work_id"].as_str().expect("a name")).await;
    }
    let told = |image: &str, outcome: &str| {
        format!("correction_runner_corrections_total{{image=\"{image}\",outcome=\"{outcome}\"}}")
    };
    let ended = jobs
        .iter()
        .filter_map(|(_, ends)| *ends)
        .map(|(image, outcome)| (told(image, outcome), if outcome == "verdict" { 2.0 } else { 1.0 }));
    let least: Vec<(String, f64)> =
        ended.chain(LEAST.iter().map(|(start, least)| ((*start).to_owned(), *least))).collect();
    // What follows a result, such as the removal of its container, comes a moment after it.
    let began = Instant::now();
    let page = loop {
        let page = page(&address).await;
        let lacks = |(start, least): &&(String, f64)| sample(&page, start).is_none_or(|value| value < *least);
        let Some((start, least)) = least.iter().find(lacks) else { break page };
        assert!(began.elapsed() < PATIENCE, "{start} is not {least} or more:\n{page}\n{}", system.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for (image, outcome) in jobs.iter().filter_map(|(_, ends)| *ends) {
        let count = sample(&page, &told(image, outcome)).unwrap_or_default();
        assert!(count < if outcome == "verdict" { 2.5 } else { 1.5 }, "{image}, {outcome}: {count}");
    }
    // It ran for ten seconds, and no other for nearly as long as a minute.
    let run = "correction_runner_stage_duration_seconds_bucket{stage=\"run\",le=";
    let (within_5_s, within_60_s) =
        (sample(&page, &format!("{run}\"5.0\"}}")), sample(&page, &format!("{run}\"60.0\"}}")));
    assert!(within_5_s < within_60_s, "{page}");

    let (well, said) = promtool(&["check", "metrics"], &page).await;
    assert!(well && said.trim().is_empty(), "{said}\n{page}");
    for metric in all() {
        let ends: &[&str] = if metric.kind == Kind::Histogram { &["_count"] } else { &[""] };
        let is_told = |line: &str| {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            ends.iter().any(|end| name.strip_suffix(end) == Some(metric.name))
        };
        let may_be_silent =
            MAY_BE_SILENT.contains(&metric.name) || metric.name.ends_with("_call_errors_total");
        assert!(may_be_silent || page.lines().any(is_told), "nothing is told of {}:\n{page}", metric.name);
    }
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn either_format_holds_the_same_samples_each_once_and_open_metrics_has_its_end() {
    let mut system = System::prepare().await;
    watched(&mut system);
    system.spawn("notifier");
    let address = address_of(&system, "notifier").await;
    let samples = |page: &str| -> BTreeSet<String> {
        let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        let names: BTreeSet<String> =
            lines.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect();
        assert_eq!(names.len(), lines.len(), "a sample is there twice:\n{page}");
        names
    };
    let looks_alike = system.until("both pages hold the same", async || {
        let plain = page(&address).await;
        let (_, open) = asked(&address, "/metrics", "application/openmetrics-text;version=1.0.0").await;
        assert!(
            open.ends_with("# EOF\n") && open.contains("# TYPE correction_runner_corrections counter\n"),
            "{open}"
        );
        assert!(
            !plain.contains("# EOF")
                && plain.contains("# TYPE correction_runner_corrections_total counter\n")
        );
        // A call may have been made for the first time in between.
        (samples(&plain) == samples(&open)).then_some(open)
    });
    let open = looks_alike.await;
    let component = concat!("version=\"", env!("CARGO_PKG_VERSION"));
    assert!(open.contains(component) && open.contains("component=\"notifier\"} 1"), "{open}");
    // What a notifier has nothing to do with it is silent about.
    assert_eq!(sample(&open, "correction_runner_event_stream_up"), None);
    assert!(!open.contains("check=\"docker\""), "{open}");
    system.stop_all().await;
}
