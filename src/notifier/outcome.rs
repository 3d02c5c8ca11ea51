//! What becomes of a result after an attempt, or without one.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tracing::{info, warn};

use super::receivers::PutBack;
use crate::callback::{Attempt, Delivery};
use crate::ledger::{Entry, Said};
use crate::queue::{Due, TakenJob};

/// The part of a wait that is added by chance, so that what failed together is not tried together.
pub(super) const JITTER: f64 = 0.1;

/// What becomes of a job, and the line of its log that tells of the attempt.
pub(super) struct Outcome {
    pub step: Step,
    pub line: String,
    /// Whether the line is written along with the step, or was before it.
    pub logs_with_it: bool,
    /// Which other jobs are to come forth for it.
    pub called: Option<Called>,
}

/// Jobs that come forth since a delivery has ended.
pub(super) struct Called {
    /// Whose they are.
    pub receiver: String,
    pub jobs: Vec<Due>,
    /// How much later than its end; its own job is settled just before.
    pub after: Duration,
}

impl Outcome {
    fn of(step: Step, entry: &Entry) -> Self {
        Self { step, line: entry.to_string(), logs_with_it: false, called: None }
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
        Self { step, line, logs_with_it: false, called: None }
    }
}

/// What becomes of a job.
#[derive(Debug)]
pub(super) enum Step {
    Complete {
        said: String,
    },
    RetryLater {
        delay: Duration,
        why: String,
    },
    /// The receiver has as many deliveries as it may have now: no attempt was made.
    AwaitTurn {
        due: Due,
        /// Whose deliveries call it forth when they end.
        called_by: Option<String>,
    },
    Fail {
        why: String,
    },
}

/// What follows from an attempt.
pub(super) fn after_attempt(taken: &TakenJob, callback: &str, attempt: &Attempt) -> Outcome {
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
        info!(status, ms, answer, "result delivered");
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
        warn!(
            ms,
            error = why,
            attempt = entry.attempt,
            attempts = taken.attempts,
            retry_in_ms = delay.as_millis(),
            "result not delivered, tried again later"
        );
    }
    Outcome::of(step, &entry)
}

/// For so many times the patience a receiver that answered anybody is taken for one that may answer.
const TRUSTED: u32 = 5;

/// Whether a job that gets no turn was put back for so long that this counts as an attempt. Only where its receiver was
/// asked meanwhile, in the name of another job, and did not answer: else nobody knows that it would not. And only where
/// it answered none of late: it may be that only some of its paths hang.
pub(super) fn answers_nobody(put_back_for: Duration, put_back: &PutBack, patience: Duration) -> bool {
    put_back_for >= patience
        && put_back.hung.is_some_and(|ago| ago <= put_back_for)
        && put_back.answered.is_none_or(|ago| ago > patience * TRUSTED)
}

/// What follows from an attempt that was not worth making. So a job ends when its attempts say, however many there are
/// for a receiver that answers nobody.
pub(super) fn unasked(taken: &TakenJob, callback: &str) -> Outcome {
    let waited = taken.tried_for.as_secs();
    let why = format!(
        "the receiver answers nobody: this result was not sent, since others timed out in the {waited} s that it waited \
         for its turn; callback {callback}"
    );
    let (attempt, attempts) = (taken.attempts_made + 1, taken.attempts);
    let said = Said::Failed(why.clone());
    let entry = Entry { at: Timestamp::now(), attempt, attempts, took: Duration::ZERO, status: None, said };
    warn!(error = why, attempt, attempts, "result not sent: its receiver answers nobody");
    let step = after_failure(taken, Duration::ZERO, why, fastrand::f64());
    let logs_with_it = matches!(step, Step::RetryLater { .. });
    Outcome { logs_with_it, ..Outcome::of(step, &entry) }
}

/// An attempt whose panic counts as its failure: it harms this result only, and not for ever.
pub(super) async fn panics_caught(taken: &TakenJob, attempt: impl Future<Output = Outcome>) -> Outcome {
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
    use crate::notifier::receivers::Until;
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
            takes_before: 0,
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
        for (put_back_for, hung, answered, counts) in [
            (20, Some(3), None, true),
            (19, Some(3), None, false),
            (20, None, None, false),
            (20, Some(21), None, false),
            (90, Some(80), None, true),
            // One that answered somebody may hang for some of its paths only.
            (90, Some(3), Some(5), false),
            (20, Some(3), Some(99), false),
            (20, Some(3), Some(101), true),
        ] {
            let (hung, answered) = (hung.map(seconds), answered.map(seconds));
            let put_back = PutBack { until: Until::Called, hung, answered };
            let told = answers_nobody(seconds(put_back_for), &put_back, seconds(20));
            assert_eq!(told, counts, "{put_back_for} {put_back:?}");
        }
        let Outcome { step, line, .. } = unasked(&taken(1), "http://h/");
        assert!(matches!(step, Step::RetryLater { .. }) && line.contains("Attempt 2 of 3"), "{line}");
        let Outcome { step, .. } = unasked(&taken(2), "http://h/");
        assert!(matches!(&step, Step::Fail { why } if why.contains("answers nobody")), "{step:?}");
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_attempt() {
        let Outcome { step, .. } = panics_caught(&taken(2), async { panic!("as the test wants") }).await;
        assert!(matches!(&step, Step::Fail { why } if why.contains("internal error")), "{step:?}");
    }
}
