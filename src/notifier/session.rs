//! One result: its body, its delivery, and what becomes of its job.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{Instrument, debug, error, warn};

use super::dead_letters::DeadLetters;
use super::outcome::{Called, JITTER, Outcome, Step, after_attempt, answers_nobody, panics_caught, unasked};
use super::receivers::{Ended, LONGEST, PutBack, QUICK, Receivers, SOON, Until, Visit};
use super::tally;
use crate::backoff::Backoff;
use crate::callback::{Attempt, Body, Courier, Delivery, receiver, shown};
use crate::concern::Concern;
use crate::config::Retention;
use crate::crash_points::{Point, pass};
use crate::fields::raw;
use crate::heartbeat::{self, bounded};
use crate::identity::{CorrectionId, InstanceId, webhook_id};
use crate::job::FinishedJob;
use crate::metrics::Metrics;
use crate::queue::{Assignment, Due, Keep, Queue, QueueError, Settled, TakenJob, Turns};

/// The first and the longest wait between two tries to tell Redis what became of a job.
const INSIST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));
/// Those that timed out together are settled within a fifth of their time-out, and within this. Their attempts are in
/// the ledger before.
const LONGEST_SPREAD: Duration = Duration::from_secs(1);
/// How often it is tried to call jobs forth.
const CALLS: u32 = 2;

/// What all deliveries share.
pub(super) struct Session {
    queue: Queue,
    turns: Turns,
    courier: Courier,
    pub(super) receivers: Receivers,
    /// How long a job is put back before that counts as an attempt.
    patience: Duration,
    instance: InstanceId,
    retention: Retention,
    dead_letters: DeadLetters,
    metrics: Metrics,
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
        let turns = Turns::of(queue.clone());
        let metrics = heartbeat::metrics();
        Self { queue, turns, courier, receivers, patience, instance, retention, dead_letters, metrics }
    }

    /// Delivers one result and settles its job, for as long as that makes headway.
    pub async fn handle(&self, assignment: Assignment) {
        let taken = &assignment.job;
        // Its id is the correction's, but for results of the original's components.
        let correction = CorrectionId::of_finished(&webhook_id(&self.instance, &taken.id, taken.timestamp));
        let concern = Concern::of("notifier", &taken.id, &correction);
        let work = async {
            if let Err(stuck) = bounded(self.work_on(&assignment)).await {
                // As after a crash: the job goes back in line.
                error!(error = %stuck, "a delivery was given up: its result is taken anew");
            }
        };
        work.instrument(concern.span()).await;
    }

    async fn work_on(&self, assignment: &Assignment) {
        pass(Point::NotifierTaken).await;
        let taken = &assignment.job;
        if let Some(reason) = &taken.deferred_failure {
            // It says that earlier notifiers lost the job, and nothing of the receiver.
            warn!(reason, "a result that stalled too often is delivered all the same");
        }
        let outcome = panics_caught(taken, self.deliver(assignment)).await;
        if let (Step::RetryLater { .. } | Step::Fail { .. }, false) = (&outcome.step, outcome.logs_with_it) {
            if let Err(error) = self.queue.log(&taken.id, &outcome.line).await {
                debug!(error = format!("{error:#}"), "the job's log could not be written");
            }
            pass(Point::NotifierLogged).await;
        }
        if let Some(Called { after, .. }) = outcome.called {
            let _ = assignment.lost.run_until_cancelled(sleep(after)).await;
        }
        let settled = self.insist(assignment, &outcome).await;
        pass(Point::NotifierSettled).await;
        let is_put_back = matches!(settled, Some(Settled::Done | Settled::Already));
        if let (Step::AwaitTurn { due, called_by: Some(receiver) }, true) = (&outcome.step, is_put_back) {
            self.call_forth(receiver, self.receivers.park(receiver, due.clone())).await;
        }
        if let Some(Called { receiver, jobs, .. }) = outcome.called {
            self.call_forth(&receiver, jobs).await;
        }
    }

    /// One attempt.
    async fn deliver(&self, assignment: &Assignment) -> Outcome {
        let taken = &assignment.job;
        let (errand, body, problem) = match FinishedJob::parse(&taken.data) {
            Ok(job) => (job.errand.clone(), Body::of(&job), String::new()),
            Err(invalid) => (invalid.errand.clone(), Body::of_invalid(&invalid), invalid.to_string()),
        };
        Concern::current().work(&errand);
        for change in &body.changes {
            warn!("{change}");
        }
        let Some(callback) = &errand.callback else {
            return Step::Fail { why: format!("the result cannot be delivered: {problem}") }.into();
        };
        let visit = match self.receivers.turn(&receiver(callback)).await {
            Ok(visit) => visit,
            Err(put_back) => return self.wait_for_turn(taken, callback, put_back),
        };
        pass(Point::NotifierPosting).await;
        let webhook_id = webhook_id(&self.instance, &taken.id, taken.timestamp);
        let posting = self.courier.deliver(callback, &webhook_id, body.bytes);
        let (attempt, called) = making_room(assignment, visit, posting, self.courier.timeout()).await;
        pass(Point::NotifierAnswered).await;
        tally::attempted(taken, &attempt, &self.metrics);
        Outcome { called: Some(called), ..after_attempt(taken, &shown(callback), &attempt) }
    }

    /// No attempt now.
    fn wait_for_turn(&self, taken: &TakenJob, callback: &str, put_back: PutBack) -> Outcome {
        if answers_nobody(taken.tried_for, &put_back, self.patience) {
            return unasked(taken, &shown(callback));
        }
        let PutBack { until, hung, .. } = put_back;
        let left = self.patience.saturating_sub(taken.tried_for);
        let (due, called_by) = match until {
            Until::After(delay) => {
                let delay =
                    if hung.is_some() && !left.is_zero() { delay.min(left.max(QUICK)) } else { delay };
                (Due::after(delay.mul_f64(1.0 + JITTER * fastrand::f64()), &taken.id), None)
            }
            Until::Called => {
                let at_least = if left.is_zero() { self.patience } else { left };
                let due = self.receivers.place_in_line(&taken.id, at_least.clamp(QUICK, LONGEST));
                (due, Some(receiver(callback)))
            }
        };
        debug!(
            callback = shown(callback),
            due = due.at,
            hung = hung.is_some(),
            called = called_by.is_some(),
            "a result waits for its turn"
        );
        Step::AwaitTurn { due, called_by }.into()
    }

    /// Lets jobs of a receiver come now that wait to be called. What is not called comes when it is due, or when the
    /// next delivery has ended.
    async fn call_forth(&self, receiver: &str, jobs: Vec<Due>) {
        if jobs.is_empty() {
            return;
        }
        for _ in 0..CALLS {
            match self.turns.call_forth(&jobs).await {
                Ok(_) => return,
                Err(error) => debug!(
                    error = format!("{error:#}"),
                    count = jobs.len(),
                    "results that wait were not called forth"
                ),
            }
        }
        self.receivers.park_again(receiver, jobs);
    }

    /// Repeats a step until Redis answers or the lock is lost; then others deliver it again.
    async fn insist(&self, assignment: &Assignment, outcome: &Outcome) -> Option<Settled> {
        let taken = &assignment.job;
        let mut backoff = Backoff::new(INSIST.0, INSIST.1);
        loop {
            match self.take_step(taken, outcome).await {
                // A result is never cancelled.
                Ok(settled @ (Settled::Done | Settled::Already | Settled::Cancelled)) => {
                    return Some(settled);
                }
                Ok(Settled::Lost) => {
                    warn!("the lock of a result was lost: it may be delivered again");
                    return Some(Settled::Lost);
                }
                Err(error) => warn!(
                    error = format!("{error:#}"),
                    "Redis could not be told yet what became of a delivery"
                ),
            }
            let wait = sleep(backoff.next_delay());
            assignment.lost.run_until_cancelled(wait).await?;
        }
    }

    async fn take_step(&self, taken: &TakenJob, outcome: &Outcome) -> Result<Settled, QueueError> {
        match &outcome.step {
            Step::Complete { said } => {
                let keep = Keep::Count(self.retention.completed);
                self.queue.complete_and_log(taken, raw(said.as_str()).get(), keep, &outcome.line).await
            }
            Step::RetryLater { delay, why } => {
                let line = if outcome.logs_with_it { outcome.line.as_str() } else { "" };
                self.queue.retry_and_log(taken, *delay, why, line).await
            }
            Step::AwaitTurn { due, .. } => self.turns.put_back(taken, due.clone()).await,
            Step::Fail { why } => self.dead_letters.bury(taken, why).await,
        }
    }
}

/// Waits for an attempt to end; answers also what its end calls forth. For as long as it has no answer its slot is
/// given to others, as far as there is room.
async fn making_room(
    assignment: &Assignment,
    mut visit: Visit<'_>,
    posting: impl Future<Output = Attempt>,
    timeout: Duration,
) -> (Attempt, Called) {
    let mut posting = std::pin::pin!(posting);
    if visit.is_aside() {
        assignment.make_room();
    }
    let began = Instant::now();
    let attempt = loop {
        let pause = if began.elapsed() < QUICK { SOON } else { QUICK };
        tokio::select! {
            biased;
            attempt = &mut posting => break attempt,
            () = sleep(pause), if !visit.is_settled() => {
                let was_aside = visit.is_aside();
                if visit.step_aside_after(began.elapsed()) && !was_aside {
                    assignment.make_room();
                }
            }
        }
    };
    let ended = how_it_ended(&attempt);
    let after = settled_after(ended, visit.is_aside(), timeout, fastrand::f64());
    let receiver = visit.receiver().to_owned();
    let jobs = visit.end(ended, attempt.took);
    (attempt, Called { receiver, jobs, after })
}

fn how_it_ended(attempt: &Attempt) -> Ended {
    match attempt.delivery {
        Delivery::TimedOut { .. } => Ended::Hung,
        // No route, no address: what takes long to say so hangs as well. What took the request and broke off does not.
        Delivery::Unreachable { connected: false, .. } if attempt.took >= QUICK => Ended::Hung,
        _ => Ended::Answered,
    }
}

/// How much later than its end a delivery's job is settled, and others are called forth for it. Many may have timed out
/// in the same moment; what follows from that does not come in one as well. A slot does not wait for that. `chance` is
/// a random number in 0..1.
fn settled_after(ended: Ended, was_aside: bool, timeout: Duration, chance: f64) -> Duration {
    match (ended, was_aside) {
        (Ended::Hung, true) => (timeout / 5).min(LONGEST_SPREAD).mul_f64(chance),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn only_what_nobody_took_for_long_hangs_and_what_was_taken_and_broke_off_does_not() {
        let broken = |connected| Delivery::Unreachable { reason: "broken".into(), connected };
        let forbidden = Delivery::Forbidden { reason: "denied".into() };
        for (delivery, at_once, late) in [
            (Delivery::TimedOut { after: QUICK }, Ended::Hung, Ended::Hung),
            (broken(false), Ended::Answered, Ended::Hung),
            (broken(true), Ended::Answered, Ended::Answered),
            (Delivery::Delivered { status: 200, answer: String::new() }, Ended::Answered, Ended::Answered),
            (forbidden, Ended::Answered, Ended::Answered),
        ] {
            for (took, expected) in [(QUICK / 2, at_once), (QUICK, late)] {
                let attempt = Attempt { at: Timestamp::UNIX_EPOCH, took, delivery: delivery.clone() };
                assert_eq!(how_it_ended(&attempt), expected, "{attempt:?}");
            }
        }
    }

    #[test]
    fn what_times_out_aside_is_settled_at_different_times_and_all_else_at_once() {
        for (ended, was_aside, timeout_ms, chance, after_ms) in [
            (Ended::Hung, true, 2000, 0.0, 0),
            (Ended::Hung, true, 2000, 0.5, 200),
            (Ended::Hung, true, 60_000, 1.0, 1000),
            (Ended::Hung, false, 2000, 0.5, 0),
            (Ended::Answered, true, 2000, 0.5, 0),
            (Ended::Answered, false, 2000, 0.5, 0),
        ] {
            let after = settled_after(ended, was_aside, Duration::from_millis(timeout_ms), chance);
            assert_eq!(after, Duration::from_millis(after_ms), "{ended:?} {was_aside}");
        }
    }
}
