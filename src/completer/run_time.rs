//! For how long a container has run, by our own clock: the engine's may be set while it runs.

use std::time::Duration;

use tokio::time::Instant;

use super::inflight::Finding;

/// When a container was first seen running, and for how long it had run by then.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunTime(Option<(Instant, Duration)>);

impl RunTime {
    /// The finding, with the run time that the first look and our own clock give.
    pub fn corrected(&mut self, finding: &Finding, now: Instant) -> Finding {
        match finding {
            Finding::Running { run_for } => {
                let (at, had_run) = *self.0.get_or_insert((now, *run_for));
                Finding::Running { run_for: had_run + now.saturating_duration_since(at) }
            }
            // Its time begins when it is started by hand.
            Finding::Waiting => {
                self.0 = None;
                Finding::Waiting
            }
            other => other.clone(),
        }
    }
}

/// The finding, where a record of the container exists for so long: it was made the moment after the start,
/// so that an engine that says more has another clock now than when it noted the start.
#[must_use]
pub fn no_longer_than(age: Option<Duration>, finding: Finding) -> Finding {
    match (finding, age) {
        (Finding::Running { run_for }, Some(age)) => Finding::Running { run_for: run_for.min(age) },
        (finding, _) => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn running(run_for: Duration) -> Finding {
        Finding::Running { run_for }
    }

    #[test]
    fn after_the_first_look_only_our_clock_counts() {
        let (mut run_time, now) = (RunTime::default(), Instant::now());
        assert_eq!(run_time.corrected(&running(MINUTE), now), running(MINUTE));
        for told in [Duration::ZERO, MINUTE, HOUR] {
            assert_eq!(run_time.corrected(&running(told), now + MINUTE), running(2 * MINUTE));
        }
    }

    #[test]
    fn what_is_no_run_time_is_left_and_one_that_waits_to_be_started_has_none_yet() {
        let (mut run_time, now) = (RunTime::default(), Instant::now());
        for finding in [Finding::Ended, Finding::Gone, Finding::Unknown, Finding::Leaving] {
            assert_eq!(run_time.corrected(&finding, now), finding);
        }
        run_time.corrected(&running(HOUR), now);
        run_time.corrected(&Finding::Waiting, now);
        assert_eq!(run_time.corrected(&running(MINUTE), now), running(MINUTE));
    }

    #[test]
    fn nothing_runs_for_longer_than_its_record_exists() {
        assert_eq!(no_longer_than(Some(MINUTE), running(HOUR)), running(MINUTE));
        assert_eq!(no_longer_than(Some(HOUR), running(MINUTE)), running(MINUTE));
        assert_eq!(no_longer_than(None, running(HOUR)), running(HOUR));
        assert_eq!(no_longer_than(Some(MINUTE), Finding::Ended), Finding::Ended);
    }
}
