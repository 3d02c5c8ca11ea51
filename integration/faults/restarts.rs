//! The whole runner killed and started again, on the real engine.

use std::time::Duration;

use super::campaign::Campaign;
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_under_load_goes_on_where_it_was() {
    let mut campaign = Campaign::of(System::start(&[]).await);
    // A result may be on its way when the runner dies.
    campaign.allow_repeats();
    campaign.submit(8, Duration::from_millis(500)).await;
    campaign.until_delivered(1).await;
    campaign.system.kill("all").await;
    campaign.system.spawn("all");
    campaign.prove().await;
}
