//! `logs`: live output, safe for a terminal, and the history of what has ended.

use super::run;
use crate::support::docker;
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn what_a_grader_prints_is_shown_while_it_runs_and_its_history_afterwards() {
    let system = System::start(&[]).await;
    let script = r"printf 'hello \033[31mred\n'; echo oops >&2; while true; do sleep 0.1; done";
    system.submit(&system.job("seen", script)).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    system
        .until("its output is there", async || {
            let told = run(&system, &["logs", "seen"]).await;
            let shown = told.stdout.contains("hello ·[31mred") && told.stderr.contains("oops");
            (told.code == Some(0) && shown).then_some(())
        })
        .await;
    let (followed, cancelled) =
        tokio::join!(run(&system, &["logs", "seen", "--follow", "--tail", "1"]), async {
            // The follower has to be there, and that it is nobody tells: it shows the history in either case.
            run(&system, &["cancel", "seen"]).await
        });
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}; logs:\n{}", system.logs());
    assert_eq!(followed.code, Some(0), "{followed:?}");
    system.result("seen").await;
    let history = run(&system, &["logs", "seen", "--json"]).await.json();
    assert_eq!(history["body"]["outcome"], "cancelled", "{history}");
    let events: Vec<&str> = history["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    for (place, start) in ["submitted", "started", "ended: cancelled"].iter().enumerate() {
        assert!(events[place].starts_with(start), "{events:?}");
    }
    // Where no engine can be, what has ended is told nonetheless.
    std::fs::write(system.folder().join("ca.pem"), "no certificate").expect("a file");
    let no_certificates = [
        "logs",
        "seen",
        "--docker-host",
        "tcp://127.0.0.1:1",
        "--docker-tls-verify=1",
        "--docker-cert-path",
        ".",
    ];
    let told = run(&system, &no_certificates).await;
    assert!(told.code == Some(0) && told.stdout.contains("ended: cancelled"), "{told:?}");
    let unknown = run(&system, &["logs", "nobody"]).await;
    assert!(unknown.code == Some(1) && unknown.stdout.contains("no correction nobody"), "{unknown:?}");
    system.end().await;
}

/// The engine keeps a long line in parts of 16 KiB, and `--tail` begins with any of them. Of the standard error it
/// has but the first part, as long as its line has no end.
#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_verdict_is_not_shown_where_the_engine_cuts_its_line() {
    let system = System::start(&[("CONTAINER_VERDICT", "secret")]).await;
    let script = "long() { head -c 16364 /dev/zero | tr '\\0' x; cat /run/correctomatic/secret; }
        long; echo end; long >&2; while true; do sleep 0.1; done";
    system.submit(&system.job("cut", script)).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    system
        .until("both lines are there", async || {
            let told = run(&system, &["logs", "cut"]).await;
            (told.stdout.contains("end") && told.stderr.contains("xxx")).then_some(())
        })
        .await;
    let container = system.containers().await.remove(0).id;
    let format = "{{index .Config.Labels \"org.correctomatic.secret\"}}";
    let secret = docker::command(&["inspect", "--format", format, container.as_str()]).await;
    let raw = docker::command(&["logs", container.as_str()]).await;
    assert!(raw.contains(&secret), "the engine has all of it");
    let id = container.as_str();
    for more in [&["cut"][..], &["cut", "--json"], &[id], &[id, "--json"]] {
        for tail in ["1", "2", "3", "1000"] {
            let told = run(&system, &[&["logs"], more, &["--tail", tail]].concat()).await;
            let all = format!("{}{}", told.stdout, told.stderr);
            assert_eq!(told.code, Some(0), "{all}");
            let told_of =
                secret.as_bytes().windows(8).find(|part| all.contains(&*String::from_utf8_lossy(part)));
            assert!(told_of.is_none(), "{more:?} {tail}: {all}");
            assert!(all.contains("[secret]"), "{more:?} {tail}: {all}");
        }
    }
    assert_eq!(run(&system, &["cancel", "cut"]).await.code, Some(0));
    system.result("cut").await;
    system.end().await;
}
