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
    overflowed: bool,
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
        if self.deaths.len() >= KEPT_AT_MOST {
            self.overflowed = true;
            return;
        }
        self.deaths.insert(container.clone(), Death { exit_code, at: now });
        self.order.push_back((now, container));
    }

    /// Takes the death of a container out.
    pub fn take(&mut self, container: &ContainerId) -> Option<Death> {
        self.deaths.remove(container)
    }

    /// Whether a death may have been dropped for want of room since the last list.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// The engine's list was read: it knows of every death until now.
    pub fn listed(&mut self) {
        self.overflowed = false;
    }

    /// Drops what was kept long enough: it belongs to another completer, or to no one.
    pub fn expire(&mut self, now: Instant) {
        while let Some((at, container)) = self.order.front() {
            if now < *at + KEPT_FOR {
                break;
            }
            if self.deaths.get(container).is_some_and(|death| death.at == *at) {
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
        parked.expire(now + KEPT_FOR);
        assert_eq!(parked.take(&container(1)), None);
        assert_eq!(parked.take(&container(2)).and_then(|death| death.exit_code), Some(2));
        parked.expire(later + KEPT_FOR);
        assert!(parked.deaths.is_empty() && parked.order.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_owned_up_to_until_the_next_list() {
        let (mut parked, now) = (Parked::default(), Instant::now());
        for number in 0..KEPT_AT_MOST {
            parked.keep(container(number), None, now);
        }
        assert!(!parked.overflowed());
        parked.keep(container(KEPT_AT_MOST), None, now);
        assert!(parked.overflowed());
        assert_eq!(parked.take(&container(KEPT_AT_MOST)), None);
        parked.listed();
        assert!(!parked.overflowed());
    }
}
