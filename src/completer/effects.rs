//! The state machine's actions carried out, each as a task that reports what came of it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::crash_points::{Point, pass};
use crate::docker::{Engine, EngineError, Inspected, Killed, State};
use crate::identity::ContainerId;
use crate::job::{InvalidJob, RunningJob};
use crate::labels::Labels;
use crate::queue::Assignment;

use super::collect::{Ended, elapsed};
use super::conclude::{Held, conclude, conclude_orphan, refuse};
use super::inflight::{Finding, Finish, Ticket};
use super::removal::Removal;
use super::run_time::no_longer_than;
use super::scene::Scene;
use super::session::Session;
use super::sweep::{self, Found, Listing, Stranger};
use super::tries::{Reached, Tries};

/// What came of an effect.
#[derive(Debug)]
pub enum Report {
    /// An inspection answered.
    Inspected(Ticket, Finding),
    /// A kill was answered; whether the signal was sent.
    Killed(Ticket, bool),
    /// The engine refused a kill.
    KillRefused(Ticket),
    /// An attempt at finishing ended.
    Finished(Ticket, Finish, Reached, Option<Removal>),
    /// The sweep has its list, or could not get it.
    Listed(Option<Listing>),
    /// The sweep knows what the containers are that nobody here holds.
    Examined(Found),
    /// A container without a record was looked at.
    Orphan(ContainerId, Reached, Option<Removal>),
    /// The container of a job is on this engine after all.
    Here(Box<(Assignment, RunningJob)>),
    /// Something was done that nobody waits for.
    Nothing,
}

/// Inspects a container.
pub async fn inspect(
    session: Arc<Session>,
    ticket: Ticket,
    held: Arc<Held>,
    container: ContainerId,
) -> Report {
    let finding = match session.engine.inspect(container.as_str()).await {
        Ok(None) => Finding::Gone,
        Ok(Some(inspected)) => no_longer_than(held.age(), finding(&session.engine, &inspected)),
        Err(error) => {
            warn!(error = format!("{error:#}"), "a container could not be inspected");
            Finding::Unknown
        }
    };
    pass(Point::CompleterInspected).await;
    Report::Inspected(ticket, finding)
}

/// What an inspection found.
pub fn finding(engine: &Engine, inspected: &Inspected) -> Finding {
    match inspected.state {
        State::Running | State::Paused | State::Restarting => {
            let run_for = inspected.started_at.and_then(|started| elapsed(started, engine.now()));
            Finding::Running { run_for: run_for.unwrap_or(Duration::ZERO) }
        }
        State::Created if inspected.error.is_empty() => Finding::Waiting,
        State::Created | State::Exited | State::Dead => Finding::Ended,
        State::Removing => Finding::Leaving,
    }
}

/// Kills a container whose time is up.
pub async fn stop(session: Arc<Session>, ticket: Ticket, container: ContainerId) -> Report {
    debug!("time is up: killing the container");
    match kill(session.scene(), &container).await {
        Ok(sent) => {
            pass(Point::CompleterKilled).await;
            Report::Killed(ticket, sent)
        }
        Err(error) => {
            warn!(error = format!("{error:#}"), "a container could not be killed");
            if error.is_away() { Report::Killed(ticket, false) } else { Report::KillRefused(ticket) }
        }
    }
}

/// Sends SIGKILL, unpausing first where needed: a paused container takes no signal. Tells whether the
/// signal was sent. What the container uses is looked at before: afterwards nobody knows it any more.
///
/// # Errors
/// The engine did not answer, or refused.
pub async fn kill(scene: Scene<'_>, container: &ContainerId) -> Result<bool, EngineError> {
    let inspected = scene.engine.inspect(container.as_str()).await?;
    match scene.engine.usage(container).await {
        Ok(usage) => scene.witness.saw_usage(container, usage),
        Err(error) => {
            debug!(error = format!("{error:#}"), "what it uses is not known");
        }
    }
    if inspected.is_some_and(|inspected| inspected.state == State::Paused) {
        scene.engine.unpause(container).await?;
        pass(Point::CompleterUnpaused).await;
    }
    Ok(scene.engine.kill(container).await? == Killed::Sent)
}

/// Lists the containers, for the sweep.
pub async fn list(session: Arc<Session>) -> Report {
    match sweep::list(&session).await {
        Ok(listed) => {
            pass(Point::SweepListed).await;
            Report::Listed(Some(listed))
        }
        Err(error) => {
            warn!(error = format!("{error:#}"), "a sweep could not be made; trying again");
            Report::Listed(None)
        }
    }
}

/// Asks what the containers are that nobody here holds.
pub async fn examine(session: Arc<Session>, strangers: Vec<Stranger>) -> Report {
    match sweep::examine(&session, strangers).await {
        Ok(found) => {
            pass(Point::SweepExamined).await;
            Report::Examined(found)
        }
        Err(error) => {
            warn!(error = format!("{error:#}"), "a sweep could not be ended; trying again");
            Report::Listed(None)
        }
    }
}

/// Kills what runs far beyond its time and nobody here holds.
pub async fn stop_overdue(session: Arc<Session>, overdue: Vec<Stranger>) -> Report {
    sweep::stop_overdue(&session, overdue).await;
    Report::Nothing
}

/// Finishes a container that no job knows of.
pub async fn finish_orphan(
    session: Arc<Session>,
    container: ContainerId,
    labels: Labels,
    tries: Tries,
) -> Report {
    let (reached, removal) = conclude_orphan(&session, &container, &labels, tries).await;
    Report::Orphan(container, reached, removal)
}

/// Hands over a job whose data cannot be used.
pub async fn dispose(session: Arc<Session>, assignment: Assignment, invalid: Box<InvalidJob>) -> Report {
    refuse(&session, &assignment.job, &invalid).await;
    pass(Point::CompleterRefused).await;
    Report::Nothing
}

/// Asks which engine it is that answers.
pub async fn identify(session: Arc<Session>) -> Report {
    match session.engine.about().await {
        Ok(about) => session.whereabouts.set_engine(about.id),
        Err(error) => debug!(error = format!("{error:#}"), "the engine does not tell its id now"),
    }
    Report::Nothing
}

/// Makes the result and hands it over.
pub async fn finish(session: Arc<Session>, ticket: Ticket, held: Arc<Held>, ended: Ended) -> Report {
    let (finish, reached, removal) = conclude(&session, &held, &ended).await;
    Report::Finished(ticket, finish, reached, removal)
}
