//! What is known of one receiver, and when the next job for it is to come.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{LEFT_ALONE, LONGEST, QUICK};
use crate::queue::Due;

#[derive(Debug)]
pub(super) struct Receiver {
    pub in_slots: usize,
    pub aside: usize,
    /// Those of them that are aside since slots were short, and are young still.
    pub early: usize,
    /// It answered nobody since the last of those stepped aside.
    pub in_doubt: bool,
    pub limit: usize,
    pub standing: Standing,
    /// How long its last delivery took.
    pub pace: Duration,
    /// When the last of those that were put back for a time is to come.
    pub last_turn: Instant,
    /// When its last delivery began.
    pub asked: Instant,
    /// When its last delivery timed out.
    pub hung: Option<Instant>,
    /// When it answered last.
    pub answered: Option<Instant>,
    /// Jobs that were put back until a delivery ends.
    pub parked: BTreeSet<Due>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    New,
    Answers,
    Hangs,
}

/// A job gets no turn now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::notifier) struct PutBack {
    /// When it is to come again.
    pub until: Until,
    /// How long ago a delivery to the same receiver timed out, if that was the last that is known of it.
    pub hung: Option<Duration>,
    /// How long ago the same receiver answered, to whomever.
    pub answered: Option<Duration>,
}

impl PutBack {
    /// Of a receiver of which nothing speaks against it.
    pub(super) fn until(until: Until) -> Self {
        Self { until, hung: None, answered: None }
    }
}

/// When a job that gets no turn is to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::notifier) enum Until {
    /// After so long.
    After(Duration),
    /// When a delivery to the same receiver has ended, or the next one that was put back had its turn: it is
    /// called forth then ([`Receivers::park`](super::Receivers::park)).
    Called,
}

impl Receiver {
    pub fn new(limit: usize) -> Self {
        let (standing, pace, now) = (Standing::New, QUICK, Instant::now());
        let parked = BTreeSet::new();
        Self {
            in_slots: 0,
            aside: 0,
            early: 0,
            in_doubt: false,
            limit,
            standing,
            pace,
            last_turn: now,
            asked: now,
            hung: None,
            answered: None,
            parked,
        }
    }

    /// How many deliveries to it are under way.
    pub fn under_way(&self) -> usize {
        self.in_slots + self.aside
    }

    /// Whether it hangs, and nobody has asked for long whether it still does.
    pub fn is_overdue(&self) -> bool {
        let hangs = self.standing == Standing::Hangs;
        hangs && self.under_way() == 0 && self.asked.elapsed() >= (self.pace * 2).max(LEFT_ALONE)
    }

    /// One job comes by itself where no delivery is under way whose end would call it.
    pub fn next_turn(&mut self) -> PutBack {
        let hung = self.hung.filter(|_| self.standing == Standing::Hangs).map(|at| at.elapsed());
        let is_called = self.under_way() > 0 || self.last_turn > Instant::now();
        let until = if is_called { Until::Called } else { Until::After(self.after_the_last()) };
        PutBack { until, hung, answered: self.answered.map(|at| at.elapsed()) }
    }

    /// How long until the turn after the last that was given out.
    fn after_the_last(&mut self) -> Duration {
        let now = Instant::now();
        let apart = self.pace / u32::try_from(self.limit).unwrap_or(u32::MAX);
        let wait = apart.clamp(QUICK, LONGEST);
        self.last_turn = now + wait;
        wait
    }

    /// What is called forth when a delivery has ended: after an answer as many as may be under way, else one
    /// where none is, so that somebody asks again.
    pub fn called(&mut self, answered: bool, now_ms: u64) -> Vec<Due> {
        // The first is due first.
        while self.parked.first().is_some_and(|it| it.at <= now_ms) {
            self.parked.pop_first();
        }
        let count = match (answered, self.under_way()) {
            (true, under_way) => self.limit.saturating_sub(under_way).max(1),
            (false, 0) => 1,
            (false, _) => 0,
        };
        std::iter::from_fn(|| self.parked.pop_first()).take(count).collect()
    }
}
