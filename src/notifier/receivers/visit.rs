//! A delivery that is under way: in a slot, or aside.

use std::time::Duration;

use tokio::time::Instant;

use super::receiver::Standing;
use super::{QUICK, Receivers, SOON};
use crate::queue::Due;

/// How a delivery ended, as far as slots are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::notifier) enum Ended {
    /// There was an answer, or a refusal at once.
    Answered,
    /// Nothing came, until it was given up.
    Hung,
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Slot {
        of_a_new_one: bool,
    },
    /// `early`: it is there since slots were short, before it was [`quick`](Visit::quick) old.
    Aside {
        suspect: bool,
        early: bool,
    },
}

/// A delivery that is under way; it ends when this is dropped.
#[derive(Debug)]
pub(in crate::notifier) struct Visit<'a> {
    pub(super) receivers: &'a Receivers,
    pub(super) receiver: String,
    pub(super) place: Place,
    /// How long it may go without an answer in its slot.
    pub(super) quick: Duration,
    pub(super) began: Instant,
}

impl Visit<'_> {
    /// Whom it is for.
    pub fn receiver(&self) -> &str {
        &self.receiver
    }

    /// Whether it stands aside: then it needs no slot.
    pub fn is_aside(&self) -> bool {
        matches!(self.place, Place::Aside { .. })
    }

    /// Whether time changes nothing any more of where it is.
    pub fn is_settled(&self) -> bool {
        matches!(self.place, Place::Aside { early: false, .. })
    }

    /// Steps aside, if it had no answer for so long that it should, and there is room. Answers whether it stands aside.
    pub fn step_aside_after(&mut self, waited: Duration) -> bool {
        match self.place {
            Place::Aside { .. } => {
                if waited >= self.quick {
                    self.is_early_no_more();
                }
                true
            }
            Place::Slot { .. } if waited >= self.quick => self.step_aside(),
            Place::Slot { .. } => self.is_late_in_a_crowd(waited) && self.leave_slot(true),
        }
    }

    /// From now on it tells of its receiver that it hangs, whatever that answered meanwhile.
    fn is_early_no_more(&mut self) {
        let Place::Aside { suspect, early: true } = self.place else { return };
        self.place = Place::Aside { suspect, early: false };
        if let Some(it) = self.receivers.state().known.get_mut(&self.receiver) {
            it.early -= 1;
        }
    }

    /// Whether it takes longer than its receiver does, and most slots were taken meanwhile: so a hundred that go
    /// dark in the same moment hold them for that moment.
    fn is_late_in_a_crowd(&self, waited: Duration) -> bool {
        let Place::Slot { of_a_new_one: false } = self.place else { return false };
        let state = self.receivers.state();
        let crowded = state.crowded.is_some_and(|at| at >= self.began) && state.known.len() > 1;
        let usual = state.known.get(&self.receiver).map_or(QUICK, |it| it.pace);
        crowded && waited >= (usual * 4).max(SOON)
    }

    /// Steps aside; where there is no room it stays where it is. Answers whether it stands aside.
    pub(super) fn step_aside(&mut self) -> bool {
        self.leave_slot(false)
    }

    fn leave_slot(&mut self, early: bool) -> bool {
        let Place::Slot { of_a_new_one } = self.place else { return true };
        let mut state = self.receivers.state();
        if state.aside >= self.receivers.most {
            return false;
        }
        state.aside += 1;
        state.in_slots -= 1;
        state.held_by_new -= usize::from(of_a_new_one);
        if let Some(it) = state.known.get_mut(&self.receiver) {
            it.in_slots -= 1;
            it.aside += 1;
            it.early += usize::from(early);
            it.in_doubt |= early;
        }
        self.place = Place::Aside { suspect: false, early };
        drop(state);
        self.receivers.changed.notify_waiters();
        true
    }

    /// Takes note of how it ended and how long it took. Answers which jobs are to come forth for it.
    #[must_use]
    pub fn end(self, ended: Ended, took: Duration) -> Vec<Due> {
        self.learn(ended, took);
        let (receivers, receiver) = (self.receivers, self.receiver.clone());
        drop(self);
        receivers.called(&receiver, ended == Ended::Answered)
    }

    pub(super) fn learn(&self, ended: Ended, took: Duration) {
        let mut state = self.receivers.state();
        let Some(it) = state.known.get_mut(&self.receiver) else { return };
        let (before, slots) = (it.standing, self.receivers.slots);
        it.pace = took;
        match ended {
            Ended::Answered => {
                it.standing = Standing::Answers;
                it.answered = Some(Instant::now());
                it.in_doubt = false;
                it.limit = (it.limit * 2).min(slots).max(1);
                // Whoever comes from now on need not stand behind those that were put back while it hung.
                if before == Standing::Hangs {
                    it.last_turn = Instant::now();
                }
            }
            Ended::Hung => {
                it.standing = Standing::Hangs;
                it.hung = Some(Instant::now());
                it.limit = (it.limit / 2).max(1);
            }
        }
        let after = it.standing;
        state.answering += usize::from(after == Standing::Answers);
        state.answering -= usize::from(before == Standing::Answers);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut state = self.receivers.state();
        match self.place {
            Place::Slot { of_a_new_one } => {
                state.in_slots -= 1;
                state.held_by_new -= usize::from(of_a_new_one);
            }
            Place::Aside { suspect, .. } => {
                state.aside -= 1;
                state.suspect -= usize::from(suspect);
            }
        }
        if let Some(it) = state.known.get_mut(&self.receiver) {
            match self.place {
                Place::Slot { .. } => it.in_slots -= 1,
                Place::Aside { early, .. } => {
                    it.aside -= 1;
                    it.early -= usize::from(early);
                }
            }
        }
        drop(state);
        self.receivers.changed.notify_waiters();
    }
}
