//! Which events were told already: a stream that is opened again repeats its last seconds.

use std::collections::{BTreeSet, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};

use jiff::{SignedDuration, Timestamp};

use super::event::{Action, Event};

/// How far back a stream is opened before the last event.
pub(super) const OVERLAP: SignedDuration = SignedDuration::from_secs(5);
/// How far back events are remembered: longer than any of them is repeated.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(15);
/// How many are remembered at most; one that is forgotten is told twice, which does no harm.
const MOST: usize = 50_000;

/// The events of the last seconds, by their time on the daemon's clock.
#[derive(Debug, Default)]
pub(super) struct Replays {
    told: BTreeSet<(Timestamp, u64)>,
}

impl Replays {
    /// Whether the event is new; it is remembered.
    pub(super) fn is_new(&mut self, event: &Event) -> bool {
        let mut hasher = DefaultHasher::new();
        event.container.hash(&mut hasher);
        std::mem::discriminant::<Action>(&event.action).hash(&mut hasher);
        let new = self.told.insert((event.at, hasher.finish()));
        let horizon = self.newest().map(|newest| back(newest, REMEMBERED));
        while self.told.len() > MOST || self.told.first().is_some_and(|(at, _)| Some(*at) < horizon) {
            self.told.pop_first();
        }
        new
    }

    /// The time of the newest event.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.told.last().map(|(at, _)| *at)
    }
}

/// So much earlier.
pub(super) fn back(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ContainerId;

    fn event(container: &str, action: Action, millis: i64) -> Event {
        let at = Timestamp::from_millisecond(millis).unwrap();
        Event { container: ContainerId::new(container), action, at }
    }

    #[test]
    fn the_same_event_is_new_once() {
        let mut replays = Replays::default();
        assert!(replays.is_new(&event("a", Action::Oom, 1000)));
        assert!(!replays.is_new(&event("a", Action::Oom, 1000)));
        assert!(replays.is_new(&event("b", Action::Oom, 1000)));
        assert!(replays.is_new(&event("a", Action::Destroyed, 1000)));
        assert!(replays.is_new(&event("a", Action::Oom, 1001)));
    }

    #[test]
    fn what_can_still_be_repeated_is_remembered_and_the_rest_forgotten() {
        let mut replays = Replays::default();
        for second in 0..1000 {
            assert!(replays.is_new(&event("a", Action::Oom, second * 1000)));
            let repeated = event("a", Action::Oom, (second - 10).max(0) * 1000);
            assert!(!replays.is_new(&repeated), "{second}");
        }
        assert!(replays.told.len() <= 17, "{}", replays.told.len());
    }

    #[test]
    fn a_flood_does_not_fill_the_memory() {
        let mut replays = Replays::default();
        for number in 0..MOST + 100 {
            replays.is_new(&event(&number.to_string(), Action::Oom, 5));
        }
        assert_eq!(replays.told.len(), MOST);
    }
}
