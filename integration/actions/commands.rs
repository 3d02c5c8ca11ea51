//! `submit`, `queues` and `containers` as a person and a script use them.

use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use correction_runner::identity::LockToken;
use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE};
use correction_runner::queue::Keep;
use tokio::process::Command;

use super::{run, run_unread, simulated, target};
use crate::scripts::call_at_terminal;
use crate::support::docker::GRADER_IMAGE;
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn submit_prints_the_result_and_its_exit_code_tells_it() {
    let system = System::start(&[]).await;
    let submission = |script: &str| system.submission(script).display().to_string();
    let (pass, fail) = (
        submission(r#"echo "{\"success\":true,\"grade\":7,\"comments\":[\"$WHO\"]}""#),
        submission(r#"echo '{"success":false,"error":"no zip"}'"#),
    );
    let broken = submission("echo nothing");
    let with_who = ["submit", GRADER_IMAGE, &pass, "--param", "WHO=you", "--work-id", "w1"];
    let with_fail = ["submit", GRADER_IMAGE, &fail, "--json"];
    let with_broken = ["submit", GRADER_IMAGE, &broken, "--json"];
    let (passed, failed, broke) =
        tokio::join!(run(&system, &with_who), run(&system, &with_fail), run(&system, &with_broken),);
    assert_eq!(passed.code, Some(0), "{passed:?}; logs:\n{}", system.logs());
    assert!(passed.stdout.starts_with("success, grade 7") && passed.stdout.contains("  you"), "{passed:?}");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let document = failed.json();
    assert_eq!((&document["result"], &document["body"]["error"]), (&"failure".into(), &"no zip".into()));
    assert_eq!(broke.code, Some(2), "{broke:?}");
    assert_eq!(broke.json()["outcome"], "no_verdict");
    // Nothing is left to be delivered to a receiver that is gone.
    let counts = system.redis.queue(FINISHED_QUEUE).counts().await.expect("Redis answers");
    assert_eq!((counts.completed, counts.failed + counts.delayed + counts.waiting), (3, 0));
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_takes_the_result_back_that_no_notifier_can_deliver() {
    // As with one on another host: one that fails to, and tries again, and one that may not, and buries it at once.
    for (setting, value, reason) in [
        ("CALLBACK_DENY", "127.0.0.1", "CALLBACK_DENY"),
        ("CALLBACK_HTTPS_ONLY", "yes", "CALLBACK_HTTPS_ONLY"),
        ("CALLBACK_POLICY", "public", "CALLBACK_POLICY=public"),
    ] {
        let engine = SimulatedEngine::start(Options::default()).await;
        let mut system = System::prepare_on(&engine).await;
        system.set(&[(setting, value)]);
        system.spawn("all");
        let file = system.submission("exit").display().to_string();
        let told = run(&system, &["submit", "grader:1", &file, "--json"]).await;
        assert_eq!(told.code, Some(0), "{told:?}; logs:\n{}", system.logs());
        let counts = system.redis.queue(FINISHED_QUEUE).counts().await.expect("Redis answers");
        assert_eq!(
            counts.delayed + counts.waiting + counts.active + counts.failed,
            0,
            "{setting}: {counts:?}"
        );
        assert_eq!(counts.completed, 1, "{setting}: {counts:?}");
        let told_why = told.stderr.contains("no dead letter is left") && told.stderr.contains(reason);
        assert!(told_why, "{setting}: {told:?}");
        system.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_says_at_once_what_no_starter_would_take_and_gives_up_after_its_time() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    for (arguments, culprit) in [
        (&["submit", " ", "/f"][..], "image"),
        (&["submit", "g", "/f", "--param", "X"], "KEY=VALUE"),
        (&["submit", "g", "/f", "--callback", "ftp://h/"], "callback"),
        (&["submit", "g", "/f", "--no-wait"], "--callback"),
    ] {
        let told = run(&system, arguments).await;
        assert!(told.code == Some(64) && told.stderr.contains(culprit), "{arguments:?}: {told:?}");
    }
    let counts = system.redis.queue(PENDING_QUEUE).counts().await.expect("Redis answers");
    assert_eq!(counts.waiting, 0, "nothing was put");
    let url = system.receiver.url("x");
    let told = run(&system, &["submit", "g", "/f", "--callback", &url, "--no-wait", "--work-id", "7"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let told = run(&system, &["submit", "g", "/f", "--timeout", "1s"]).await;
    assert!(told.code == Some(3) && told.stderr.contains("no result after"), "{told:?}");
    assert!(told.stderr.contains("cancel 2 --by job-id") && told.stderr.contains("dead letter"), "{told:?}");
    let (record, _) = system
        .redis
        .queue(PENDING_QUEUE)
        .record(&correction_runner::identity::JobId::new("1"))
        .await
        .expect("Redis answers")
        .expect("the first job");
    assert_eq!(record.name, "Correction 7");
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_that_is_stopped_says_what_becomes_of_the_correction() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    let mut submit = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    submit.args(["submit", "g", "/f"]).env_clear().envs(system.settings()).current_dir(system.folder());
    submit.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let submit = submit.spawn().expect("the binary starts");
    let process = submit.id().expect("it runs").to_string();
    let pending = system.redis.queue(PENDING_QUEUE);
    system
        .until("the job is there", async || {
            (pending.counts().await.expect("Redis answers").waiting == 1).then_some(())
        })
        .await;
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let mask =
            status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0").trim().to_owned();
        // SIGINT is the second one.
        u64::from_str_radix(&mask, 16).unwrap_or(0) & 2 != 0
    };
    system.until("it takes signals", async || caught().then_some(())).await;
    Command::new("kill").args(["-INT", &process]).status().await.expect("kill runs");
    let told = submit.wait_with_output().await.expect("it ends");
    let said = String::from_utf8(told.stderr).expect("text");
    assert_eq!(told.status.code(), Some(130), "{said}");
    assert!(said.contains("cancel 1 --by job-id") && said.contains("dead letter"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_cancels_all_that_waits_and_asks_before() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    for number in 0..5 {
        system.submit(&simulated(&system, &format!("d{number}"), 1, 1)).await;
    }
    let asked = run(&system, &["queues", "drain"]).await;
    assert!(asked.code == Some(64) && asked.stderr.contains("--yes-drain"), "{asked:?}");
    let wrong = run(&system, &["queues", "drain", "--yes-drain", "127.0.0.1:1/0/bull"]).await;
    assert!(wrong.code == Some(64) && wrong.stderr.contains(&target(&system)), "{wrong:?}");
    // One that comes after the question is nobody's business: here one from the future.
    let later = SystemTime::now() + Duration::from_secs(3600);
    let later = later.duration_since(UNIX_EPOCH).expect("a time").as_millis().to_string();
    let young = system.submit(&simulated(&system, "younger", 1, 3)).await;
    let job = format!("bull:pending_corrections:{young}");
    let timestamp = system.ask(&["HGET", &job, "timestamp"]).await;
    system.ask(&["HSET", &job, "timestamp", &later]).await;
    let told = run(&system, &["queues", "drain", "--yes-drain", &target(&system), "--json"]).await;
    assert_eq!((told.code, &told.json()["cancelled"]), (Some(0), &5.into()), "{told:?}");
    assert_eq!(told.json()["left"], 1, "{told:?}");
    assert_eq!(system.redis.queue(PENDING_QUEUE).counts().await.expect("Redis answers").waiting, 1);
    system.ask(&["HSET", &job, "timestamp", &timestamp]).await;
    let told = run(&system, &["queues", "drain", "--yes-drain", &target(&system), "--forget"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    let wrong = run(&system, &["queues", "drain", "--yes-drain", "127.0.0.1:1/0/bull"]).await;
    assert!(wrong.code == Some(64) && wrong.stderr.contains("Nothing was done"), "{wrong:?}");
    system.submit(&simulated(&system, "forgotten", 1, 1)).await;
    let told = run(&system, &["queues", "drain", "--forget", "--yes-drain", &target(&system)]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    system.spawn("all");
    assert!(system.receiver.until_count(5, crate::support::system::PATIENCE).await);
    for one in system.receiver.all() {
        assert_eq!(one.json()["outcome"], "cancelled");
    }
    assert_eq!(system.receiver.times("forgotten"), 0);
    let listed = run(&system, &["queues", "list", "--json"]).await.json();
    assert_eq!(listed["queues"][0]["completed"], 7, "{listed}");
    system.end().await;
    assert_eq!(engine.stats().started, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_pending_job_is_another_correction_when_it_is_tried_again() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    let job = system.submit(&simulated(&system, "again", 1, 6)).await;
    let pending = system.redis.queue(PENDING_QUEUE);
    let taken = pending.take(&[LockToken::unique()], "another", None).await.expect("taken").jobs;
    pending.fail(&taken[0], "another client says so", Keep::Count(10)).await.expect("failed");
    let tried = run(&system, &["queues", "retry-failed", "pending", "--dry-run", "--json"]).await.json();
    assert_eq!(tried["put_back"], serde_json::json!([job.as_str()]));
    let told = run(&system, &["queues", "retry-failed", "pending"]).await;
    assert!(told.code == Some(0) && told.stdout.contains("1 failed jobs"), "{told:?}");
    assert_eq!(system.ask(&["HGET", "bull:pending_corrections:1", "gen"]).await, "1");
    system.spawn("all");
    assert_eq!(system.result("again").await.json()["grade"], 6);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reader_nothing_is_deleted_and_that_is_no_success() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    system.submit(&simulated(&system, "kept", 1, 1)).await;
    let code = run_unread(&system, &["queues", "reset", "--yes-delete", &target(&system)]).await;
    assert_eq!(code, Some(141), "as after SIGPIPE");
    let counts = system.redis.queue(PENDING_QUEUE).counts().await.expect("Redis answers");
    assert_eq!(counts.waiting, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_only_look_leave_the_installations_id_as_it_is() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    let key = "bull:correction-runner:instance";
    let looks = [
        &["containers", "list", "--instance-id", "x"][..],
        &["containers", "list"],
        &["queues", "list", "--instance-id", "x"],
        &["queues", "list"],
        &["deliveries", "list", "--instance-id", "x"],
        &["deliveries", "list"],
    ];
    for before in ["", "its-own"] {
        if !before.is_empty() {
            system.ask(&["SET", key, before]).await;
        }
        for look in looks {
            let told = run(&system, look).await;
            assert_eq!(told.code, Some(0), "{look:?}: {told:?}");
            assert_eq!(system.ask(&["GET", key]).await, before, "{look:?}");
        }
    }
    system.ask(&["DEL", key]).await;
    let url = system.receiver.url("x");
    let told = run(&system, &["submit", "g", "/f", "--callback", &url, "--no-wait"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_ne!(system.ask(&["GET", key]).await, "", "whoever adds a job needs it");
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_deletes_nothing_but_the_very_target() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    system.submit(&simulated(&system, "lost", 1, 1)).await;
    system.ask(&["SET", "other", "1"]).await;
    let asked = run(&system, &["queues", "reset"]).await;
    assert!(asked.code == Some(64) && asked.stderr.contains("--yes-delete"), "{asked:?}");
    assert_ne!(system.ask(&["DBSIZE"]).await, "1");
    system.ask(&["SET", "bull:correction-runner:instance", "of-before"]).await;
    let told = run(&system, &["queues", "reset", "--yes-delete", &target(&system)]).await;
    let remedy = "containers prune --force --instance of-before";
    assert!(told.code == Some(0) && told.stdout.contains(remedy), "{told:?}");
    assert_eq!(system.ask(&["DBSIZE"]).await, "1", "the stranger's key");
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_removes_only_containers_whose_correction_is_over() {
    let mut system = System::prepare().await;
    // Nobody but the command removes containers: no completer.
    system.spawn("starter");
    system.submit(&system.job("open", "sleep 3600")).await;
    system.submit(&system.job("over", "exit")).await;
    system.until_running("both were started", |counts| counts.waiting == 2).await;
    let instance = system.instance().await;
    let over = system
        .containers()
        .await
        .into_iter()
        .find_map(|one| {
            let labels = one.labels.expect("labels");
            (labels.errand.work_id_shown() == "over").then_some(labels.correction)
        })
        .expect("its container");
    system.ask(&["SET", &format!("bull:correction-runner:done:{over}"), "told"]).await;
    let listed = run(&system, &["containers", "list", "--json"]).await.json();
    let needs: Vec<_> =
        listed["containers"].as_array().expect("a list").iter().map(|one| &one["need"]).collect();
    assert!(needs.contains(&&"done".into()) && needs.contains(&&"live".into()), "{listed}");
    system
        .until("it has ended", async || {
            let all = system.containers().await;
            all.iter().any(|one| one.state == correction_runner::docker::State::Exited).then_some(())
        })
        .await;
    let asked = run(&system, &["containers", "prune"]).await;
    assert!(asked.code == Some(64) && asked.stderr.contains("--yes-remove"), "{asked:?}");
    let told = run(&system, &["containers", "prune", "--yes-remove", instance.as_str(), "--json"]).await;
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(told.json()["removed"].as_array().map(Vec::len), Some(1), "{told:?}");
    assert_eq!(system.containers().await.len(), 1);
    let told = run(&system, &["containers", "prune", "--force", "--yes-remove", instance.as_str()]).await;
    assert!(told.code == Some(0) && told.stdout.contains("Removed 1"), "{told:?}");
    assert!(system.containers().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_is_asked_for_a_word_and_nothing_else_will_do() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let system = System::prepare_on(&engine).await;
    for name in ["kept", "kept-too"] {
        system.submit(&simulated(&system, name, 1, 1)).await;
    }
    let line = format!("{} queues drain", env!("CARGO_BIN_EXE_correction-runner"));
    let settings: Vec<(String, String)> = system.settings().clone().into_iter().collect();
    let ask = move |answer: fn(&str) -> String| {
        let settings: Vec<(&str, &str)> =
            settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        call_at_terminal(&line, &settings, answer)
    };
    let waiting = async || {
        let counts = system.redis.queue(PENDING_QUEUE).counts().await.expect("Redis answers");
        counts.waiting
    };
    let (said, code) = ask(|_| "yes".into());
    assert!(code == Some(1) && said.contains("2 corrections that wait"), "{said}");
    assert_eq!(waiting().await, 2);
    let (said, code) = ask(str::to_owned);
    assert!(code == Some(0) && said.contains("2 corrections cancelled"), "{said}");
    assert_eq!(waiting().await, 0);
}
