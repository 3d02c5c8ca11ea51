//! Ended containers that no job knows of: finished from their labels, a few at a time, so that the
//! corrections that are live go first.

use std::collections::{HashMap, VecDeque};

use crate::identity::ContainerId;
use crate::labels::Labels;

use super::collect::TRIES_FOR_OUTPUT;

/// How many are looked at at once.
const AT_ONCE: usize = 4;

/// The orphans that the sweeps found and that are not finished yet.
#[derive(Debug, Default)]
pub struct Orphans {
    waiting: VecDeque<(ContainerId, Labels)>,
    /// How often each was tried, for as long as sweeps find it.
    tries: HashMap<ContainerId, u32>,
    under_way: Vec<ContainerId>,
}

impl Orphans {
    /// Takes over what a sweep found: all orphans that there are now.
    pub fn found(&mut self, found: Vec<(ContainerId, Labels)>) {
        let still: HashMap<ContainerId, u32> = found
            .iter()
            .map(|(container, _)| (container.clone(), self.tries.get(container).copied().unwrap_or_default()))
            .collect();
        self.tries = still;
        self.waiting =
            found.into_iter().filter(|(container, _)| !self.under_way.contains(container)).collect();
    }

    /// The next to be looked at, and how often it was tried before.
    pub fn next(&mut self) -> Option<(ContainerId, Labels, u32)> {
        if self.under_way.len() >= AT_ONCE {
            return None;
        }
        let (container, labels) = self.waiting.pop_front()?;
        self.under_way.push(container.clone());
        let tries = self.tries.entry(container.clone()).or_default();
        let before = *tries;
        // After the last try it is given up anyway; the count must not wrap in a year of sweeps.
        *tries = tries.saturating_add(1).min(TRIES_FOR_OUTPUT);
        Some((container, labels, before))
    }

    /// One was looked at.
    pub fn looked_at(&mut self, container: &ContainerId) {
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
    use crate::identity::{CorrectionId, InstanceId, JobId};
    use crate::job::Errand;

    fn orphan(number: usize) -> (ContainerId, Labels) {
        let labels = Labels {
            instance: InstanceId::new("i"),
            correction: CorrectionId::new(number.to_string()),
            job: JobId::new("1"),
            name: String::new(),
            timestamp: 0,
            generation: 0,
            attempt: String::new(),
            timeout_ms: 0,
            errand: Errand::default(),
        };
        (ContainerId::new(number.to_string()), labels)
    }

    #[test]
    fn a_few_at_a_time_and_none_twice_at_once() {
        let mut orphans = Orphans::default();
        orphans.found((0..10).map(orphan).collect());
        let first: Vec<_> = std::iter::from_fn(|| orphans.next()).collect();
        assert_eq!(first.len(), AT_ONCE);
        orphans.found((0..10).map(orphan).collect());
        assert_eq!(orphans.waiting.len(), 10 - AT_ONCE);
        orphans.looked_at(&first[0].0);
        assert_eq!(orphans.next().map(|(container, ..)| container), Some(ContainerId::new("4")));
    }

    #[test]
    fn tries_are_counted_for_as_long_as_sweeps_find_it() {
        let mut orphans = Orphans::default();
        for tries in 0..=TRIES_FOR_OUTPUT + 2 {
            orphans.found(vec![orphan(1)]);
            let (container, _, before) = orphans.next().expect("one");
            assert_eq!(before, tries.min(TRIES_FOR_OUTPUT));
            orphans.looked_at(&container);
        }
        orphans.found(Vec::new());
        assert!(orphans.tries.is_empty());
    }
}
