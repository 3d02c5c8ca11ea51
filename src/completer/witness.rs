//! What was seen of containers while they ran: by the time an ending is told the engine has forgotten it.
//!
//! None of it is needed for a right outcome: it makes texts better, and what a completer that dies takes with
//! it can be seen of the ended container too, but for the moment between a look at a disk and the kill.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::identity::ContainerId;
use crate::usage::{Disk, Usage};

/// Of how many containers something is remembered at most; then the oldest is forgotten.
const MOST: usize = 4096;

/// What was seen of one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What it used right before it was killed.
    pub usage: Usage,
    /// How it had filled its disk, for which it was killed.
    pub disk: Option<Disk>,
    /// Whether the engine told that one of its processes was killed for want of memory.
    pub oom: bool,
}

/// What was seen of all of them.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    seen: HashMap<ContainerId, Seen>,
    oldest_first: VecDeque<ContainerId>,
}

impl Witness {
    /// The engine told that a process of a container was killed for want of memory.
    pub fn saw_oom(&self, container: &ContainerId) {
        self.book().of(container).oom = true;
    }

    /// A container used so much.
    pub fn saw_usage(&self, container: &ContainerId, usage: Usage) {
        self.book().of(container).usage = usage;
    }

    /// A container had filled its disk, and is being killed for it.
    pub fn saw_full_disk(&self, container: &ContainerId, disk: Disk) {
        self.book().of(container).disk = Some(disk);
    }

    /// What was seen of a container.
    #[must_use]
    pub fn of(&self, container: &ContainerId) -> Seen {
        self.book().seen.get(container).copied().unwrap_or_default()
    }

    /// Its ending was told.
    pub fn forget(&self, container: &ContainerId) {
        let mut book = self.book();
        if book.seen.remove(container).is_some() {
            book.oldest_first.retain(|other| other != container);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn of(&mut self, container: &ContainerId) -> &mut Seen {
        if !self.seen.contains_key(container) {
            if self.oldest_first.len() >= MOST
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.seen.remove(&oldest);
            }
            self.oldest_first.push_back(container.clone());
        }
        self.seen.entry(container.clone()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(number: usize) -> ContainerId {
        ContainerId::new(number.to_string())
    }

    #[test]
    fn what_was_seen_is_remembered_until_the_ending_was_told() {
        let witness = Witness::default();
        let disk = Disk { used: 2, allowed: 1 };
        witness.saw_oom(&container(1));
        witness.saw_full_disk(&container(1), disk);
        assert_eq!(witness.of(&container(1)), Seen { oom: true, disk: Some(disk), ..Seen::default() });
        assert_eq!(witness.of(&container(2)), Seen::default());
        witness.forget(&container(1));
        assert_eq!(witness.of(&container(1)), Seen::default());
        assert!(witness.book().oldest_first.is_empty());
    }

    #[test]
    fn of_very_many_only_the_latest_are_remembered() {
        let witness = Witness::default();
        for number in 0..=MOST {
            witness.saw_oom(&container(number));
        }
        assert!(!witness.of(&container(0)).oom && witness.of(&container(1)).oom);
        assert!(witness.of(&container(MOST)).oom);
        assert_eq!(witness.book().seen.len(), MOST);
    }
}
