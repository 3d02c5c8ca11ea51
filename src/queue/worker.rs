//! Taking jobs and keeping their locks: the tasks behind a stage's `next()`.

use tokio_util::sync::CancellationToken;

use super::{Queue, QueueError, TakenJob};
use crate::config::RateLimit;

/// How a worker takes jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOptions {
    /// How many assignments may be out at once, at least 1.
    pub concurrency: usize,
    /// How many jobs one call takes at most, at least 1.
    pub batch: usize,
    /// At most so many in a time, shared with BullMQ workers that have the same limiter.
    pub rate: Option<RateLimit>,
    /// The worker's name, which dashboards show beside the jobs it has.
    pub name: String,
}

/// Takes jobs of one queue, renews their locks, and puts back what others lost.
#[derive(Debug)]
pub struct Worker;

/// A job that is ours to work on, for as long as this lives.
///
/// Settle it with one of the queue's operations, then drop it. Dropped unsettled (a panic), it goes
/// back in line at once and counts as stalled once more.
#[derive(Debug)]
pub struct Assignment {
    /// The job.
    pub job: TakenJob,
    /// Cancelled once the lock is lost or handed back: somebody else may have the job by now.
    pub lost: CancellationToken,
}

impl Worker {
    /// Starts the worker's tasks.
    #[must_use]
    pub fn start(queue: Queue, options: WorkerOptions) -> Self {
        let _ = (queue, options);
        todo!()
    }

    /// The next job; `None` once stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Assignment> {
        todo!()
    }

    /// Takes no more jobs until [`Worker::resume`]; those taken stay ours.
    pub fn pause(&self) {
        todo!()
    }

    /// Takes jobs again.
    pub fn resume(&self) {
        todo!()
    }

    /// Takes no more jobs for good; what was taken and not given out by [`Worker::next`] is handed
    /// back. Locks of what was given out are kept until [`Worker::close`].
    pub fn stop(&self) {
        todo!()
    }

    /// Stops, hands back all that is neither settled nor lost, ends the tasks. Answers how many jobs
    /// were handed back.
    ///
    /// # Errors
    /// Redis cannot be asked; the locks run out by themselves then.
    pub async fn close(self) -> Result<usize, QueueError> {
        todo!()
    }
}
