//! What the completer has under way: its effects, each a task that makes headway or is given up.

use std::collections::{HashMap, HashSet};

use tokio::task::{Id, JoinSet};
use tracing::{Instrument, error};

use crate::concern::Concern;
use crate::heartbeat::{Gauge, Stuck, Vital, bounded};

use super::effects::Report;
use super::inflight::Ticket;

/// How many effects are under way at once; more would only queue up inside the engine.
const EFFECTS_AT_MOST: usize = 32;

/// How many jobs of other engines are passed on at once. They are not counted among the others: however many
/// there are, they keep none of our own waiting.
const PASSED_ON_AT_ONCE: usize = 8;

/// The effects that are under way.
#[derive(Debug)]
pub struct Work {
    effects: JoinSet<Result<Report, Stuck>>,
    working_on: HashMap<Id, (Ticket, Doing)>,
    passing_on: HashSet<Id>,
    concerns: HashMap<Id, Concern>,
    gauge: Gauge,
}

/// What an effect about a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// To see how its container is.
    Inspect,
    /// To end its container.
    Kill,
    /// To hand its result over.
    Finish,
}

/// How an effect ended.
#[derive(Debug)]
pub enum Done {
    /// As it should.
    Reported(Report),
    /// It panicked or was given up, about this record (if it was about one). The log says why.
    Failed(Option<(Ticket, Doing)>),
}

impl Default for Work {
    fn default() -> Self {
        let gauge = Gauge::of(Vital::Effects);
        let (working_on, passing_on, concerns) = (HashMap::new(), HashSet::new(), HashMap::new());
        Self { effects: JoinSet::new(), working_on, passing_on, concerns, gauge }
    }
}

impl Work {
    /// Starts an effect that is about no record, or whose end changes none.
    pub fn begin(&mut self, effect: impl Future<Output = Report> + Send + 'static) {
        self.start(effect);
    }

    /// Starts an effect about a record.
    pub fn begin_for(
        &mut self,
        ticket: Ticket,
        doing: Doing,
        effect: impl Future<Output = Report> + Send + 'static,
    ) {
        let id = self.start(effect);
        self.working_on.insert(id, (ticket, doing));
    }

    /// It is about the same correction as its start is.
    fn start(&mut self, effect: impl Future<Output = Report> + Send + 'static) -> Id {
        let concern = Concern::current();
        let id = self.effects.spawn(bounded(effect).instrument(concern.span())).id();
        self.concerns.insert(id, concern);
        self.gauge.set(self.effects.len());
        id
    }

    /// Whether no further one should be begun now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.effects.len() - self.passing_on.len() >= EFFECTS_AT_MOST
    }

    /// Starts the passing on of a job that is for another engine.
    pub fn pass_on(&mut self, effect: impl Future<Output = Report> + Send + 'static) {
        let id = self.start(effect);
        self.passing_on.insert(id);
    }

    /// Whether one more job may be passed on now.
    #[must_use]
    pub fn may_pass_on(&self) -> bool {
        self.passing_on.len() < PASSED_ON_AT_ONCE
    }

    /// Waits for the end of one; `None` while there is none. Cancel-safe.
    pub async fn next(&mut self) -> Option<Done> {
        let ended = self.effects.join_next_with_id().await?;
        self.gauge.set(self.effects.len());
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panicked) => panicked.id(),
        };
        self.passing_on.remove(&id);
        let concern = self.concerns.remove(&id).unwrap_or_else(Concern::current);
        Some(match ended {
            Ok((id, Ok(report))) => {
                self.working_on.remove(&id);
                Done::Reported(report)
            }
            Ok((id, Err(stuck))) => concern.about(|| self.failed(id, &stuck)),
            Err(panicked) => concern.about(|| self.failed(panicked.id(), &panicked)),
        })
    }

    fn failed(&mut self, id: Id, why: &dyn std::error::Error) -> Done {
        error!(error = %why, "an effect of the completer was given up: only its correction is held up");
        Done::Failed(self.working_on.remove(&id))
    }

    /// Drops what is still under way.
    pub async fn abort(&mut self) {
        self.effects.shutdown().await;
        self.passing_on.clear();
        self.concerns.clear();
        self.gauge.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_passed_on_keeps_no_work_of_our_own_waiting() {
        let mut work = Work::default();
        for _ in 0..PASSED_ON_AT_ONCE {
            assert!(work.may_pass_on());
            work.pass_on(async { Report::Nothing });
        }
        assert!(!work.may_pass_on());
        for _ in 0..EFFECTS_AT_MOST {
            assert!(!work.is_full());
            work.begin(async { Report::Nothing });
        }
        assert!(work.is_full());
        while work.next().await.is_some() {}
        work.pass_on(async { panic!("on purpose") });
        assert!(matches!(work.next().await, Some(Done::Failed(None))));
        assert!(work.passing_on.is_empty() && work.may_pass_on());
    }
}
