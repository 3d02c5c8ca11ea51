//! `logs`: live output, safe for a terminal, and the history of what has ended.

use super::run;
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
