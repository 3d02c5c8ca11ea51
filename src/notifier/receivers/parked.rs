//! Jobs that were put back until they are called: who they are, and when they come if nobody calls them.

use std::time::Duration;

use super::{Receivers, State};
use crate::identity::JobId;
use crate::queue::Due;

/// How far apart those come that nobody called: what they cost does not grow with how many they are.
const APART_MS: u64 = 20;
/// By how much a job may come later for that; where more wait than come in that time, they come more often.
const LONGEST_LINE_MS: u64 = 300_000;
/// How many are remembered, by about a hundred bytes each. More than that come by themselves only.
const MOST_PARKED: usize = 50_000;

/// When the last of those that were parked comes by itself.
#[derive(Debug, Default)]
pub(super) struct Line {
    last: u64,
    /// How many are remembered, at least.
    parked: usize,
}

impl Line {
    /// The next time, in milliseconds, that is not before this one.
    fn place(&mut self, earliest: u64) -> u64 {
        let earliest = earliest.next_multiple_of(APART_MS);
        if self.last >= earliest + LONGEST_LINE_MS {
            return earliest + fastrand::u64(0..LONGEST_LINE_MS / APART_MS) * APART_MS;
        }
        self.last = earliest.max(self.last + APART_MS);
        self.last
    }
}

impl Receivers {
    /// When a job comes that waits to be called, if nobody calls it for so long.
    pub fn place_in_line(&self, job: &JobId, at_least: Duration) -> Due {
        let Due { at: earliest, job } = Due::after(at_least, job);
        Due { at: self.state().line.place(earliest), job }
    }

    /// Remembers a job that was put back until it is called. Answers those that are to come now: where no
    /// delivery to its receiver is under way any more, nobody else would call it.
    #[must_use]
    pub fn park(&self, receiver: &str, due: Due) -> Vec<Due> {
        let mut state = self.state();
        let State { known, line, .. } = &mut *state;
        let Some(it) = known.get_mut(receiver) else { return vec![due] };
        if it.under_way() == 0 && it.last_turn <= tokio::time::Instant::now() {
            return vec![due];
        }
        if line.parked >= MOST_PARKED {
            line.parked = known.values().map(|it| it.parked.len()).sum();
        }
        if line.parked < MOST_PARKED
            && let Some(it) = known.get_mut(receiver)
        {
            line.parked += 1;
            it.parked.insert(due);
        }
        Vec::new()
    }

    /// Those that a delivery's end calls.
    pub(super) fn called(&self, receiver: &str, answered: bool) -> Vec<Due> {
        let now = Due::now();
        let mut state = self.state();
        let State { known, line, .. } = &mut *state;
        let Some(it) = known.get_mut(receiver) else { return Vec::new() };
        let before = it.parked.len();
        let called = it.called(answered, now);
        line.parked = line.parked.saturating_sub(before - it.parked.len());
        called
    }
}
