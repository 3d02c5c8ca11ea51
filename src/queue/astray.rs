//! Jobs that stand in no list any more: found, and put back.
//!
//! A `resume` by BullMQ 5.12 renames `paused` over `wait`, and its `pause` the other way round. Where
//! clients of both versions use a queue, both lists may hold jobs, and those of one are in no list
//! afterwards; only their hashes remain. Protocol: `pause-7.lua` of `bullmq` 5.12.7.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::reset::pattern;
use super::trouble::Trouble;
use super::worker::jittered;
use super::{Queue, QueueError, scripts};
use crate::identity::JobId;

/// A job counts as astray only where it was found so twice, this far apart: somebody who deletes a
/// queue's keys one after the other is done by then.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Keys that one step of a search passes.
const STEP: usize = 1000;

impl Queue {
    /// One step of a search for jobs that stand in no list; begins at 0. Answers where the next step
    /// begins, 0 once all keys were looked at, and what was found. Nothing is changed.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn astray(&self, from: u64) -> Result<(u64, Vec<JobId>), QueueError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(from).arg("MATCH").arg(pattern(&self.base)).arg("COUNT").arg(STEP);
        scan.arg("TYPE").arg("hash");
        let (next, keys): (u64, Vec<Vec<u8>>) = self.redis.command("scan", &scan).await?;
        let ids: Vec<_> = keys
            .iter()
            .filter_map(|key| std::str::from_utf8(key).ok()?.strip_prefix(&*self.base))
            // What else belongs to a job or to the queue has a colon, or no job's fields.
            .filter(|id| !id.contains(':'))
            .map(JobId::new)
            .collect();
        Ok((next, self.astray_of(&ids, false).await?))
    }

    /// Puts those jobs back in front of the line that stand in no list; answers which.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn bring_back(&self, jobs: &[JobId]) -> Result<Vec<JobId>, QueueError> {
        self.astray_of(jobs, true).await
    }

    async fn astray_of(&self, jobs: &[JobId], put_back: bool) -> Result<Vec<JobId>, QueueError> {
        let mut found = Vec::new();
        for batch in jobs.chunks(STEP) {
            let mut call = scripts::ASTRAY.key(&*self.base);
            call.arg(u8::from(put_back));
            for id in batch {
                call.arg(id.as_str());
            }
            found.extend(self.redis.script::<Vec<String>>("find jobs astray", &call).await?);
        }
        Ok(found.into_iter().map(JobId::new).collect())
    }
}

/// Puts jobs back in line that stand in no list: a step every few seconds, all keys at the start and
/// whenever the queue was `resumed`.
pub(super) async fn search(queue: Queue, resumed: Arc<Notify>) {
    let mut trouble = Trouble::with("jobs that stand in no list are not put back");
    let mut suspects = Vec::new();
    let (mut from, mut all) = (0, true);
    loop {
        let pause = match pass(&queue, &mut suspects, &mut from, all).await {
            Ok(()) => {
                trouble.is_over();
                all = false;
                LOOK_EVERY
            }
            Err(error) => trouble.met(&error),
        };
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            () = resumed.notified() => {
                all = true;
                sleep(jittered(pause)).await;
            }
        }
    }
}

/// Puts back what the last pass suspected and is astray still, then looks further.
async fn pass(queue: &Queue, suspects: &mut Vec<JobId>, from: &mut u64, all: bool) -> Result<(), QueueError> {
    for id in queue.bring_back(suspects).await? {
        tracing::warn!(queue = queue.name(), job = %id, "job {id} stood in no list and is back in line");
    }
    suspects.clear();
    if all {
        *from = 0;
    }
    loop {
        let (next, found) = queue.astray(*from).await?;
        suspects.extend(found);
        *from = next;
        if !all || next == 0 {
            return Ok(());
        }
    }
}
