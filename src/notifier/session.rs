//! One result: its body, its delivery, and what becomes of its job.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio::time::sleep;
use tracing::{debug, error, info, warn};

use super::dead_letters::DeadLetters;
use super::receivers::{Ended, PutBack, QUICK, Receivers, Visit};
use crate::backoff::Backoff;
use crate::callback::{Attempt, Body, Courier, Delivery, receiver, shown};
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

/// What all deliveries share.
pub(super) struct Session {
    queue: Queue,
    courier: Courier,
    receivers: Receivers,
    /// How long a job is put back before that counts as an attempt.
    patience: Duration,
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
    /// The receiver has as many deliveries as it may have now: no attempt was made.
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
        let patience = courier.timeout() * 2;
        let receivers = Receivers::new(concurrency);
        Self { queue, courier, receivers, patience, instance, retention, dead_letters }
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
        let outcome = panics_caught(taken, self.deliver(assignment)).await;
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
    async fn deliver(&self, assignment: &Assignment) -> Outcome {
        let taken = &assignment.job;
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
        let visit = match self.receivers.turn(&receiver(callback)).await {
            Ok(visit) => visit,
            Err(PutBack { delay, hung }) => {
                if answers_nobody(taken.tried_for, hung, self.patience) {
                    return unasked(taken, &work_id, &shown(callback));
                }
                let why = format!("{} is slow to answer, and other results go first", shown(callback));
                debug!(job_id = %taken.id, work_id, error = why, "a result waits for its turn");
                let left = self.patience.saturating_sub(taken.tried_for);
                let delay =
                    if hung.is_some() && !left.is_zero() { delay.min(left.max(QUICK)) } else { delay };
                return Step::AwaitTurn { delay: delay.mul_f64(1.0 + JITTER * fastrand::f64()), why }.into();
            }
        };
        pass(Point::NotifierPosting).await;
        let webhook_id = webhook_id(&self.instance, &taken.id, taken.timestamp);
        let posting = self.courier.deliver(callback, &webhook_id, body.bytes);
        let attempt = making_room(assignment, visit, posting).await;
        pass(Point::NotifierAnswered).await;
        after_attempt(taken, &work_id, &shown(callback), &attempt)
    }

    /// Repeats a step until Redis answers or the lock is lost; then others deliver it again.
    async fn insist(&self, assignment: &Assignment, outcome: &Outcome) {
        let taken = &assignment.job;
        let mut backoff = Backoff::new(INSIST.0, INSIST.1);
        loop {
            match self.take_step(taken, outcome).await {
                // A result is never cancelled.
                Ok(Settled::Done | Settled::Already | Settled::Cancelled) => return,
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
                self.queue.retry_later(taken, *delay, why, RetryCount::Untried).await
            }
            Step::Fail { why } => self.dead_letters.bury(taken, why).await,
        }
    }
}

/// What follows from an attempt.
fn after_attempt(taken: &TakenJob, work_id: &str, callback: &str, attempt: &Attempt) -> Outcome {
    let ms = attempt.took.as_millis();
    let entry = |said| {
        let (number, attempts) = (taken.attempts_made + 1, taken.attempts);
        Entry {
            at: attempt.at,
            attempt: number,
            attempts,
            took: attempt.took,
            status: attempt.status(),
            said,
        }
    };
    if let Delivery::Delivered { status, answer } = &attempt.delivery {
        info!(job_id = %taken.id, work_id, status, ms, answer, "result delivered");
        let said = format!("Notification sent to {callback} at {:.3}", Timestamp::now());
        return Outcome::of(Step::Complete { said }, &entry(Said::Delivered(answer.clone())));
    }
    let why = format!("{}; callback {callback}", attempt.delivery);
    let entry = entry(Said::Failed(why.clone()));
    let step = if attempt.is_final() {
        Step::Fail { why }
    } else {
        after_failure(taken, attempt.retry_after().unwrap_or_default(), why, fastrand::f64())
    };
    if let Step::RetryLater { delay, why } = &step {
        warn!(job_id = %taken.id, work_id, ms, error = why, attempt = entry.attempt,
            attempts = taken.attempts, retry_in_ms = delay.as_millis(),
            "result not delivered, tried again later");
    }
    Outcome::of(step, &entry)
}

/// Whether a job that gets no turn was put back for so long that this counts as an attempt. Only where its receiver was
/// asked meanwhile, in the name of another job, and did not answer: else nobody knows that it would not.
fn answers_nobody(put_back_for: Duration, hung: Option<Duration>, patience: Duration) -> bool {
    put_back_for >= patience && hung.is_some_and(|ago| ago <= put_back_for)
}

/// What follows from an attempt that was not worth making. So a job ends when its attempts say, however many there are
/// for a receiver that answers nobody.
fn unasked(taken: &TakenJob, work_id: &str, callback: &str) -> Outcome {
    let waited = taken.tried_for.as_secs();
    let why = format!(
        "the receiver answers nobody: this result was not sent, since others timed out in the {waited} s that it waited \
         for its turn; callback {callback}"
    );
    let (attempt, attempts) = (taken.attempts_made + 1, taken.attempts);
    let said = Said::Failed(why.clone());
    let entry = Entry { at: Timestamp::now(), attempt, attempts, took: Duration::ZERO, status: None, said };
    warn!(job_id = %taken.id, work_id, error = why, attempt, attempts, "result not sent: its receiver answers nobody");
    Outcome::of(after_failure(taken, Duration::ZERO, why, fastrand::f64()), &entry)
}

/// Waits for an attempt to end. For as long as it has no answer its slot is given to others, as far as there is room.
async fn making_room(
    assignment: &Assignment,
    mut visit: Visit<'_>,
    posting: impl Future<Output = Attempt>,
) -> Attempt {
    let mut posting = std::pin::pin!(posting);
    if visit.is_aside() {
        assignment.make_room();
    }
    let attempt = loop {
        tokio::select! {
            biased;
            attempt = &mut posting => break attempt,
            () = sleep(QUICK), if !visit.is_aside() => if visit.step_aside() {
                assignment.make_room();
            },
        }
    };
    let answered = match attempt.delivery {
        Delivery::TimedOut { .. } => false,
        // No route, no address: what takes long to say so hangs as well.
        Delivery::Unreachable { .. } => attempt.took < QUICK,
        _ => true,
    };
    visit.learn(if answered { Ended::Answered } else { Ended::Hung }, attempt.took);
    attempt
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
            backoff: Some(BackoffOption {
                kind: BackoffKind::Exponential,
                delay_ms: 5000.0,
                jitter: 0.0,
                schedule: Vec::new(),
            }),
            generation: 0,
            stalled: 0,
            deferred_failure: None,
            tried_for: Duration::ZERO,
            taken_at: tokio::time::Instant::now(),
            retries: 0,
            cancelled: false,
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

    #[test]
    fn to_be_put_back_counts_once_it_took_too_long_and_the_receiver_answered_nobody_meanwhile() {
        let seconds = Duration::from_secs;
        for (put_back_for, hung, counts) in [
            (20, Some(3), true),
            (19, Some(3), false),
            (20, None, false),
            (20, Some(21), false),
            (90, Some(80), true),
        ] {
            assert_eq!(
                answers_nobody(seconds(put_back_for), hung.map(seconds), seconds(20)),
                counts,
                "{put_back_for} {hung:?}"
            );
        }
        let Outcome { step, line } = unasked(&taken(1), "w", "http://h/");
        assert!(matches!(step, Step::RetryLater { .. }) && line.contains("Attempt 2 of 3"), "{line}");
        let Outcome { step, .. } = unasked(&taken(2), "w", "http://h/");
        assert!(matches!(&step, Step::Fail { why } if why.contains("answers nobody")), "{step:?}");
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt() {
        let Outcome { step, .. } = panics_caught(&taken(2), async { panic!("as the test wants") }).await;
        assert!(matches!(&step, Step::Fail { why } if why.contains("internal error")), "{step:?}");
    }
}
