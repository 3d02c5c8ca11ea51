//! Running a correction again that the Docker host failed.
//!
//! What is the host's fault ([`crate::outcome::Failure::again`]: the engine went away or lost hold of the container,
//! its disk was full, it would not hand out the output) is no fault of the submission, and another run may end
//! otherwise. So the correction goes back to `pending_corrections`, a bounded number of times.
//!
//! - **One script** checks the token, adds the pending job, remembers the old correction as done and completes the
//!   running job: a crash leaves exactly one of both. An orphan, which has no running job, goes the same way.
//! - **A new correction, always the same one.** The new job's id comes of the old correction's, and it keeps the
//!   first job's timestamp. Where Redis forgot the hand-over (a power cut takes its last second) and it is made
//!   again, the job, the correction and the container's name are the same: nothing starts twice.
//! - **The old container is dead.** The engine has to say so when it is asked now; one that is gone, runs again or
//!   cannot be looked at is told as it was. One that ran out of time and could not be killed is not run again: it may
//!   run still, and its time was up. What lives on when an engine is killed its successor ends before it answers, a
//!   lost shim's processes containerd ends; with live-restore the container runs on and is not at an end at all.
//! - **It stays dead.** There is no restart policy, and the container is removed 3 s after the hand-over, while the
//!   new one is not created before 4 s. Whoever restarts it by hand in that time, and what an engine says wrongly:
//!   its result can never be taken. The done key of its correction stands in front of each hand-over, the sweep's
//!   too, and its container is removed as one whose correction is done.
//! - **An engine that does not come back** can be asked nothing: its containers' time was up an hour ago, or a day ago
//!   where there is no limit. The key then lasts for [`LOST_FOR`], should that host come back after all.
//! - **Bounded**: each run is counted in the job, the label and the record. The last failure is told, with the count.

use std::time::Duration;

use crate::docker::State;
use crate::fields::raw;
use crate::identity::{ContainerId, CorrectionId, JobId};
use crate::job::{Errand, FinishedJob, PendingJob};
use crate::labels::Labels;
use crate::queue::{JobOptions, NewJob};
use crate::rerun::Rerun;

use super::session::Session;

/// The wait before the first further run, and the longest; it doubles, with some chance above it. Longer than the old
/// container is kept ([`super::removal::SAFE_AFTER`]), and than what a power cut takes from Redis.
const WAITS: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(60));
/// For how long the correction of an engine that did not come back is remembered as done.
pub const LOST_FOR: Duration = Duration::from_secs(90 * 24 * 3600);

/// What becomes of a correction whose container ended.
#[derive(Debug)]
pub enum Next {
    /// Its result is told.
    Tell(FinishedJob),
    /// It is run again: the pending job.
    Again(Box<NewJob>),
    /// The engine, or Redis, is away: nothing is decided yet. The text says which.
    Unknown(String),
}

/// Decides whether a result is told or the correction is run again.
pub async fn next(
    session: &Session,
    container: &ContainerId,
    correction: &CorrectionId,
    result: FinishedJob,
) -> Next {
    let most = session.settings.reruns;
    if !result.again || most == 0 {
        return Next::Tell(result);
    }
    let inspected = match session.engine.inspect(container.as_str()).await {
        Ok(inspected) => inspected,
        Err(error) if error.is_away() => return Next::Unknown(format!("{error:#}")),
        Err(_) => None,
    };
    let dead = inspected.filter(|inspected| matches!(inspected.state, State::Exited | State::Dead));
    let labels = dead.and_then(|dead| Labels::from_map(&dead.labels));
    match labels.filter(|labels| labels.correction == *correction) {
        Some(Labels { name, errand, rerun: Some(rerun), .. }) => {
            decide(most, correction, name, errand, *rerun, result)
        }
        _ => Next::Tell(result),
    }
}

/// The same for a correction whose engine did not come back, from the data of its running job.
pub fn next_without_container(
    most: u32,
    (data, name, errand): (&str, &str, &Errand),
    correction: &CorrectionId,
    result: FinishedJob,
) -> Next {
    match Rerun::of_record(data) {
        Some(rerun) => decide(most, correction, name.to_owned(), errand.clone(), rerun, result),
        None => Next::Tell(result),
    }
}

fn decide(
    most: u32,
    correction: &CorrectionId,
    name: String,
    errand: Errand,
    rerun: Rerun,
    result: FinishedJob,
) -> Next {
    let Rerun { image, file, params, priority, timestamp, runs } = rerun;
    if runs >= most {
        return Next::Tell(told_after(result, runs));
    }
    let job = PendingJob { errand, image, file, params, runs: runs + 1 };
    Next::Again(Box::new(NewJob {
        id: Some(JobId::new(format!("rerun-of-{correction}"))),
        name,
        data: job.to_data(),
        options: JobOptions {
            delay: wait(runs, fastrand::f64()),
            priority,
            timestamp: Some(timestamp),
            ..JobOptions::default()
        },
    }))
}

/// The failure with how often the correction was run, where that was more than once.
fn told_after(result: FinishedJob, reruns: u32) -> FinishedJob {
    match serde_json::from_str::<String>(result.correction_data.get()) {
        Ok(text) if reruns > 0 => {
            let runs = reruns.saturating_add(1);
            let text = format!(
                "This was run {runs} times, and each time the Docker host failed. The last time: {text}"
            );
            FinishedJob { correction_data: raw(text.as_str()), ..result }
        }
        _ => result,
    }
}

fn wait(runs: u32, chance: f64) -> Duration {
    let least = WAITS.0.saturating_mul(2_u32.saturating_pow(runs)).min(WAITS.1);
    least.mul_f64(1.0 + chance / 4.0)
}

#[cfg(test)]
mod tests {
    use super::super::removal::SAFE_AFTER;
    use super::*;
    use crate::outcome::{Failure, Outcome};

    fn failure() -> FinishedJob {
        let failure = Failure::new(Outcome::EngineUnavailable, "The engine went away.");
        FinishedJob::of_failure(Errand::default(), &failure)
    }

    fn decided(most: u32, runs: u32) -> Next {
        let rerun = Rerun { runs, priority: 7, ..Rerun::of_first_run() };
        let errand = Errand { callback: Some("http://h/".into()), ..Errand::default() };
        decide(most, &CorrectionId::new("c"), "Correction 7".to_owned(), errand, rerun, failure())
    }

    #[test]
    fn what_is_run_again_is_the_same_job_under_an_id_that_comes_of_the_old_correction() {
        let Next::Again(job) = decided(2, 0) else { panic!("again") };
        assert_eq!(job.id, Some(JobId::new("rerun-of-c")));
        assert_eq!(job.name, "Correction 7");
        assert_eq!((job.options.priority, job.options.timestamp), (7, Some(5)));
        let asked = PendingJob::parse(&job.data).expect("own data");
        assert_eq!((asked.image.as_str(), asked.file.as_str(), asked.runs), ("grader:1", "/srv/work", 1));
        assert_eq!(asked.params, ["A=hush"]);
        assert_eq!(asked.errand.callback.as_deref(), Some("http://h/"));
    }

    #[test]
    fn after_the_last_run_the_failure_is_told_with_their_number() {
        assert!(matches!(decided(2, 1), Next::Again(_)));
        let Next::Tell(told) = decided(2, 2) else { panic!("told") };
        let text: String = serde_json::from_str(told.correction_data.get()).expect("a text");
        assert!(
            text.starts_with("This was run 3 times") && text.ends_with("The engine went away."),
            "{text}"
        );
        let Next::Tell(told) = decided(0, 0) else { panic!("told") };
        assert_eq!(told.correction_data.get(), "\"The engine went away.\"");
    }

    #[test]
    fn the_wait_is_longer_than_the_old_container_is_kept_and_grows_up_to_its_limit() {
        for runs in 0..40 {
            let (least, most) = (wait(runs, 0.0), wait(runs, 1.0));
            assert!(least > SAFE_AFTER && most <= WAITS.1.mul_f64(1.25) && wait(runs + 1, 0.0) >= least);
        }
    }

    #[test]
    fn what_the_record_does_not_tell_is_not_run_again() {
        let (errand, correction) = (Errand::default(), CorrectionId::new("c"));
        let next = next_without_container(2, ("{}", "n", &errand), &correction, failure());
        assert!(matches!(next, Next::Tell(_)));
    }
}
