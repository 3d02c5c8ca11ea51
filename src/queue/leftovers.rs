//! Containers that nobody needs any more and that no label tells of: those of the original's starter.
//!
//! They are noted by the very script that hands their result over, and forgotten once they are removed: so
//! a completer that dies in between leaves a note, and no container for ever. One sorted set per engine
//! (`<prefix>:correction-runner:removals:<engine>`, by the time of the hand-over), bounded in size and age.

use std::time::Duration;

use deadpool_redis::redis;

use super::operations::now_ms;
use super::options::millis;
use super::{Keep, NewJob, Queue, QueueError, Redis, Settled, TakenJob};
use crate::identity::{ContainerId, CorrectionId, EngineId};

/// How long a note is kept: an engine that is gone for longer does not come back.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many notes are kept for one engine; the oldest go first.
const KEPT_AT_MOST: u32 = 10_000;
/// How many are given at once.
const READ_AT_ONCE: usize = 1000;

/// A container that is to be removed once its result is safe, and that only Redis knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where it is.
    pub engine: EngineId,
    /// Which.
    pub container: ContainerId,
}

/// How a correction's running job ends.
#[derive(Clone, Copy, Debug)]
pub struct Conclusion<'a> {
    /// What is remembered as done for 7 days.
    pub correction: &'a CorrectionId,
    /// What the job returns, as JSON text.
    pub return_value: &'a str,
    /// How long the job is kept.
    pub keep: Keep,
    /// The container to be noted, where no label tells of it.
    pub leaves: Option<&'a Leftover>,
}

impl Queue {
    /// The same as [`Queue::hand_over`] for a result; it also notes the container that it leaves.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn hand_over_result(
        &self,
        job: &TakenJob,
        to: &Queue,
        next: &NewJob,
        conclusion: &Conclusion<'_>,
    ) -> Result<Settled, QueueError> {
        let Conclusion { correction, return_value, keep, leaves } = *conclusion;
        let mut call = self.hand_over_call(job, to, next, Some(correction), return_value, keep);
        if let Some(leftover) = leaves {
            call.key(self.redis.removals_key(&leftover.engine));
            call.arg(leftover.container.as_str()).arg(KEPT_AT_MOST).arg(millis(KEPT_FOR));
        }
        self.settle("hand over a result", job, &call).await
    }
}

impl Redis {
    /// The containers of an engine that are still to be removed, the oldest first, a thousand at most.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn leftovers(&self, engine: &EngineId) -> Result<Vec<Leftover>, QueueError> {
        let key = self.removals_key(engine);
        let oldest = now_ms().saturating_sub(millis(KEPT_FOR));
        let expire = redis::cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(oldest).clone();
        self.command::<()>("forget old removals", &expire).await?;
        let read = redis::cmd("ZRANGE").arg(&key).arg(0).arg(READ_AT_ONCE - 1).clone();
        let containers: Vec<String> = self.command("read removals", &read).await?;
        let leftover = |id: String| Leftover { engine: engine.clone(), container: ContainerId::new(id) };
        Ok(containers.into_iter().map(leftover).collect())
    }

    /// A container was removed.
    ///
    /// # Errors
    /// Redis cannot be asked; its next removal finds nothing to remove, and it is forgotten then.
    pub async fn forget_leftover(&self, leftover: &Leftover) -> Result<(), QueueError> {
        let key = self.removals_key(&leftover.engine);
        let forget = redis::cmd("ZREM").arg(key).arg(leftover.container.as_str()).clone();
        self.command::<()>("forget a removal", &forget).await
    }

    /// What the keys start with that hold the containers to be removed.
    pub(super) fn removals_keys(&self) -> String {
        self.own_key("removals:")
    }

    fn removals_key(&self, engine: &EngineId) -> String {
        format!("{}{engine}", self.removals_keys())
    }
}
