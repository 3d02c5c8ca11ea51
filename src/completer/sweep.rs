//! The reconciliation sweep: containers that the events, or a crash, left behind.
//!
//! It looks at the engine's list of our labelled containers. Those that this completer holds a record
//! of are the state machine's business; of the others Redis says where they stand.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::crash_points::{Point, pass};
use crate::docker::{EngineError, Listed, State};
use crate::identity::ContainerId;
use crate::labels::Labels;
use crate::queue::Standing;

use super::inflight::Seen;
use super::removal::{Because, Removal};
use super::session::Session;

/// A container that was created for a correction that nobody knows of any more is removed after this
/// time: its starter may be between two steps, or a person may be about to start it by hand.
const CREATED_GRACE: Duration = Duration::from_secs(60 * 60);
/// How much longer than its limit a container may be seen running, by our own clock, before a completer that
/// holds no record of it kills it: whoever holds the record comes first.
const OVERDUE_GRACE: Duration = Duration::from_secs(30);

/// What a sweep found among the containers of which this completer holds no record.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Their correction is done, or will never be. Those that no list shows are among them.
    pub removable: Vec<Removal>,
    /// They ended, and nobody will finish their correction unless we do.
    pub orphans: Vec<(ContainerId, Labels)>,
    /// They run, and should have ended some time ago.
    pub overdue: Vec<(Listed, Labels)>,
}

/// The engine's list, cut down to what belongs to this installation.
///
/// # Errors
/// Redis or the engine did not answer.
pub async fn list(session: &Session) -> anyhow::Result<Vec<Listed>> {
    let pinned = session.settings.common.instance.as_ref();
    let instance = session.redis.instance(pinned).await.context("the installation's id cannot be read")?;
    if instance != session.instance() {
        warn!(%instance, "the installation has a new id, since its keys were reset; containers of the old one are left alone");
        session.whereabouts.set_instance(instance.clone());
    }
    for queue in [&session.pending, &session.running, &session.finished] {
        for job in queue.revive_overstalled().await.context("failed jobs cannot be read")? {
            warn!(job_id = %job, "a job that another client gave up as stalled waits again");
        }
    }
    session.engine.list(&instance).await.context("the containers cannot be listed")
}

/// What the list says of each container, for the state machine.
#[must_use]
pub fn seen(listed: &[Listed]) -> HashMap<ContainerId, Seen> {
    let seen = |state| match state {
        State::Exited | State::Dead => Seen::Ended,
        State::Running | State::Paused | State::Restarting => Seen::Running,
        State::Created | State::Removing => Seen::Waiting,
    };
    listed.iter().map(|one| (one.id.clone(), seen(one.state))).collect()
}

fn has_ended(state: State) -> bool {
    matches!(state, State::Exited | State::Dead)
}

/// Asks Redis about the containers that this completer holds no record of.
///
/// # Errors
/// Redis did not answer.
pub async fn examine(session: &Session, strangers: Vec<Listed>) -> anyhow::Result<Found> {
    let leftovers = session.redis.leftovers(&session.engine_id()).await.context("removals cannot be read")?;
    let removable = leftovers.into_iter().map(Removal::of_leftover).collect();
    let mut found = Found { removable, ..Found::default() };
    let labelled: Vec<(Listed, Labels)> = strangers
        .into_iter()
        .filter_map(|one| Labels::from_map(&one.labels).map(|labels| (one, labels)))
        .collect();
    let (still, running): (Vec<_>, Vec<_>) =
        labelled.into_iter().partition(|(one, _)| has_ended(one.state) || one.state == State::Created);
    found.overdue = session.sightings.overdue(running, Instant::now());
    let now = session.engine.now();
    let asked: Vec<Labels> = still.iter().map(|(_, labels)| labels.clone()).collect();
    let standings = session.redis.standing(&asked).await.context("the records cannot be read")?;
    for ((one, labels), standing) in still.into_iter().zip(standings) {
        classify(&mut found, one, labels, standing, now);
    }
    Ok(found)
}

fn classify(found: &mut Found, one: Listed, labels: Labels, standing: Standing, now: Timestamp) {
    let removal = |because| Removal::of(one.id.clone(), because);
    match standing {
        Standing::Live => {}
        Standing::Done => found.removable.push(removal(Because::Done(Box::new(labels)))),
        Standing::Orphan if has_ended(one.state) => found.orphans.push((one.id, labels)),
        Standing::Orphan => {
            let age = now.as_second().saturating_sub(one.created);
            if age >= CREATED_GRACE.as_secs().cast_signed() {
                info!(container_id = %one.id, "a container that was never started and has no record is removed");
                found.removable.push(removal(Because::NeverStarted));
            }
        }
    }
}

/// How long a container may run before a completer that holds no record of it kills it.
fn allowed(labels: &Labels) -> Option<Duration> {
    labels.timeout().map(|timeout| timeout + OVERDUE_GRACE)
}

/// Since when the containers that nobody here holds are seen running, by our own clock: the engine's may have
/// been set since they were started, and when they were submitted says nothing of their start.
#[derive(Debug, Default)]
pub struct Sightings(Mutex<HashMap<ContainerId, Instant>>);

impl Sightings {
    /// Takes note of all that run now, and tells those that did for longer than they may. One that was first
    /// seen late, since this process began late, gets that much more.
    fn overdue(&self, running: Vec<(Listed, Labels)>, now: Instant) -> Vec<(Listed, Labels)> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *seen);
        let mut overdue = Vec::new();
        for (one, labels) in running {
            let since = before.get(&one.id).copied().unwrap_or(now);
            seen.insert(one.id.clone(), since);
            if allowed(&labels).is_some_and(|allowed| now.saturating_duration_since(since) >= allowed) {
                overdue.push((one, labels));
            }
        }
        overdue
    }
}

/// Kills those that do run far beyond their time. One that cannot be killed holds up nobody else.
pub async fn stop_overdue(session: &Session, overdue: Vec<(Listed, Labels)>) {
    for (one, _) in overdue {
        if let Err(error) = stop_if_running(session, &one).await {
            warn!(container_id = %one.id, error = format!("{error:#}"), "an overdue container could not be stopped");
        }
    }
}

/// A list may say of one that ended long ago that it runs.
async fn stop_if_running(session: &Session, one: &Listed) -> Result<(), EngineError> {
    let inspected = session.engine.inspect(one.id.as_str()).await?;
    if inspected.is_some_and(|inspected| matches!(inspected.state, State::Running | State::Paused)) {
        warn!(container_id = %one.id, "a container runs far beyond its time and is killed");
        super::effects::kill(session, &one.id).await?;
        pass(Point::SweepKilled).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{CorrectionId, InstanceId, JobId};
    use crate::job::Errand;

    fn labels() -> Labels {
        Labels {
            instance: InstanceId::new("i"),
            correction: CorrectionId::new("x"),
            job: JobId::new("1"),
            name: String::new(),
            timestamp: 0,
            generation: 0,
            attempt: String::new(),
            timeout_ms: 0,
            errand: Errand::default(),
        }
    }

    fn listed(state: State, created: i64) -> Listed {
        Listed { id: ContainerId::new("c"), state, created, labels: HashMap::new() }
    }

    fn classified(state: State, standing: Standing, age: i64) -> Found {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let mut found = Found::default();
        classify(&mut found, listed(state, now.as_second() - age), labels(), standing, now);
        found
    }

    #[test]
    fn what_is_seen_running_beyond_its_time_and_a_grace_is_overdue_whatever_the_engines_clock() {
        let (sightings, begun) = (Sightings::default(), Instant::now());
        let overdue = |timeout_ms, second| {
            // Made in 1970 by that clock.
            let one = (listed(State::Running, 0), Labels { timeout_ms, ..labels() });
            sightings.overdue(vec![one], begun + Duration::from_secs(second)).len()
        };
        assert_eq!([overdue(60_000, 0), overdue(60_000, 89), overdue(60_000, 90)], [0, 0, 1]);
        assert_eq!(overdue(0, 1_000_000), 0, "no time-out");
        assert!(sightings.overdue(Vec::new(), begun).is_empty());
        assert_eq!(overdue(60_000, 1_000_000), 0, "what was not there meanwhile is seen for the first time");
    }

    #[test]
    fn what_is_live_is_left_alone() {
        for state in [State::Exited, State::Dead, State::Created] {
            assert_eq!(classified(state, Standing::Live, 1_000_000), Found::default());
        }
    }

    #[test]
    fn what_is_done_is_removed_whatever_its_state() {
        for state in [State::Exited, State::Dead, State::Created] {
            assert_eq!(classified(state, Standing::Done, 0).removable.len(), 1);
        }
    }

    #[test]
    fn an_ended_orphan_is_finished_and_one_never_started_is_removed_after_its_grace() {
        assert_eq!(classified(State::Exited, Standing::Orphan, 0).orphans.len(), 1);
        assert_eq!(classified(State::Created, Standing::Orphan, 3599), Found::default());
        assert_eq!(classified(State::Created, Standing::Orphan, 3600).removable.len(), 1);
    }
}
