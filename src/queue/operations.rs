//! What is done with one job: add it, hand it over, complete, retry or fail it, log on it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_redis::redis::ScriptInvocation;

use super::options::{Retained, millis};
use super::{Added, Keep, NewJob, QueueError, Redis, RetryCount, Settled, TakenJob, scripts};
use crate::identity::{CorrectionId, JobId};
use crate::metrics::{Counter, Family, QueueName, Registry};

/// How long a correction is remembered as done.
pub const DONE_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// What one try counts for at most, whatever a clock says: it takes minutes.
pub(super) const LONGEST_TRY: Duration = Duration::from_secs(24 * 3600);

/// Lines that a job's log keeps.
pub(super) const LOG_LINES: u32 = 100;

/// One BullMQ queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) redis: Redis,
    pub(super) name: &'static str,
    pub(super) base: Arc<str>,
    /// Where the next search for over-stalled jobs among the failed ones begins, from the newest.
    pub(super) revive_from: Arc<AtomicUsize>,
}

impl Queue {
    pub(super) fn new(redis: Redis, name: &'static str) -> Self {
        let base = redis.base_key(name).into();
        Self { redis, name, base, revive_from: Arc::default() }
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Counts jobs of this queue, where it is one of the three.
    pub(super) fn tally(
        &self,
        number: usize,
        counters: impl FnOnce(&Registry) -> &Family<QueueName, Counter>,
    ) {
        if let Some(queue) = QueueName::named(self.name) {
            counters(&self.redis.inner.metrics).of(queue).add(number as u64);
        }
    }

    /// Adds a job. With an id it is added once, however often this is called.
    ///
    /// # Errors
    /// Redis cannot be asked. Without an id an ambiguous error leaves open whether it was added.
    pub async fn add(&self, job: &NewJob) -> Result<Added, QueueError> {
        let mut call = scripts::ADD.key(&*self.base);
        call.arg(now_ms());
        job_arguments(&mut call, job);
        let (new, id): (bool, String) = match job.id {
            Some(_) => self.redis.script("add", &call).await?,
            None => self.redis.script_once("add", &call).await?,
        };
        Ok(if new { Added::New(JobId::new(id)) } else { Added::Duplicate(JobId::new(id)) })
    }

    /// Adds `next` to the queue `to` and completes `job`, both or neither.
    ///
    /// `next` needs an id, derived from the correction: where that job exists already it is not
    /// added again. With `done`, the correction is remembered as finished for 7 days, and `next` is
    /// not added where it is so remembered. May be called again after an error: a call whose reply
    /// was lost answers `Already`. `return_value` is JSON text.
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
        let call = self.hand_over_call(job, to, next, done.map(|done| (done, DONE_FOR)), return_value, keep);
        self.settle("hand over", job, &call).await
    }

    /// The call of a hand-over, to which what it leaves may be added; `done` with the time to remember it for.
    pub(super) fn hand_over_call(
        &self,
        job: &TakenJob,
        to: &Queue,
        next: &NewJob,
        done: Option<(&CorrectionId, Duration)>,
        return_value: &str,
        keep: Keep,
    ) -> ScriptInvocation<'static> {
        let remember_for = done.map_or(DONE_FOR, |(_, remember_for)| remember_for);
        let done_key = done.map_or_else(String::new, |(done, _)| self.redis.done_key(done));
        let mut call = scripts::HAND_OVER.key(&*self.base);
        call.key(&*to.base).key(done_key);
        call.arg(job.id.as_str()).arg(job.token.as_str()).arg(now_ms()).arg(return_value);
        keep_arguments(&mut call, job.retention.on_complete, keep);
        call.arg(millis(remember_for));
        job_arguments(&mut call, next);
        call
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
        self.complete_and_log(job, return_value, keep, "").await
    }

    /// As [`Queue::complete`]; where the job is kept, it also writes a line into its log, in the same step.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn complete_and_log(
        &self,
        job: &TakenJob,
        return_value: &str,
        keep: Keep,
        line: &str,
    ) -> Result<Settled, QueueError> {
        let mut call = scripts::COMPLETE.key(&*self.base);
        call.arg(job.id.as_str()).arg(job.token.as_str()).arg(now_ms()).arg(return_value);
        keep_arguments(&mut call, job.retention.on_complete, keep);
        call.arg(line).arg(LOG_LINES);
        self.settle("complete", job, &call).await
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
        self.retry(job, delay, why, count, None, "").await
    }

    /// As [`Queue::retry_later`] after an attempt; it also writes a line into the job's log, in the same step.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn retry_and_log(
        &self,
        job: &TakenJob,
        delay: Duration,
        why: &str,
        line: &str,
    ) -> Result<Settled, QueueError> {
        self.retry(job, delay, why, RetryCount::Attempt, None, line).await
    }

    /// As [`Queue::retry_later`] for a start that is tried again, which we count ourselves. `may_run`: its
    /// container may run after all, so that its permits stay with it. One that was cancelled is not put back.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn retry_start(
        &self,
        job: &TakenJob,
        delay: Duration,
        why: &str,
        may_run: bool,
    ) -> Result<Settled, QueueError> {
        self.retry(job, delay, why, RetryCount::Free, Some(may_run), "").await
    }

    async fn retry(
        &self,
        job: &TakenJob,
        delay: Duration,
        why: &str,
        count: RetryCount,
        start: Option<bool>,
        line: &str,
    ) -> Result<Settled, QueueError> {
        let count = match count {
            RetryCount::Attempt => "attempt",
            RetryCount::Free => "free",
        };
        let mut call = scripts::RETRY.key(&*self.base);
        call.arg(job.id.as_str()).arg(job.token.as_str()).arg(now_ms()).arg(millis(delay)).arg(count);
        let held_for = job.taken_at.elapsed().min(LONGEST_TRY);
        call.arg(why).arg(json_string(why)).arg(u8::from(job.lifo)).arg(millis(held_for));
        call.arg(u8::from(start == Some(true))).arg(u8::from(start.is_some())).arg(line).arg(LOG_LINES);
        self.settle("retry later", job, &call).await
    }

    /// Fails a job for good; `reason` is plain text. May be called again after an error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn fail(&self, job: &TakenJob, reason: &str, keep: Keep) -> Result<Settled, QueueError> {
        self.fail_within(job, reason, keep, None).await.map(|(settled, _)| settled)
    }

    /// Writes a line into the job's log, which keeps the last 100; a job that is gone is no error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn log(&self, job: &JobId, line: &str) -> Result<(), QueueError> {
        let mut call = scripts::LOG.key(&*self.base);
        call.arg(job.as_str()).arg(line).arg(LOG_LINES);
        self.redis.script("log", &call).await
    }

    pub(super) async fn settle(
        &self,
        operation: &'static str,
        job: &TakenJob,
        call: &ScriptInvocation<'_>,
    ) -> Result<Settled, QueueError> {
        let answer: String = self.redis.script(operation, call).await?;
        self.settled(operation, job, &answer)
    }

    /// What a script answered of a job, which is settled by it.
    pub(super) fn settled(
        &self,
        operation: &'static str,
        job: &TakenJob,
        answer: &str,
    ) -> Result<Settled, QueueError> {
        let settled = match answer {
            "done" => Settled::Done,
            "already" => Settled::Already,
            "lost" => Settled::Lost,
            "cancelled" => return Ok(Settled::Cancelled),
            other => return Err(self.redis.bad_reply(operation, other)),
        };
        job.settlement.settle();
        Ok(settled)
    }
}

/// The eight arguments that `job_of_arguments` of the scripts reads.
pub(super) fn job_arguments(call: &mut ScriptInvocation<'_>, job: &NewJob) {
    let id = job.id.as_ref().map(JobId::as_str);
    let options = &job.options;
    call.arg(id.unwrap_or_default()).arg(&job.name).arg(&job.data).arg(options.to_json(id));
    call.arg(millis(options.delay)).arg(options.priority).arg(u8::from(options.lifo));
    call.arg(options.timestamp.map_or_else(String::new, |timestamp| timestamp.to_string()));
}

/// Count and age; the job's own option wins over the operation's.
pub(super) fn keep_arguments(call: &mut ScriptInvocation<'_>, own: Option<Retained>, keep: Keep) {
    let retained = own.unwrap_or_else(|| keep.into());
    let text = |limit: Option<u64>| limit.map_or_else(String::new, |limit| limit.to_string());
    call.arg(text(retained.count.map(u64::from))).arg(text(retained.age));
}

pub(super) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Milliseconds of Unix time; BullMQ's clients, too, use their own clock and not that of Redis.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}
