//! How often a correction's end was tried in vain, and when that is enough.

use std::time::Duration;

use tokio::time::Instant;

use crate::docker::EngineError;

/// How often the engine is asked for one thing while it answers with errors.
const TRIES: u32 = 6;
/// For how long at least, where it was away or too slow: that tells of the engine and not of the container.
const PATIENCE: Duration = Duration::from_secs(120);
/// After so many panics, or works that were given up, the output of a container is not looked at any more.
const MOST_FAULTS: u32 = 3;

/// How often a record was tried. What other services refused is not counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// The engine did not hand out the output.
    pub output: Failures,
    /// The output was read, but the container could not be inspected.
    pub inspection: Failures,
    /// A panic, or work that was given up, while the output was read and handed over.
    pub faults: u32,
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failures {
    count: u32,
    since: Option<Instant>,
    was_away: bool,
}

/// How far an attempt at making a result came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Nothing was learnt about the container.
    Nothing,
    /// The engine did not hand out the output; `away` = it was away itself.
    NoOutput {
        /// Whether the engine was away or too slow.
        away: bool,
    },
    /// The output was read; the container could not be inspected.
    NoInspection {
        /// Whether the engine was away or too slow.
        away: bool,
    },
    /// Both were read, as far as they were needed.
    All,
}

impl Tries {
    /// Takes note of an attempt.
    pub fn note(&mut self, reached: Reached, now: Instant) {
        match reached {
            Reached::Nothing => {}
            Reached::NoOutput { away } => self.output.one_more(away, now),
            Reached::NoInspection { away } => {
                self.output = Failures::default();
                self.inspection.one_more(away, now);
            }
            Reached::All => *self = Self { faults: self.faults, ..Self::default() },
        }
    }

    /// Whether it is a fault of ours each time.
    #[must_use]
    pub fn is_faulty(&self) -> bool {
        self.faults >= MOST_FAULTS
    }
}

impl Failures {
    /// Whether one that fails again now, in this way, failed often and long enough.
    #[must_use]
    pub fn are_enough(&self, error: &EngineError, now: Instant) -> bool {
        let long = self.since.is_some_and(|since| now.saturating_duration_since(since) >= PATIENCE);
        self.count >= TRIES && (long || !self.was_away && !error.is_away())
    }

    fn one_more(&mut self, away: bool, now: Instant) {
        self.count = self.count.saturating_add(1);
        self.since.get_or_insert(now);
        self.was_away |= away;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Call;

    fn refused() -> EngineError {
        EngineError::Server { call: Call::Logs, status: 500, message: String::new() }
    }

    fn slow() -> EngineError {
        EngineError::Timeout { call: Call::Logs, after: Duration::from_secs(5) }
    }

    fn tried(reached: &[Reached], now: Instant) -> Tries {
        let mut tries = Tries::default();
        for reached in reached {
            tries.note(*reached, now);
        }
        tries
    }

    #[test]
    fn only_what_the_engine_did_not_hand_out_counts() {
        let now = Instant::now();
        let refusals = [Reached::NoOutput { away: false }; 6];
        assert!(tried(&refusals, now).output.are_enough(&refused(), now));
        assert!(!tried(&refusals[..5], now).output.are_enough(&refused(), now));
        assert!(!tried(&[Reached::Nothing; 60], now).output.are_enough(&refused(), now));
        assert!(!tried(&[Reached::All; 60], now).output.are_enough(&refused(), now));
    }

    #[test]
    fn an_output_that_was_read_makes_up_for_all_the_tries_before() {
        let now = Instant::now();
        for read in [Reached::All, Reached::NoInspection { away: false }] {
            let reached = [[Reached::NoOutput { away: false }; 6].as_slice(), &[read]].concat();
            assert!(!tried(&reached, now).output.are_enough(&refused(), now));
        }
        let inspections = tried(&[Reached::NoInspection { away: false }; 6], now).inspection;
        assert!(inspections.are_enough(&refused(), now));
    }

    #[test]
    fn an_engine_that_is_slow_or_away_is_given_two_minutes_at_least() {
        let now = Instant::now();
        let away = tried(&[Reached::NoOutput { away: true }; 60], now).output;
        let (soon, late) = (now + Duration::from_secs(119), now + Duration::from_secs(120));
        assert!(!away.are_enough(&refused(), soon) && away.are_enough(&refused(), late));
        let refusing = tried(&[Reached::NoOutput { away: false }; 6], now).output;
        assert!(!refusing.are_enough(&slow(), soon) && refusing.are_enough(&slow(), late));
    }

    #[test]
    fn three_faults_are_enough_and_nothing_takes_them_back() {
        let mut tries = Tries { faults: 2, ..Tries::default() };
        assert!(!tries.is_faulty());
        tries.faults += 1;
        tries.note(Reached::All, Instant::now());
        assert!(tries.is_faulty());
    }
}
