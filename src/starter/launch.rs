//! Creating and starting one container: idempotent, and a start is sent once.
//!
//! Docker answers a start of an ended container by running it again, and a starter may sleep between
//! its check and its start. So only the attempt that created a container ever starts it, and after a
//! start without a clear answer the container is only looked at. A container whose verdict needs a secret
//! is not started before its secret is in it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::concern::Concern;
use crate::crash_points::{Point, pass};
use crate::docker::{ContainerSpec, Engine, EngineError, Inspected, Removed, State};
use crate::identity::{ContainerId, JobId};
use crate::labels::Labels;
use crate::outcome::{Failure, Outcome};
use crate::seal::Seal;

use super::refusal::{Meaning, Patience, Postponed, START_GRACE, is_of_unknown_cause, meaning, name_taken};

/// How often a container is created anew within one attempt.
const CREATES: u32 = 3;
/// How often, and how far apart, a container is looked at after a start without a clear answer.
const LOOKS: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a launch needs of whoever makes it: nothing of Redis.
#[derive(Clone, Copy)]
pub struct Launcher<'a> {
    /// The Docker engine.
    pub engine: &'a Engine,
    /// Whether an image that is not here may be pulled.
    pub pull: bool,
    /// Test mode: the container is created and not started.
    pub dont_start: bool,
    /// The pending job, for the log.
    pub job: &'a JobId,
    /// Cancelled once the correction is: nothing is started from then on.
    pub cancelled: &'a CancellationToken,
}

/// How a launch ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Launch {
    /// The container was started (or waits to be, in test mode).
    Started(ContainerId),
    /// An earlier attempt started it, with what was set then.
    Adopted(ContainerId),
    /// It cannot be started.
    Failed {
        /// What is told.
        failure: Failure,
        /// What was created and is not needed.
        container: Option<ContainerId>,
    },
    /// A person cancelled it, and this attempt has started nothing.
    Cancelled,
    /// It may work later.
    Later(Postponed),
    /// Its image is not here, and may be pulled.
    NoImage(EngineError),
}

/// What to do about a container that has this correction's name already.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Prepared {
    /// It was started: hand over.
    Started(ContainerId),
    /// It is this attempt's own, and was not started: start it.
    Mine(ContainerId),
    /// It was created by another attempt, which may still be about to start it or whose start failed:
    /// replace it.
    Stale(ContainerId),
    /// It is on its way out.
    Leaving,
    /// It is not this correction's.
    Foreign,
}

/// Brings the container of a pending job to run.
pub async fn launch(by: Launcher<'_>, spec: &ContainerSpec) -> Launch {
    for _ in 0..CREATES {
        if by.cancelled.is_cancelled() {
            return Launch::Cancelled;
        }
        pass(Point::StarterCreating).await;
        let error = match by.engine.create(spec).await {
            Ok(container) => {
                Concern::current().container(&container);
                pass(Point::StarterCreated).await;
                match start(by, spec, container).await {
                    Some(launch) => return launch,
                    None => continue,
                }
            }
            Err(error) => error,
        };
        let replaced = match &error {
            EngineError::NoSuchImage { .. } if by.pull => return Launch::NoImage(error),
            EngineError::NameTaken { .. } => resolve(by, spec).await,
            error if error.is_ambiguous() => resolve(by, spec).await,
            _ => return unsuccessful(&error, spec, None),
        };
        match replaced {
            Ok(None) => {}
            Ok(Some(launch)) => return launch,
            Err(error) => return unsuccessful(&error, spec, None),
        }
    }
    later("the container's name does not become free", None)
}

/// Looks at the container that has the name. `None` = the name is free now, create anew.
async fn resolve(by: Launcher<'_>, spec: &ContainerSpec) -> Result<Option<Launch>, EngineError> {
    let Some(inspected) = by.engine.inspect(&spec.name).await? else { return Ok(None) };
    pass(Point::StarterResolved).await;
    let wanted = Labels::from_map(&spec.labels);
    Ok(match prepared(&inspected, wanted.as_ref(), by.dont_start) {
        Prepared::Started(container) => {
            Concern::current().container(&container);
            debug!(job_id = %by.job, "an earlier attempt started the container");
            Some(adopted(by, &inspected, spec).await)
        }
        Prepared::Mine(container) => start(by, spec, container).await,
        Prepared::Stale(container) => give_up(by, container).await?,
        Prepared::Leaving => Some(later("the container of an earlier attempt is being removed", None)),
        Prepared::Foreign => Some(Launch::Failed { failure: name_taken(&spec.name), container: None }),
    })
}

/// Removes a container that another attempt created and did not start. `None` = the name is free now.
///
/// The start may be on its way, whatever became of that attempt, and Docker removes what has ended as well
/// as what never ran: so it is looked at once more, a moment later.
async fn give_up(by: Launcher<'_>, container: ContainerId) -> Result<Option<Launch>, EngineError> {
    tokio::time::sleep(LOOK_EVERY).await;
    let inspected = by.engine.inspect(container.as_str()).await?;
    if inspected.is_some_and(|inspected| inspected.state.was_started()) {
        return Ok(Some(Launch::Adopted(container)));
    }
    Ok(match by.engine.remove(&container, false).await? {
        Removed::Done | Removed::Gone => {
            pass(Point::StarterReplaced).await;
            None
        }
        // It was started after all, by the attempt that created it: it is adopted.
        Removed::Running => Some(Launch::Adopted(container)),
        Removed::InProgress => Some(later("the container of an earlier attempt is being removed", None)),
    })
}

fn prepared(inspected: &Inspected, wanted: Option<&Labels>, dont_start: bool) -> Prepared {
    let container = inspected.id.clone();
    let found = Labels::from_map(&inspected.labels);
    let (Some(found), Some(wanted)) = (found, wanted) else { return Prepared::Foreign };
    if found.correction != wanted.correction || found.instance != wanted.instance {
        return Prepared::Foreign;
    }
    match inspected.state {
        State::Running | State::Paused | State::Restarting | State::Exited => Prepared::Started(container),
        State::Removing | State::Dead => Prepared::Leaving,
        State::Created if dont_start => Prepared::Started(container),
        State::Created if found.attempt == wanted.attempt => Prepared::Mine(container),
        State::Created => Prepared::Stale(container),
    }
}

/// Goes on with a container that an earlier attempt started; in test mode that attempt may have died before
/// it put the secret into it, and the person who is to start it would do so in vain.
async fn adopted(by: Launcher<'_>, inspected: &Inspected, spec: &ContainerSpec) -> Launch {
    let container = inspected.id.clone();
    let seal = Labels::from_map(&inspected.labels).and_then(|labels| labels.seal);
    match seal.filter(|_| inspected.state == State::Created) {
        Some(seal) => put_secret(by, spec, &container, &seal).await.unwrap_or(Launch::Adopted(container)),
        None => Launch::Adopted(container),
    }
}

/// Puts a secret into a container that was not started; `None` = it is there.
async fn put_secret(
    by: Launcher<'_>,
    spec: &ContainerSpec,
    container: &ContainerId,
    seal: &Seal,
) -> Option<Launch> {
    match by.engine.put_secret(container, seal).await {
        Ok(()) => {
            pass(Point::StarterSealed).await;
            None
        }
        Err(EngineError::NoSuchContainer { .. }) => {
            Some(later("the container was removed before it was started", None))
        }
        Err(error) => Some(unsuccessful(&error, spec, Some(container.clone()))),
    }
}

/// Starts the container that this attempt created. `None` = it was removed, and another is to be created,
/// since the engine could not allow what it was asked for and knows better now.
async fn start(by: Launcher<'_>, spec: &ContainerSpec, container: ContainerId) -> Option<Launch> {
    if let Some(seal) = &spec.seal
        && let Some(launch) = put_secret(by, spec, &container, seal).await
    {
        return Some(launch);
    }
    if by.dont_start {
        return Some(Launch::Started(container));
    }
    if by.cancelled.is_cancelled() {
        return Some(Launch::Cancelled);
    }
    let error = match by.engine.start(&container).await {
        Ok(()) => {
            pass(Point::StarterStarted).await;
            return Some(Launch::Started(container));
        }
        Err(error) => error,
    };
    pass(Point::StarterDoubted).await;
    match (&error, spec.profile.nofile) {
        (EngineError::TooManyFiles { .. }, Some(files)) => {
            by.engine.cannot_allow(files);
            match by.engine.remove(&container, false).await {
                Ok(Removed::Done | Removed::Gone) => None,
                Ok(Removed::Running | Removed::InProgress) | Err(_) => {
                    Some(later(&error.to_string(), Some(container)))
                }
            }
        }
        _ => Some(after_doubt(by, spec, container, error).await),
    }
}

/// Looks at what became of a start that was not answered with success.
async fn after_doubt(
    by: Launcher<'_>,
    spec: &ContainerSpec,
    container: ContainerId,
    error: EngineError,
) -> Launch {
    debug!(error = format!("{error:#}"), "a start was not answered with success");
    for _ in 0..LOOKS {
        let inspected = match by.engine.inspect(container.as_str()).await {
            Ok(Some(inspected)) => inspected,
            Ok(None) => return later("the container was removed before it was started", None),
            Err(error) => return unsuccessful(&error, spec, Some(container)),
        };
        match inspected.state {
            // What the engine answered tells better than what it noted whether it may heal.
            State::Created if !error.is_ambiguous() => return refused(&error, spec, container),
            State::Created if !inspected.error.is_empty() => return later(&inspected.error, Some(container)),
            State::Created => tokio::time::sleep(LOOK_EVERY).await,
            State::Removing | State::Dead => {
                return later("the container was removed while it was started", None);
            }
            State::Running | State::Paused | State::Restarting | State::Exited => {
                return Launch::Started(container);
            }
        }
    }
    unsuccessful(&error, spec, Some(container))
}

fn unsuccessful(error: &EngineError, spec: &ContainerSpec, container: Option<ContainerId>) -> Launch {
    match meaning(error, &spec.image) {
        Meaning::Final(failure) => Launch::Failed { failure, container },
        Meaning::Passing(postponed) => Launch::Later(Postponed { container, ..postponed }),
    }
}

/// A start that the engine answered with an error.
fn refused(error: &EngineError, spec: &ContainerSpec, container: ContainerId) -> Launch {
    match unsuccessful(error, spec, Some(container)) {
        Launch::Later(postponed) if is_of_unknown_cause(error) => {
            Launch::Later(Postponed { patience: Patience::SinceFirstTry(START_GRACE), ..postponed })
        }
        launch => launch,
    }
}

fn later(why: &str, container: Option<ContainerId>) -> Launch {
    let failure = Failure::new(
        Outcome::StartFailed,
        format!(
            "The correction could not be started, although it was tried for some time: {why}. Submit the work again."
        ),
    );
    Launch::Later(Postponed {
        why: why.to_owned(),
        failure,
        patience: Patience::AsSet,
        engine_away: false,
        suspect: container.is_some(),
        container,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(correction: &str, attempt: &str) -> Labels {
        Labels { attempt: attempt.to_owned(), ..Labels::of_correction(correction) }
    }

    fn found(state: State, error: &str, labels: &Labels) -> Inspected {
        Inspected { error: error.to_owned(), labels: labels.to_map(), ..Inspected::of(state, 0) }
    }

    #[test]
    fn only_the_attempt_that_created_a_container_starts_it() {
        let (mine, other) = (labels("x", "mine"), labels("x", "other"));
        let container = ContainerId::new("c");
        let seen =
            |state, labels: &Labels, dont_start| prepared(&found(state, "", labels), Some(&mine), dont_start);
        assert_eq!(seen(State::Created, &mine, false), Prepared::Mine(container.clone()));
        assert_eq!(seen(State::Created, &other, false), Prepared::Stale(container.clone()));
        assert_eq!(seen(State::Created, &other, true), Prepared::Started(container.clone()));
        for state in [State::Running, State::Exited, State::Paused] {
            assert_eq!(seen(state, &other, false), Prepared::Started(container.clone()));
        }
        for state in [State::Removing, State::Dead] {
            assert_eq!(seen(state, &mine, false), Prepared::Leaving);
        }
    }

    #[test]
    fn a_start_that_failed_before_is_made_anew_and_a_foreign_container_is_not_touched() {
        let mine = labels("x", "mine");
        assert_eq!(
            prepared(&found(State::Created, "no room", &labels("x", "other")), Some(&mine), false),
            Prepared::Stale(ContainerId::new("c"))
        );
        let foreign = found(State::Exited, "", &labels("y", "mine"));
        assert_eq!(prepared(&foreign, Some(&mine), false), Prepared::Foreign);
        let unlabelled = Inspected { labels: std::collections::HashMap::new(), ..foreign };
        assert_eq!(prepared(&unlabelled, Some(&mine), false), Prepared::Foreign);
    }
}
