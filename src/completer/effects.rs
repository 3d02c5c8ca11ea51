//! The state machine's actions carried out, each as a task that reports what came of it.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use crate::docker::{Engine, EngineError, Inspected, Killed, Listed, State};
use crate::identity::ContainerId;

use super::collect::{Ended, elapsed};
use super::conclude::{Held, conclude};
use super::inflight::{Finding, Finish, Ticket};
use super::removal::Removal;
use super::session::Session;
use super::sweep::Found;

/// What came of an effect.
#[derive(Debug)]
pub enum Report {
    /// An inspection answered.
    Inspected(Ticket, Finding),
    /// A kill was answered; whether the signal was sent.
    Killed(Ticket, bool),
    /// An attempt at finishing ended.
    Finished(Ticket, Finish, Option<Removal>),
    /// The sweep has its list, or could not get it.
    Listed(Option<Vec<Listed>>),
    /// The sweep knows what the containers are that nobody here holds.
    Examined(Found),
    /// A container without a record was looked at.
    Orphan(Option<Removal>),
    /// Something was done that nobody waits for.
    Nothing,
}

/// Inspects a container.
pub async fn inspect(session: Arc<Session>, ticket: Ticket, container: ContainerId) -> Report {
    let finding = match session.engine.inspect(container.as_str()).await {
        Ok(None) => Finding::Gone,
        Ok(Some(inspected)) => finding(&session.engine, &inspected),
        Err(error) => {
            warn!(container_id = %container, error = format!("{error:#}"), "a container could not be inspected");
            Finding::Unknown
        }
    };
    Report::Inspected(ticket, finding)
}

fn finding(engine: &Engine, inspected: &Inspected) -> Finding {
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
    debug!(container_id = %container, "time is up: killing the container");
    match kill(&session, &container).await {
        Ok(sent) => Report::Killed(ticket, sent),
        Err(error) => {
            warn!(container_id = %container, error = format!("{error:#}"), "a container could not be killed");
            Report::Killed(ticket, false)
        }
    }
}

/// Sends SIGKILL, unpausing first where needed: a paused container takes no signal. Tells whether the
/// signal was sent.
///
/// # Errors
/// The engine did not answer, or refused.
pub async fn kill(session: &Session, container: &ContainerId) -> Result<bool, EngineError> {
    let inspected = session.engine.inspect(container.as_str()).await?;
    if inspected.is_some_and(|inspected| inspected.state == State::Paused) {
        session.engine.unpause(container).await?;
    }
    Ok(session.engine.kill(container).await? == Killed::Sent)
}

/// Makes the result and hands it over.
pub async fn finish(session: Arc<Session>, ticket: Ticket, held: Arc<Held>, ended: Ended) -> Report {
    let (finish, removal) = conclude(&session, &held, &ended).await;
    Report::Finished(ticket, finish, removal)
}
