//! When to sweep, and when a record that was just taken is looked at although no death was told.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::job::RunningJob;
use crate::queue::TakenJob;

/// How soon the sweep is repeated while it fails, and after the event stream was opened anew.
const SOON: Duration = Duration::from_secs(1);
/// A job that waited longer than this may be about a container that died before the stream was open,
/// or whose parked death was dropped.
const OLD: Duration = Duration::from_secs(10);

/// When the next sweep is due.
#[derive(Debug)]
pub struct SweepTimer {
    interval: Duration,
    due: Option<Instant>,
    again: bool,
}

impl SweepTimer {
    /// The first sweep is due when the stream is first open: call [`Self::soon`].
    #[must_use]
    pub fn new(interval: Duration) -> Self {
        Self { interval, due: Some(Instant::now() + interval), again: false }
    }

    /// The moment at which a sweep is due; far away while one is under way.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    /// The event stream was opened anew: sweep now, and once more a little later, since a list may lag
    /// behind what died in the moment before.
    pub fn soon(&mut self, now: Instant) {
        self.again = true;
        if self.due.is_some() {
            self.due = Some(now);
        }
    }

    /// A sweep is under way.
    pub fn started(&mut self) {
        self.due = None;
    }

    /// A sweep ended.
    pub fn done(&mut self, now: Instant) {
        let wait = if std::mem::take(&mut self.again) { SOON } else { self.jittered() };
        self.due = Some(now + wait);
    }

    /// A sweep failed.
    pub fn failed(&mut self, now: Instant) {
        self.due = Some(now + SOON);
    }

    /// An effect failed that may have been the sweep.
    pub fn failed_if_running(&mut self, now: Instant) {
        if self.due.is_none() {
            self.failed(now);
        }
    }

    /// The interval give or take a tenth, so that many completers do not sweep in step.
    fn jittered(&self) -> Duration {
        self.interval.mul_f64(0.9 + 0.2 * fastrand::f64())
    }
}

/// Whether the events alone can be trusted to tell the end of a job that was just taken.
#[derive(Debug, Default)]
pub struct Freshness {
    doubtful_until: Option<Instant>,
}

impl Freshness {
    /// The stream was opened anew: what died before may have died unseen.
    pub fn resynced(&mut self, now: Instant) {
        self.doubtful_until = Some(now + OLD);
    }

    /// Whether a job has to be looked at: it is the original's (its container has no labels, so its
    /// death was not parked), it was held before, it waited long, or the stream is new.
    #[must_use]
    pub fn is_doubtful(&self, taken: &TakenJob, job: &RunningJob, now: Instant) -> bool {
        let waited = Timestamp::now().as_millisecond().saturating_sub(taken.timestamp.cast_signed());
        job.origin.is_none()
            || taken.stalled > 0
            || waited.unsigned_abs() > OLD.as_millis().try_into().unwrap_or(u64::MAX)
            || self.doubtful_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_stream_brings_a_sweep_at_once_and_one_soon_after() {
        let mut timer = SweepTimer::new(Duration::from_secs(30));
        let now = Instant::now();
        timer.soon(now);
        assert_eq!(timer.due(), now);
        timer.started();
        assert!(timer.due() > now + Duration::from_secs(60));
        timer.done(now);
        assert_eq!(timer.due(), now + SOON);
        timer.started();
        timer.done(now);
        let wait = timer.due() - now;
        assert!((Duration::from_secs(27)..=Duration::from_secs(33)).contains(&wait), "{wait:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_sweep_is_repeated_soon() {
        let mut timer = SweepTimer::new(Duration::from_secs(30));
        let now = Instant::now();
        timer.started();
        timer.failed_if_running(now);
        assert_eq!(timer.due(), now + SOON);
    }
}
