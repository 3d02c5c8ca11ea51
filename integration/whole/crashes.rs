//! Processes that die or stop while corrections are under way: each still ends exactly once.

use std::time::Duration;

use correction_runner::job::RUNNING_QUEUE;

use crate::support::system::System;

const SAYS_OK: &str = r#"sleep 1; echo '{"success":true,"grade":9}'"#;

#[tokio::test(flavor = "multi_thread")]
async fn all_processes_are_killed_again_and_again_and_every_result_arrives_once() {
    let mut system = System::prepare().await;
    let components = ["starter", "completer", "notifier"];
    let names: Vec<String> = (0..12).map(|number| format!("c{number}")).collect();
    for component in components {
        system.spawn(component);
    }
    for name in &names {
        system.submit(&system.job(name, SAYS_OK)).await;
    }
    for round in 1..=3_usize {
        let wanted = round * 2;
        system
            .until("some results have arrived", async || {
                (system.receiver.all().len() >= wanted).then_some(())
            })
            .await;
        for component in components {
            system.kill(component).await;
        }
        for component in components {
            system.spawn(component);
        }
    }
    for name in &names {
        assert_eq!(system.result(name).await.json()["grade"], 9);
    }
    system.until_clean().await;
    for name in &names {
        let all: Vec<_> =
            system.receiver.all().into_iter().filter(|one| one.path == format!("/{name}")).collect();
        // A notifier that dies between the receiver's answer and its own note of it posts once more,
        // under the same id: that is what the contract promises.
        assert!(all.iter().all(|one| one.webhook_id == all[0].webhook_id && one.body == all[0].body));
    }
    let counts = system.redis.queue(RUNNING_QUEUE).counts().await.expect("Redis answers");
    assert_eq!((counts.active, counts.waiting, counts.delayed), (0, 0, 0));
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_hands_back_what_is_in_flight_and_another_takes_over() {
    let mut system = System::prepare().await;
    for component in ["starter", "completer", "notifier"] {
        system.spawn(component);
    }
    system.submit(&system.job("long", "sleep 6; echo '{\"success\":true,\"grade\":2}'")).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    let (code, took) = system.stop("completer").await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    system.until_running("it was handed back at once", |counts| counts.waiting == 1).await;
    system.spawn("completer");
    assert_eq!(system.result("long").await.json()["grade"], 2);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_record_was_lost_is_finished_from_its_labels() {
    let system = System::start(&[("SWEEP_INTERVAL", "1s")]).await;
    system.submit(&system.job("orphan", "sleep 4; echo '{\"success\":true,\"grade\":6}'")).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    system.lose("bull:running_corrections*").await;
    system.until_running("the record is gone", |counts| counts.active == 0).await;
    assert_eq!(system.result("orphan").await.json()["grade"], 6);
    system.end().await;
}
