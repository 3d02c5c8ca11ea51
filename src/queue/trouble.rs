//! A loop's trouble with Redis: how long it waits before it tries again, and what it says of it.

use std::time::Duration;

use super::QueueError;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The trouble of one loop, told once each time it changes.
#[derive(Debug)]
pub(super) struct Trouble {
    consequence: &'static str,
    times: u32,
    told: Option<String>,
}

impl Trouble {
    pub fn with(consequence: &'static str) -> Self {
        Self { consequence, times: 0, told: None }
    }

    /// Notes a failure; answers how long to wait.
    pub fn met(&mut self, error: &QueueError) -> Duration {
        let text = error.to_string();
        // That Redis is away, `Redis` itself tells once for all loops.
        if !error.is_ambiguous() && self.told.as_ref() != Some(&text) {
            tracing::warn!(error = text, "{}", self.consequence);
            self.told = Some(text);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << self.times.min(4)).min(LONGEST_PAUSE);
        self.times = self.times.saturating_add(1);
        pause.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// Notes that it works again.
    pub fn is_over(&mut self) {
        self.times = 0;
        if self.told.take().is_some() {
            tracing::info!("no longer so: {}", self.consequence);
        }
    }
}
