//! Jobs whose turn is not yet: put back untried, many in one call, and called forth when their turn comes sooner.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::calls::CALL_DEADLINE;
use super::operations::{LONGEST_TRY, now_ms};
use super::options::millis;
use super::{Queue, QueueError, Settled, TakenJob, scripts};
use crate::heartbeat::waiting_for;
use crate::identity::{JobId, LockToken};

/// Jobs in one call: few enough that what others ask of Redis meanwhile hardly waits.
const BATCH: usize = 32;

/// How long a job may wait for the call that puts it back: the one that is under way, and its own.
const AT_MOST: Duration = CALL_DEADLINE.saturating_mul(2);

/// A job that was put back, and when it is due in milliseconds of Unix time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// When it comes by itself.
    pub at: u64,
    /// Which.
    pub job: JobId,
}

impl Due {
    /// Milliseconds of Unix time.
    #[must_use]
    pub fn now() -> u64 {
        now_ms()
    }

    /// A job that is due after so long; a time of zero is a moment all the same.
    #[must_use]
    pub fn after(delay: Duration, job: &JobId) -> Self {
        Self { at: now_ms() + millis(delay).max(1), job: job.clone() }
    }
}

/// Puts jobs of one queue back. Calls are shared by whoever puts back at the same time.
#[derive(Debug)]
pub struct Turns {
    queue: Queue,
    line: Mutex<Vec<Waiting>>,
    /// Held by whoever calls.
    call: tokio::sync::Mutex<()>,
}

/// A job that is to be put back with the next call.
#[derive(Debug)]
struct Waiting {
    token: LockToken,
    held_for: Duration,
    due: Due,
    /// What the script said of it, or what kept it from being asked; dropped where nobody asked.
    said: oneshot::Sender<Result<String, QueueError>>,
}

impl Turns {
    /// Of this queue.
    #[must_use]
    pub fn of(queue: Queue) -> Self {
        Self { queue, line: Mutex::default(), call: tokio::sync::Mutex::default() }
    }

    /// Puts a job back that was not tried: no attempt is counted, but `tried_for` grows by how long it is put back, until
    /// the next attempt. A limiter of the queue gets back what the take cost. May be called again after an error.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn put_back(&self, job: &TakenJob, due: Due) -> Result<Settled, QueueError> {
        const OPERATION: &str = "put back";
        let (said, mut told) = oneshot::channel();
        let held_for = job.taken_at.elapsed().min(LONGEST_TRY);
        self.line().push(Waiting { token: job.token.clone(), held_for, due, said });
        let no_answer = || self.queue.redis.no_answer(OPERATION, AT_MOST);
        let _waiting = waiting_for(OPERATION, AT_MOST);
        let mut calling = None;
        loop {
            match told.try_recv() {
                Ok(said) => return self.queue.settled(OPERATION, job, &said?),
                Err(oneshot::error::TryRecvError::Closed) => return Err(no_answer()),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            // Whoever calls takes others along: ours may be done by the time that it is our turn to call.
            if calling.is_none() {
                calling = Some(timeout(AT_MOST, self.call.lock()).await.map_err(|_| no_answer())?);
            } else {
                self.call_for_some().await;
            }
        }
    }

    /// Puts back those that have waited longest. What kept them from that is told to each, and counted once.
    async fn call_for_some(&self) {
        let batch: Vec<_> = {
            let mut line = self.line();
            // Whoever gave up waiting puts its job back anew.
            line.retain(|waiting| !waiting.said.is_closed());
            let count = line.len().min(BATCH);
            line.drain(..count).collect()
        };
        if batch.is_empty() {
            return;
        }
        let mut call = scripts::PUT_BACK.key(&*self.queue.base);
        call.arg(now_ms());
        for Waiting { token, held_for, due, .. } in &batch {
            call.arg(due.job.as_str()).arg(token.as_str()).arg(millis(*held_for)).arg(due.at);
        }
        let answers: Result<Vec<String>, QueueError> = self.queue.redis.script("put back", &call).await;
        // Who does not listen any more was stopped.
        match answers {
            Ok(answers) => {
                for (waiting, answer) in batch.into_iter().zip(answers) {
                    let _ = waiting.said.send(Ok(answer));
                }
            }
            Err(error) => {
                // Where Redis is away the others would only wait in vain for it, one batch after the other.
                let others =
                    if error.is_ambiguous() { std::mem::take(&mut *self.line()) } else { Vec::new() };
                for waiting in batch.into_iter().chain(others) {
                    let _ = waiting.said.send(Err(error.clone()));
                }
            }
        }
    }

    /// Lets jobs that were put back come now, those that nobody moved since then. Answers how many.
    ///
    /// # Errors
    /// Redis cannot be asked: they come when they are due.
    pub async fn call_forth(&self, jobs: &[Due]) -> Result<usize, QueueError> {
        let mut count = 0;
        for batch in jobs.chunks(BATCH) {
            let mut call = scripts::CALL_FORTH.key(&*self.queue.base);
            call.arg(now_ms());
            for Due { at, job } in batch {
                call.arg(job.as_str()).arg(*at);
            }
            count += self.queue.redis.script::<usize>("call forth", &call).await?;
        }
        Ok(count)
    }

    fn line(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
