//! Jobs that were put back until they are called: who they are, and when they come if nobody calls them.

use std::collections::HashMap;
use std::time::Duration;

use super::receiver::Receiver;
use super::{Receivers, State};
use crate::identity::JobId;
use crate::queue::Due;

/// How far apart those come that nobody called: what they cost does not grow with how many they are.
const APART_MS: u64 = 20;
/// By how much a job may come later for that; where more wait than come in that time, they come more often.
const LONGEST_LINE_MS: u64 = 300_000;
/// So much further behind may one come than for those that are parked: as many are just being put back.
const AT_ONCE_MS: u64 = 100 * APART_MS;
/// How many are remembered, by about a hundred bytes each. More than that come by themselves only.
const MOST_PARKED: usize = 50_000;

/// When those that are parked come by themselves: one after the other, and no later than for as many as they are.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// When the one that was placed last does.
    last: u64,
    /// How many are remembered, at least.
    parked: usize,
}

impl Line {
    /// Counts those that are remembered.
    pub(super) fn recount(&mut self, known: &HashMap<String, Receiver>) {
        self.parked = known.values().map(|it| it.parked.len()).sum();
    }

    /// The next time, in milliseconds, that is not before this one.
    fn place(&mut self, earliest: u64) -> u64 {
        let behind = self.parked as u64 * APART_MS;
        if behind >= LONGEST_LINE_MS {
            return earliest + fastrand::u64(0..LONGEST_LINE_MS);
        }
        // Behind the last, unless that was called meanwhile, and most of those before it.
        let latest = earliest + behind + AT_ONCE_MS;
        self.last = earliest.max((self.last + APART_MS).min(latest));
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
            line.recount(known);
        }
        if line.parked < MOST_PARKED
            && let Some(it) = known.get_mut(receiver)
        {
            line.parked += usize::from(it.parked.insert(due));
        }
        Vec::new()
    }

    /// Remembers jobs again that were to be called forth and were not: the next delivery that ends calls them.
    pub fn park_again(&self, receiver: &str, jobs: Vec<Due>) {
        let mut state = self.state();
        let State { known, line, .. } = &mut *state;
        let Some(it) = known.get_mut(receiver) else { return };
        for due in jobs {
            line.parked += usize::from(line.parked < MOST_PARKED && it.parked.insert(due));
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::receivers::REMEMBERED;

    const NOW: u64 = 1_000_000;

    #[test]
    fn those_that_come_by_themselves_stand_behind_those_that_are_parked_now_and_no_others() {
        let mut line = Line::default();
        for number in 0..5000 {
            assert_eq!(line.place(NOW), NOW + number * APART_MS);
            line.parked += 1;
        }
        // All were called meanwhile.
        line.parked = 0;
        assert!(line.place(NOW) <= NOW + AT_ONCE_MS, "nobody is in front of it");
        line.parked = 15_000;
        assert!(line.place(NOW) < NOW + LONGEST_LINE_MS);
    }

    #[tokio::test]
    async fn however_many_wait_to_be_called_fifty_a_second_come_by_themselves() {
        let receivers = Receivers::new(8);
        let _under_way = receivers.turn("r:80").await.expect("a turn");
        let (job, second) = (JobId::new("j"), Duration::from_secs(1));
        let place = || {
            let due = receivers.place_in_line(&job, second);
            assert_eq!(receivers.park("r:80", due.clone()), []);
            due.at
        };
        let earliest = Due::after(second, &job).at;
        let mut times: Vec<_> = (0..4000).map(|_| place()).collect();
        assert!(times.is_sorted() && times[0] >= earliest);
        times.dedup_by_key(|at| *at / 1000);
        assert!(times.len() >= 80, "{}", times.len());
        // Beyond five minutes they stand closer together, and none waits longer for that.
        let latest = (0..20_000).map(|_| place()).max().expect("some");
        let now = Due::after(second, &job).at;
        assert!(latest <= now + 301_000, "{}", latest - now);
    }

    #[tokio::test]
    async fn jobs_of_receivers_that_are_forgotten_hold_up_nobody_in_the_line() {
        let receivers = Receivers::new(8);
        let visit = receivers.turn("r:80").await.expect("a turn");
        for number in 0..100 {
            let due = Due::after(Duration::from_secs(60), &JobId::new(number.to_string()));
            assert_eq!(receivers.park("r:80", due), []);
        }
        drop(visit);
        assert_eq!(receivers.state().line.parked, 100);
        for number in 0..=REMEMBERED {
            drop(receivers.turn(&number.to_string()).await.expect("a turn"));
        }
        let state = receivers.state();
        assert!(!state.known.contains_key("r:80"), "it is forgotten");
        assert_eq!(state.line.parked, 0);
    }

    #[tokio::test]
    async fn jobs_that_could_not_be_called_forth_are_called_again() {
        let receivers = Receivers::new(8);
        let visit = receivers.turn("r:80").await.expect("a turn");
        let late = Due::after(Duration::from_secs(60), &JobId::new("late"));
        assert_eq!(receivers.park("r:80", late.clone()), []);
        let called = receivers.called("r:80", true);
        assert_eq!(called, std::slice::from_ref(&late));
        assert_eq!(receivers.called("r:80", true), []);
        receivers.park_again("r:80", called);
        assert_eq!(receivers.called("r:80", true), [late]);
        drop(visit);
    }
}
