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

/// For each call of a search so long passes before the next one, so that an idle component asks for little.
const PAUSE_FOR_CALL: Duration = Duration::from_secs(1);

/// Between two steps through all keys others have their turn.
const PAUSE_OF_STEPS: Duration = Duration::from_millis(5);

/// How often it is tried whether a search is allowed by now, where it was not.
const TRY_DENIED_EVERY: Duration = Duration::from_secs(600);

/// While more jobs than these stand in line, nobody searches: it would cost everybody too much. What is
/// astray is found once the line is shorter; until then it would have to wait for its turn anyway.
const LONGEST_LINE: usize = 20_000;

/// Ids of a list that one call reads; and how many jobs one search finds at most, the next one the rest.
const STEP: usize = 1000;

/// Keys that one call passes, and ids that one looks at. Redis does nothing else meanwhile, for up to a millisecond.
const PASS: usize = 500;
const LOOK: usize = 50;

impl Queue {
    /// Searches for jobs that seem to stand in no list, a thousand at most; for none while very many stand in
    /// line. Nothing is changed, and jobs that move meanwhile may be among them: [`Queue::bring_back`] makes sure.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn astray(&self) -> Result<Vec<JobId>, QueueError> {
        self.find_astray(&mut Cost::default()).await
    }

    /// As [`Queue::astray`]; tells what it cost, up to an error too.
    async fn find_astray(&self, cost: &mut Cost) -> Result<Vec<JobId>, QueueError> {
        let Some(standing) = self.in_lists(&mut cost.calls).await? else { return Ok(Vec::new()) };
        let (mut cursor, mut found) = (0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(pattern(&self.base)).arg("COUNT").arg(PASS);
            scan.arg("TYPE").arg("hash");
            cost.calls += 1;
            let (next, keys): (u64, Vec<Vec<u8>>) = self.redis.command("scan", &scan).await?;
            let ids: Vec<_> = keys
                .iter()
                .filter_map(|key| key.strip_prefix(self.base.as_bytes()))
                // What else belongs to a job or to the queue has a colon, or no job's fields.
                .filter(|id| !id.contains(&b':') && !standing.contains(*id))
                .filter_map(|id| std::str::from_utf8(id).ok().map(JobId::new))
                .collect();
            // One, in small parts.
            cost.calls += u32::from(!ids.is_empty());
            for batch in ids.chunks(LOOK) {
                cost.pause().await;
                found.extend(self.look_at(batch, false).await?);
            }
            cursor = next;
            if cursor == 0 || found.len() >= STEP {
                found.truncate(STEP);
                return Ok(found);
            }
            cost.pause().await;
        }
    }

    /// Puts those of the jobs back in front of the line that stand in no list; answers which. None while
    /// very many stand in line.
    ///
    /// # Errors
    /// Redis cannot be asked; some may have been put back.
    pub async fn bring_back(&self, jobs: &[JobId]) -> Result<Vec<JobId>, QueueError> {
        let mut back = Vec::new();
        for batch in jobs.chunks(STEP) {
            back.extend(self.look_at(batch, true).await?);
        }
        Ok(back)
    }

    async fn look_at(&self, jobs: &[JobId], put_back: bool) -> Result<Vec<JobId>, QueueError> {
        let mut call = scripts::ASTRAY.key(&*self.base);
        call.arg(u8::from(put_back)).arg(LONGEST_LINE);
        for id in jobs {
            call.arg(id.as_str());
        }
        let ids: Vec<String> = self.redis.script("find jobs astray", &call).await?;
        Ok(ids.into_iter().map(JobId::new).collect())
    }

    /// The ids in the queue's lists, read piece by piece so that nobody is held up; `None` = too many.
    async fn in_lists(&self, calls: &mut u32) -> Result<Option<HashSet<Vec<u8>>>, QueueError> {
        let mut ids = HashSet::new();
        for list in ["wait", "paused", "active"] {
            let key = format!("{}{list}", self.base);
            for from in (0..).step_by(STEP) {
                let mut range = redis::cmd("LRANGE");
                range.arg(&key).arg(from).arg(from + STEP - 1);
                *calls += 1;
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
    let mut blind = Trouble::with("jobs that other clients left in no list are not searched for");
    let mut suspects = Vec::new();
    let mut turn = Turn::at_once();
    loop {
        let pause = match put_back(&queue, &mut suspects).await {
            Ok(()) => {
                trouble.is_over();
                LOOK_EVERY
            }
            Err(error) => trouble.met(&error),
        };
        if resumed.swap(false, Ordering::Relaxed) {
            turn.hurry();
        }
        let begun = Instant::now();
        if begun >= turn.due {
            let mut cost = Cost::default();
            let found = queue.find_astray(&mut cost).await;
            let denied = found.as_ref().is_err_and(QueueError::is_denial);
            turn = Turn::after(begun.elapsed().saturating_sub(cost.paused), cost.calls, denied);
            match found {
                Ok(found) => {
                    blind.is_over();
                    suspects = found;
                }
                Err(error) => _ = blind.met(&error),
            }
        }
        sleep(jittered(pause)).await;
    }
}

/// Puts back what the last search suspected and is astray still, and what was failed for stalling.
async fn put_back(queue: &Queue, suspects: &mut Vec<JobId>) -> Result<(), QueueError> {
    // Most were only on their way, and stand in a list by now: that is seen without holding anybody up.
    if !suspects.is_empty()
        && let Some(standing) = queue.in_lists(&mut 0).await?
    {
        suspects.retain(|id| !standing.contains(id.as_str().as_bytes()));
    }
    for id in queue.bring_back(suspects).await? {
        tracing::warn!(queue = queue.name(), job_id = %id, "job {id} stood in no list and is back in line");
    }
    suspects.clear();
    for id in queue.revive_overstalled().await? {
        tracing::warn!(queue = queue.name(), job_id = %id, "job {id} was given up as stalled and is back in line");
    }
    Ok(())
}

/// What a search cost so far.
#[derive(Debug, Default)]
struct Cost {
    calls: u32,
    /// How long it left Redis to others in between.
    paused: Duration,
}

impl Cost {
    async fn pause(&mut self) {
        let begun = Instant::now();
        sleep(PAUSE_OF_STEPS).await;
        self.paused += begun.elapsed();
    }
}

/// When the next search has its turn.
#[derive(Debug)]
struct Turn {
    /// When it comes.
    due: Instant,
    /// What the last search cost forbids one before this, whatever happens.
    earliest: Instant,
}

impl Turn {
    fn at_once() -> Self {
        let now = Instant::now();
        Self { due: now, earliest: now }
    }

    /// After a search that ended now, well or not.
    fn after(took: Duration, calls: u32, denied: bool) -> Self {
        let bound = (took * PAUSE_OF_SEARCHES).max(PAUSE_FOR_CALL * calls);
        let bound = if denied { bound.max(TRY_DENIED_EVERY) } else { bound };
        let now = Instant::now();
        Self { due: now + bound.max(SEARCH_EVERY), earliest: now + bound }
    }

    /// There is reason to search as soon as may be.
    fn hurry(&mut self) {
        self.due = self.due.min(self.earliest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_search_cost_bounds_the_next_one_and_a_resume_shortens_no_more_than_that() {
        for (took_ms, calls, denied, due, hurried) in [
            (10, 5, false, 15, 5),
            (100, 2, false, 15, 5),
            (10, 1000, false, 1000, 1000),
            (4000, 70, false, 200, 200),
            (1, 4, true, 600, 600),
            (1, 1000, true, 1000, 1000),
        ] {
            let mut turn = Turn::after(Duration::from_millis(took_ms), calls, denied);
            assert_eq!(turn.due - Instant::now(), seconds(due), "{took_ms} ms, {calls} calls");
            turn.hurry();
            assert_eq!(turn.due - Instant::now(), seconds(hurried), "{took_ms} ms, {calls} calls, resumed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resume_puts_off_no_search() {
        let mut turn = Turn::at_once();
        turn.hurry();
        assert_eq!(turn.due, Instant::now());
    }
}
