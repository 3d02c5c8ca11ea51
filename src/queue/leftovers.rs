//! What nobody needs any more once a result is safe: the submission's file, and containers that no label tells of,
//! which are those of the original's starter.
//!
//! They are noted by the very script that hands the result over, and forgotten once they are removed: so
//! a process that dies in between leaves a note, and nothing for ever. One sorted set per engine and kind
//! (`<prefix>:correction-runner:removals:<engine>`, `…:exercises:<engine>`, by the time of the hand-over), bounded
//! in size and age.

use std::time::Duration;

use deadpool_redis::redis::{self, ScriptInvocation};

use super::operations::{DONE_FOR, now_ms};
use super::options::millis;
use super::{Keep, NewJob, Queue, QueueError, Redis, Settled, TakenJob};
use crate::identity::{ContainerId, CorrectionId, EngineId};

/// How long a note is kept: an engine that is gone for longer does not come back.
pub const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many notes of a kind are kept for one engine; the oldest go first.
const KEPT_AT_MOST: u32 = 10_000;
/// How many notes are given at once.
pub const READ_AT_ONCE: usize = 1000;

/// A container that is to be removed once its result is safe, and that only Redis knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where it is.
    pub engine: EngineId,
    /// Which.
    pub container: ContainerId,
}

/// A submission's file that is to be deleted once the result is safe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedFile {
    /// On whose host it is.
    pub engine: EngineId,
    /// Its path there.
    pub path: String,
    /// When its job was submitted, in milliseconds of Unix time: what was changed later is another submission's.
    pub submitted: u64,
}

impl UsedFile {
    /// As it stands in its set.
    fn to_note(&self) -> String {
        format!("{} {}", self.submitted, self.path)
    }

    fn of_note(engine: &EngineId, note: &str) -> Option<Self> {
        let (submitted, path) = note.split_once(' ')?;
        let submitted = submitted.parse().ok()?;
        Some(Self { engine: engine.clone(), path: path.to_owned(), submitted })
    }
}

/// How a correction's job ends.
#[derive(Clone, Copy, Debug)]
pub struct Conclusion<'a> {
    /// What is remembered as done.
    pub correction: &'a CorrectionId,
    /// For how long.
    pub remember_for: Duration,
    /// What the job returns, as JSON text.
    pub return_value: &'a str,
    /// How long the job is kept.
    pub keep: Keep,
    /// The container to be noted, where no label tells of it.
    pub leaves: Option<&'a Leftover>,
    /// The submission's file to be noted, where it is to be deleted.
    pub file: Option<&'a UsedFile>,
    /// Whether it is known what a mark on the job means: without that the end of one that is marked as cancelled is not
    /// taken.
    pub heeds_mark: bool,
}

impl<'a> Conclusion<'a> {
    /// Of a correction that leaves nothing, remembered for as long as usual.
    #[must_use]
    pub fn of(correction: &'a CorrectionId, return_value: &'a str, keep: Keep) -> Self {
        Self {
            correction,
            remember_for: DONE_FOR,
            return_value,
            keep,
            leaves: None,
            file: None,
            heeds_mark: false,
        }
    }
}

impl Queue {
    /// The same as [`Queue::hand_over`] for the end of a correction: it also notes what that leaves.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn conclude(
        &self,
        job: &TakenJob,
        to: &Queue,
        next: &NewJob,
        conclusion: &Conclusion<'_>,
    ) -> Result<Settled, QueueError> {
        let Conclusion { correction, remember_for, return_value, keep, leaves, file, heeds_mark } =
            *conclusion;
        let done = Some((correction, remember_for));
        let mut call = self.hand_over_call(job, to, next, done, return_value, keep);
        call.key(leaves.map_or_else(String::new, |leftover| self.redis.removals_key(&leftover.engine)));
        call.key(file.map_or_else(String::new, |file| self.redis.exercises_key(&file.engine)));
        call.arg(leaves.map_or("", |leftover| leftover.container.as_str()));
        note_arguments(&mut call, file);
        call.arg(u8::from(heeds_mark));
        self.settle("hand over a result", job, &call).await
    }
}

/// The three arguments with which scripts end that note a file.
pub(super) fn note_arguments(call: &mut ScriptInvocation<'_>, file: Option<&UsedFile>) {
    call.arg(file.map_or_else(String::new, UsedFile::to_note)).arg(KEPT_AT_MOST).arg(millis(KEPT_FOR));
}

impl Redis {
    /// The containers of an engine that are still to be removed, the oldest first, a thousand at most.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn leftovers(&self, engine: &EngineId) -> Result<Vec<Leftover>, QueueError> {
        let containers = self.noted(&self.removals_key(engine), Duration::ZERO).await?;
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

    /// The files on an engine's host that are still to be deleted and were noted so long ago, the oldest first, a
    /// thousand at most.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn used_files(&self, engine: &EngineId, ago: Duration) -> Result<Vec<UsedFile>, QueueError> {
        let notes = self.noted(&self.exercises_key(engine), ago).await?;
        Ok(notes.iter().filter_map(|note| UsedFile::of_note(engine, note)).collect())
    }

    /// Files were deleted, or never will be.
    ///
    /// # Errors
    /// Redis cannot be asked; they are found missing the next time.
    pub async fn forget_used_files(&self, engine: &EngineId, files: &[&UsedFile]) -> Result<(), QueueError> {
        if files.is_empty() {
            return Ok(());
        }
        let notes: Vec<String> = files.iter().map(|file| file.to_note()).collect();
        let forget = redis::cmd("ZREM").arg(self.exercises_key(engine)).arg(notes).clone();
        self.command::<()>("forget files", &forget).await
    }

    /// Files could not be deleted: their turn comes again after all others'.
    ///
    /// # Errors
    /// Redis cannot be asked; they keep their place.
    pub async fn put_off_used_files(&self, engine: &EngineId, files: &[&UsedFile]) -> Result<(), QueueError> {
        if files.is_empty() {
            return Ok(());
        }
        let mut put_off = redis::cmd("ZADD");
        put_off.arg(self.exercises_key(engine)).arg("XX");
        for file in files {
            put_off.arg(now_ms()).arg(file.to_note());
        }
        self.command::<()>("put off files", &put_off).await
    }

    async fn noted(&self, key: &str, ago: Duration) -> Result<Vec<String>, QueueError> {
        let oldest = now_ms().saturating_sub(millis(KEPT_FOR));
        let expire = redis::cmd("ZREMRANGEBYSCORE").arg(key).arg("-inf").arg(oldest).clone();
        self.command::<()>("forget old notes", &expire).await?;
        let newest = now_ms().saturating_sub(millis(ago));
        let read = redis::cmd("ZRANGEBYSCORE")
            .arg(key)
            .arg("-inf")
            .arg(if ago.is_zero() { "+inf".to_owned() } else { newest.to_string() })
            .arg("LIMIT")
            .arg(0)
            .arg(READ_AT_ONCE)
            .clone();
        self.command("read notes", &read).await
    }

    /// What the keys start with that hold the files to be deleted.
    pub(super) fn exercises_keys(&self) -> String {
        self.own_key("exercises:")
    }

    pub(super) fn exercises_key(&self, engine: &EngineId) -> String {
        format!("{}{engine}", self.exercises_keys())
    }

    /// What the keys start with that hold the containers to be removed.
    pub(super) fn removals_keys(&self) -> String {
        self.own_key("removals:")
    }

    fn removals_key(&self, engine: &EngineId) -> String {
        format!("{}{engine}", self.removals_keys())
    }
}
