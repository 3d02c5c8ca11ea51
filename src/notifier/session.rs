//! One result: its body, its delivery, and what becomes of its job.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use tracing::{debug, error, info, warn};

use super::dead_letters::DeadLetters;
use super::receivers::Receivers;
use crate::backoff::Backoff;
use crate::callback::{Body, Courier, Delivery, origin, shown};
use crate::config::Retention;
use crate::crash_points::{Point, pass};
use crate::fields::raw;
use crate::heartbeat::bounded;
use crate::identity::{InstanceId, webhook_id};
use crate::job::FinishedJob;
use crate::ledger::{Entry, Said};
use crate::queue::{Assignment, Keep, Queue, QueueError, RetryCount, Settled, TakenJob};

/// The first and the longest wait between two tries to tell Redis what became of a job.
const INSIST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// The part of a wait that is added by chance, so that what failed together is not tried together.
const JITTER: f64 = 0.1;

/// The first and the longest wait for a turn at a receiver that hangs.
const TURN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What all deliveries share.
pub(super) struct Session {
    queue: Queue,
    courier: Courier,
    receivers: Receivers,
    instance: InstanceId,
    retention: Retention,
    dead_letters: DeadLetters,
}

/// What becomes of a job, and the line of its log that tells of the attempt.
struct Outcome {
    step: Step,
    line: String,
}

impl Outcome {
    fn of(step: Step, entry: &Entry) -> Self {
        Self { step, line: entry.to_string() }
    }
}

impl From<Step> for Outcome {
    /// Of a step to which no attempt led.
    fn from(step: Step) -> Self {
        let line = match &step {
            Step::RetryLater { why, .. } | Step::Fail { why } => {
                format!("{:.3} Error sending notification: {why}", Timestamp::now())
            }
            Step::Complete { .. } | Step::AwaitTurn { .. } => String::new(),
        };
        Self { step, line }
    }
}

/// What becomes of a job.
#[derive(Debug)]
enum Step {
    Complete {
        said: String,
    },
    RetryLater {
        delay: Duration,
        why: String,
    },
    /// The receiver hangs and has enough deliveries to hang on: no attempt was made.
    AwaitTurn {
        delay: Duration,
        why: String,
    },
    Fail {
        why: String,
    },
}

impl Session {
    /// Gathers what is shared. `concurrency` is the number of deliveries that may be in flight.
    pub fn new(
        queue: Queue,
        courier: Courier,
        concurrency: usize,
        instance: InstanceId,
        retention: Retention,
    ) -> Self {
        let dead_letters = DeadLetters::new(queue.clone(), retention.failed);
        Self { queue, courier, receivers: Receivers::new(concurrency), instance, retention, dead_letters }
    }

    /// Delivers one result and settles its job, for as long as that makes headway.
    pub async fn handle(&self, assignment: Assignment) {
        if let Err(stuck) = bounded(self.work_on(&assignment)).await {
            // As after a crash: the job goes back in line.
            error!(job_id = %assignment.job.id, error = %stuck, "a delivery was given up: its result is taken anew");
        }
    }

    async fn work_on(&self, assignment: &Assignment) {
        pass(Point::NotifierTaken).await;
        let taken = &assignment.job;
        if let Some(reason) = &taken.deferred_failure {
            // It says that earlier notifiers lost the job, and nothing of the receiver.
            info!(job_id = %taken.id, reason, "a result that stalled too often is delivered all the same");
        }
        let outcome = panics_caught(taken, self.deliver(taken)).await;
        if let Step::RetryLater { .. } | Step::Fail { .. } = &outcome.step {
            if let Err(error) = self.queue.log(&taken.id, &outcome.line).await {
                debug!(job_id = %taken.id, error = format!("{error:#}"), "the job's log could not be written");
            }
            pass(Point::NotifierLogged).await;
        }
        self.insist(assignment, &outcome).await;
        pass(Point::NotifierSettled).await;
    }

    /// One attempt.
    async fn deliver(&self, taken: &TakenJob) -> Outcome {
        let (errand, body, problem) = match FinishedJob::parse(&taken.data) {
            Ok(job) => (job.errand.clone(), Body::of(&job), String::new()),
            Err(invalid) => (invalid.errand.clone(), Body::of_invalid(&invalid), invalid.to_string()),
        };
        let work_id = errand.work_id_shown();
        for change in &body.changes {
            warn!(job_id = %taken.id, work_id, "{change}");
        }
        let Some(callback) = &errand.callback else {
            return Step::Fail { why: format!("the result cannot be delivered: {problem}") }.into();
        };
        let Some(visit) = self.receivers.visit(origin(callback)) else {
            let delay = TURN.0.saturating_mul(1 << taken.retries.min(10)).min(TURN.1);
            let why = format!("{} does not answer, and other results are waiting for it", shown(callback));
            debug!(job_id = %taken.id, work_id, error = why, "a result waits for its turn");
            return Step::AwaitTurn { delay: delay.mul_f64(1.0 + JITTER * fastrand::f64()), why }.into();
        };
        pass(Point::NotifierPosting).await;
        let (at, started) = (Timestamp::now(), Instant::now());
        let webhook_id = webhook_id(&self.instance, &taken.id, taken.timestamp);
        let delivery = self.courier.deliver(callback, &webhook_id, body.bytes).await;
        pass(Point::NotifierAnswered).await;
        visit.learn(matches!(delivery, Delivery::TimedOut { .. }));
        let (took, callback) = (started.elapsed(), shown(callback));
        let ms = took.as_millis();
        let entry = |status, said| {
            let (attempt, attempts) = (taken.attempts_made + 1, taken.attempts);
            Entry { at, attempt, attempts, took, status, said }
        };
        match delivery {
            Delivery::Delivered { status } => {
                info!(job_id = %taken.id, work_id, status, ms, "result delivered");
                let said = format!("Notification sent to {callback} at {:.3}", Timestamp::now());
                Outcome::of(Step::Complete { said }, &entry(Some(status), Said::Delivered(String::new())))
            }
            failed => {
                let why = format!("{failed}; callback {callback}");
                let entry = entry(failed.status(), Said::Failed(why.clone()));
                let step = if failed.may_heal() {
                    let wish = failed.retry_after().unwrap_or_default();
                    after_failure(taken, wish, why, fastrand::f64())
                } else {
                    Step::Fail { why }
                };
                if let Step::RetryLater { delay, why } = &step {
                    warn!(job_id = %taken.id, work_id, ms, error = why, attempt = entry.attempt,
                        attempts = taken.attempts, retry_in_ms = delay.as_millis(),
                        "result not delivered, tried again later");
                }
                Outcome::of(step, &entry)
            }
        }
    }

    /// Repeats a step until Redis answers or the lock is lost; then others deliver it again.
    async fn insist(&self, assignment: &Assignment, outcome: &Outcome) {
        let taken = &assignment.job;
        let mut backoff = Backoff::new(INSIST.0, INSIST.1);
        loop {
            match self.take_step(taken, outcome).await {
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

    async fn take_step(&self, taken: &TakenJob, outcome: &Outcome) -> Result<Settled, QueueError> {
        match &outcome.step {
            Step::Complete { said } => {
                let keep = Keep::Count(self.retention.completed);
                self.queue.complete_and_log(taken, raw(said.as_str()).get(), keep, &outcome.line).await
            }
            Step::RetryLater { delay, why } => {
                self.queue.retry_later(taken, *delay, why, RetryCount::Attempt).await
            }
            Step::AwaitTurn { delay, why } => {
                self.queue.retry_later(taken, *delay, why, RetryCount::Free).await
            }
            Step::Fail { why } => self.dead_letters.bury(taken, why).await,
        }
    }
}

/// An attempt whose panic counts as its failure: it harms this result only, and not for ever.
async fn panics_caught(taken: &TakenJob, attempt: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| {
        let why = "an internal error of the runner; its log says more".to_owned();
        after_failure(taken, Duration::ZERO, why, fastrand::f64()).into()
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{JobId, LockToken};
    use crate::queue::{BackoffKind, BackoffOption};

    fn taken(attempts_made: u32) -> TakenJob {
        TakenJob {
            id: JobId::new("j"),
            name: String::new(),
            data: String::new(),
            timestamp: 0,
            attempts_made,
            attempts: 3,
            backoff: Some(BackoffOption { kind: BackoffKind::Exponential, delay_ms: 5000.0, jitter: 0.0 }),
            generation: 0,
            stalled: 0,
            deferred_failure: None,
            tried_for: Duration::ZERO,
            taken_at: tokio::time::Instant::now(),
            retries: 0,
            token: LockToken::unique(),
            retention: crate::queue::JobRetention::default(),
            lifo: false,
            priority: 0,
            settlement: crate::queue::Settlement::default(),
        }
    }

    #[test]
    fn waits_double_vary_and_are_never_shorter_than_the_receiver_wishes() {
        let wait = |made, wish, chance| match after_failure(&taken(made), wish, String::new(), chance) {
            Step::RetryLater { delay, .. } => Some(delay.as_millis()),
            _ => None,
        };
        assert_eq!(wait(0, Duration::ZERO, 0.0), Some(5000));
        assert_eq!(wait(1, Duration::ZERO, 0.5), Some(10_500));
        assert_eq!(wait(0, Duration::from_secs(60), 0.0), Some(60_000));
        assert_eq!(wait(2, Duration::from_secs(60), 0.0), None);
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt() {
        let Outcome { step, .. } = panics_caught(&taken(2), async { panic!("as the test wants") }).await;
        assert!(matches!(&step, Step::Fail { why } if why.contains("internal error")), "{step:?}");
    }
}
