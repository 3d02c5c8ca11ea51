//! Cancelling: what waits is ended at once, what somebody works on is marked for whoever has it.
//!
//! A mark stands in the job's hash and goes with it from pending to running. It never goes away before the job has
//! ended, and no step that does not know of it ends the job or puts it back for later: such a step answers
//! [`Settled::Cancelled`](super::Settled::Cancelled) and changes nothing. `<prefix>:correction-runner:cancels` is the
//! set of all marks: while it is empty nobody asks about single jobs. `…:strays` notes corrections that were ended
//! while their container may have been running, or was about to: sweeps kill it.

use std::collections::HashSet;
use std::time::Duration;

use deadpool_redis::redis;

use super::operations::{DONE_FOR, job_arguments, keep_arguments, now_ms};
use super::options::{JobOptions, millis};
use super::{Keep, NewJob, Queue, QueueError, Redis, scripts};
use crate::identity::{CorrectionId, JobId, LockToken};

/// For how long a container that may run nonetheless is looked for: a starter may sleep, an engine be away.
const STRAYS_FOR: Duration = Duration::from_secs(24 * 3600);
/// How many of them are noted at most; the oldest go first.
const STRAYS_AT_MOST: u32 = 10_000;
/// Jobs in one call.
const BATCH: usize = 500;

/// A pending job as it was read, with the identity that it has as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelling {
    /// Its id.
    pub job: JobId,
    /// Its time, in milliseconds of Unix time.
    pub timestamp: u64,
    /// How often it had ended before.
    pub generation: u64,
    /// Its correction.
    pub correction: CorrectionId,
}

/// What became of a wish to have a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It has ended, and its result says so.
    Now,
    /// It is marked for whoever has it.
    Marked(HeldBy),
    /// It had ended before.
    Ended,
    /// It is another by now: to be read anew.
    Changed,
    /// There is no such job.
    Gone,
}

/// Who has a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBy {
    /// A process of this runner, which looks for marks.
    Ours,
    /// Another client of the queue: the original's component, which does not.
    Other,
    /// Nobody: whoever takes it.
    Nobody,
}

impl HeldBy {
    fn of(token: &str) -> Self {
        // Our own tokens name their process, or are a UUID without hyphens where that is not known.
        let is_plain = token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        match token {
            "" => Self::Nobody,
            token if token.contains('@') || is_plain => Self::Ours,
            _ => Self::Other,
        }
    }
}

impl Queue {
    /// Ends a pending job that waits, with `result` in the queue `to` (`None` = without any); one that somebody has
    /// in hand is marked. `token` makes a repeated call the same one. `return_value` is JSON text.
    ///
    /// # Errors
    /// Redis cannot be asked. May be called again, with the same token.
    pub async fn cancel(
        &self,
        job: &Cancelling,
        (to, result): (&Queue, Option<&NewJob>),
        token: &LockToken,
        return_value: &str,
        keep: Keep,
    ) -> Result<Cancelled, QueueError> {
        let mut call = scripts::CANCEL.key(&*self.base);
        call.key(&*to.base).key(self.redis.done_key(&job.correction));
        call.key(self.redis.cancels_key()).key(self.redis.strays_key());
        call.arg(job.job.as_str()).arg(job.timestamp).arg(job.generation);
        call.arg(token.as_str()).arg(now_ms()).arg(return_value);
        keep_arguments(&mut call, None, keep);
        call.arg(millis(DONE_FOR));
        match result {
            Some(result) => job_arguments(&mut call, result),
            None => job_arguments(&mut call, &nothing()),
        }
        call.arg(job.correction.as_str()).arg(STRAYS_AT_MOST).arg(millis(STRAYS_FOR));
        let answer: Vec<String> = self.redis.script("cancel", &call).await?;
        self.cancelled("cancel", &answer)
    }

    /// Marks a running job.
    ///
    /// # Errors
    /// Redis cannot be asked. May be called again.
    pub async fn mark(&self, job: &JobId) -> Result<Cancelled, QueueError> {
        let mut call = scripts::MARK.key(&*self.base);
        call.key(self.redis.cancels_key()).arg(job.as_str());
        let answer: Vec<String> = self.redis.script("mark", &call).await?;
        self.cancelled("mark", &answer)
    }

    /// Completes a job that nobody has in hand, or that failed, for whoever added it and needs nothing more to be done
    /// with it. Tells whether it has ended: `false` = somebody has it. `return_value` is JSON text.
    ///
    /// # Errors
    /// Redis cannot be asked. May be called again, with the same token.
    pub async fn withdraw(
        &self,
        job: &JobId,
        token: &LockToken,
        return_value: &str,
        keep: u32,
    ) -> Result<bool, QueueError> {
        let mut call = scripts::WITHDRAW.key(&*self.base);
        call.arg(job.as_str()).arg(token.as_str()).arg(now_ms()).arg(return_value).arg(keep);
        let answer: String = self.redis.script("withdraw", &call).await?;
        Ok(answer != "active")
    }

    fn cancelled(&self, operation: &'static str, answer: &[String]) -> Result<Cancelled, QueueError> {
        let words: Vec<&str> = answer.iter().map(String::as_str).collect();
        Ok(match words[..] {
            ["cancelled"] => Cancelled::Now,
            ["marked", token] => Cancelled::Marked(HeldBy::of(token)),
            ["ended"] => Cancelled::Ended,
            ["changed"] => Cancelled::Changed,
            ["gone"] => Cancelled::Gone,
            _ => return Err(self.redis.bad_reply(operation, answer.join(" "))),
        })
    }

    /// How long ago each of these jobs was marked; `None` = it is not.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn marked(&self, jobs: &[JobId]) -> Result<Vec<Option<Duration>>, QueueError> {
        let mut all = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH) {
            let mut call = scripts::MARKED.key(&*self.base);
            for job in batch {
                call.arg(job.as_str());
            }
            let ages: Vec<String> = self.redis.script("look for marks", &call).await?;
            if ages.len() != batch.len() {
                return Err(self.redis.bad_reply("look for marks", format!("{} ages", ages.len())));
            }
            all.extend(ages.iter().map(|age| age.parse().ok().map(Duration::from_millis)));
        }
        Ok(all)
    }

    /// How long ago a job was marked; `None` = it is not.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn marked_for(&self, job: &JobId) -> Result<Option<Duration>, QueueError> {
        self.marked(std::slice::from_ref(job)).await.map(|ages| ages.first().copied().flatten())
    }
}

/// What stands in a call for a result that is not to be.
fn nothing() -> NewJob {
    NewJob { id: None, name: String::new(), data: String::new(), options: JobOptions::default() }
}

impl Redis {
    /// Whether any job is marked.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn has_marks(&self) -> Result<bool, QueueError> {
        self.command("look for marks", redis::cmd("EXISTS").arg(self.cancels_key())).await
    }

    /// The corrections that were cancelled while their container may have been running.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn strays(&self) -> Result<HashSet<CorrectionId>, QueueError> {
        let oldest = now_ms().saturating_sub(millis(STRAYS_FOR));
        let read = redis::cmd("ZRANGEBYSCORE").arg(self.strays_key()).arg(oldest).arg("+inf").clone();
        let noted: Vec<String> = self.command("read strays", &read).await?;
        Ok(noted.into_iter().map(CorrectionId::new).collect())
    }

    /// Notes that the container of a correction that was cancelled may run nonetheless.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn note_stray(&self, correction: &CorrectionId) -> Result<(), QueueError> {
        let key = self.strays_key();
        let add = redis::cmd("ZADD").arg(&key).arg(now_ms()).arg(correction.as_str()).clone();
        self.command::<()>("note a stray", &add).await?;
        let bound =
            redis::cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-1 - i64::from(STRAYS_AT_MOST)).clone();
        self.command::<()>("note a stray", &bound).await?;
        self.command::<()>("note a stray", redis::cmd("PEXPIRE").arg(&key).arg(millis(STRAYS_FOR))).await
    }

    /// The set of all marks.
    pub(super) fn cancels_key(&self) -> String {
        self.own_key("cancels")
    }

    /// The set of corrections whose container may run although they were cancelled.
    pub(super) fn strays_key(&self) -> String {
        self.own_key("strays")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_processes_are_known_by_their_tokens() {
        for (token, holder) in [
            ("", HeldBy::Nobody),
            ("0123456789abcdef@aabbccddeeff.17.4711", HeldBy::Ours),
            (LockToken::unique().as_str(), HeldBy::Ours),
            // BullMQ's own: a UUID and a number.
            ("1b4e28ba-2fa1-11d2-883f-0016d3cca427:3", HeldBy::Other),
            ("1b4e28ba-2fa1-11d2-883f-0016d3cca427", HeldBy::Other),
        ] {
            assert_eq!(HeldBy::of(token), holder, "{token}");
        }
    }
}
