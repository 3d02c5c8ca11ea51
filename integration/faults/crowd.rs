//! A thousand graders of the real engine in the queue at once.

use std::time::{Duration, Instant};

use super::campaign::Campaign;
use super::figures::note;
use crate::support::system::System;

const ROW: &str = "1,000 graders queued at once, real engine";
const MANY: usize = 1_000;
/// After so many results it is looked whether things go on.
const AT_A_TIME: usize = 25;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_thousand_real_graders_queued_at_once_arrive_once_each() {
    let mut system = System::prepare().await;
    system.set(&[("LOG_LEVEL", "info")]);
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    let began = Instant::now();
    campaign.submit(MANY, Duration::from_millis(100)).await;
    for count in (AT_A_TIME..=MANY).step_by(AT_A_TIME) {
        campaign.until_delivered(count).await;
    }
    let took = began.elapsed();
    note(ROW, "from the first submission to the last result", format!("{:.0} s", took.as_secs_f64()));
    note(ROW, "a minute", format!("{:.0}", 60.0 * 1000.0 / took.as_secs_f64()));
    let proof = campaign.prove().await;
    assert_eq!((proof.results, proof.repeats), (MANY, 0));
}
