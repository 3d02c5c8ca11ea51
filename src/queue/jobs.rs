//! Jobs on their way in and out of a queue, and what the operations answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::options::{BackoffOption, JobOptions, Retained};
use crate::identity::{JobId, LockToken};

/// A job to be added to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its id; `None` = the queue's next number. With an id, adding twice is adding once.
    pub id: Option<JobId>,
    /// Its name, handed on from queue to queue.
    pub name: String,
    /// Its data: JSON text, stored untouched.
    pub data: String,
    /// How it is to be treated.
    pub options: JobOptions,
}

/// What became of an attempt to add a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new and waits.
    New(JobId),
    /// A job with this id was there already, waiting, at work or ended; nothing was changed.
    Duplicate(JobId),
}

impl Added {
    /// The job's id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        match self {
            Self::New(id) | Self::Duplicate(id) => id,
        }
    }
}

/// A job that we hold the lock of.
#[derive(Clone, Debug)]
pub struct TakenJob {
    /// Its id in its queue.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Its data: the text as it stands in Redis, JSON or not.
    pub data: String,
    /// When it was added, in milliseconds of Unix time; 0 where that cannot be read.
    pub timestamp: u64,
    /// How many attempts failed before this one (BullMQ's `attemptsMade`).
    pub attempts_made: u32,
    /// How many attempts there are in all, at least 1.
    pub attempts: u32,
    /// How the waits between attempts grow; `None` = no wait, or an option that cannot be read.
    pub backoff: Option<BackoffOption>,
    /// How often it was completed before (`gen`, ours).
    pub generation: u64,
    /// How often it came back because whoever had it lost it (`stc` and `stalledCounter`).
    pub stalled: u32,
    /// The reason for which a BullMQ 6 client wants its taker to fail it (`defa`): it stalled too
    /// often. The field is cleared by the take that reports it.
    pub deferred_failure: Option<String>,
    /// How long its tries before this one took, with the waits that were meant to be between them
    /// (`tried-for`, in milliseconds). What it waited beyond them in line, since nobody took it, is no trying.
    pub tried_for: Duration,
    /// When this take brought it.
    pub taken_at: Instant,
    /// How many retries of ours it had (`retries`).
    pub retries: u32,
    /// Whether it was marked as cancelled when it was taken.
    pub cancelled: bool,
    /// How often it was taken before (`ats`); a take after which [`Turns`](super::Turns) put it back does not count.
    pub takes_before: u32,
    /// The proof that this take owns it.
    pub token: LockToken,
    /// What its own options say of keeping it when it ends; they win over the operation's.
    pub retention: JobRetention,
    /// Whether its own options put it in front of the line each time it joins it.
    pub lifo: bool,
    /// The priority that its options say; 0 = none.
    pub priority: u32,
    /// Whether this take was settled; shared by all clones.
    pub settlement: Settlement,
}

impl TakenJob {
    /// Whether somebody tried it before this take, and may have left something.
    #[must_use]
    pub const fn was_tried(&self) -> bool {
        self.retries > 0 || self.stalled > 0
    }

    /// How long BullMQ would wait before the next attempt if this one failed now; `None` where this
    /// was the last.
    #[must_use]
    pub fn next_attempt_in(&self) -> Option<Duration> {
        let made = self.attempts_made + 1;
        (made < self.attempts)
            .then(|| self.backoff.as_ref().map_or(Duration::ZERO, |it| it.delay(made, fastrand::f64())))
    }
}

/// A job's own options of keeping it when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobRetention {
    /// `removeOnComplete`.
    pub on_complete: Option<Retained>,
    /// `removeOnFail`.
    pub on_fail: Option<Retained>,
}

/// Whether a take of a job has been settled: completed, failed, delayed, handed back or lost.
#[derive(Clone, Debug, Default)]
pub struct Settlement(Arc<AtomicBool>);

impl Settlement {
    /// Whether there is nothing left to renew or to give back.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn settle(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// How long an ended job stays in Redis for people to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Of the jobs that ended this way, the newest so many.
    Count(u32),
    /// Those that ended no longer ago than this.
    Age(Duration),
}

impl From<Keep> for Retained {
    fn from(keep: Keep) -> Self {
        match keep {
            Keep::Count(count) => Self { count: Some(count), age: None },
            Keep::Age(age) => Self { count: None, age: Some(age.as_secs()) },
        }
    }
}

/// What became of an attempt to settle a taken job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is done, by this call.
    Done,
    /// It was done before by the same take: a reply had been lost.
    Already,
    /// The lock is no longer ours; nothing was changed.
    Lost,
    /// A person cancelled it, which this step does not know of; nothing was changed, and the job is still ours.
    Cancelled,
}

/// Whose attempts a retry counts among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCount {
    /// BullMQ's: `attemptsMade` grows, reason and stack trace are written, any worker goes on.
    Attempt,
    /// Ours: attempts stay, `retries` and `tried_for` grow.
    Free,
}

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In line, of a paused queue too.
    pub waiting: u64,
    /// In line by priority.
    pub prioritized: u64,
    /// Taken by a worker.
    pub active: u64,
    /// Waiting for their time.
    pub delayed: u64,
    /// Completed and still kept.
    pub completed: u64,
    /// Failed and still kept.
    pub failed: u64,
    /// Whether the queue is paused.
    pub paused: bool,
}

/// Where a correction stands whose container was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its result is in `finished_corrections`, or was and has been delivered; or whoever completed
    /// its running job saw to it.
    Done,
    /// Its pending or its running job has not ended: whoever takes that will see to it.
    Live,
    /// No job knows of it: it has to be finished from its labels.
    Orphan,
}

/// What became of an attempt to finish a correction that no job knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Its result is in `finished_corrections` now.
    Added,
    /// It is no orphan, or no longer; nothing was changed. `Live` also where the installation has
    /// another id by now: after a reset, what its containers did before is not to be finished.
    Not(Standing),
}
