//! Corrections that a person cancelled: whether the end of a container came before the mark.
//!
//! The mark is older than the end: the result is that it was cancelled, whatever was printed. The end is older: the
//! person was too late, and what the container left counts. Both are known as spans (since the mark, by the clock of
//! Redis; since the end, by that of the engine), so that no two clocks are compared. The engine's is known to about a
//! second; where that leaves it open, what was killed was cancelled, and what ended by itself counts. What has no end
//! (it was never started, is gone, or will not end) was cancelled, and what is to be run again is not.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use crate::docker::{EngineError, Inspected, State};
use crate::job::FinishedJob;
use crate::outcome::Failure;
use crate::queue::QueueError;

use super::collect::{Ended, elapsed, is_still};
use super::conclude::Held;
use super::elsewhere::back_to_its_engine;
use super::inflight::{End, Finish};
use super::session::Session;
use super::tries::Reached;

/// The exit code of what was killed.
const SIGKILL: i64 = 137;
/// How exactly it is known when a container ended.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// Why it is not known whether a correction was cancelled in time.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// Redis gave no answer.
    #[error("{0}")]
    Redis(#[from] QueueError),
    /// The engine does not tell how the container ended.
    #[error("{0}")]
    Inspection(EngineError),
    /// The container is not there, and it is not known whether it is its engine that answers.
    #[error("{0}")]
    Engine(EngineError),
}

impl Unknown {
    /// How far that came: an engine that will never tell must not keep a caller waiting for ever.
    fn reached(&self) -> Reached {
        match self {
            Self::Redis(_) | Self::Engine(_) => Reached::Nothing,
            Self::Inspection(error) => Reached::NoInspection { away: error.is_away() },
        }
    }

    /// It is to be tried again: here, or where its container is.
    pub async fn not_yet(&self, session: &Session, held: &Held) -> (Finish, Reached) {
        warn!(error = %self, "it is not known yet whether a correction was cancelled in time");
        let is_elsewhere = matches!(self, Self::Engine(EngineError::Exchanged { .. }));
        // The mark goes with it.
        if is_elsewhere && back_to_its_engine(session, &held.assignment.job).await {
            return (Finish::Settled, self.reached());
        }
        (Finish::Again, self.reached())
    }
}

/// The result of a correction that is marked, where that came before the end of its container; `None` = what the
/// container left counts. A container that the engine will not tell of has no end that is known.
///
/// # Errors
/// It cannot be known now.
pub async fn result_of_mark(
    session: &Session,
    held: &Held,
    ended: &Ended,
) -> Result<Option<FinishedJob>, Unknown> {
    let Some(marked_for) = session.running.marked_for(&held.assignment.job.id).await? else {
        return Ok(None);
    };
    let is_its_engine = async || {
        let engine = held.job.origin.as_ref().map(|origin| &origin.engine);
        is_still(session.scene(), engine).await.map_err(Unknown::Engine)
    };
    let in_time = match ended.end {
        End::Removed | End::Gone => {
            is_its_engine().await?;
            true
        }
        End::Unstoppable => true,
        End::Died { .. } | End::Found if ended.tries.is_faulty() => true,
        End::Died { .. } | End::Found => match session.engine.inspect(held.job.container.as_str()).await {
            Ok(None) => {
                is_its_engine().await?;
                true
            }
            Ok(Some(inspected)) => {
                let end = ended_for(session, &inspected);
                end.is_none_or(|(ended_for, exit_code)| is_in_time(marked_for, ended_for, exit_code))
            }
            Err(error) if is_asked_in_vain(ended, &error) => {
                warn!(
                    error = format!("{error:#}"),
                    "the engine never tells when a cancelled correction ended"
                );
                true
            }
            Err(error) => return Err(Unknown::Inspection(error)),
        },
    };
    if !in_time {
        warn!("a correction was cancelled too late: it had ended before");
    }
    Ok(in_time.then(|| cancelled(held)))
}

/// That it was cancelled.
#[must_use]
pub fn cancelled(held: &Held) -> FinishedJob {
    FinishedJob::of_failure(held.job.errand.clone(), &Failure::cancelled())
}

fn is_asked_in_vain(ended: &Ended, error: &EngineError) -> bool {
    !error.is_away() && ended.tries.inspection.are_enough(error, Instant::now())
}

/// For how long a container has been at its end, and its exit code; `None` = it never ran, or runs.
fn ended_for(session: &Session, inspected: &Inspected) -> Option<(Duration, i64)> {
    let ended = matches!(inspected.state, State::Exited | State::Dead);
    let finished_at = inspected.finished_at.filter(|_| ended)?;
    Some((elapsed(finished_at, session.engine.now()).unwrap_or_default(), inspected.exit_code))
}

fn is_in_time(marked_for: Duration, ended_for: Duration, exit_code: i64) -> bool {
    if marked_for.abs_diff(ended_for) <= CLOCKS_DIFFER {
        return exit_code == SIGKILL;
    }
    marked_for > ended_for
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completer::tries::Tries;
    use crate::docker::Call;
    use crate::identity::ContainerId;

    #[test]
    fn what_ended_before_its_mark_counts_and_in_doubt_what_ended_by_itself() {
        let seconds = Duration::from_secs;
        for (marked_for, ended_for, exit_code, in_time) in [
            (60, 10, 0, true),
            (60, 10, 137, true),
            (10, 60, 0, false),
            (10, 60, 137, false),
            (3, 5, 137, true),
            (5, 3, 137, true),
            (5, 3, 0, false),
            (3, 5, 1, false),
            (0, 0, 137, true),
        ] {
            let found = is_in_time(seconds(marked_for), seconds(ended_for), exit_code);
            assert_eq!(found, in_time, "{marked_for} {ended_for} {exit_code}");
        }
    }

    #[test]
    fn a_container_that_the_engine_refuses_to_tell_of_is_asked_for_so_often_and_not_for_ever() {
        let refused = || EngineError::Server { call: Call::Inspect, status: 500, message: String::new() };
        let slow = EngineError::Timeout { call: Call::Inspect, after: Duration::from_secs(5) };
        let mut ended = Ended {
            container: ContainerId::new("c"),
            end: End::Found,
            timed_out: false,
            timeout: None,
            tries: Tries::default(),
        };
        for _ in 0..6 {
            assert!(!is_asked_in_vain(&ended, &refused()));
            ended.tries.note(Unknown::Inspection(refused()).reached(), Instant::now());
        }
        assert!(is_asked_in_vain(&ended, &refused()));
        assert!(!is_asked_in_vain(&ended, &slow), "it may come back");
    }
}
