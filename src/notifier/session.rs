//! One result: its body, its delivery, and what becomes of its job.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::callback::{Body, Courier, Delivery, shown};
use crate::config::Retention;
use crate::fields::raw;
use crate::identity::{CorrectionId, InstanceId};
use crate::job::{Errand, FinishedJob};
use crate::queue::{Assignment, Keep, Queue, QueueError, RetryCount, Settled, TakenJob};

/// The first and the longest wait between two tries to tell Redis what became of a job.
const INSIST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The part of a wait that is added by chance, so that what failed together is not tried together.
const JITTER: f64 = 0.1;

/// What all deliveries share.
pub(super) struct Session {
    queue: Queue,
    courier: Courier,
    instance: InstanceId,
    retention: Retention,
}

/// What becomes of a job.
#[derive(Debug)]
enum Step {
    Complete { said: String },
    RetryLater { delay: Duration, why: String },
    Fail { why: String },
}

impl Session {
    pub fn new(queue: Queue, courier: Courier, instance: InstanceId, retention: Retention) -> Self {
        Self { queue, courier, instance, retention }
    }

    /// Delivers one result and settles its job.
    pub async fn handle(&self, assignment: Assignment) {
        let taken = &assignment.job;
        if let Some(reason) = &taken.deferred_failure {
            // It says that earlier notifiers lost the job, and nothing of the receiver.
            info!(job_id = %taken.id, reason, "a result that stalled too often is delivered all the same");
        }
        let step = AssertUnwindSafe(self.deliver(taken)).catch_unwind().await.unwrap_or_else(|_| {
            let why = "an internal error of the runner; its log says more".to_owned();
            after_failure(taken, Duration::ZERO, why, fastrand::f64())
        });
        if let Step::RetryLater { why, .. } | Step::Fail { why } = &step {
            let line = format!("{:.3} Error sending notification: {why}", Timestamp::now());
            if let Err(error) = self.queue.log(&taken.id, &line).await {
                debug!(job_id = %taken.id, error = format!("{error:#}"), "the job's log could not be written");
            }
        }
        self.insist(&assignment, &step).await;
    }

    /// One attempt.
    async fn deliver(&self, taken: &TakenJob) -> Step {
        let (errand, body, problem) = match FinishedJob::parse(&taken.data) {
            Ok(job) => (job.errand.clone(), Body::of(&job), String::new()),
            Err(invalid) => (invalid.errand.clone(), Body::of_invalid(&invalid), invalid.to_string()),
        };
        let work_id = work_id(&errand);
        for change in &body.changes {
            warn!(job_id = %taken.id, work_id, "{change}");
        }
        let Some(callback) = &errand.callback else {
            return Step::Fail { why: format!("the result cannot be delivered: {problem}") };
        };
        let started = Instant::now();
        let delivery = self.courier.deliver(callback, &self.webhook_id(taken), body.bytes).await;
        let ms = started.elapsed().as_millis();
        let callback = shown(callback);
        match delivery {
            Delivery::Delivered { status } => {
                info!(job_id = %taken.id, work_id, status, ms, "result delivered");
                Step::Complete { said: format!("Notification sent to {callback} at {:.3}", Timestamp::now()) }
            }
            failed => {
                let why = format!("{failed}; callback {callback}");
                let step = if failed.may_heal() {
                    let wish = failed.retry_after().unwrap_or_default();
                    after_failure(taken, wish, why, fastrand::f64())
                } else {
                    Step::Fail { why }
                };
                match &step {
                    Step::RetryLater { delay, why } => warn!(job_id = %taken.id, work_id, ms, error = why,
                        attempt = taken.attempts_made + 1, attempts = taken.attempts,
                        retry_in_ms = delay.as_millis(), "result not delivered, tried again later"),
                    Step::Fail { why } => warn!(job_id = %taken.id, work_id, ms, error = why,
                        "result not delivered for good: it stays among the failed jobs"),
                    Step::Complete { .. } => {}
                }
                step
            }
        }
    }

    /// The name under which a result is delivered, however often: its job's id where that is the
    /// correction's identity, else one that is derived from the job's number and time.
    fn webhook_id(&self, taken: &TakenJob) -> String {
        let id = taken.id.as_str();
        let numbered = id.bytes().all(|byte| byte.is_ascii_digit());
        if !numbered && id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return id.to_owned();
        }
        CorrectionId::derive(&self.instance, &taken.id, taken.timestamp, 0).to_string()
    }

    /// Repeats a step until Redis answers or the lock is lost; then others deliver it again.
    async fn insist(&self, assignment: &Assignment, step: &Step) {
        let taken = &assignment.job;
        let mut backoff = Backoff::new(INSIST.0, INSIST.1);
        loop {
            match self.take_step(taken, step).await {
                Ok(Settled::Done | Settled::Already) => return,
                Ok(Settled::Lost) => {
                    warn!(job_id = %taken.id, "the lock of a result was lost: it may be delivered again");
                    return;
                }
                Err(error) => warn!(job_id = %taken.id, error = format!("{error:#}"),
                    "Redis could not be told yet what became of a delivery"),
            }
            let wait = sleep(backoff.next_delay());
            if assignment.lost.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    async fn take_step(&self, taken: &TakenJob, step: &Step) -> Result<Settled, QueueError> {
        match step {
            Step::Complete { said } => {
                let keep = Keep::Count(self.retention.completed);
                self.queue.complete(taken, raw(said.as_str()).get(), keep).await
            }
            Step::RetryLater { delay, why } => {
                self.queue.retry_later(taken, *delay, why, RetryCount::Attempt).await
            }
            Step::Fail { why } => self.queue.fail(taken, why, Keep::Count(self.retention.failed)).await,
        }
    }
}

/// The next attempt by the job's own options, no sooner than the receiver wishes; or the end of all
/// attempts. `chance` is a random number in 0..1.
fn after_failure(taken: &TakenJob, wish: Duration, why: String, chance: f64) -> Step {
    match taken.next_attempt_in() {
        Some(wait) => Step::RetryLater { delay: wait.max(wish).mul_f64(1.0 + JITTER * chance), why },
        None if taken.attempts > 1 => {
            Step::Fail { why: format!("gave up after {} attempts: {why}", taken.attempts) }
        }
        None => Step::Fail { why },
    }
}

/// The work id as it stands in logs, shortened.
fn work_id(errand: &Errand) -> String {
    const LONGEST: usize = 100;
    let text = errand.work_id.as_ref().map_or("", |work_id| work_id.0.get());
    let quoted = serde_json::from_str::<String>(text);
    quoted.as_deref().unwrap_or(text).chars().take(LONGEST).collect()
}
