//! Ending a correction: its result is made and handed over to `finished_corrections`, all or nothing.

use jiff::Timestamp;
use tracing::{debug, error, info, warn};

use crate::crash_points::{Point, pass};
use crate::fields::raw;
use crate::identity::{ContainerId, CorrectionId, JobId};
use crate::job::{FinishedJob, InvalidJob, RunningJob};
use crate::labels::Labels;
use crate::outcome::{Failure, Outcome};
use crate::queue::{Assignment, Finished, Keep, Settled, Standing, TakenJob};

use super::collect::{Ended, result_of};
use super::inflight::{End, Finish};
use super::removal::Removal;
use super::session::Session;
use super::work::Tries;

/// How long ended running jobs stay in Redis: a day, so that an operator can see what happened.
const KEEP_RUNNING: Keep = Keep::Age(std::time::Duration::from_secs(24 * 60 * 60));

/// A running job that this completer owns.
#[derive(Debug)]
pub struct Held {
    /// The job and its lock.
    pub assignment: Assignment,
    /// What its data says.
    pub job: RunningJob,
}

/// Makes the result of a held correction and hands it over. Also tells which container can go.
pub async fn conclude(session: &Session, held: &Held, ended: &Ended) -> (Finish, Option<Removal>) {
    let (job, taken) = (&held.job, &held.assignment.job);
    let work_id = job.errand.work_id_shown();
    let result = match result_of(session, ended, job.errand.clone()).await {
        Ok(result) => result,
        Err(error) => {
            warn!(job_id = %taken.id, container_id = %job.container, work_id, error = format!("{error:#}"),
                "the result cannot be read yet");
            return (Finish::Again, None);
        }
    };
    pass(Point::CompleterCollected).await;
    if ended.end == End::Unstoppable {
        error!(job_id = %taken.id, container_id = %job.container, work_id,
            "a container ran out of time and could not be stopped: the Docker host needs a look");
    }
    let settled = hand_over(session, taken, &job.correction(), &result).await;
    pass(Point::CompleterHandedOver).await;
    match settled {
        Some(Settled::Done | Settled::Already) => {
            info!(job_id = %taken.id, container_id = %job.container, work_id,
                outcome = result.outcome.as_deref().unwrap_or("verdict"), "correction completed");
            let removal = (ended.end != End::Gone)
                .then(|| Removal { container: job.container.clone(), force: ended.end == End::Unstoppable });
            (Finish::Settled, removal)
        }
        Some(Settled::Lost) => {
            debug!(job_id = %taken.id, container_id = %job.container, "another completer owns this correction now");
            (Finish::Settled, None)
        }
        None => (Finish::Again, None),
    }
}

/// Hands a running job over whose data cannot be used: its caller is told so.
pub async fn refuse(session: &Session, taken: &TakenJob, invalid: &InvalidJob) {
    let failure = Failure::new(
        Outcome::InvalidJob,
        format!(
            "The correction's record in running_corrections cannot be used: {invalid}. The program that wrote it has to be mended."
        ),
    );
    warn!(job_id = %taken.id, work_id = invalid.errand.work_id_shown(), error = %invalid,
        "a running job cannot be used");
    let result = FinishedJob::of_failure(invalid.errand.clone(), &failure);
    let correction = CorrectionId::derive(
        &session.instance(),
        &JobId::new(format!("running-{}", taken.id)),
        taken.timestamp,
        taken.generation,
    );
    hand_over(session, taken, &correction, &result).await;
}

/// Finishes a container whose record Redis lost, from its labels; `tries` = how often this was tried
/// before. Gives the container that can go.
pub async fn conclude_orphan(
    session: &Session,
    container: &ContainerId,
    labels: &Labels,
    tries: u32,
) -> Option<Removal> {
    let ended = Ended {
        container: container.clone(),
        end: End::Found,
        timed_out: false,
        timeout: labels.timeout(),
        // A panic is no answer either.
        tries: Tries { unanswered: tries, faults: 0 },
    };
    let work_id = labels.errand.work_id_shown();
    let result = match result_of(session, &ended, labels.errand.clone()).await {
        Ok(result) => result,
        Err(error) => {
            warn!(container_id = %container, work_id, error = format!("{error:#}"),
                "the result of a container without a record cannot be read yet; the next sweep tries again");
            return None;
        }
    };
    pass(Point::OrphanCollected).await;
    let job = session.finished_job(&labels.correction, &labels.name, &result);
    let finished = session.redis.finish_orphan(labels, &job).await;
    pass(Point::OrphanFinished).await;
    match finished {
        Ok(Finished::Added) => {
            warn!(container_id = %container, job_id = %labels.correction, work_id,
                "a container without a record was finished from its labels");
            Some(Removal { container: container.clone(), force: false })
        }
        Ok(Finished::Not(Standing::Done)) => Some(Removal { container: container.clone(), force: false }),
        Ok(Finished::Not(_)) => None,
        Err(error) => {
            warn!(container_id = %container, work_id, error = format!("{error:#}"),
                "a container without a record could not be finished; the next sweep tries again");
            None
        }
    }
}

async fn hand_over(
    session: &Session,
    taken: &TakenJob,
    correction: &CorrectionId,
    result: &FinishedJob,
) -> Option<Settled> {
    let next = session.finished_job(correction, &taken.name, result);
    let said = format!("Correction completed at {:.3}", Timestamp::now());
    let settled = session
        .running
        .hand_over(taken, &session.finished, &next, Some(correction), raw(said.as_str()).get(), KEEP_RUNNING)
        .await;
    match settled {
        Ok(settled) => Some(settled),
        Err(error) => {
            warn!(job_id = %taken.id, error = format!("{error:#}"), "a result could not be handed over yet");
            None
        }
    }
}
