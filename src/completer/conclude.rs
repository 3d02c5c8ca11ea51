//! Ending a correction: its result is made and handed over to `finished_corrections`, all or nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tracing::{debug, error, info, warn};

use crate::concern::Concern;
use crate::crash_points::{Point, pass};
use crate::docker::EngineError;
use crate::fields::raw;
use crate::identity::{ContainerId, CorrectionId, JobId};
use crate::job::{FINISHED_QUEUE, FinishedJob, InvalidJob, PENDING_QUEUE, RunningJob};
use crate::labels::Labels;
use crate::outcome::{Failure, Outcome};
use crate::queue::{
    Assignment, Conclusion, Finished, Keep, Leftover, NewJob, Queue, Settled, Standing, TakenJob,
};
use crate::rerun::Rerun;

use super::STAGE;
use super::cancelling::{cancelled, result_of_mark};
use super::collect::{Attempt, Ended, result_of};
use super::elsewhere::back_to_its_engine;
use super::inflight::{End, Finish};
use super::losses::{removed, vanished};
use super::removal::{Because, Removal};
use super::reruns::{self, Next, next_without_container};
use super::sealing::Sealing;
use super::session::Session;
use super::tally::Course;
use super::tries::{Reached, Tries};

/// How long ended running jobs stay in Redis: a day, so that an operator can see what happened.
pub const KEEP_RUNNING: Keep = Keep::Age(std::time::Duration::from_secs(24 * 60 * 60));

/// A running job that this completer owns.
#[derive(Debug)]
pub struct Held {
    /// The job and its lock.
    pub assignment: Assignment,
    /// What its data says.
    pub job: RunningJob,
    /// What was asked for, where the submission's file may have to be deleted in the end.
    pub asked: Option<Box<Rerun>>,
    /// Whose lines in the log are about it.
    pub concern: Concern,
    /// What is counted in the end.
    pub course: Course,
}

impl Held {
    /// For how long the record exists, by our clock.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        let now = Timestamp::now().as_millisecond().unsigned_abs();
        now.checked_sub(self.assignment.job.timestamp).map(Duration::from_millis)
    }
}

/// What a correction ends with: its result, or the pending job that runs it again.
type Last = Result<FinishedJob, Box<NewJob>>;

/// Makes the result of a held correction and hands it over. Also tells how far that came, and which container
/// can go.
pub async fn conclude(session: &Session, held: &Held, ended: &Ended) -> (Finish, Reached, Option<Removal>) {
    let heeds_mark = held.assignment.cancelled.is_cancelled();
    if heeds_mark {
        match result_of_mark(session, held, ended).await {
            Ok(Some(result)) => {
                return end(session, held, ended, (Ok(result), Reached::Nothing), heeds_mark).await;
            }
            Ok(None) => {}
            Err(unknown) => {
                let (finish, reached) = unknown.not_yet(session, held).await;
                return (finish, reached, None);
            }
        }
    }
    match last_of(session, held, ended).await {
        (Ok(last), reached) => end(session, held, ended, (last, reached), heeds_mark).await,
        (Err(finish), reached) => (finish, reached, None),
    }
}

/// What a correction ends with, or how far it came.
async fn last_of(session: &Session, held: &Held, ended: &Ended) -> (Result<Last, Finish>, Reached) {
    let (job, taken) = (&held.job, &held.assignment.job);
    let engine = job.origin.as_ref().map(|origin| &origin.engine);
    let Attempt { result, reached } =
        result_of(session.scene(), ended, engine, job.errand.clone(), &Sealing::of_job(job)).await;
    let result = match result {
        Ok(result) => result,
        Err(EngineError::Exchanged { .. }) => {
            let passed_on = back_to_its_engine(session, taken).await;
            return (Err(if passed_on { Finish::Settled } else { Finish::Again }), reached);
        }
        Err(error) => {
            warn!(error = format!("{error:#}"), "the result cannot be read yet");
            return (Err(Finish::Again), reached);
        }
    };
    pass(Point::CompleterCollected).await;
    let next = match result {
        Some(result) => reruns::next(session, &job.container, &job.correction(), result).await,
        None => without_container(session, held, &ended.end).await,
    };
    let last = match next {
        Next::Tell(result) => Ok(Ok(result)),
        Next::Again(next) => Ok(Err(next)),
        Next::Unknown(error) => {
            warn!(error, "it is not known yet whether a correction is run again");
            Err(Finish::Again)
        }
    };
    (last, reached)
}

/// Hands over what a correction ends with. `heeds_mark`: what a mark on it means for its result was decided already.
async fn end(
    session: &Session,
    held: &Held,
    ended: &Ended,
    (mut last, reached): (Last, Reached),
    heeds_mark: bool,
) -> (Finish, Reached, Option<Removal>) {
    let job = &held.job;
    if ended.end == End::Unstoppable {
        error!(
            "a container ran out of time, or was cancelled, and could not be stopped: the Docker host needs a look"
        );
    }
    if heeds_mark && last.is_err() {
        last = Ok(cancelled(held));
    }
    let leftover = (job.origin.is_none() && !ended.end.is_gone())
        .then(|| Leftover { engine: session.engine_id(), container: job.container.clone() });
    let mut settled = take_last_step(session, held, &last, leftover.as_ref(), heeds_mark).await;
    if settled == Some(Settled::Cancelled) {
        let of_mark = match &last {
            Ok(_) => result_of_mark(session, held, ended).await,
            Err(_) => Ok(Some(cancelled(held))),
        };
        match of_mark {
            Ok(result) => last = result.map_or(last, Ok),
            Err(unknown) => {
                let (finish, reached) = unknown.not_yet(session, held).await;
                return (finish, reached, None);
            }
        }
        settled = take_last_step(session, held, &last, leftover.as_ref(), true).await;
    }
    match settled {
        Some(Settled::Done | Settled::Already) => {
            session.witness.forget(&job.container);
            held.course.over(last.as_ref().ok(), held.age(), &session.metrics);
            match &last {
                Err(next) => warn!(
                    again = next.id.as_ref().map(JobId::as_str),
                    delay_ms = next.options.delay.as_millis(),
                    "the Docker host failed a correction: it is run again"
                ),
                Ok(result) => {
                    info!(outcome = result.outcome.as_deref().unwrap_or("verdict"), "correction completed");
                }
            }
            // One that was cancelled may be started by hand even now.
            let is_cancelled =
                matches!(&last, Ok(result) if result.outcome.as_deref() == Some(Outcome::Cancelled.as_str()));
            let force = ended.end == End::Unstoppable || is_cancelled;
            let removal = (!ended.end.is_gone()).then(|| Removal {
                container: job.container.clone(),
                force,
                because: Because::HandedOver(job.correction()),
                noted: leftover,
                concern: held.concern.clone(),
            });
            (Finish::Settled, reached, removal)
        }
        Some(Settled::Lost) => {
            debug!("another completer owns this correction now");
            (Finish::Settled, reached, None)
        }
        // Whoever knows of the mark is never answered so.
        Some(Settled::Cancelled) | None => (Finish::Again, reached, None),
    }
}

/// Hands over a result, or puts the correction back to be run again.
async fn take_last_step(
    session: &Session,
    held: &Held,
    last: &Last,
    leftover: Option<&Leftover>,
    heeds_mark: bool,
) -> Option<Settled> {
    let (taken, correction) = (&held.assignment.job, held.job.correction());
    match last {
        Err(next) => {
            pass(Point::CompleterRerunning).await;
            let settled = put_back(session, taken, &correction, next).await;
            pass(Point::CompleterReran).await;
            settled
        }
        Ok(result) => {
            let file = held.asked.as_ref().and_then(|asked| session.used_file(asked, result));
            let said = said("Correction completed");
            let conclusion = Conclusion {
                leaves: leftover,
                file: file.as_ref(),
                heeds_mark,
                ..Conclusion::of(&correction, said.get(), KEEP_RUNNING)
            };
            let settled = tell(session, taken, result, &conclusion).await;
            pass(Point::CompleterHandedOver).await;
            settled
        }
    }
}

/// What becomes of a correction whose container is not there any more. Where that was watched all the time, and where
/// an event tells it, somebody removed it; else it may be the host that lost it, and the correction is run again.
async fn without_container(session: &Session, held: &Held, end: &End) -> Next {
    let (job, taken) = (&held.job, &held.assignment.job);
    let age = held.age().unwrap_or_default();
    let recorded = session.engine.now().checked_sub(age).unwrap_or(Timestamp::MIN);
    if *end != End::Gone || session.outages.is_watched_from(recorded) {
        return Next::Tell(FinishedJob::of_failure(job.errand.clone(), &removed()));
    }
    let lost = FinishedJob::of_failure(job.errand.clone(), &vanished());
    match session.running.record(&taken.id).await {
        Ok(Some((record, _))) => {
            let asked = (record.data.as_str(), taken.name.as_str(), &job.errand);
            next_without_container(session.settings.reruns, asked, &job.correction(), lost)
        }
        Ok(None) => Next::Tell(lost),
        Err(error) => Next::Unknown(format!("{error:#}")),
    }
}

/// Whose data nobody can read has no correction's identity but this.
fn identity_of_refused(session: &Session, taken: &TakenJob) -> CorrectionId {
    let job = JobId::new(format!("running-{}", taken.id));
    CorrectionId::derive(&session.instance(), &job, taken.timestamp, taken.generation)
}

/// What is known of a running job whose data cannot be used.
pub fn concern_of_refused(session: &Session, taken: &TakenJob, invalid: &InvalidJob) -> Concern {
    let concern = Concern::of(STAGE, &taken.id, &identity_of_refused(session, taken));
    concern.work(&invalid.errand);
    concern
}

/// Hands a running job over whose data cannot be used: its caller is told so.
pub async fn refuse(session: &Session, taken: &TakenJob, invalid: &InvalidJob) {
    let failure = Failure::new(
        Outcome::InvalidJob,
        format!(
            "The correction's record in running_corrections cannot be used: {invalid}. The program that wrote it has to be mended."
        ),
    );
    warn!(error = %invalid, "a running job cannot be used");
    let result = FinishedJob::of_failure(invalid.errand.clone(), &failure);
    let correction = identity_of_refused(session, taken);
    let said = said("Correction refused");
    // Nothing of it was started by us, so that there is nothing to cancel.
    let conclusion = Conclusion { heeds_mark: true, ..Conclusion::of(&correction, said.get(), KEEP_RUNNING) };
    if let Some(Settled::Done | Settled::Already) = tell(session, taken, &result, &conclusion).await {
        Course::default().over(Some(&result), None, &session.metrics);
    }
}

/// Finishes a container whose record Redis lost, from its labels; `tries` = how often this was tried
/// before. Tells how far that came, and gives the container that can go.
pub async fn conclude_orphan(
    session: &Session,
    container: &ContainerId,
    labels: &Labels,
    tries: Tries,
) -> (Reached, Option<Removal>) {
    let ended = Ended {
        container: container.clone(),
        end: End::Found,
        timed_out: false,
        timeout: labels.timeout(),
        tries,
    };
    // It was listed by the engine that we knew then.
    let engine = session.engine_id();
    let (errand, sealing) = (labels.errand.clone(), Sealing::Known(labels.seal.clone()));
    let Attempt { result, reached } =
        result_of(session.scene(), &ended, Some(&engine), errand, &sealing).await;
    let result = match result {
        Ok(Some(result)) => result,
        // Only the container told of this correction: as if it had been removed before the list was made.
        // Whoever removed it did so because the result is safe, even if Redis has forgotten that by now.
        Ok(None) => {
            debug!("a container without a record is gone before it was read");
            return (reached, None);
        }
        Err(error) => {
            warn!(
                error = format!("{error:#}"),
                "the result of a container without a record cannot be read yet; the next sweep tries again"
            );
            return (reached, None);
        }
    };
    pass(Point::OrphanCollected).await;
    let (queue, job, file, told) = match reruns::next(session, container, &labels.correction, result).await {
        Next::Tell(result) => {
            let file = labels.rerun.as_ref().and_then(|asked| session.used_file(asked, &result));
            let job = session.finished_job(&labels.correction, &labels.name, &result);
            (FINISHED_QUEUE, job, file, Some(result))
        }
        Next::Again(next) => (PENDING_QUEUE, *next, None, None),
        Next::Unknown(error) => {
            debug!(error, "the next sweep tries again");
            return (reached, None);
        }
    };
    let finished = session.redis.end_orphan(labels, queue, &job, file.as_ref()).await;
    pass(Point::OrphanFinished).await;
    let removal = match finished {
        Ok(Finished::Added) => {
            session.witness.forget(container);
            Course::of_labels(labels, &session.metrics).over(told.as_ref(), None, &session.metrics);
            warn!(queue, "a container without a record was finished from its labels");
            let because = Because::HandedOver(labels.correction.clone());
            Some(Removal { concern: Concern::current(), ..Removal::of(container.clone(), because) })
        }
        Ok(Finished::Not(Standing::Done)) => {
            Some(Removal::of(container.clone(), Because::Done(Box::new(labels.clone()))))
        }
        Ok(Finished::Not(_)) => None,
        Err(error) => {
            warn!(
                error = format!("{error:#}"),
                "a container without a record could not be finished; the next sweep tries again"
            );
            None
        }
    };
    (reached, removal)
}

/// Hands a result over; `None` where Redis did not take it.
pub async fn tell(
    session: &Session,
    taken: &TakenJob,
    result: &FinishedJob,
    conclusion: &Conclusion<'_>,
) -> Option<Settled> {
    let next = session.finished_job(conclusion.correction, &taken.name, result);
    hand_over(session, taken, &session.finished, &next, conclusion).await
}

/// Puts a correction back to be run again; `None` where Redis did not take it.
async fn put_back(
    session: &Session,
    taken: &TakenJob,
    correction: &CorrectionId,
    next: &NewJob,
) -> Option<Settled> {
    let said = said("Correction put back to be run again");
    let conclusion = Conclusion::of(correction, said.get(), KEEP_RUNNING);
    hand_over(session, taken, &session.pending, next, &conclusion).await
}

/// Ends a running job with the next one; `None` where Redis did not take it.
pub async fn hand_over(
    session: &Session,
    taken: &TakenJob,
    to: &Queue,
    next: &NewJob,
    conclusion: &Conclusion<'_>,
) -> Option<Settled> {
    match session.running.conclude(taken, to, next, conclusion).await {
        Ok(settled) => Some(settled),
        Err(error) => {
            warn!(error = format!("{error:#}"), "a correction could not be handed over yet");
            None
        }
    }
}

/// What a running job returns, for people.
pub fn said(what: &str) -> Box<RawValue> {
    raw(format!("{what} at {:.3}", Timestamp::now()).as_str())
}
