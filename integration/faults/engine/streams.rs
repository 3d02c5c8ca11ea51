//! The stream of events: ended in every way, silent, away while hundreds die, full of what it should not say.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{A_SWEEP, AN_HOUR, BUSY, NO_SWEEP, Row, SWEEP};
use crate::support::simulated_engine::{Call, Ending, Fault, Loss, Rule};

/// The longest wait between two tries to open a stream, and the two looks after it.
const REOPENED: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_again_and_again_in_each_way_under_load_loses_no_death() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    row.submit(120, Duration::from_millis(200)).await;
    row.engine.until(|stats| stats.started > 0).await;
    for how in [Ending::MidLine, Ending::Broken, Ending::Clean].into_iter().cycle().take(18) {
        row.engine.close_streams(how);
        sleep(Duration::from_millis(120)).await;
    }
    let begun = Instant::now();
    row.delivered_within(REOPENED + BUSY, begun).await;
    assert!(row.engine.stats().calls(Call::Events) > 3, "it was opened again");
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_while_all_else_answers_is_made_up_for_by_the_sweep() {
    let mut row = Row::with(&[SWEEP]).await;
    row.hold(40).await;
    row.engine.lose_events(None, usize::MAX, Loss::Streams);
    let begun = Instant::now();
    row.end_all();
    row.submit(20, Duration::from_millis(100)).await;
    row.delivered_within(A_SWEEP * 3 + BUSY, begun).await;
    assert_eq!(row.engine.open_streams(), 1, "it never broke");
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_stream_that_falls_silent_is_exchanged_within_its_minute_without_any_sweep() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    row.hold(40).await;
    let begun = Instant::now();
    row.engine.lose_events(Some("die"), 40, Loss::Streams);
    row.end_all();
    row.delivered_within(Duration::from_secs(60) + BUSY, begun).await;
    row.prove().await;
}

/// The engine remembers 256 events of all kinds, and no sweep comes.
async fn deaths_while_the_stream_is_away(count: usize, limit: Duration) {
    let mut row = Row::with(&[NO_SWEEP, ("CONCURRENT_STARTERS", "32")]).await;
    row.hold(count).await;
    let refused = Fault::Refuse(500, "not now".to_owned());
    row.engine.add_rule(Rule { call: Some(Call::Events), container: None, fault: refused, left: usize::MAX });
    row.engine.close_streams(Ending::Broken);
    row.engine.until_streams(0).await;
    row.end_all();
    row.engine.clear_rules();
    row.delivered_within(limit, Instant::now()).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_deaths_while_the_stream_is_away_are_found_when_it_is_back() {
    deaths_while_the_stream_is_away(300, REOPENED + BUSY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn three_thousand_deaths_while_the_stream_is_away_are_found_when_it_is_back() {
    deaths_while_the_stream_is_away(3000, REOPENED + BUSY * 6).await;
}

/// What breaks a stream, and what an engine may say that means nothing to us.
fn garbage() -> Vec<Vec<u8>> {
    let json = |value: serde_json::Value| format!("{value}\n").into_bytes();
    let of = |kind: &str, action: &str| {
        json(serde_json::json!({
            "Type": kind, "Action": action, "Actor": {"ID": "x", "Attributes": {"container": "y"}},
            "time": 1, "timeNano": 1,
        }))
    };
    vec![
        b"this is no JSON\n".to_vec(),
        of("network", "disconnect"),
        of("volume", "unmount"),
        of("container", "exec_die"),
        of("container", "destroy"),
        json(serde_json::json!({"Type": "container", "Action": "die"})),
        json(serde_json::json!({"Type": "container", "Action": "die", "Actor": {}, "time": "soon"})),
        json(
            serde_json::json!({"Type": "container", "Action": "die", "Actor": {"ID": "nobody's"}, "time": 1}),
        ),
        b"\n\n\r\n".to_vec(),
        vec![0, 255, 1, 254, b'\n'],
        json(serde_json::json!({"Type": "container", "Action": "die", "Actor": {"ID": "x".repeat(3 << 20)}})),
        b"[[[[".repeat(1000),
        b"{}\n".to_vec(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_unknown_events_between_the_deaths_cost_none_of_them() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    let garbage = garbage();
    row.hold(garbage.len() * 4).await;
    let mut left = row.engine.containers().into_iter();
    for piece in garbage {
        row.engine.until_streams(1).await;
        let begun = Instant::now();
        for (number, container) in left.by_ref().take(4).enumerate() {
            if number == 2 {
                row.engine.inject_into_streams(piece.clone());
            }
            assert!(row.engine.end(&container.id, 0));
        }
        let ended = row.campaign.submitted() - usize::try_from(row.engine.stats().alive).expect("a few");
        row.campaign.until_delivered(ended).await;
        assert!(begun.elapsed() < REOPENED + BUSY, "{:?} {}", begun.elapsed(), piece.escape_ascii());
    }
    row.held = 0;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_told_three_times_is_one_result() {
    let mut row = Row::with(&[NO_SWEEP]).await;
    row.engine.set_repeats(2);
    row.hold(30).await;
    let begun = Instant::now();
    row.end_all();
    row.submit(60, Duration::from_millis(50)).await;
    row.delivered_within(BUSY, begun).await;
    // Once more, of containers that are done and going.
    row.engine.close_streams(Ending::Clean);
    row.submit(10, Duration::ZERO).await;
    row.delivered_within(BUSY * 2, begun).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deaths_of_which_every_other_is_never_told_are_found_by_the_sweep_under_load() {
    let mut row = Row::with(&[SWEEP]).await;
    let begun = Instant::now();
    for _ in 0..15 {
        row.engine.lose_events(Some("die"), 2, Loss::Everywhere);
        row.submit(4, Duration::from_millis(30)).await;
        sleep(Duration::from_millis(50)).await;
    }
    row.submit(1, AN_HOUR / 3600 / 10).await;
    row.delivered_within(A_SWEEP * 2 + BUSY, begun).await;
    row.prove().await;
}
