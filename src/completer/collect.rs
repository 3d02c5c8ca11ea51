//! A container that ended → the result that its caller gets: its verdict, or what went wrong.

use std::time::Duration;

use jiff::Timestamp;

use crate::docker::{EngineError, Inspected, State};
use crate::ending::{self, Ending};
use crate::identity::ContainerId;
use crate::job::{Errand, FinishedJob};
use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::verdict;

use super::inflight::End;
use super::session::Session;
use super::work::Tries;

/// How often the output of an ended container is asked for while the engine answers with errors.
pub const TRIES_FOR_OUTPUT: u32 = 6;

/// After so many panics, or works that were given up, the output of a container is not looked at any more.
const MOST_FAULTS: u32 = 3;

/// What the engine notes for a container that ended while it was away itself.
const LOST_BY_ENGINE: i64 = 255;

/// An ended container, and what is known of its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The container.
    pub container: ContainerId,
    /// How it is known that it ended.
    pub end: End,
    /// Whether this process killed it because its time was up.
    pub timed_out: bool,
    /// How long it was allowed to run.
    pub timeout: Option<Duration>,
    /// How often this was tried before.
    pub tries: Tries,
}

/// Reads the container's output and makes the result of it.
///
/// # Errors
/// The engine is away or gave no answer: nothing is decided, try again later.
pub async fn result_of(session: &Session, ended: &Ended, errand: Errand) -> Result<FinishedJob, EngineError> {
    if ended.end == End::Gone {
        return Ok(FinishedJob::of_failure(errand, &removed()));
    }
    if ended.end == End::Unstoppable {
        return Ok(FinishedJob::of_failure(errand, &unstoppable()));
    }
    if ended.tries.faults >= MOST_FAULTS {
        return Ok(FinishedJob::of_failure(errand, &faulty()));
    }
    let output = match session.engine.output(&ended.container, session.settings.output_limit).await {
        Ok(Some(output)) => output,
        Ok(None) => return Ok(FinishedJob::of_failure(errand, &removed())),
        Err(error) if ended.tries.unanswered < TRIES_FOR_OUTPUT => return Err(error),
        Err(error) => {
            // An engine that answers other questions will not answer this one any more.
            session.engine.inspect(ended.container.as_str()).await?;
            return Ok(FinishedJob::of_failure(errand, &unreadable(&error)));
        }
    };
    match verdict::read(&output) {
        Ok(verdict) => Ok(FinishedJob::of_verdict(errand, verdict.json)),
        Err(problem) => {
            let inspected = match session.engine.inspect(ended.container.as_str()).await {
                Ok(inspected) => inspected,
                Err(error) if ended.tries.unanswered < TRIES_FOR_OUTPUT || error.is_away() => {
                    return Err(error);
                }
                Err(_) => None,
            };
            if let Some(error) = inspected.as_ref().and_then(start_error) {
                return Ok(FinishedJob::of_failure(errand, &not_started(error)));
            }
            let ending = ending_of(session, ended, inspected.as_ref());
            if let Some(complaint) = complaint_of_init(ending.exit_code, &output) {
                return Ok(FinishedJob::of_failure(errand, &not_started(&complaint)));
            }
            Ok(FinishedJob::of_failure(errand, &ending::explain(&ending, &problem, &output)))
        }
    }
}

fn ending_of(session: &Session, ended: &Ended, inspected: Option<&Inspected>) -> Ending {
    let told = match ended.end {
        End::Died { exit_code } => exit_code,
        End::Found | End::Gone | End::Unstoppable => None,
    };
    let mut ending = Ending { exit_code: told, no_network: session.settings.no_network, ..Ending::default() };
    if let Some(inspected) = inspected {
        ending.elapsed = ran_for(inspected);
        ending.oom_killed = inspected.oom_killed;
        ending.exit_code = agreed_exit_code(told, inspected);
        let unwatched = inspected.finished_at.is_some_and(|at| session.outages.covers(at));
        ending.engine_outage = told.is_none() && (unwatched || ending.exit_code == Some(LOST_BY_ENGINE));
    }
    ending.timed_out = ended.timeout.filter(|limit| ended.timed_out || was_killed_late(&ending, *limit));
    ending
}

/// What the engine said of a start that failed; a container that did start has none.
fn start_error(inspected: &Inspected) -> Option<&str> {
    let failed = inspected.state == State::Created && !inspected.error.is_empty();
    failed.then_some(inspected.error.as_str())
}
/// With an init in the container a command that cannot be run is no refused start: the init (tini)
/// starts, says so and ends with 126 or 127, as a shell does. Only where it is all that was printed.
fn complaint_of_init(exit_code: Option<i64>, output: &Output) -> Option<String> {
    let silent = output.stdout().is_some_and(<[u8]>::is_empty);
    let said = String::from_utf8_lossy(output.stderr()?).trim().to_owned();
    let complaint = said.strip_prefix("[FATAL tini (")?.split_once(")] ")?.1;
    (silent
        && matches!(exit_code, Some(126 | 127))
        && complaint.starts_with("exec ")
        && !complaint.contains('\n'))
    .then(|| complaint.to_owned())
}

/// The daemon says 255 of a container whose shim it lost; an inspection may know better. A container
/// that runs again (restarted by hand) has no exit code of its own, so the event's counts.
fn agreed_exit_code(told: Option<i64>, inspected: &Inspected) -> Option<i64> {
    let found = matches!(inspected.state, State::Exited | State::Dead).then_some(inspected.exit_code);
    match told {
        Some(LOST_BY_ENGINE) | None => found.or(told),
        Some(code) => Some(code),
    }
}

/// Whether another completer killed it for its deadline: killed, and not before its time was up.
fn was_killed_late(ending: &Ending, limit: Duration) -> bool {
    ending.exit_code == Some(137) && ending.elapsed.is_some_and(|elapsed| elapsed >= limit)
}

fn ran_for(inspected: &Inspected) -> Option<Duration> {
    elapsed(inspected.started_at?, inspected.finished_at?)
}

/// The time between two moments of the daemon's clock; `None` where the second is before the first.
pub fn elapsed(from: Timestamp, to: Timestamp) -> Option<Duration> {
    Duration::try_from(to.duration_since(from)).ok()
}

fn not_started(error: &str) -> Failure {
    Failure::new(
        Outcome::StartFailed,
        format!(
            "The grader's container could not be started: {error}. The grader's image has to be \
             mended (its entrypoint or command); the submission was not looked at."
        ),
    )
}

fn removed() -> Failure {
    Failure::new(
        Outcome::Killed,
        "The container of this correction was removed before its result could be read. Somebody or \
         something on the Docker host removed it; submit the work again.",
    )
}

fn unstoppable() -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        "The correction ran out of time, and its container could not be stopped. The administrator of \
         the Docker host has to look at it; the work can be submitted again.",
    )
}

fn faulty() -> Failure {
    Failure::new(
        Outcome::NoVerdict,
        "The correction ended, but the correction runner failed each time that it read what the grader wrote: an \
         internal error, which its log tells more of. The runner has to be mended; submit the work again then.",
    )
}

fn unreadable(error: &EngineError) -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        format!(
            "The correction ended, but Docker would not hand out its output ({error:#}). The \
             administrator of the Docker host has to look at it; the work can be submitted again."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn inspected(state: State, exit_code: i64) -> Inspected {
        Inspected {
            id: ContainerId::new("c"),
            state,
            exit_code,
            oom_killed: false,
            error: String::new(),
            started_at: None,
            finished_at: None,
            labels: HashMap::new(),
        }
    }

    #[test]
    fn an_exit_code_of_255_is_doubted_and_any_other_in_an_event_is_not() {
        let exited = inspected(State::Exited, 3);
        assert_eq!(agreed_exit_code(Some(255), &exited), Some(3));
        assert_eq!(agreed_exit_code(None, &exited), Some(3));
        assert_eq!(agreed_exit_code(Some(0), &exited), Some(0));
        let restarted = inspected(State::Running, 0);
        assert_eq!(agreed_exit_code(Some(255), &restarted), Some(255));
        assert_eq!(agreed_exit_code(None, &restarted), None);
    }

    #[test]
    fn the_inits_complaint_is_no_output_of_the_grader() {
        let said = "[FATAL tini (7)] exec /no/such failed: No such file or directory\n";
        let complaint = |exit_code, stdout: &str, stderr: &str| {
            complaint_of_init(Some(exit_code), &Output::whole(stdout, stderr))
        };
        let expected = Some("exec /no/such failed: No such file or directory".to_owned());
        assert_eq!(complaint(127, "", said), expected);
        assert_eq!(complaint(1, "", said), None);
        assert_eq!(complaint(127, "x", said), None);
        assert_eq!(complaint(127, "", &format!("{said}more")), None);
        assert_eq!(complaint(127, "", "sh: not found"), None);
    }

    #[test]
    fn a_container_killed_after_its_limit_was_killed_for_it() {
        let limit = Duration::from_secs(10);
        let ending = |exit_code, seconds| Ending {
            exit_code: Some(exit_code),
            elapsed: Some(Duration::from_secs(seconds)),
            ..Ending::default()
        };
        assert!(was_killed_late(&ending(137, 10), limit));
        assert!(!was_killed_late(&ending(137, 9), limit));
        assert!(!was_killed_late(&ending(1, 11), limit));
    }
}
