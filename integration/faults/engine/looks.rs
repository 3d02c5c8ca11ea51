//! Looking: a list that lags, a list that leaves out, inspections that fail.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{A_SWEEP, AN_HOUR, BUSY, Row, SWEEP};
use crate::faults::campaign::Expected;
use crate::support::simulated_engine::{Call, Ending, Fault, Loss, Rule, script};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_calls_ended_containers_running_for_seconds_is_not_believed_for_longer() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(60).await;
    let lag = Duration::from_secs(4);
    row.engine.set_list_lag(lag);
    row.engine.lose_events(None, usize::MAX, Loss::Everywhere);
    let begun = Instant::now();
    row.end_all();
    row.engine.close_streams(Ending::Broken);
    row.submit(20, Duration::from_millis(50)).await;
    row.delivered_within(lag + A_SWEEP * 2 + BUSY, begun).await;
    row.engine.lose_no_events();
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_leaves_out_containers_ends_none_that_runs_and_misses_none_that_ended() {
    let mut row = Row::with(&[SWEEP]).await;
    row.engine.set_list_omits(2);
    row.hold(60).await;
    row.engine.lose_events(None, usize::MAX, Loss::Everywhere);
    let half: Vec<_> = row.engine.containers().into_iter().take(30).collect();
    let begun = Instant::now();
    for container in &half {
        row.engine.end(&container.id, 0);
    }
    row.campaign.until_delivered(30).await;
    assert!(begun.elapsed() < A_SWEEP * 3 + BUSY, "{:?}", begun.elapsed());
    // Some sweeps more, with other gaps.
    sleep(A_SWEEP * 2).await;
    assert_eq!(row.campaign.system.receiver.all().len(), 30, "no other has ended");
    row.engine.set_list_omits(1);
    row.held = 30;
    let begun = Instant::now();
    row.end_all();
    row.delivered_within(A_SWEEP * 2 + BUSY, begun).await;
    row.engine.set_list_omits(0);
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inspections_that_fail_for_a_while_delay_only_what_needs_them() {
    let mut row = Row::with(&[SWEEP]).await;
    let failing = Fault::Refuse(500, "out of order".to_owned());
    row.engine.add_rule(Rule {
        call: Some(Call::Inspect),
        container: None,
        fault: failing,
        left: usize::MAX,
    });
    let begun = Instant::now();
    for number in 0..5 {
        let name = format!("silent{number}");
        let mut data = row.campaign.system.job(&name, "true");
        data["params"] = json!([
            format!("{}=100", script::RUN_MS),
            format!("{}=", script::STDOUT),
            format!("{}=3", script::EXIT_CODE),
        ]);
        row.campaign.submit_one(&name, &data, Expected::Outcome("no_verdict")).await;
    }
    row.submit(40, Duration::from_millis(100)).await;
    row.campaign.until_delivered(40).await;
    assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(row.campaign.system.receiver.all().len(), 40, "the silent ones are not guessed at");
    row.engine.clear_rules();
    // Looked at again after 1, 2, 4 and 8 s.
    row.delivered_within(Duration::from_secs(8) + BUSY, Instant::now()).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completer_that_begins_while_nothing_can_be_looked_at_ends_all_once_it_can() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(40).await;
    row.campaign.system.stop("all").await;
    for call in [Call::Inspect, Call::List] {
        let failing = Fault::Refuse(500, "out of order".to_owned());
        row.engine.add_rule(Rule { call: Some(call), container: None, fault: failing, left: usize::MAX });
    }
    // The engine does not remember the deaths either.
    row.engine.lose_events(None, usize::MAX, Loss::Everywhere);
    row.end_all();
    row.campaign.system.spawn("all");
    row.campaign.system.until_running("all are held", |counts| counts.active == 40).await;
    sleep(Duration::from_secs(2)).await;
    row.engine.clear_rules();
    row.engine.lose_no_events();
    row.delivered_within(Duration::from_secs(4) + BUSY, Instant::now()).await;
    row.submit(3, AN_HOUR / 36000).await;
    row.prove().await;
}
