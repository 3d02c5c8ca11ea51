//! Corrections that a person cancelled while they were to be started.
//!
//! A mark may come at any moment. What was not started is not started any more; what runs goes on to the running
//! queue, and its mark with it, so that the completer ends it: there is one place only where containers are killed,
//! and where it is decided whether an end came before the mark.

use tracing::{debug, warn};

use crate::crash_points::{Point, pass};
use crate::docker::{EngineError, Removed};
use crate::identity::{ContainerId, CorrectionId, EngineId, InstanceId};
use crate::job::{Origin, PendingJob};
use crate::labels::Labels;
use crate::outcome::Failure;
use crate::queue::Assignment;

use super::services::Session;
use super::session::Handled;

/// What earlier attempts left of a cancelled correction.
enum Left {
    /// Nothing that could run.
    Nothing,
    /// A container that was started, and how long it may run.
    Started(ContainerId, u64),
}

impl Session {
    /// Ends a correction that was cancelled, of which this attempt has started nothing.
    pub async fn cancel(
        &self,
        assignment: &Assignment,
        job: PendingJob,
        (instance, correction): (&InstanceId, &CorrectionId),
        engine: EngineId,
    ) -> Handled {
        let may_run = match self.left_of(instance, correction).await {
            Ok(Left::Started(container, timeout_ms)) => {
                // Its own label tells whether its verdict needs a secret.
                let origin = Origin { correction: correction.clone(), engine, timeout_ms, sealed: true };
                self.started(assignment, job, container, origin).await;
                return Handled::Settled;
            }
            // Whoever had it before may sleep over its start, or have started it on another engine.
            Ok(Left::Nothing) => assignment.job.was_tried(),
            Err(error) => {
                warn!(
                    error = format!("{error:#}"),
                    "it cannot be asked whether a cancelled correction was started before"
                );
                true
            }
        };
        self.end_cancelled(assignment, &job, correction, may_run).await;
        Handled::Settled
    }

    /// Tells that a correction was cancelled. Where its container `may_run`, sweeps look for it.
    pub async fn end_cancelled(
        &self,
        assignment: &Assignment,
        job: &PendingJob,
        correction: &CorrectionId,
        may_run: bool,
    ) {
        if may_run && let Err(error) = self.redis.note_stray(correction).await {
            warn!(
                error = format!("{error:#}"),
                "that the container of a cancelled correction may run could not be noted"
            );
        }
        self.refuse(assignment, correction, job.errand.clone(), &Failure::cancelled()).await;
    }

    /// Looks for the container of earlier attempts, and removes it where it was not started.
    async fn left_of(&self, instance: &InstanceId, correction: &CorrectionId) -> Result<Left, EngineError> {
        let Some(found) = self.engine.inspect(&correction.container_name()).await? else {
            return Ok(Left::Nothing);
        };
        pass(Point::StarterResolved).await;
        let own = |labels: &Labels| labels.correction == *correction && labels.instance == *instance;
        let Some(labels) = Labels::from_map(&found.labels).filter(own) else { return Ok(Left::Nothing) };
        if found.state.was_started() {
            return Ok(Left::Started(found.id, labels.timeout_ms));
        }
        Ok(match self.engine.remove(&found.id, false).await? {
            // Whoever created it may be about to start it, and finds nothing.
            Removed::Done | Removed::Gone | Removed::InProgress => {
                pass(Point::StarterReplaced).await;
                debug!(container_id = %found.id, "the container of a cancelled correction was never started, and is removed");
                Left::Nothing
            }
            // It was started after all.
            Removed::Running => Left::Started(found.id, labels.timeout_ms),
        })
    }
}
