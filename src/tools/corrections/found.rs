//! One job of a correction, and what its data tells.

use crate::identity::{ContainerId, CorrectionId, EngineId};
use crate::job::{Errand, FinishedJob, PendingJob, RunningJob};
use crate::queue::{Queue, Record, State};
use crate::tools::premises::Place;

/// How far a correction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tools) enum Stage {
    /// In `pending_corrections`.
    Pending,
    /// In `running_corrections`.
    Running,
    /// In `finished_corrections`.
    Finished,
}

impl Stage {
    /// Its queue.
    pub fn queue(self, place: &Place) -> &Queue {
        match self {
            Self::Pending => &place.pending,
            Self::Running => &place.running,
            Self::Finished => &place.finished,
        }
    }
}

/// A job as it stands in one of the three queues.
#[derive(Clone, Debug)]
pub(in crate::tools) struct Found {
    pub stage: Stage,
    pub record: Record,
    pub errand: Errand,
    pub correction: CorrectionId,
    pub container: Option<ContainerId>,
    /// The Docker engine that it was started on, where a starter of ours did.
    pub engine: Option<EngineId>,
    pub image: Option<String>,
    /// Whether another client's starter made the running job, so that its id tells nothing.
    pub is_foreign: bool,
    /// The result, in `finished_corrections`.
    pub result: Option<FinishedJob>,
}

impl Found {
    pub fn of(stage: Stage, record: Record, place: &Place) -> Self {
        let own = CorrectionId::new(record.id.as_str());
        let (mut container, mut image, mut result) = (None, None, None);
        let (mut is_foreign, mut engine) = (false, None);
        let (errand, correction) = match stage {
            Stage::Pending => {
                let errand = match PendingJob::parse(&record.data) {
                    Ok(job) => {
                        image = Some(job.image);
                        job.errand
                    }
                    Err(invalid) => invalid.errand,
                };
                // One that completed counts as one more.
                let ended = u64::from(record.state == State::Completed);
                let generation = record.generation.saturating_sub(ended);
                let correction =
                    CorrectionId::derive(&place.instance, &record.id, record.timestamp, generation);
                (errand, correction)
            }
            Stage::Running => match RunningJob::parse(&record.data) {
                Ok(job) => {
                    let correction = job.correction();
                    is_foreign = job.origin.is_none();
                    engine = job.origin.map(|origin| origin.engine);
                    container = Some(job.container);
                    (job.errand, correction)
                }
                Err(invalid) => (invalid.errand, own),
            },
            Stage::Finished => match FinishedJob::parse(&record.data) {
                Ok(job) => {
                    let errand = job.errand.clone();
                    result = Some(job);
                    (errand, own)
                }
                Err(invalid) => (invalid.errand, own),
            },
        };
        Self { stage, record, errand, correction, container, engine, image, is_foreign, result }
    }

    /// Whether it can still be cancelled.
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Finished && !matches!(self.record.state, State::Completed | State::Failed)
    }

    /// Whether a person means it by this `work_id`: its text, or any JSON value as it stands in the job.
    pub fn has_work_id(&self, name: &str) -> bool {
        self.errand.work_id.as_ref().is_some_and(|work_id| {
            let raw = work_id.0.get();
            raw == name || serde_json::from_str::<String>(raw).is_ok_and(|text| text == name)
        })
    }

    /// Whether it is the running job that a starter of the original made of a pending one, which it has still in hand.
    pub fn is_made_of(&self, pending: &Self) -> bool {
        let same = self.errand.work_id == pending.errand.work_id
            && self.errand.callback == pending.errand.callback
            && self.record.timestamp >= pending.record.timestamp;
        self.is_foreign && same && pending.stage == Stage::Pending && pending.record.state == State::Active
    }

    /// The state in a word.
    pub fn state(&self) -> &'static str {
        match (self.stage, self.record.state) {
            (_, State::Failed) => "failed",
            (Stage::Pending, State::Active) => "starting",
            (Stage::Pending, State::Delayed) => "delayed",
            (Stage::Pending, State::Waiting | State::Prioritized) => "waiting",
            (Stage::Pending, State::Completed) => "started",
            (Stage::Running, State::Completed) => "ended",
            (Stage::Running, _) => "running",
            (Stage::Finished, State::Completed) => "delivered",
            (Stage::Finished, _) => "finished",
        }
    }
}
