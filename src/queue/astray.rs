//! Jobs that other clients' ways left where nobody takes them: found, and put back in line.
//!
//! A `resume` by BullMQ 5.12 renames `paused` over `wait`, and its `pause` the other way round. Where
//! clients of both versions use a queue, both lists may hold jobs, and those of one are in no list
//! afterwards; only their hashes remain. 5.12 also fails jobs that stalled too often, which is no verdict.
//! Protocol: `pause-7.lua` and `moveStalledJobsToWait-9.lua` of `bullmq` 5.12.7.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis;
use tokio::time::{Instant, sleep};

use super::reset::pattern;
use super::trouble::Trouble;
use super::worker::jittered;
use super::{Queue, QueueError, scripts};
use crate::heartbeat;
use crate::identity::JobId;

/// How often failed jobs are looked at. A job counts as astray only where it is so this long after it was
/// found: somebody who deletes a queue's keys one after the other is done by then.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often all jobs are looked at even if the queue was not seen paused.
const SEARCH_EVERY: Duration = Duration::from_secs(15);

/// A search takes at most one part in so many of the time, however many keys others have in this Redis.
const PAUSE_OF_SEARCHES: u32 = 50;

/// While more jobs than these stand in line, nobody searches: it would cost everybody too much. What is
/// astray is found once the line is shorter; until then it would have to wait for its turn anyway.
const LONGEST_LINE: usize = 20_000;

/// Keys, or ids, that one call passes.
const STEP: usize = 1000;

impl Queue {
    /// Searches for jobs that seem to stand in no list; for none while very many stand in line. Nothing is
    /// changed, and jobs that move meanwhile may be among them: [`Queue::bring_back`] makes sure.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn astray(&self) -> Result<Vec<JobId>, QueueError> {
        let Some(standing) = self.in_lists().await? else { return Ok(Vec::new()) };
        let (mut cursor, mut found) = (0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern(&self.base)).arg("COUNT").arg(STEP);
            scan.arg("TYPE").arg("hash");
            let (next, keys): (u64, Vec<Vec<u8>>) = self.redis.command("scan", &scan).await?;
            let ids: Vec<_> = keys
                .iter()
                .filter_map(|key| key.strip_prefix(self.base.as_bytes()))
                // What else belongs to a job or to the queue has a colon, or no job's fields.
                .filter(|id| !id.contains(&b':') && !standing.contains(*id))
                .filter_map(|id| std::str::from_utf8(id).ok().map(JobId::new))
                .collect();
            found.extend(self.look_at(&ids, false).await?);
            cursor = next;
            if cursor == 0 {
                return Ok(found);
            }
        }
    }

    /// Puts those of the jobs back in front of the line that stand in no list; answers which.
    ///
    /// # Errors
    /// Redis cannot be asked; some may have been put back.
    pub async fn bring_back(&self, jobs: &[JobId]) -> Result<Vec<JobId>, QueueError> {
        self.look_at(jobs, true).await
    }

    async fn look_at(&self, jobs: &[JobId], put_back: bool) -> Result<Vec<JobId>, QueueError> {
        let mut found = Vec::new();
        for batch in jobs.chunks(STEP) {
            let mut call = scripts::ASTRAY.key(&*self.base);
            call.arg(u8::from(put_back));
            for id in batch {
                call.arg(id.as_str());
            }
            let ids: Vec<String> = self.redis.script("find jobs astray", &call).await?;
            found.extend(ids.into_iter().map(JobId::new));
        }
        Ok(found)
    }

    /// The ids in the queue's lists, read piece by piece so that nobody is held up; `None` = too many.
    async fn in_lists(&self) -> Result<Option<HashSet<Vec<u8>>>, QueueError> {
        let mut ids = HashSet::new();
        for list in ["wait", "paused", "active"] {
            let key = format!("{}{list}", self.base);
            for from in (0..).step_by(STEP) {
                let mut range = redis::cmd("LRANGE");
                range.arg(&key).arg(from).arg(from + STEP - 1);
                let piece: Vec<Vec<u8>> = self.redis.command("read a list", &range).await?;
                let full = piece.len() == STEP;
                ids.extend(piece);
                if ids.len() > LONGEST_LINE {
                    return Ok(None);
                }
                if !full {
                    break;
                }
            }
        }
        Ok(Some(ids))
    }
}

/// Puts jobs back in line that stand in no list, or were failed for stalling. All jobs are looked at at the
/// start, from time to time, and when the queue was `resumed`.
pub(super) async fn search(queue: Queue, resumed: Arc<AtomicBool>) {
    heartbeat::beats_every(LOOK_EVERY);
    let mut trouble = Trouble::with("jobs that other clients left behind are not put back");
    let mut suspects = Vec::new();
    let mut search_at = Instant::now();
    loop {
        if resumed.swap(false, Ordering::Relaxed) {
            search_at = Instant::now();
        }
        let begun = Instant::now();
        let is_due = begun >= search_at;
        let pause = match pass(&queue, &mut suspects, is_due).await {
            Ok(()) => {
                if is_due {
                    search_at = Instant::now() + SEARCH_EVERY.max(begun.elapsed() * PAUSE_OF_SEARCHES);
                }
                trouble.is_over();
                LOOK_EVERY
            }
            Err(error) => trouble.met(&error),
        };
        sleep(jittered(pause)).await;
    }
}

/// Puts back what the last search suspected and is astray still, then looks further.
async fn pass(queue: &Queue, suspects: &mut Vec<JobId>, search: bool) -> Result<(), QueueError> {
    for id in queue.bring_back(suspects).await? {
        tracing::warn!(queue = queue.name(), job = %id, "job {id} stood in no list and is back in line");
    }
    suspects.clear();
    for id in queue.revive_overstalled().await? {
        tracing::warn!(queue = queue.name(), job = %id, "job {id} was given up as stalled and is back in line");
    }
    if search {
        *suspects = queue.astray().await?;
    }
    Ok(())
}
