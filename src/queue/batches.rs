//! What is done with many jobs at once: renew, recover, hand back, revive, count.

use std::sync::atomic::Ordering;

use deadpool_redis::redis::ScriptInvocation;

use super::options::millis;
use super::taking::LOCK;
use super::{Counts, Queue, QueueError, scripts};
use crate::crash_points::{Point, pass};
use crate::identity::{JobId, LockToken};

/// Jobs in one call: few enough that other callers hardly wait.
const BATCH: usize = 500;

/// Active jobs that one call of `recover` looks at.
const RECOVER_WINDOW: usize = 1000;

/// The newest failed jobs, at which each call of `revive_overstalled` looks.
const REVIVE_NEWEST: usize = 100;

/// Older failed jobs at which one call of `revive_overstalled` looks.
const REVIVE_WINDOW: usize = 500;

impl Queue {
    /// Keeps locks alive for another lock's time; answers the tokens whose lock is not theirs any more.
    ///
    /// # Errors
    /// Redis cannot be asked; some batches may have been renewed.
    pub async fn renew(&self, jobs: &[(JobId, LockToken)]) -> Result<Vec<LockToken>, QueueError> {
        let mut lost = Vec::new();
        for batch in jobs.chunks(BATCH) {
            let mut call = scripts::RENEW.key(&*self.base);
            call.arg(millis(LOCK));
            for (id, token) in batch {
                call.arg(id.as_str()).arg(token.as_str());
            }
            let tokens: Vec<String> = self.redis.script("renew", &call).await?;
            lost.extend(tokens.into_iter().map(LockToken::new));
            pass(Point::WorkerRenewed).await;
        }
        Ok(lost)
    }

    /// Puts active jobs whose lock is gone back in line, in one pass, and tells which.
    ///
    /// # Errors
    /// Redis cannot be asked; some may have been put back.
    pub async fn recover(&self) -> Result<Vec<JobId>, QueueError> {
        let mut recovered = Vec::new();
        let mut passed = 0;
        // In windows, so that thousands of active jobs never hold up others for long. One that slips
        // through because jobs end meanwhile is found the next time.
        loop {
            let mut call = scripts::RECOVER.key(&*self.base);
            call.arg(passed).arg(RECOVER_WINDOW);
            let (seen, ids) = self.counted_ids("recover", &call).await?;
            passed += seen.saturating_sub(ids.len());
            if !ids.is_empty() {
                pass(Point::WorkerRecovered).await;
            }
            recovered.extend(ids);
            if seen < RECOVER_WINDOW {
                return Ok(recovered);
            }
        }
    }

    /// Puts jobs back in line that another client failed as `job stalled more than allowable limit`,
    /// and tells which. They keep their count of stalls.
    ///
    /// One call looks at the newest 100 failed jobs and at the next 500 older ones, and begins anew
    /// once all were looked at; clones of a queue go on where the others were.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn revive_overstalled(&self) -> Result<Vec<JobId>, QueueError> {
        let from = self.revive_from.load(Ordering::Relaxed).max(REVIVE_NEWEST);
        let mut call = scripts::REVIVE.key(&*self.base);
        call.arg(REVIVE_NEWEST).arg(from).arg(REVIVE_WINDOW);
        let (seen, revived) = self.counted_ids("revive", &call).await?;
        // Those that went made the older ones move up. What moves otherwise meanwhile is seen twice, or
        // in the next round.
        let next = if seen < REVIVE_WINDOW { 0 } else { (from + seen).saturating_sub(revived.len()) };
        self.revive_from.store(next, Ordering::Relaxed);
        Ok(revived)
    }

    /// Gives up the locks of jobs that were not settled and puts them in front of the line, in the
    /// order in which they stand here (as they were taken: oldest first). Jobs whose lock is not
    /// that token any more are left alone. Answers how many were put back.
    ///
    /// # Errors
    /// Redis cannot be asked; some batches may have been handed back.
    pub async fn hand_back(&self, jobs: &[(JobId, LockToken)]) -> Result<usize, QueueError> {
        self.release(jobs, false).await
    }

    /// As [`Queue::hand_back`]; `as_stalled` counts it as BullMQ counts a lost lock.
    ///
    /// # Errors
    /// Redis cannot be asked; some batches may have been given up.
    pub async fn release(&self, jobs: &[(JobId, LockToken)], as_stalled: bool) -> Result<usize, QueueError> {
        let mut count = 0;
        // Newest first: removing from the active list walks from its new end.
        for batch in jobs.rchunks(BATCH) {
            let mut call = scripts::HAND_BACK.key(&*self.base);
            call.arg(u8::from(as_stalled));
            for (id, token) in batch.iter().rev() {
                call.arg(id.as_str()).arg(token.as_str());
            }
            count += self.redis.script::<usize>("hand back", &call).await?;
            pass(Point::WorkerReleased).await;
        }
        Ok(count)
    }

    /// How many jobs are in which state.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let call = scripts::COUNTS.key(&*self.base);
        let [waiting, prioritized, active, delayed, completed, failed, paused] =
            self.redis.script::<[u64; 7]>("counts", &call).await?;
        Ok(Counts { waiting, prioritized, active, delayed, completed, failed, paused: paused > 0 })
    }

    /// What a script answers that looks through a window: how many it looked at, then ids.
    async fn counted_ids(
        &self,
        operation: &'static str,
        call: &ScriptInvocation<'_>,
    ) -> Result<(usize, Vec<JobId>), QueueError> {
        let mut reply = self.redis.script::<Vec<String>>(operation, call).await?.into_iter();
        let seen = reply.next().and_then(|seen| seen.parse().ok());
        let seen = seen.ok_or_else(|| self.redis.bad_reply(operation, "no count"))?;
        Ok((seen, reply.map(JobId::new).collect()))
    }

    /// Puts back wake-ups that a stopping worker may have swallowed.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn wake_others(&self) -> Result<(), QueueError> {
        self.redis.script("wake", &scripts::WAKE.key(&*self.base)).await
    }
}
