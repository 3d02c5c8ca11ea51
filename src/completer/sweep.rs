//! The reconciliation sweep: containers that the events, or a crash, left behind.
//!
//! It looks at the engine's list of our labelled containers. Those that this completer holds a record
//! of are the state machine's business; of the others Redis says where they stand.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tracing::{Instrument, info, warn};

use crate::concern::Concern;
use crate::crash_points::{Point, pass};
use crate::docker::{EngineError, Inspected, Listed, State};
use crate::identity::{ContainerId, CorrectionId};
use crate::labels::Labels;
use crate::metrics::Find;
use crate::queue::Standing;

use super::STAGE;
use super::collect::elapsed;
use super::inflight::Seen;
use super::removal::{Because, Removal};
use super::session::Session;

/// A container that was created for a correction that nobody knows of any more is removed after this
/// time: its starter may be between two steps, or a person may be about to start it by hand.
const CREATED_GRACE: Duration = Duration::from_secs(60 * 60);
/// How much longer than its limit a container may run before a completer that holds no record of it
/// kills it: whoever holds the record comes first.
const OVERDUE_GRACE: Duration = Duration::from_secs(30);

/// What a sweep found among the containers of which this completer holds no record.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// Their correction is done, or will never be. Those that no list shows are among them.
    pub removable: Vec<Removal>,
    /// They ended, and nobody will finish their correction unless we do.
    pub orphans: Vec<(ContainerId, Labels)>,
    /// They run, and should have ended some time ago, or were cancelled.
    pub overdue: Vec<Stranger>,
}

/// The engine's list of our labelled containers, as much of it as a sweep needs.
#[derive(Debug, Default)]
pub struct Listing {
    /// What it says of each container, for the state machine.
    pub seen: HashMap<ContainerId, Seen>,
    /// Those to which something may have to be done if nobody here holds a record of them: of thousands
    /// that run in time nothing more than the state is kept.
    pub strangers: Vec<Stranger>,
}

/// A listed container that may have been left behind.
#[derive(Debug, PartialEq)]
pub struct Stranger {
    /// Its id.
    pub id: ContainerId,
    state: State,
    created: i64,
    labels: Box<Labels>,
    /// Whether its correction was cancelled, and told as that.
    stray: bool,
}

/// Lists the containers of this installation.
///
/// # Errors
/// Redis or the engine did not answer.
pub async fn list(session: &Session) -> anyhow::Result<Listing> {
    let pinned = session.settings.common.instance.as_ref();
    let instance = session.redis.instance(pinned).await.context("the installation's id cannot be read")?;
    if instance != session.instance() {
        warn!(%instance, "the installation has a new id, since its keys were reset; containers of the old one are left alone");
        session.whereabouts.set_instance(instance.clone());
    }
    for queue in [&session.pending, &session.running, &session.finished] {
        for job in queue.revive_overstalled().await.context("failed jobs cannot be read")? {
            session.metrics.sweep_finds.of(Find::Overstalled).one();
            warn!(job_id = %job, "a job that another client gave up as stalled waits again");
        }
    }
    let strays = session.redis.strays().await.context("what was cancelled cannot be read")?;
    let (mut seen, now) = (HashMap::new(), session.engine.now());
    let keep = |one: Listed| {
        seen.insert(one.id.clone(), seen_as(one.state));
        Stranger::of(one, &strays, now)
    };
    let strangers = session.engine.list(&instance, keep).await.context("the containers cannot be listed")?;
    // Others do not give up its corrections while it is watched.
    session.redis.note_engine(&session.engine_id()).await.context("the engine cannot be noted")?;
    Ok(Listing { seen, strangers })
}

impl Stranger {
    /// What has to be known of a listed container if nobody here holds a record of it; `None` where it is left
    /// alone then: somebody else's, on its way out, or running in time and not cancelled.
    fn of(one: Listed, strays: &HashSet<CorrectionId>, now: Timestamp) -> Option<Self> {
        let Listed { id, state, created, labels } = one;
        let labels = labels?;
        let stray = strays.contains(&labels.correction);
        let one = Self { id, state, created, labels, stray };
        (one.is_still() || one.stray || one.may_be_overdue(now)).then_some(one)
    }

    /// Whether it ended, or was never started.
    fn is_still(&self) -> bool {
        has_ended(self.state) || self.state == State::Created
    }

    /// Whether its time would be up if it had been started when it was created.
    fn may_be_overdue(&self, now: Timestamp) -> bool {
        let age = Timestamp::from_second(self.created).ok().and_then(|created| elapsed(created, now));
        allowed(&self.labels)
            .zip(age)
            .is_some_and(|(allowed, age)| age >= allowed && was_submitted_before(&self.labels, allowed))
    }
}

fn seen_as(state: State) -> Seen {
    match state {
        State::Exited | State::Dead => Seen::Ended,
        State::Running | State::Paused | State::Restarting => Seen::Running,
        State::Created | State::Removing => Seen::Waiting,
    }
}

fn has_ended(state: State) -> bool {
    matches!(state, State::Exited | State::Dead)
}

/// Asks Redis about the containers that this completer holds no record of.
///
/// # Errors
/// Redis did not answer.
pub async fn examine(session: &Session, strangers: Vec<Stranger>) -> anyhow::Result<Found> {
    let leftovers = session.redis.leftovers(&session.engine_id()).await.context("removals cannot be read")?;
    let removable = leftovers.into_iter().map(Removal::of_leftover).collect();
    let mut found = Found { removable, ..Found::default() };
    let (still, overdue): (Vec<_>, Vec<_>) = strangers.into_iter().partition(Stranger::is_still);
    found.overdue = overdue;
    let asked: Vec<&Labels> = still.iter().map(|one| &*one.labels).collect();
    let standings = session.redis.standing(&asked).await.context("the records cannot be read")?;
    let now = session.engine.now();
    for (one, standing) in still.into_iter().zip(standings) {
        classify(&mut found, one, standing, now);
    }
    Ok(found)
}

fn classify(found: &mut Found, one: Stranger, standing: Standing, now: Timestamp) {
    let removal = |because| Removal::of(one.id.clone(), because);
    match standing {
        Standing::Live => {}
        Standing::Done => found.removable.push(removal(Because::Done(one.labels))),
        Standing::Orphan if has_ended(one.state) => found.orphans.push((one.id, *one.labels)),
        Standing::Orphan => {
            let age = now.as_second().saturating_sub(one.created);
            if age >= CREATED_GRACE.as_secs().cast_signed() {
                let concern = Concern::of_labelled(STAGE, &one.id, &one.labels);
                concern.about(|| info!("a container that was never started and has no record is removed"));
                found.removable.push(Removal { concern, ..removal(Because::NeverStarted) });
            }
        }
    }
}

/// How long a container may run before a completer that holds no record of it kills it.
fn allowed(labels: &Labels) -> Option<Duration> {
    labels.timeout().map(|timeout| timeout + OVERDUE_GRACE)
}

/// Whether it was submitted so long ago, by our clock: the engine's may have been set.
fn was_submitted_before(labels: &Labels, allowed: Duration) -> bool {
    let now = Timestamp::now().as_millisecond().unsigned_abs();
    now.checked_sub(labels.timestamp).is_none_or(|age| Duration::from_millis(age) >= allowed)
}

/// Kills those that do run far beyond their time, or whose correction was cancelled. One that cannot be killed holds
/// up nobody else.
pub async fn stop_overdue(session: &Session, overdue: Vec<Stranger>) {
    for one in overdue {
        let concern = Concern::of_labelled(STAGE, &one.id, &one.labels);
        let work = async {
            if let Err(error) = stop_if_overdue(session, &one).await {
                warn!(error = format!("{error:#}"), "an overdue container could not be stopped");
            }
        };
        work.instrument(concern.span()).await;
    }
}

async fn stop_if_overdue(session: &Session, one: &Stranger) -> Result<(), EngineError> {
    let Some(Inspected { state: State::Running | State::Paused, started_at: Some(started), .. }) =
        session.engine.inspect(one.id.as_str()).await?
    else {
        return Ok(());
    };
    if one.stray {
        warn!("a container whose correction was cancelled runs, and is killed");
        super::effects::kill(session.scene(), &one.id).await?;
        session.metrics.sweep_finds.of(Find::Overdue).one();
        pass(Point::SweepKilled).await;
        return Ok(());
    }
    let run_for = elapsed(started, session.engine.now());
    if allowed(&one.labels).zip(run_for).is_some_and(|(allowed, run_for)| run_for >= allowed) {
        warn!("a container runs far beyond its time and is killed");
        super::effects::kill(session.scene(), &one.id).await?;
        session.metrics.sweep_finds.of(Find::Overdue).one();
        pass(Point::SweepKilled).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::of_correction("x")
    }

    fn stranger(state: State, created: i64) -> Stranger {
        Stranger { id: ContainerId::new("c"), state, created, labels: Box::new(labels()), stray: false }
    }

    fn classified(state: State, standing: Standing, age: i64) -> Found {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let mut found = Found::default();
        classify(&mut found, stranger(state, now.as_second() - age), standing, now);
        found
    }

    #[test]
    fn what_runs_beyond_its_time_and_a_grace_may_be_overdue() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let overdue = |timeout_ms, age: i64| {
            let labels = Box::new(Labels { timeout_ms, ..labels() });
            kept(State::Running, 1_000_000 - age, Some(labels), now)
        };
        assert!(overdue(60_000, 90) && !overdue(60_000, 89) && !overdue(0, 1_000_000));
    }

    fn kept(state: State, created: i64, labels: Option<Box<Labels>>, now: Timestamp) -> bool {
        let listed = Listed { id: ContainerId::new("c"), state, created, labels };
        Stranger::of(listed, &HashSet::new(), now).is_some()
    }

    #[test]
    fn of_a_list_only_what_is_still_or_overdue_and_ours_is_kept() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let still = [State::Exited, State::Dead, State::Created];
        for state in still.into_iter().chain([State::Running, State::Paused, State::Removing]) {
            assert_eq!(kept(state, 0, Some(Box::new(labels())), now), still.contains(&state), "{state:?}");
            assert!(!kept(state, 0, None, now), "{state:?}");
        }
    }

    #[test]
    fn what_runs_in_time_and_was_cancelled_is_kept_whatever_its_time() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let strays = HashSet::from([CorrectionId::new("x")]);
        let is_stray = |correction: &str| {
            let labels = Some(Box::new(Labels::of_correction(correction)));
            let listed =
                Listed { id: ContainerId::new("c"), state: State::Running, created: 999_999, labels };
            Stranger::of(listed, &strays, now).is_some_and(|one| one.stray)
        };
        assert!(is_stray("x") && !is_stray("y"));
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
