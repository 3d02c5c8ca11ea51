//! A wedge cannot last: panics, work that hangs, loops that die or hang, an executor that is blocked.

use std::time::{Duration, Instant};

use serde_json::json;

use super::campaign::{Campaign, Expected};
use super::figures::note;
use crate::support::simulated_engine::{Options, SimulatedEngine, script};
use crate::support::system::System;

const RUN_TIME: Duration = Duration::from_millis(200);
/// What the work on one job may stand still: see `heartbeat::OWN_WORK`.
const OWN_WORK: Duration = Duration::from_secs(10);

/// A system on a simulated engine, with traps for the process that is started next.
async fn trapped(traps: &str) -> (SimulatedEngine, Campaign) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("CRASH_POINTS", traps), ("MAX_RUNNING", "0")]);
    (engine, Campaign::of(system))
}

fn is_logged(campaign: &Campaign, words: &str) -> bool {
    campaign.system.logs().contains(words)
}

async fn until_logged(campaign: &Campaign, words: &str) {
    campaign
        .system
        .until(&format!("a log line of {words}"), async || is_logged(campaign, words).then_some(()))
        .await;
}

/// Waits until the process `all` ends by itself; gives its exit code.
async fn exit_code(campaign: &mut Campaign) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = campaign.system.ended("all") {
            return status.code();
        }
        assert!(began.elapsed() < Duration::from_secs(80), "it runs on; logs:\n{}", campaign.system.logs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_work_on_one_job_harms_that_job_only_and_it_gets_its_result() {
    let points = [
        "starter-taken",
        "starter-creating",
        "starter-created",
        "starter-started",
        "starter-handed-over",
        "completer-collected",
        "completer-handed-over",
        "completer-removing",
        "completer-removed",
        "sweep-listed",
        "sweep-examined",
        "notifier-taken",
        "notifier-posting",
        "notifier-answered",
        "notifier-settled",
    ];
    let traps: Vec<String> =
        points.iter().enumerate().map(|(at, point)| format!("{point}=panic:{}", at % 3 + 1)).collect();
    let (_engine, mut campaign) = trapped(&traps.join(",")).await;
    // The attempt that panicked after the receiver's answer is made again.
    campaign.allow_repeats();
    campaign.system.set(&[("SWEEP_INTERVAL", "1s")]);
    campaign.system.spawn("all");
    let process = campaign.system.process_id("all");
    campaign.submit(12, RUN_TIME).await;
    campaign.until_delivered(12).await;
    for point in points {
        until_logged(&campaign, &format!("wants a panic at {point}")).await;
    }
    assert_eq!(campaign.system.process_id("all"), process);
    let proof = campaign.prove().await;
    assert!(proof.repeats <= 1, "one panic fell after an answer: {proof:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_whose_reading_panics_each_time_is_a_failure_that_its_caller_is_told() {
    let traps = ["completer-collected=panic"; 3];
    // Each of them springs once, the first that has not yet.
    let (_engine, mut campaign) = trapped(&traps.join(",")).await;
    campaign.system.spawn("all");
    campaign.submit(1, RUN_TIME).await;
    campaign.expect("c1", Expected::Outcome("container_lost"));
    campaign.until_delivered(1).await;
    campaign.submit(3, RUN_TIME).await;
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_background_loop_that_panics_ends_the_process_for_its_supervisor_to_start_it_anew() {
    let (_engine, mut campaign) = trapped("").await;
    for (traps, dead) in [
        ("worker-took=panic", "starter failed: it ended without being asked to"),
        ("worker-renewed=panic", "running_corrections: renewing"),
        ("starter-taken=panic,worker-released=panic", "pending_corrections: giving up"),
        ("completer-taken=panic", "completer failed: task"),
    ] {
        campaign.system.set(&[("CRASH_POINTS", traps)]);
        campaign.system.spawn("all");
        campaign.submit(2, Duration::from_secs(8)).await;
        let submitted = Instant::now();
        assert_eq!(exit_code(&mut campaign).await, Some(70), "{traps}; logs:\n{}", campaign.system.logs());
        note(
            "a dead loop",
            &format!("process ended after ({traps})"),
            format!("{} ms", submitted.elapsed().as_millis()),
        );
        assert!(is_logged(&campaign, dead), "{dead} is not in the logs:\n{}", campaign.system.logs());
    }
    campaign.system.set(&[("CRASH_POINTS", "")]);
    campaign.system.spawn("all");
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_hangs_is_logged_and_given_up_and_the_others_do_not_wait_for_it() {
    let traps = "starter-created=hang:2,starter-handed-over=hang:5,completer-collected=hang:3,\
                 completer-handed-over=hang:6,completer-removing=hang,notifier-posting=hang:4,\
                 notifier-settled=hang:7,sweep-listed=hang:1";
    let hangs = 5; // before a result is delivered; the others come after it
    let (_engine, mut campaign) = trapped(traps).await;
    campaign.system.spawn("all");
    campaign.submit(16, RUN_TIME).await;
    let submitted = Instant::now();
    campaign.until_delivered(16 - hangs).await;
    let undisturbed = submitted.elapsed();
    assert!(undisturbed < OWN_WORK, "they waited for those that hang: {undisturbed:?}");
    campaign.until_delivered(16).await;
    let all = submitted.elapsed();
    assert!(all > OWN_WORK, "nothing hung: {all:?}");
    note("work that hangs", "results of the others after", format!("{} ms", undisturbed.as_millis()));
    note("work that hangs", "its own results after", format!("{} ms", all.as_millis()));
    for words in [
        "in work of its own after `create`",
        "in work of its own after `logs`",
        "in work of its own after `hand over`",
        "a start was given up",
        "an effect of the completer was given up",
        "a removal was given up",
        "a delivery was given up",
    ] {
        until_logged(&campaign, words).await;
    }
    campaign.prove().await;
}

/// A call that never ends is ended by its own deadline, long before the work on the job is given up.
#[tokio::test(flavor = "multi_thread")]
async fn calls_without_answer_hold_up_their_own_corrections_only() {
    use crate::support::simulated_engine::{Call, Fault, Rule};
    let (engine, mut campaign) = trapped("").await;
    campaign.system.set(&[("DOCKER_TIMEOUT", "1s")]);
    for (call, fault) in [
        (Call::Logs, Fault::StallBody),
        (Call::Logs, Fault::Hang),
        (Call::Create, Fault::CarryOutAndHang),
        (Call::Start, Fault::CarryOutAndHang),
        (Call::Remove, Fault::CarryOutAndHang),
    ] {
        engine.add_rule(Rule { call: Some(call), container: None, fault, left: 1 });
    }
    campaign.system.spawn("all");
    campaign.submit(8, RUN_TIME).await;
    campaign.until_delivered(8).await;
    assert!(!is_logged(&campaign, "no headway"), "logs:\n{}", campaign.system.logs());
    campaign.prove().await;
}

/// The completer's loop hangs: see that it is told, and (`to_its_end`) that its process ends for it.
async fn a_loop_hangs(to_its_end: bool) {
    let (_engine, mut campaign) = trapped("completer-taken=hang:3").await;
    campaign.system.spawn("all");
    campaign.submit(6, RUN_TIME).await;
    let submitted = Instant::now();
    until_logged(&campaign, "the loop `completer` is stuck for").await;
    let told = submitted.elapsed();
    note("a loop that hangs", "told after", format!("{} ms", told.as_millis()));
    assert!(told < Duration::from_secs(15), "{told:?}");
    // Its time to beat, a margin, and two looks.
    assert!(told > Duration::from_secs(5), "{told:?}");
    assert!(!is_logged(&campaign, "the loop `starter` is stuck"), "logs:\n{}", campaign.system.logs());
    if to_its_end {
        assert_eq!(exit_code(&mut campaign).await, Some(70), "logs:\n{}", campaign.system.logs());
        note("a loop that hangs", "process ended after", format!("{} ms", submitted.elapsed().as_millis()));
    } else {
        campaign.system.kill("all").await;
        campaign.allow_repeats();
    }
    campaign.system.set(&[("CRASH_POINTS", "")]);
    campaign.system.spawn("all");
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_hangs_is_logged_with_its_name_within_seconds() {
    a_loop_hangs(false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_loop_that_hangs_for_good_ends_its_process() {
    a_loop_hangs(true).await;
}

/// All threads of the executor are blocked: nothing runs that could log it, but a thread of its own.
async fn the_executor_is_blocked(to_its_end: bool) {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    let traps = vec!["starter-taken=block"; threads];
    let (_engine, mut campaign) = trapped(&traps.join(",")).await;
    campaign.system.set(&[("CONCURRENT_STARTERS", &(threads + 1).to_string())]);
    campaign.system.spawn("all");
    campaign.submit(threads + 2, RUN_TIME).await;
    let submitted = Instant::now();
    until_logged(&campaign, "the executor is blocked: for 5 s it has run no task").await;
    note("a blocked executor", "told after", format!("{} ms", submitted.elapsed().as_millis()));
    if to_its_end {
        assert_eq!(exit_code(&mut campaign).await, Some(70), "logs:\n{}", campaign.system.logs());
        note("a blocked executor", "process ended after", format!("{} ms", submitted.elapsed().as_millis()));
    } else {
        campaign.system.kill("all").await;
    }
    campaign.system.set(&[("CRASH_POINTS", "")]);
    campaign.system.spawn("all");
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_executor_is_logged_from_outside() {
    the_executor_is_blocked(false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_blocked_executor_ends_its_process() {
    the_executor_is_blocked(true).await;
}

/// The log goes to a pipe that nobody reads: it blocks whoever logs, the watchdog's own words too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_log_that_nobody_reads_ends_the_process_before_its_locks_are_kept_for_ever() {
    let (_engine, mut campaign) = trapped("").await;
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    // Open at its other end, or the runner would wait for that.
    let unread =
        std::fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("a pipe can be opened");
    campaign.system.set(&[("LOG_FILE", &pipe.display().to_string()), ("LOG_LEVEL", "debug")]);
    campaign.system.spawn("all");
    campaign.submit(400, RUN_TIME).await;
    campaign.allow_repeats();
    assert_eq!(exit_code(&mut campaign).await, Some(70));
    drop(unread);
    campaign.system.set(&[("LOG_FILE", ""), ("LOG_LEVEL", "info")]);
    campaign.system.spawn("all");
    campaign.prove().await;
}

/// Stopped is not stuck: after a laptop's sleep nothing is given up that would go on by itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_process_that_was_stopped_for_longer_than_all_deadlines_goes_on() {
    let (engine, mut campaign) = trapped("").await;
    campaign.system.spawn("all");
    let data = {
        let mut data = campaign.system.job("slow", "sleep 1; echo '{\"success\":true,\"grade\":1}'");
        data["params"] = json!([
            format!("{}=50000", script::RUN_MS),
            format!("{}={{\"success\":true,\"grade\":1}}", script::STDOUT)
        ]);
        data
    };
    campaign.submit_one("slow", &data, Expected::Grade(1)).await;
    engine.until(|seen| seen.alive == 1).await;
    campaign.submit(4, RUN_TIME).await;
    campaign.system.signal("all", "STOP").await;
    tokio::time::sleep(Duration::from_secs(45)).await;
    campaign.system.signal("all", "CONT").await;
    campaign.until_delivered(5).await;
    for words in ["no headway", "is stuck for", "is blocked"] {
        assert!(!is_logged(&campaign, words), "{words}; logs:\n{}", campaign.system.logs());
    }
    campaign.prove().await;
}
