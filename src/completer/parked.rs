//! Deaths that were told before their record came: kept for a while, a bounded number of them.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::ContainerId;

/// How long a death without a record is kept: longer than a starter needs to hand over.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How many are kept; beyond that every new record is inspected instead.
pub const KEPT_AT_MOST: usize = 20_000;

/// The deaths that wait for their record.
#[derive(Debug, Default)]
pub struct Parked {
    deaths: HashMap<ContainerId, Death>,
    order: VecDeque<(Instant, ContainerId)>,
    /// Until when a death may be missing here for want of room.
    doubtful_until: Option<Instant>,
}

/// A death as the engine told of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Death {
    /// The exit code, where it was told.
    pub exit_code: Option<i64>,
    at: Instant,
}

impl Parked {
    /// Keeps a death with its exit code.
    pub fn keep(&mut self, container: ContainerId, exit_code: Option<i64>, now: Instant) {
        self.expire(now);
        if self.deaths.len() >= KEPT_AT_MOST {
            self.doubtful_until = Some(now + KEPT_FOR);
            return;
        }
        self.deaths.insert(container.clone(), Death { exit_code, at: now });
        self.order.push_back((now, container));
    }

    /// Takes the death of a container out.
    pub fn take(&mut self, container: &ContainerId) -> Option<Death> {
        self.deaths.remove(container)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deaths.len()
    }

    /// Whether the death of a record that comes now may have been dropped for want of room.
    #[must_use]
    pub fn overflowed(&self, now: Instant) -> bool {
        self.doubtful_until.is_some_and(|until| now < until)
    }

    /// Drops what was kept long enough: it belongs to another completer, or to no one.
    fn expire(&mut self, now: Instant) {
        while let Some((at, container)) = self.order.front() {
            let waits = self.deaths.get(container).is_some_and(|death| death.at == *at);
            if waits && now < *at + KEPT_FOR {
                break;
            }
            if waits {
                self.deaths.remove(container);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(number: usize) -> ContainerId {
        ContainerId::new(number.to_string())
    }

    #[test]
    fn a_death_is_dropped_after_a_while_and_one_told_again_is_kept_from_then_on() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        parked.keep(container(1), Some(1), now);
        parked.keep(container(2), Some(1), now);
        let later = now + Duration::from_secs(1);
        parked.keep(container(2), Some(2), later);
        parked.keep(container(3), None, now + KEPT_FOR);
        assert_eq!(parked.take(&container(1)), None);
        assert_eq!(parked.take(&container(2)).and_then(|death| death.exit_code), Some(2));
    }

    #[test]
    fn what_was_taken_or_kept_long_enough_takes_no_memory() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        for number in 0..1000 {
            parked.keep(container(number), None, now);
            parked.take(&container(number));
        }
        assert!(parked.order.len() <= 1, "{}", parked.order.len());
        for number in 0..1000 {
            parked.keep(container(number), None, now);
        }
        parked.keep(container(1000), None, now + KEPT_FOR);
        assert_eq!((parked.deaths.len(), parked.order.len()), (1, 1));
    }

    #[test]
    fn what_does_not_fit_is_owned_up_to_for_as_long_as_it_would_have_been_kept() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        for number in 0..KEPT_AT_MOST {
            parked.keep(container(number), None, now);
        }
        assert!(!parked.overflowed(now));
        parked.keep(container(KEPT_AT_MOST), None, now);
        assert!(parked.overflowed(now));
        assert_eq!(parked.take(&container(KEPT_AT_MOST)), None);
        assert!(!parked.overflowed(now + KEPT_FOR));
    }
}
