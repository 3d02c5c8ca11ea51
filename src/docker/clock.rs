//! The daemon's clock, as its `Date` headers tell it.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// How far the daemon's clock is ahead of ours: between these bounds.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: SignedDuration,
    most: SignedDuration,
}

/// The offset between two clocks. A `Date` has whole seconds, so each tells the offset to a second;
/// many of them, taken together, tell it better.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Option<Bounds>>);

impl Clock {
    /// Takes account of an answer with a `Date`: it was made after we sent and before we received.
    pub(super) fn observe(&self, sent: Timestamp, date: Timestamp, received: Timestamp) {
        let next_second = date.saturating_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        let fresh = Bounds { least: date.duration_since(received), most: next_second.duration_since(sent) };
        let mut bounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *bounds = Some(match *bounds {
            // What both allow. Where they contradict each other, a clock was set: the newer counts.
            Some(old) if old.least <= fresh.most && fresh.least <= old.most => {
                Bounds { least: old.least.max(fresh.least), most: old.most.min(fresh.most) }
            }
            _ => fresh,
        });
    }

    /// What the daemon's clock shows when ours shows `local`. Where no difference is proved there is
    /// none: mostly both are the same clock.
    pub(super) fn at(&self, local: Timestamp) -> Timestamp {
        let bounds = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = match bounds {
            Some(bounds) if bounds.least > SignedDuration::ZERO => bounds.least,
            Some(bounds) if bounds.most < SignedDuration::ZERO => bounds.most,
            _ => SignedDuration::ZERO,
        };
        local.checked_add(offset).unwrap_or(local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    /// The `Date` of an answer that was made at the given time.
    fn date(millis: i64) -> Timestamp {
        at(millis - millis.rem_euclid(1000))
    }

    #[test]
    fn the_same_clock_has_no_offset_whatever_part_of_a_second_it_shows() {
        let clock = Clock::default();
        for millis in [1_000_000, 1_000_999, 1_002_500, 1_003_001] {
            clock.observe(at(millis - 2), date(millis), at(millis + 2));
            assert_eq!(clock.at(at(millis)), at(millis));
        }
    }

    #[test]
    fn another_clock_is_known_to_a_second_at_once_and_better_with_time() {
        for ahead in [-3_600_000, -7_300, 7_300, 3_600_000] {
            let clock = Clock::default();
            let error = |now: i64| clock.at(at(now)).duration_since(at(now + ahead)).abs().as_millis();
            for (round, millis) in (0_i64..50).map(|round| (round, 1_000_000 + round * 1_021)) {
                clock.observe(at(millis - 1), date(millis + ahead), at(millis + 1));
                assert!(error(millis) <= 1_001, "{ahead}: {round}");
            }
            assert!(error(1_060_000) <= 60, "{ahead}: {}", error(1_060_000));
        }
    }

    #[test]
    fn a_clock_that_is_set_is_followed() {
        let clock = Clock::default();
        clock.observe(at(5_000), at(5_000), at(5_001));
        clock.observe(at(6_000), at(99_000), at(6_001));
        let shown = clock.at(at(6_001));
        assert!((98_999..=100_001).contains(&shown.as_millisecond()), "{shown}");
    }
}
