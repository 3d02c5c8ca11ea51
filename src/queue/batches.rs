//! What is done with many jobs at once: renew, recover, hand back, revive, count.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use deadpool_redis::redis::ScriptInvocation;

use super::operations::now_ms;
use super::options::millis;
use super::taking::LOCK;
use super::{Counts, House, Queue, QueueError, owner, scripts};
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

    /// Puts active jobs that nobody has any more back in line, in one pass, and tells which: those whose
    /// lock is gone, and those whose lock is of a process of this machine that has ended.
    ///
    /// # Errors
    /// Redis cannot be asked; some may have been put back.
    pub async fn recover(&self) -> Result<Vec<JobId>, QueueError> {
        let (mut recovered, owners) = self.recover_from(&[]).await?;
        let dead: Vec<_> = owners.into_iter().filter(|owner| owner::is_dead(owner)).collect();
        if !dead.is_empty() {
            recovered.extend(self.recover_from(&dead).await?.0);
        }
        Ok(recovered)
    }

    /// One pass; `dead` = owners of locks that count for nothing. Also tells whose locks it met.
    async fn recover_from(&self, dead: &[String]) -> Result<(Vec<JobId>, BTreeSet<String>), QueueError> {
        let (mut recovered, mut owners) = (Vec::new(), BTreeSet::new());
        let mut passed = 0;
        // In windows, so that thousands of active jobs never hold up others for long. One that slips
        // through because jobs end meanwhile is found the next time.
        loop {
            let mut call = scripts::RECOVER.key(&*self.base);
            call.arg(passed).arg(RECOVER_WINDOW).arg(now_ms()).arg(millis(LOCK)).arg(dead);
            let (seen, mut found) = self.counted("recover", &call).await?;
            if let Some(met) = found.next() {
                owners.extend(met.split_ascii_whitespace().map(str::to_owned));
            }
            let ids: Vec<_> = found.map(JobId::new).collect();
            passed += seen.saturating_sub(ids.len());
            if !ids.is_empty() {
                pass(Point::WorkerRecovered).await;
            }
            recovered.extend(ids);
            if seen < RECOVER_WINDOW {
                return Ok((recovered, owners));
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
        let (seen, revived) = self.counted("revive", &call).await?;
        let revived: Vec<_> = revived.map(JobId::new).collect();
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

    /// When the oldest job that waits was added, in milliseconds of Unix time; `None` = none waits. Those that stand
    /// aside, or were put off untried, wait as well as those in line.
    ///
    /// Of a long line those are looked at that come next, of many that were put off those at both ends.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn oldest_waiting(&self) -> Result<Option<u64>, QueueError> {
        let mut call = scripts::OLDEST.key(&*self.base);
        call.arg(now_ms());
        self.redis.script("oldest", &call).await
    }

    /// What a script answers that looks through a window: how many it looked at, then texts.
    async fn counted(
        &self,
        operation: &'static str,
        call: &ScriptInvocation<'_>,
    ) -> Result<(usize, impl Iterator<Item = String> + use<>), QueueError> {
        let mut reply = self.redis.script::<Vec<String>>(operation, call).await?.into_iter();
        let seen = reply.next().and_then(|seen| seen.parse().ok());
        let seen = seen.ok_or_else(|| self.redis.bad_reply(operation, "no count"))?;
        Ok((seen, reply))
    }

    /// Puts back wake-ups that a stopping worker may have swallowed.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn wake_others(&self) -> Result<(), QueueError> {
        self.wake_others_of(None).await
    }

    /// The same, also those that wait for room on an engine.
    pub(super) async fn wake_others_of(&self, house: Option<&House>) -> Result<(), QueueError> {
        let mut call = scripts::WAKE.key(&*self.base);
        if let Some(house) = house {
            call.key(self.redis.house_key(&house.engine));
        }
        self.redis.script("wake", &call).await
    }
}
