//! Ended containers that no job knows of: finished from their labels, a few at a time, so that the
//! corrections that are live go first.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use crate::identity::ContainerId;
use crate::labels::Labels;

use super::tries::{Reached, Tries};

/// How many are looked at at once.
const AT_ONCE: usize = 4;

/// The orphans that the sweeps found and that are not finished yet.
#[derive(Debug, Default)]
pub struct Orphans {
    waiting: VecDeque<(ContainerId, Labels)>,
    /// How often each was tried, for as long as sweeps find it.
    tries: HashMap<ContainerId, Tries>,
    under_way: Vec<ContainerId>,
}

impl Orphans {
    /// Takes over what a sweep found: all orphans that there are now. Tells how many the sweep before did not find.
    pub fn found(&mut self, found: Vec<(ContainerId, Labels)>) -> usize {
        let new = found.iter().filter(|(container, _)| !self.tries.contains_key(container)).count();
        let still: HashMap<ContainerId, Tries> = found
            .iter()
            .map(|(container, _)| (container.clone(), self.tries.get(container).copied().unwrap_or_default()))
            .collect();
        self.tries = still;
        self.waiting =
            found.into_iter().filter(|(container, _)| !self.under_way.contains(container)).collect();
        new
    }

    /// The next to be looked at, and how often it was tried before.
    pub fn next(&mut self) -> Option<(ContainerId, Labels, Tries)> {
        if self.under_way.len() >= AT_ONCE {
            return None;
        }
        let (container, labels) = self.waiting.pop_front()?;
        self.under_way.push(container.clone());
        let tries = self.tries.entry(container.clone()).or_default();
        let before = *tries;
        // What panics reports nothing: it counts as a fault until it does.
        tries.faults = tries.faults.saturating_add(1);
        Some((container, labels, before))
    }

    /// One was looked at.
    pub fn looked_at(&mut self, container: &ContainerId, reached: Reached, now: Instant) {
        if let Some(tries) = self.tries.get_mut(container) {
            tries.faults = tries.faults.saturating_sub(1);
            tries.note(reached, now);
        }
        self.under_way.retain(|other| other != container);
    }

    /// It is not known any more which are being looked at: the next sweep tells what is left. To look
    /// at one twice at once does no harm.
    pub fn all_looked_at(&mut self) {
        self.under_way.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::{Call, EngineError};

    fn orphan(number: usize) -> (ContainerId, Labels) {
        (ContainerId::new(number.to_string()), Labels::of_correction(&number.to_string()))
    }

    #[test]
    fn a_few_at_a_time_and_none_twice_at_once() {
        let mut orphans = Orphans::default();
        orphans.found((0..10).map(orphan).collect());
        let first: Vec<_> = std::iter::from_fn(|| orphans.next()).collect();
        assert_eq!(first.len(), AT_ONCE);
        orphans.found((0..10).map(orphan).collect());
        assert_eq!(orphans.waiting.len(), 10 - AT_ONCE);
        orphans.looked_at(&first[0].0, Reached::Nothing, Instant::now());
        assert_eq!(orphans.next().map(|(container, ..)| container), Some(ContainerId::new("4")));
    }

    #[test]
    fn tries_are_counted_for_as_long_as_sweeps_find_it() {
        let mut orphans = Orphans::default();
        let refused = EngineError::Server { call: Call::Logs, status: 500, message: String::new() };
        for (tries, reached) in
            [[Reached::Nothing; 6], [Reached::NoOutput { away: false }; 6]].concat().into_iter().enumerate()
        {
            orphans.found(vec![orphan(1)]);
            let (container, _, before) = orphans.next().expect("one");
            assert!(!before.output.are_enough(&refused, Instant::now()), "{tries}");
            assert_eq!(before.faults, 0);
            orphans.looked_at(&container, reached, Instant::now());
        }
        orphans.found(vec![orphan(1)]);
        let (_, _, before) = orphans.next().expect("one");
        assert!(before.output.are_enough(&refused, Instant::now()));
        // That one panics, and the two after it.
        for faults in 1..=3 {
            orphans.all_looked_at();
            orphans.found(vec![orphan(1)]);
            let (_, _, before) = orphans.next().expect("one");
            assert_eq!((before.faults, before.is_faulty()), (faults, faults == 3));
        }
        orphans.all_looked_at();
        orphans.found(Vec::new());
        assert!(orphans.tries.is_empty());
    }

    #[test]
    fn an_orphan_that_each_sweep_finds_is_new_once() {
        let mut orphans = Orphans::default();
        assert_eq!(orphans.found(vec![orphan(1), orphan(2)]), 2);
        assert_eq!(orphans.found(vec![orphan(1), orphan(2), orphan(3)]), 1);
        // One that was put right and is an orphan again is another find.
        assert_eq!(orphans.found(vec![orphan(3)]), 0);
        assert_eq!(orphans.found(vec![orphan(1), orphan(3)]), 1);
    }
}
