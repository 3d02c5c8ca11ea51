//! Following a submission through the queues to its result.

use std::io;
use std::time::{Duration, Instant};

use crate::fields::raw;
use crate::identity::{CorrectionId, JobId, LockToken};
use crate::job::FinishedJob;
use crate::queue::State;
use crate::tools::Answer;
use crate::tools::corrections::{Found, Stage, successor};
use crate::tools::premises::{Place, Refused};
use crate::tools::trial::Signals;

/// The first and the longest pause between two looks.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// How long a notifier may take to deliver to us before the result is taken back.
const DELIVERY: Duration = Duration::from_secs(10);
/// How long it is tried to take it back while a notifier has it in hand.
const TAKING_BACK: Duration = Duration::from_secs(30);
/// After so long without a trace of a job it is looked for by its `work_id`.
const UNSEEN: Duration = Duration::from_secs(1);
/// After so long it is gone.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// A result.
pub(super) struct Ended {
    pub job: JobId,
    pub correction: CorrectionId,
    pub result: FinishedJob,
}

impl Ended {
    /// The exit code.
    pub fn answer(&self) -> Answer {
        if self.result.error {
            return Answer::Broken;
        }
        let verdict: Option<serde_json::Value> = serde_json::from_str(self.result.correction_data.get()).ok();
        let success =
            verdict.as_ref().and_then(|verdict| verdict.get("success")).and_then(serde_json::Value::as_bool);
        if success == Some(true) { Answer::Yes } else { Answer::No }
    }

    pub fn for_programs(&self) -> &'static str {
        match self.answer() {
            Answer::Yes => "success",
            Answer::No => "failure",
            _ => "error",
        }
    }
}

/// How a wait ended.
pub(super) enum Waited {
    Ended(Box<Ended>),
    /// It has ended, and its result is nowhere.
    Forgotten,
    NotYet,
}

/// Waits for the result of a pending job; tells its state at each look.
pub(super) async fn until_ended(
    place: &Place,
    (mut job, mut correction, timestamp): (JobId, CorrectionId, u64),
    until: Instant,
    mut tell: impl FnMut(&str) -> io::Result<()>,
) -> Result<Waited, Refused> {
    let mut pause = LOOKS.0;
    let mut last: Option<Found> = None;
    let mut unseen_since: Option<Instant> = None;
    loop {
        let mut found = look(place, &job, &correction).await?;
        // Its ids tell nothing where a component of the original handed it on.
        if let (None, Some(last)) = (&found, &last)
            && unseen_since.is_some_and(|since| since.elapsed() >= UNSEEN)
        {
            found = successor(place, last).await?;
        }
        match found {
            Some(Found { record, correction, result: Some(result), .. }) => {
                return Ok(Waited::Ended(Box::new(Ended { job: record.id, correction, result })));
            }
            Some(found) => {
                tell(found.state())?;
                // One that was found by what its caller sent is found so again.
                if found.correction == correction {
                    unseen_since = None;
                }
                last = Some(found);
            }
            // One that the Docker host failed is run again, under ids that come of the old ones.
            None => {
                let again = JobId::new(format!("rerun-of-{correction}"));
                if place.pending.record(&again).await?.is_some() {
                    correction = CorrectionId::derive(&place.instance, &again, timestamp, 0);
                    job = again;
                    continue;
                }
                if unseen_since.get_or_insert_with(Instant::now).elapsed() >= LOST_AFTER {
                    return Ok(Waited::Forgotten);
                }
            }
        }
        if Instant::now() >= until {
            return Ok(Waited::NotYet);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOKS.1);
    }
}

/// Where a correction stands by its ids, if it has not ended without a trace.
async fn look(place: &Place, job: &JobId, correction: &CorrectionId) -> Result<Option<Found>, Refused> {
    let id = correction.job_id();
    for (stage, id) in [(Stage::Finished, &id), (Stage::Running, &id), (Stage::Pending, job)] {
        if let Some((record, _)) = stage.queue(place).record(id).await? {
            let found = Found::of(stage, record, place);
            if stage == Stage::Finished || found.is_open() {
                return Ok(Some(found));
            }
        }
    }
    Ok(None)
}

/// What became of a result that is for us alone.
pub(super) enum Settled {
    Delivered,
    /// It was taken from the queue, so that it becomes no dead letter. Why its delivery failed before; empty where
    /// none did.
    TakenBack(String),
    /// A notifier has it in hand for a long time.
    InHand,
}

/// Waits until a result that is for us alone has been delivered, or takes it back: soon, where that is asked for by a
/// signal.
pub(super) async fn until_settled(place: &Place, job: &JobId, signals: &Signals) -> Result<Settled, Refused> {
    let (begun, token) = (Instant::now(), LockToken::unique());
    let said = raw("Its submitter took the result from the queue");
    let (mut pause, mut why) = (LOOKS.0, String::new());
    while begun.elapsed() < DELIVERY {
        let Some((record, _)) = place.finished.record(job).await? else { return Ok(Settled::Delivered) };
        why = record.failed_reason;
        match record.state {
            State::Completed => return Ok(Settled::Delivered),
            // A first attempt failed: the next ones will. Or its notifier may not deliver to us.
            State::Delayed | State::Failed => break,
            State::Waiting | State::Prioritized | State::Active => {}
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = signals.asked() => break,
        }
        pause = (pause * 2).min(LOOKS.1);
    }
    let (begun, keep) = (Instant::now(), place.common.retention.completed);
    while begun.elapsed() < TAKING_BACK {
        if place.finished.withdraw(job, &token, said.get(), keep).await? {
            return Ok(Settled::TakenBack(why));
        }
        // A notifier has it in hand, and tries.
        tokio::time::sleep(LOOKS.1).await;
    }
    Ok(Settled::InHand)
}
