//! What the completer has under way: its effects, each a task that makes headway or is given up.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use tracing::error;

use crate::heartbeat::{Gauge, Stuck, Vital, bounded};

use super::effects::Report;
use super::inflight::Ticket;

/// How many effects are under way at once; more would only queue up inside the engine.
const EFFECTS_AT_MOST: usize = 32;

/// The effects that are under way.
#[derive(Debug)]
pub struct Work {
    effects: JoinSet<Result<Report, Stuck>>,
    working_on: HashMap<Id, (Ticket, Doing)>,
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
        Self { effects: JoinSet::new(), working_on: HashMap::new(), gauge }
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

    fn start(&mut self, effect: impl Future<Output = Report> + Send + 'static) -> Id {
        let id = self.effects.spawn(bounded(effect)).id();
        self.gauge.set(self.effects.len());
        id
    }

    /// Whether no further one should be begun now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.effects.len() >= EFFECTS_AT_MOST
    }

    /// Waits for the end of one; `None` while there is none. Cancel-safe.
    pub async fn next(&mut self) -> Option<Done> {
        let ended = self.effects.join_next_with_id().await?;
        self.gauge.set(self.effects.len());
        Some(match ended {
            Ok((id, Ok(report))) => {
                self.working_on.remove(&id);
                Done::Reported(report)
            }
            Ok((id, Err(stuck))) => self.failed(id, &stuck),
            Err(panicked) => self.failed(panicked.id(), &panicked),
        })
    }

    fn failed(&mut self, id: Id, why: &dyn std::error::Error) -> Done {
        error!(error = %why, "an effect of the completer was given up: only its correction is held up");
        Done::Failed(self.working_on.remove(&id))
    }

    /// Drops what is still under way.
    pub async fn abort(&mut self) {
        self.effects.shutdown().await;
        self.gauge.set(0);
    }
}

/// How often a record was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// The engine or Redis gave no answer.
    pub unanswered: u32,
    /// A panic, or work that was given up.
    pub faults: u32,
}
