//! Running jobs whose container is on another Docker engine than the one that answers us.
//!
//! They go back into their queue, for that engine's completer or until that engine is back, and each time for
//! longer. An engine that was exchanged for good, or a host that nobody puts up again, must not keep a caller
//! waiting for ever: in the end the correction is run again here, or it is told that its container is lost.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, warn};

use crate::crash_points::{Point, pass};
use crate::job::{FinishedJob, RunningJob};
use crate::outcome::{Failure, Outcome};
use crate::queue::{Assignment, Conclusion, RetryCount, Settled, TakenJob};

use super::conclude::{KEEP_RUNNING, hand_over, said, tell};
use super::effects::Report;
use super::reruns::{LOST_FOR, Next, next_without_container};
use super::session::Session;
use super::tally::Course;

/// The first wait of a job that is passed on, at most; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// At so many retries the container is looked for each time, and afterwards at each eighth.
const LOOKS: u32 = 4;
/// How much longer than its container may run a job is passed on before it is given up.
const GRACE: Duration = Duration::from_secs(60 * 60);
/// For how long, where its container may run for ever.
const UNLIMITED: Duration = Duration::from_secs(24 * 60 * 60);

/// Passes a job on. Its starter may not have known yet that the engine was exchanged, and an engine may get a new
/// id: so the container is looked for first, now and then.
pub async fn pass_on(session: Arc<Session>, assignment: Assignment, job: RunningJob) -> Report {
    let taken = &assignment.job;
    let given_up = is_lost(&session, taken, &job).await;
    if given_up || is_looked_for(taken.retries) {
        match session.engine.inspect(job.container.as_str()).await {
            Ok(Some(_)) => return Report::Here(Box::new((assignment, job))),
            Ok(None) if given_up && give_up(&session, taken, &job).await => return Report::Nothing,
            Ok(None) | Err(_) => {}
        }
    }
    back_to_its_engine(&session, taken).await;
    Report::Nothing
}

/// Puts a job back for the engine that has its container. Tells whether that is done.
pub async fn back_to_its_engine(session: &Session, taken: &TakenJob) -> bool {
    let why = "its container runs on another Docker engine";
    let wait = wait_after(taken.retries, fastrand::f64());
    let settled = session.running.retry_later(taken, wait, why, RetryCount::Free).await;
    pass(Point::CompleterPassedOn).await;
    match settled {
        Ok(_) => true,
        Err(error) => {
            warn!(error = format!("{error:#}"), "a running job could not be passed on");
            false
        }
    }
}

/// Ends a correction whose engine did not come back: run again where its record tells how, else told as lost. Tells
/// whether that is settled.
async fn give_up(session: &Session, taken: &TakenJob, job: &RunningJob) -> bool {
    let correction = job.correction();
    let result = FinishedJob::of_failure(job.errand.clone(), &engine_did_not_come_back());
    let asked = (taken.data.as_str(), taken.name.as_str(), &job.errand);
    let next = next_without_container(session.settings.reruns, asked, &correction, result);
    let said = said("Correction given up, since its engine did not come back");
    let conclusion =
        Conclusion { remember_for: LOST_FOR, ..Conclusion::of(&correction, said.get(), KEEP_RUNNING) };
    let (settled, again) = match &next {
        Next::Again(next) => {
            pass(Point::CompleterRerunning).await;
            let settled = hand_over(session, taken, &session.pending, next, &conclusion).await;
            pass(Point::CompleterReran).await;
            (settled, true)
        }
        Next::Tell(result) => {
            // Its file, if it is anywhere, is on the host that is gone.
            let settled = tell(session, taken, result, &conclusion).await;
            pass(Point::CompleterHandedOver).await;
            (settled, false)
        }
        Next::Unknown(_) => (None, false),
    };
    if settled == Some(Settled::Cancelled) {
        let result = FinishedJob::of_failure(job.errand.clone(), &Failure::cancelled());
        let conclusion = Conclusion { heeds_mark: true, ..conclusion };
        let told = tell(session, taken, &result, &conclusion).await;
        if matches!(told, Some(Settled::Done | Settled::Already)) {
            Course::of_record(&taken.data, &session.metrics).over(Some(&result), None, &session.metrics);
        }
        return told.is_some();
    }
    if matches!(settled, Some(Settled::Done | Settled::Already)) {
        let result = if let Next::Tell(result) = &next { Some(result) } else { None };
        Course::of_record(&taken.data, &session.metrics).over(result, None, &session.metrics);
        error!(again, "the Docker engine of a correction did not come back: it is given up");
    }
    settled.is_some()
}

/// Between half of the wait and all of it, which doubles with each retry.
fn wait_after(retries: u32, chance: f64) -> Duration {
    let most = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(retries)).min(LONGEST_WAIT);
    most.mul_f64(0.5 + chance / 2.0)
}

fn is_looked_for(retries: u32) -> bool {
    retries < LOOKS || retries.is_multiple_of(8)
}

/// Whether the engine of a job is not coming back. While a completer watches it, it is by chance alone that others
/// took the job each time; one that Redis does not tell of now is asked for again.
async fn is_lost(session: &Session, taken: &TakenJob, job: &RunningJob) -> bool {
    let Some(origin) = &job.origin else { return false };
    let is_over = |time| is_given_up(time, origin.timeout());
    is_over(taken.tried_for)
        && match session.redis.engine_unseen_for(&origin.engine).await {
            Ok(unseen_for) => unseen_for.is_none_or(is_over),
            Err(error) => {
                warn!(error = format!("{error:#}"), "it is not known whether an engine is watched");
                false
            }
        }
}

/// Whether a job was passed on, and its engine unseen, for so long that its container must have ended long ago,
/// wherever it is. What it waited in line while no completer was there does not count, so that its own has had every
/// opportunity.
fn is_given_up(time: Duration, timeout: Option<Duration>) -> bool {
    time >= timeout.map_or(UNLIMITED, |timeout| timeout.saturating_add(GRACE))
}

fn engine_did_not_come_back() -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        "The Docker engine that ran this correction did not come back, and its container is on no other. The \
         administrator of the Docker host has to look at it; the work can be submitted again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_double_up_to_a_minute_with_a_half_of_chance() {
        let most: Vec<u128> = (0..11).map(|retries| wait_after(retries, 1.0).as_millis()).collect();
        assert_eq!(most, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
        assert_eq!(wait_after(0, 0.0), Duration::from_millis(100));
        assert_eq!(wait_after(u32::MAX, 0.0), Duration::from_secs(30));
    }

    #[test]
    fn the_container_is_looked_for_at_first_and_now_and_then() {
        let looks: Vec<u32> = (0..20).filter(|retries| is_looked_for(*retries)).collect();
        assert_eq!(looks, [0, 1, 2, 3, 8, 16]);
    }

    #[test]
    fn a_job_is_given_up_an_hour_after_its_time_or_after_a_day_and_never_sooner() {
        let second = Duration::from_secs(1);
        for (timeout, end) in [(Some(600 * second), 4200 * second), (None, 86_400 * second)] {
            assert!(
                is_given_up(end, timeout) && !is_given_up(end.saturating_sub(second), timeout),
                "{timeout:?}"
            );
        }
        assert!(!is_given_up(UNLIMITED, Some(Duration::MAX)));
    }
}
