//! Receivers that hang: each of them holds a few deliveries only, so that the others get theirs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many receivers are remembered beyond those that are being asked.
const REMEMBERED: usize = 10_000;

/// How the receivers do, by origin.
#[derive(Debug)]
pub(super) struct Receivers {
    /// How many deliveries a receiver may hold at once while it hangs.
    share: usize,
    known: Mutex<HashMap<String, Receiver>>,
}

#[derive(Debug, Default)]
struct Receiver {
    in_flight: usize,
    /// Whether the last delivery that ended got no answer in time.
    hangs: bool,
}

/// A delivery that is under way; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Visit<'a> {
    receivers: &'a Receivers,
    origin: String,
}

impl Receivers {
    /// Lets each receiver that hangs hold a quarter of the deliveries that may be in flight.
    pub fn new(concurrency: usize) -> Self {
        Self { share: (concurrency / 4).max(1), known: Mutex::default() }
    }

    /// Begins a delivery; `None` where the receiver hangs and holds its share already.
    pub fn visit(&self, origin: String) -> Option<Visit<'_>> {
        let mut known = self.known();
        if known.len() > REMEMBERED {
            known.retain(|_, receiver| receiver.in_flight > 0);
        }
        let receiver = known.entry(origin.clone()).or_default();
        if receiver.hangs && receiver.in_flight >= self.share {
            return None;
        }
        receiver.in_flight += 1;
        Some(Visit { receivers: self, origin })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Receiver>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visit<'_> {
    /// Takes note of whether an answer came in time, whatever it was.
    pub fn learn(&self, hangs: bool) {
        if let Some(receiver) = self.receivers.known().get_mut(&self.origin) {
            receiver.hangs = hangs;
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut known = self.receivers.known();
        if let Some(receiver) = known.get_mut(&self.origin) {
            receiver.in_flight -= 1;
            if receiver.in_flight == 0 && !receiver.hangs {
                known.remove(&self.origin);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_hangs_holds_its_share_and_all_again_once_it_answers() {
        let receivers = Receivers::new(8);
        let visit = |origin: &str| receivers.visit(origin.to_owned());
        let mut held: Vec<_> = (0..5).map(|_| visit("a").expect("it is not known to hang")).collect();
        held.pop().expect("a visit").learn(true);
        assert!(visit("a").is_none() && visit("b").is_some());
        held.truncate(1);
        let second = visit("a").expect("its share is two");
        assert!(visit("a").is_none());
        second.learn(false);
        assert!(visit("a").is_some());
    }

    #[test]
    fn only_receivers_that_are_asked_or_hang_are_remembered_and_not_too_many() {
        let receivers = Receivers::new(1);
        drop(receivers.visit("a".into()));
        assert!(receivers.known().is_empty());
        for number in 0..REMEMBERED * 2 {
            receivers.visit(number.to_string()).expect("new").learn(true);
        }
        assert!(receivers.known().len() <= REMEMBERED + 1);
    }
}
