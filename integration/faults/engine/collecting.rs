//! Reading the output of what ended: answers that do not come, stop midway or are errors.

use std::time::Duration;

use tokio::time::Instant;

use super::{BUSY, NO_SWEEP, Row};
use crate::support::simulated_engine::{Call, Fault, Rule};

fn each_kind() -> [Fault; 5] {
    [
        Fault::Hang,
        Fault::StallBody,
        Fault::Refuse(500, "cannot read the log".to_owned()),
        Fault::Drop,
        Fault::DelayAnswer(Duration::from_millis(400)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_hang_stop_midway_or_are_refused_are_read_later_and_hold_up_no_other() {
    let mut row = Row::with(&[NO_SWEEP, ("DOCKER_TIMEOUT", "1s")]).await;
    row.hold(60).await;
    let containers = row.engine.containers();
    for (container, fault) in containers.iter().zip(each_kind().into_iter().cycle()).take(30) {
        row.engine.add_rule(Rule {
            call: Some(Call::Logs),
            container: Some(container.id.clone()),
            fault,
            left: 2,
        });
    }
    let begun = Instant::now();
    row.end_all();
    row.campaign.until_delivered(30).await;
    assert!(begun.elapsed() < Duration::from_secs(2) + BUSY, "{:?}", begun.elapsed());
    // Two failures of a second each, and waits of 1 and 2 s.
    row.delivered_within(Duration::from_secs(6) + BUSY, begun).await;
    row.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn an_output_that_can_never_be_read_is_made_again_within_three_minutes() {
    let mut row = Row::with(&[NO_SWEEP, ("DOCKER_TIMEOUT", "1s")]).await;
    row.hold(10).await;
    let containers = row.engine.containers();
    for (container, fault) in containers.iter().zip(each_kind().into_iter().take(3)) {
        row.engine.add_rule(Rule {
            call: Some(Call::Logs),
            container: Some(container.id.clone()),
            fault,
            left: usize::MAX,
        });
    }
    let begun = Instant::now();
    row.end_all();
    row.campaign.until_delivered(7).await;
    assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    // Two minutes and a little later each is started once more.
    let mut ended = 0;
    while ended < 3 {
        assert!(begun.elapsed() < Duration::from_secs(170), "only {ended} were run again");
        tokio::time::sleep(Duration::from_millis(500)).await;
        ended += row.engine.end_all(0);
    }
    row.delivered_within(Duration::from_secs(175), begun).await;
    assert_eq!(row.engine.stats().started, 13);
    row.prove().await;
}
