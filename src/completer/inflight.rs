//! The completer's pure state machine: what is known of each running correction, and what to do next.
//!
//! It does no I/O and reads no clock: inputs say what happened and when, the answer is a list of
//! [`Action`]s for the loop. Correctness rests on three rules. Events are hints: each record can also
//! end by an inspection. A death that comes before its record is parked until the record comes. And
//! a record is never without an effect under way, a timer, or the sweep's next look at it.

mod cancelling;
mod rounds;
mod terms;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::ContainerId;

use super::parked::Parked;
use super::run_time::RunTime;

pub use self::terms::{Action, End, Finding, Finish, Seen, Ticket};

/// How long a container may take to end after it was killed, before it is given up.
pub const KILL_PATIENCE: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is under way; an event, a timer or the sweep will tell.
    Watching,
    /// An inspection is under way; `again` = something happened meanwhile that asks for another.
    Inspecting {
        again: bool,
    },
    Killing,
    /// The verdict is being read and handed over.
    Finishing,
}

#[derive(Clone, Debug)]
struct Record {
    container: ContainerId,
    phase: Phase,
    timeout: Option<Duration>,
    timer: Option<Instant>,
    /// Whether its time was up, so that it is to be killed.
    timed_out: bool,
    /// Whether a person cancelled it, so that it is to be killed.
    cancelled: bool,
    /// When a kill was first sent, or refused by the engine: its death is waited for from then on.
    kill_asked: Option<Instant>,
    run_time: RunTime,
    failures: u32,
}

/// All running corrections that this completer holds.
#[derive(Debug, Default)]
pub struct Inflight {
    records: HashMap<Ticket, Record>,
    by_container: HashMap<ContainerId, Vec<Ticket>>,
    timers: BTreeSet<(Instant, Ticket)>,
    parked: Parked,
    /// Which record a sweep looked at last.
    looked_at: Ticket,
}

impl Inflight {
    /// Whether some record is about this container.
    #[must_use]
    pub fn holds(&self, container: &ContainerId) -> bool {
        self.by_container.contains_key(container)
    }

    /// A record that is about this container.
    #[must_use]
    pub fn ticket_of(&self, container: &ContainerId) -> Option<Ticket> {
        self.by_container.get(container)?.first().copied()
    }

    /// How many deaths wait for their record.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// When [`Self::tick`] is due next.
    #[must_use]
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A running job was taken. `look` asks for an inspection even where no death is parked, since
    /// its container may have died unseen.
    pub fn taken(
        &mut self,
        ticket: Ticket,
        container: &ContainerId,
        timeout: Option<Duration>,
        look: bool,
        now: Instant,
    ) -> Vec<Action> {
        let record = Record {
            container: container.clone(),
            phase: Phase::Watching,
            timeout,
            timer: None,
            timed_out: false,
            cancelled: false,
            kill_asked: None,
            run_time: RunTime::default(),
            failures: 0,
        };
        self.records.insert(ticket, record);
        self.by_container.entry(container.clone()).or_default().push(ticket);
        let mut actions = Vec::new();
        if let Some(death) = self.parked.take(container) {
            self.finish(ticket, End::Died { exit_code: death.exit_code }, &mut actions);
        } else if look || self.parked.overflowed(now) {
            self.inspect(ticket, &mut actions);
        } else if let Some(timeout) = timeout {
            self.set_timer(ticket, now + timeout);
        }
        actions
    }

    /// A container died. `ours` = its labels name our installation: a death that comes before its
    /// record is then parked.
    pub fn died(
        &mut self,
        container: &ContainerId,
        exit_code: Option<i64>,
        ours: bool,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        let tickets = self.tickets(container);
        if tickets.is_empty() && ours {
            self.parked.keep(container.clone(), exit_code, now);
        }
        for ticket in tickets {
            self.finish(ticket, End::Died { exit_code }, &mut actions);
        }
        actions
    }

    /// A container was removed.
    pub fn destroyed(&mut self, container: &ContainerId) -> Vec<Action> {
        self.parked.take(container);
        let mut actions = Vec::new();
        for ticket in self.tickets(container) {
            self.finish(ticket, End::Removed, &mut actions);
        }
        actions
    }

    /// The engine's list of labelled containers, taken after the event stream was open. That a list
    /// says *running* proves nothing, but the next list will know better; and where a container was
    /// started by hand after it was looked at, it is how its deadline begins to count.
    pub fn listed(&mut self, seen: &HashMap<ContainerId, Seen>) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut open: Vec<Ticket> = self.records.keys().copied().collect();
        open.sort_unstable();
        for ticket in open {
            let Some(record) = self.records.get(&ticket) else { continue };
            match seen.get(&record.container) {
                Some(Seen::Ended) => self.finish(ticket, End::Found, &mut actions),
                Some(Seen::Running) if !self.has_unwatched_deadline(ticket) => {}
                Some(Seen::Waiting) => {}
                Some(Seen::Running) | None => self.inspect(ticket, &mut actions),
            }
        }
        actions
    }

    /// An inspection answered.
    pub fn inspected(&mut self, ticket: Ticket, finding: &Finding, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(record) = self.records.get_mut(&ticket) else { return actions };
        let Phase::Inspecting { again } = record.phase else { return actions };
        record.phase = Phase::Watching;
        if matches!(finding, Finding::Running { .. } | Finding::Waiting) {
            record.failures = 0;
        }
        let finding = &record.run_time.corrected(finding, now);
        let (timeout, kill_asked, cancelled) = (record.timeout, record.kill_asked, record.cancelled);
        let is_to_end = record.timed_out || cancelled;
        match finding {
            Finding::Ended => self.finish(ticket, End::Found, &mut actions),
            Finding::Gone => self.finish(ticket, End::Gone, &mut actions),
            _ if again => self.inspect(ticket, &mut actions),
            Finding::Running { .. } if kill_asked.is_some_and(|asked| now >= asked + KILL_PATIENCE) => {
                self.finish(ticket, End::Unstoppable, &mut actions);
            }
            Finding::Running { .. } if is_to_end => self.kill(ticket, &mut actions),
            Finding::Running { run_for } => match timeout.map(|timeout| timeout.checked_sub(*run_for)) {
                Some(None | Some(Duration::ZERO)) => self.kill(ticket, &mut actions),
                Some(Some(left)) => self.set_timer(ticket, now + left),
                None => {}
            },
            Finding::Waiting if cancelled => self.finish(ticket, End::Found, &mut actions),
            Finding::Waiting => {}
            Finding::Leaving => self.set_timer(ticket, now + Duration::from_secs(1)),
            Finding::Unknown => self.look_later(ticket, now),
        }
        actions
    }

    /// A kill was answered: `sent` = the signal was sent, so that a death will be told of.
    pub fn kill_answered(&mut self, ticket: Ticket, sent: bool, now: Instant) {
        let Some(record) = self.records.get_mut(&ticket) else { return };
        if record.phase != Phase::Killing {
            return;
        }
        record.phase = Phase::Watching;
        if sent {
            let patience_ends = *record.kill_asked.get_or_insert(now) + KILL_PATIENCE;
            self.set_timer(ticket, patience_ends.max(now));
        } else {
            self.look_later(ticket, now);
        }
    }

    /// The engine answered that it will not kill the container: it is asked again, but not for ever.
    pub fn kill_refused(&mut self, ticket: Ticket, now: Instant) {
        let _ = self.records.get_mut(&ticket).map(|record| record.kill_asked.get_or_insert(now));
        self.kill_answered(ticket, false, now);
    }

    /// An attempt at finishing answered.
    pub fn finished(&mut self, ticket: Ticket, finish: Finish, now: Instant) -> Vec<Action> {
        let Some(record) = self.records.get_mut(&ticket) else { return Vec::new() };
        if record.phase != Phase::Finishing {
            return Vec::new();
        }
        match finish {
            Finish::Settled => self.forget(ticket),
            Finish::Again => {
                record.phase = Phase::Watching;
                self.look_later(ticket, now);
                Vec::new()
            }
        }
    }

    /// The lock of a record's job was lost: another completer owns it now.
    pub fn lock_lost(&mut self, ticket: Ticket) -> Vec<Action> {
        self.forget(ticket)
    }

    /// Time has passed: deadlines and second looks that are due.
    pub fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some((_, ticket)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.inspect(ticket, &mut actions);
        }
        actions
    }

    fn has_unwatched_deadline(&self, ticket: Ticket) -> bool {
        self.records.get(&ticket).is_some_and(|record| record.timeout.is_some() && record.timer.is_none())
    }

    fn tickets(&self, container: &ContainerId) -> Vec<Ticket> {
        self.by_container.get(container).cloned().unwrap_or_default()
    }

    fn set_timer(&mut self, ticket: Ticket, at: Instant) {
        self.clear_timer(ticket);
        if let Some(record) = self.records.get_mut(&ticket) {
            record.timer = Some(at);
            self.timers.insert((at, ticket));
        }
    }

    fn clear_timer(&mut self, ticket: Ticket) {
        if let Some(at) = self.records.get_mut(&ticket).and_then(|record| record.timer.take()) {
            self.timers.remove(&(at, ticket));
        }
    }

    fn look_later(&mut self, ticket: Ticket, now: Instant) {
        if let Some(record) = self.records.get_mut(&ticket) {
            let wait = Duration::from_secs(1 << record.failures.min(5));
            record.failures = record.failures.saturating_add(1);
            self.set_timer(ticket, now + wait);
        }
    }

    fn inspect(&mut self, ticket: Ticket, actions: &mut Vec<Action>) {
        self.clear_timer(ticket);
        let Some(record) = self.records.get_mut(&ticket) else { return };
        match &mut record.phase {
            Phase::Watching => {
                record.phase = Phase::Inspecting { again: false };
                actions.push(Action::Inspect(ticket, record.container.clone()));
            }
            Phase::Inspecting { again } => *again = true,
            Phase::Killing | Phase::Finishing => {}
        }
    }

    fn kill(&mut self, ticket: Ticket, actions: &mut Vec<Action>) {
        self.clear_timer(ticket);
        let Some(record) = self.records.get_mut(&ticket) else { return };
        record.phase = Phase::Killing;
        record.timed_out |= !record.cancelled;
        actions.push(Action::Kill(ticket, record.container.clone()));
    }

    fn finish(&mut self, ticket: Ticket, end: End, actions: &mut Vec<Action>) {
        self.clear_timer(ticket);
        let Some(record) = self.records.get_mut(&ticket) else { return };
        if record.phase == Phase::Finishing {
            return;
        }
        record.phase = Phase::Finishing;
        actions.push(Action::Finish {
            ticket,
            container: record.container.clone(),
            end,
            timed_out: record.timed_out,
        });
    }

    fn forget(&mut self, ticket: Ticket) -> Vec<Action> {
        self.clear_timer(ticket);
        let Some(record) = self.records.remove(&ticket) else { return Vec::new() };
        if let Some(tickets) = self.by_container.get_mut(&record.container) {
            tickets.retain(|other| *other != ticket);
            if tickets.is_empty() {
                self.by_container.remove(&record.container);
            }
        }
        vec![Action::Forget(ticket)]
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
