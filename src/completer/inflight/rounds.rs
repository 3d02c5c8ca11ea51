//! The rounds of the sweep: each open record is looked at now and then, whatever the engine's list says.
//!
//! An engine whose disk was full when a container ended tells no death of it and lists it as running for
//! ever; only an inspection shows that it ended.

use super::{Action, Inflight, Phase, Ticket};

/// How many records one sweep looks at, at the least.
const AT_LEAST: usize = 32;
/// After how many sweeps all have been looked at, however many there are.
const SWEEPS: usize = 60;

impl Inflight {
    /// A sweep is made: the next share of the records that nothing is under way for is looked at.
    pub fn round(&mut self) -> Vec<Action> {
        let share = AT_LEAST.max(self.records.len() / SWEEPS);
        let watching = self.records.iter().filter(|(_, record)| record.phase == Phase::Watching);
        let mut next: Vec<Ticket> = watching.map(|(ticket, _)| *ticket).collect();
        next.sort_unstable();
        let done = next.partition_point(|ticket| *ticket <= self.looked_at);
        next.rotate_left(done);
        next.truncate(share);
        let mut actions = Vec::new();
        for ticket in next {
            self.looked_at = ticket;
            self.inspect(ticket, &mut actions);
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::completer::inflight::Finding;
    use crate::identity::ContainerId;

    #[test]
    fn round_by_round_every_record_is_looked_at() {
        let (mut inflight, now) = (Inflight::default(), Instant::now());
        for number in 1..=100_u64 {
            inflight.taken(Ticket(number), &ContainerId::new(number.to_string()), None, false, now);
        }
        for round in [1..=32, 33..=64, 65..=96] {
            let looked: Vec<u64> = round_of(&mut inflight, now);
            assert_eq!(looked, round.collect::<Vec<_>>());
        }
        let looked = round_of(&mut inflight, now);
        assert_eq!(looked, (97..=100).chain(1..=28).collect::<Vec<_>>());
    }

    fn round_of(inflight: &mut Inflight, now: Instant) -> Vec<u64> {
        let mut looked = Vec::new();
        for action in inflight.round() {
            let Action::Inspect(ticket, _) = action else { panic!("{action:?}") };
            looked.push(ticket.0);
            inflight.inspected(ticket, &Finding::Running { run_for: Duration::ZERO }, now);
        }
        looked
    }

    #[test]
    fn what_is_being_dealt_with_is_left_alone() {
        let (mut inflight, now) = (Inflight::default(), Instant::now());
        inflight.taken(Ticket(1), &ContainerId::new("c"), None, true, now);
        assert_eq!(inflight.round(), []);
    }
}
