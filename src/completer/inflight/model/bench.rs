//! The state machine on a bench: carries its actions about as the loop does, remembers what it was told,
//! and holds it to its rules after every step.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::super::{Action, End, Finding, Finish, Inflight, KILL_PATIENCE, Phase, Seen, Ticket};
use super::{Answer, CONTAINERS, Step, Truth, World};
use crate::identity::ContainerId;

/// In a fair world: a list, all answers, and a wait at least as long as any timer but a deadline.
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_secs(40);

/// What an effect is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Inspect,
    Kill,
    Finish,
}

/// An effect that is under way.
#[derive(Clone, Copy, Debug)]
struct Effect {
    ticket: Ticket,
    container: usize,
    work: Work,
    /// What was true when it began, and when that was.
    truth: Truth,
    began: Duration,
}

/// What the bench knows of a record.
#[derive(Debug)]
struct Known {
    container: usize,
    timeout: Option<Duration>,
    /// The one effect whose answer counts.
    current: Option<Work>,
    /// Whether its last inspection said that it waits to be started.
    waiting: bool,
    kill_asked: Option<Duration>,
    cancelled: bool,
}

/// What was told of a container.
#[derive(Debug, Default)]
struct Told {
    death: bool,
    removal: bool,
    /// An inspection or a list said that it ended, or that it is not there.
    ended: bool,
    /// When a death of ours was told that no record has taken up yet.
    parked: Option<Duration>,
}

/// The state machine and its surroundings.
pub(super) struct Bench {
    machine: Inflight,
    zero: Instant,
    effects: Vec<Effect>,
    records: BTreeMap<Ticket, Known>,
    told: [Told; CONTAINERS],
    takes: u64,
    settled: BTreeSet<Ticket>,
    lost: BTreeSet<Ticket>,
}

fn name(container: usize) -> ContainerId {
    ContainerId::new(container.to_string())
}

impl Bench {
    pub(super) fn new() -> Self {
        Self {
            machine: Inflight::default(),
            zero: Instant::now(),
            effects: Vec::new(),
            records: BTreeMap::new(),
            told: Default::default(),
            takes: 0,
            settled: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    fn at(&self, world: &World) -> Instant {
        self.zero + world.now
    }

    pub(super) fn apply(&mut self, world: &World, step: Step) {
        let now = self.at(world);
        let ended = match step {
            Step::TellDeath { container, .. } | Step::TellRemoval(container) => Some(container),
            _ => None,
        };
        let actions = match step {
            Step::Take { container, timeout, look } => return self.take(world, container, timeout, look),
            Step::TellDeath { container, code, ours } => {
                self.told[container].death = true;
                if ours && !self.machine.holds(&name(container)) {
                    self.told[container].parked = Some(world.now);
                }
                self.machine.died(&name(container), code, ours, now)
            }
            Step::TellRemoval(container) => {
                self.told[container].removal = true;
                self.told[container].parked = None;
                self.machine.destroyed(&name(container))
            }
            Step::Answer { pick, how } => return self.answer(world, pick, how),
            Step::Stray { ticket, how } => return self.stray(world, Ticket(ticket), how),
            Step::List { lags, omits } => return self.list(world, lags, omits),
            Step::LoseLock { pick } => {
                let Some(ticket) = self.records.keys().nth(pick % self.records.len().max(1)).copied() else {
                    return;
                };
                self.lost.insert(ticket);
                let actions = self.machine.lock_lost(ticket);
                assert_eq!(actions, [Action::Forget(ticket)]);
                actions
            }
            Step::Cancel { pick } => {
                let Some(ticket) = self.records.keys().nth(pick % self.records.len().max(1)).copied() else {
                    return;
                };
                self.records.get_mut(&ticket).expect("just seen").cancelled = true;
                self.machine.cancelled(ticket)
            }
            Step::Wait { .. } => self.machine.tick(now),
            Step::Start(_) | Step::Die(_) | Step::Remove(_) => return,
        };
        self.obey(world, actions);
        let mut of_it = self.records.values().filter(|known| Some(known.container) == ended);
        assert!(of_it.all(|known| known.current == Some(Work::Finish)), "the end was told, and not to all");
    }

    fn take(&mut self, world: &World, container: usize, timeout: Option<u64>, look: bool) {
        self.takes += 1;
        let ticket = Ticket(self.takes);
        let timeout = timeout.map(Duration::from_secs);
        let known =
            Known { container, timeout, current: None, waiting: false, kill_asked: None, cancelled: false };
        self.records.insert(ticket, known);
        let actions = self.machine.taken(ticket, &name(container), timeout, look, self.at(world));
        let finishes = matches!(actions[..], [Action::Finish { .. }]);
        let parked = self.told[container].parked.take();
        let fresh = parked.is_some_and(|at| world.now < at + Duration::from_secs(60));
        assert!(finishes || !fresh, "a death was told before the record, and is not taken up: {actions:?}");
        assert!(!look || !actions.is_empty(), "it was to be looked at");
        self.obey(world, actions);
    }

    /// Carries actions about, and checks that each may be taken.
    fn obey(&mut self, world: &World, actions: Vec<Action>) {
        for action in actions {
            let (ticket, container, work) = match &action {
                Action::Inspect(ticket, container) => (*ticket, container, Work::Inspect),
                Action::Kill(ticket, container) => (*ticket, container, Work::Kill),
                Action::Finish { ticket, container, .. } => (*ticket, container, Work::Finish),
                Action::Forget(ticket) => {
                    assert!(self.records.remove(ticket).is_some(), "{action:?} of an unknown record");
                    continue;
                }
            };
            let Some(known) = self.records.get_mut(&ticket) else {
                panic!("{action:?} of an unknown record")
            };
            assert_eq!(*container, name(known.container));
            let supersedes = work == Work::Finish && known.current != Some(Work::Finish);
            assert!(
                known.current.is_none() || supersedes,
                "{action:?} while {:?} is under way",
                known.current
            );
            known.current = Some(work);
            let truth = world.containers[known.container].truth;
            let effect = Effect { ticket, container: known.container, work, truth, began: world.now };
            self.effects.push(effect);
            match action {
                Action::Kill(..) => self.check_kill(world, ticket),
                Action::Finish { end, .. } => self.check_finish(world, ticket, &end),
                _ => {}
            }
        }
    }

    fn check_kill(&self, world: &World, ticket: Ticket) {
        let known = &self.records[&ticket];
        if known.cancelled {
            return;
        }
        let Some(timeout) = known.timeout else { panic!("killed without a deadline") };
        if let Truth::Running(since) = world.containers[known.container].truth {
            assert!(since + timeout <= world.now, "killed before its deadline");
        }
    }

    fn check_finish(&self, world: &World, ticket: Ticket, end: &End) {
        let known = &self.records[&ticket];
        let (container, told) = (world.containers[known.container], &self.told[known.container]);
        let runs = matches!(container.truth, Truth::Running(_) | Truth::Created);
        match end {
            End::Died { .. } => assert!(told.death && !runs, "no death was told"),
            // What was cancelled is not waited for to be started.
            End::Found if known.cancelled && known.waiting => {}
            End::Found => assert!(told.ended && !runs, "nobody found it ended"),
            End::Removed => assert!(told.removal && container.truth == Truth::Gone, "no removal was told"),
            End::Gone => assert!(told.ended && container.truth == Truth::Gone),
            End::Unstoppable => {
                let asked = known.kill_asked.expect("a kill was asked for");
                assert!(asked + KILL_PATIENCE <= world.now, "given up too soon after its kill");
            }
        }
    }

    fn answer(&mut self, world: &World, pick: usize, how: Answer) {
        if self.effects.is_empty() {
            return;
        }
        let effect = self.effects.swap_remove(pick % self.effects.len());
        let counts = self.records.get(&effect.ticket).is_some_and(|known| known.current == Some(effect.work));
        let actions = self.tell(world, effect, how, counts);
        if !counts {
            assert_eq!(actions, [], "an answer that nobody waits for");
        }
        self.obey(world, actions);
    }

    /// Gives an effect's answer to the machine.
    fn tell(&mut self, world: &World, effect: Effect, how: Answer, counts: bool) -> Vec<Action> {
        let now = self.at(world);
        let Effect { ticket, container, .. } = effect;
        let (truth, at) = match how {
            Answer::Stale => (effect.truth, effect.began),
            _ => (world.containers[container].truth, world.now),
        };
        let failed = matches!(how, Answer::Failed | Answer::Panicked);
        let mut known = self.records.get_mut(&ticket).filter(|_| counts);
        if let Some(known) = &mut known {
            known.current = None;
        }
        match effect.work {
            Work::Inspect => {
                let finding = match truth {
                    _ if failed => Finding::Unknown,
                    Truth::Created => Finding::Waiting,
                    Truth::Running(since) => Finding::Running { run_for: at.saturating_sub(since) },
                    Truth::Exited => Finding::Ended,
                    Truth::Gone => Finding::Gone,
                };
                self.told[container].ended |= matches!(finding, Finding::Ended | Finding::Gone);
                if let Some(known) = known {
                    known.waiting = finding == Finding::Waiting;
                }
                self.machine.inspected(ticket, &finding, now)
            }
            Work::Kill => {
                let runs = !failed && matches!(truth, Truth::Running(_));
                if let Some(known) = known.filter(|_| runs) {
                    known.kill_asked.get_or_insert(world.now);
                }
                // An engine that is out of its mind refuses now and then.
                if runs && how == Answer::Stale {
                    self.machine.kill_refused(ticket, now);
                } else {
                    self.machine.kill_answered(ticket, runs, now);
                }
                Vec::new()
            }
            Work::Finish => {
                let finish = if failed { Finish::Again } else { Finish::Settled };
                if !failed && counts {
                    assert!(self.settled.insert(ticket), "finished twice");
                }
                self.machine.finished(ticket, finish, now)
            }
        }
    }

    /// Answers that come of nowhere, to a record that is not there.
    fn stray(&mut self, world: &World, ticket: Ticket, how: Answer) {
        if self.records.contains_key(&ticket) {
            return;
        }
        for work in [Work::Inspect, Work::Kill, Work::Finish] {
            let truth = Truth::Exited;
            let effect = Effect { ticket, container: 0, work, truth, began: world.now };
            let ended = self.told[0].ended;
            assert_eq!(self.tell(world, effect, how, false), [], "an answer of an unknown record");
            self.told[0].ended = ended;
        }
        assert_eq!(self.machine.lock_lost(ticket), []);
    }

    fn list(&mut self, world: &World, lags: bool, omits: bool) {
        let mut seen = HashMap::new();
        for (index, container) in world.containers.iter().enumerate() {
            let said = match container.truth {
                Truth::Created => Seen::Waiting,
                Truth::Running(_) => Seen::Running,
                Truth::Exited if lags => Seen::Running,
                Truth::Exited => Seen::Ended,
                Truth::Gone => continue,
            };
            // A list that was made a moment before a container was created lacks it.
            if omits && index == 0 {
                continue;
            }
            self.told[index].ended |= said == Seen::Ended;
            seen.insert(name(index), said);
        }
        let actions = self.machine.listed(&seen);
        self.obey(world, actions);
    }

    /// What must hold after every step.
    pub(super) fn check(&self, world: &World) {
        let machine = &self.machine;
        let tickets: BTreeSet<Ticket> = machine.records.keys().copied().collect();
        assert_eq!(tickets, self.records.keys().copied().collect(), "who is known");
        let timers: BTreeSet<_> =
            machine.records.iter().filter_map(|(ticket, record)| Some((record.timer?, *ticket))).collect();
        assert_eq!(machine.timers, timers, "timers are those of the records");
        assert_eq!(machine.next_timer(), timers.first().map(|(at, _)| *at));
        let mut indexed = BTreeSet::new();
        for (container, tickets) in &machine.by_container {
            assert!(!tickets.is_empty(), "an empty entry is left");
            for ticket in tickets {
                assert_eq!(machine.records[ticket].container, *container);
                assert!(indexed.insert(*ticket), "indexed twice");
            }
        }
        assert_eq!(indexed, tickets, "the index knows all records");
        for (ticket, known) in &self.records {
            let record = &machine.records[ticket];
            let current = match record.phase {
                Phase::Watching => None,
                Phase::Inspecting { .. } => Some(Work::Inspect),
                Phase::Killing => Some(Work::Kill),
                Phase::Finishing => Some(Work::Finish),
            };
            assert_eq!(current, known.current, "what is under way for {ticket:?}");
            assert!(current.is_none() || record.timer.is_none(), "an effect and a timer");
            let asleep = current.is_none() && record.timer.is_none();
            // Only the sweep looks at these.
            let by_right = (known.timeout.is_none() || known.waiting) && !known.cancelled;
            assert!(!asleep || by_right, "{ticket:?} has a deadline, and nothing will wake it");
            if let Some(timer) = record.timer {
                let farthest = known.timeout.unwrap_or_default().max(Duration::from_secs(32));
                assert!(timer <= self.at(world) + farthest, "a timer that is too far away");
            }
        }
    }

    /// Everything has ended, effects are answered by the truth, lists are made: each record is finished.
    pub(super) fn drive_to_the_end(&mut self, world: &mut World) {
        for _ in 0..ROUNDS {
            self.list(world, false, false);
            for _ in 0..ROUNDS * usize::try_from(self.takes + 1).unwrap_or(1) {
                self.answer(world, 0, Answer::Now);
                self.check(world);
            }
            world.now += ROUND;
            let due = self.machine.tick(self.at(world));
            self.obey(world, due);
        }
        assert!(self.records.is_empty(), "never finished: {:?}", self.records);
        assert!(self.effects.is_empty(), "never answered: {:?}", self.effects);
        let all: BTreeSet<Ticket> = (1..=self.takes).map(Ticket).collect();
        let accounted: BTreeSet<Ticket> = self.settled.union(&self.lost).copied().collect();
        assert_eq!(accounted, all, "each was finished, or is somebody else's");
        assert!(self.machine.records.is_empty() && self.machine.by_container.is_empty());
        assert!(self.machine.timers.is_empty());
    }
}
