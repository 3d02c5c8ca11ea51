//! What a notifier counts: attempts at deliveries, how long results waited for theirs, how receivers answer.

use std::time::Duration;

use jiff::Timestamp;

use crate::callback::{Attempt, Delivery};
use crate::metrics::{Attempted, Metrics, Probe, Stage};
use crate::queue::TakenJob;

use super::session::Session;

/// An attempt was made.
pub(super) fn attempted(taken: &TakenJob, attempt: &Attempt, metrics: &Metrics) {
    let result = match &attempt.delivery {
        Delivery::Delivered { .. } => Attempted::Delivered,
        Delivery::Refused { .. } | Delivery::Redirected { .. } => Attempted::Refused,
        Delivery::Unreachable { .. } => Attempted::Unreachable,
        Delivery::TimedOut { .. } => Attempted::TimedOut,
        Delivery::BadUrl { .. } | Delivery::Forbidden { .. } => Attempted::Impossible,
    };
    metrics.attempts.of(result).one();
    metrics.attempt_time.took(attempt.took);
    if result == Attempted::Delivered && taken.timestamp > 0 {
        let now = Timestamp::now().as_millisecond().unsigned_abs();
        let waited = Duration::from_millis(now.saturating_sub(taken.timestamp));
        metrics.stages.of(Stage::Deliver).took(waited);
    }
}

impl Probe for Session {
    fn tell(&self, metrics: &Metrics) {
        self.receivers.tell(metrics);
    }
}
