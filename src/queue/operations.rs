//! What is done with one job: add it, hand it over, complete, retry or fail it, log on it.

use std::time::Duration;

use super::{Added, Keep, NewJob, QueueError, Redis, RetryCount, Settled, TakenJob};
use crate::identity::{CorrectionId, JobId};

/// One BullMQ queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) redis: Redis,
    pub(super) name: &'static str,
}

impl Queue {
    pub(super) fn new(redis: Redis, name: &'static str) -> Self {
        Self { redis, name }
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Adds a job. With an id it is added once, however often this is called.
    ///
    /// # Errors
    /// Redis cannot be asked. Without an id an ambiguous error leaves open whether it was added.
    pub async fn add(&self, job: &NewJob) -> Result<Added, QueueError> {
        let _ = job;
        todo!()
    }

    /// Adds `next` to the queue `to` and completes `job`, both or neither.
    ///
    /// `next` needs an id, derived from the correction: where that job exists already it is not
    /// added again. With `done`, the correction is remembered as finished for 7 days, and `next` is
    /// not added where it is so remembered. May be called again after an error: a call whose reply
    /// was lost answers `Already`.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn hand_over(
        &self,
        job: &TakenJob,
        to: &Queue,
        next: &NewJob,
        done: Option<&CorrectionId>,
        return_value: &str,
        keep: Keep,
    ) -> Result<Settled, QueueError> {
        let _ = (job, to, next, done, return_value, keep);
        todo!()
    }

    /// Completes a job; `return_value` is JSON text. May be called again after an error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn complete(
        &self,
        job: &TakenJob,
        return_value: &str,
        keep: Keep,
    ) -> Result<Settled, QueueError> {
        let _ = (job, return_value, keep);
        todo!()
    }

    /// Puts a job back to be taken again after `delay` (zero: at once), by us or by a Node worker.
    /// `why` is plain text; with [`RetryCount::Attempt`] it becomes the job's failed reason.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn retry_later(
        &self,
        job: &TakenJob,
        delay: Duration,
        why: &str,
        count: RetryCount,
    ) -> Result<Settled, QueueError> {
        let _ = (job, delay, why, count);
        todo!()
    }

    /// Fails a job for good; `reason` is plain text. May be called again after an error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn fail(&self, job: &TakenJob, reason: &str, keep: Keep) -> Result<Settled, QueueError> {
        let _ = (job, reason, keep);
        todo!()
    }

    /// Writes a line into the job's log, which keeps the last 100; a job that is gone is no error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn log(&self, job: &JobId, line: &str) -> Result<(), QueueError> {
        let _ = (job, line);
        todo!()
    }
}
