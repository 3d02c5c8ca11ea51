//! The watch over what containers write: one that wrote more than it may is killed.
//!
//! Few engines can bound it, so that sizes have to be looked at, for which the engine walks over all that was
//! written. So few containers are looked at at a time, none before it has run for some seconds, each the
//! sooner the sooner it will be full at the pace at which it writes, and each lane spends no more than a tenth of its
//! time on it. While nothing runs, nothing is asked.
//!
//! One whose size cannot be counted in time, since it made very many files or since the engine is slow, is looked at
//! less and less often, so that it takes the watch from no other. It is not killed for it: on a slow host that
//! would hit those who did nothing.
//!
//! Why it was killed is told by its own disk, which stays as it is until the container is removed: whoever finishes
//! the correction looks at it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;
use tracing::{Instrument, debug, warn};

use crate::concern::Concern;
use crate::crash_points::{Point, pass};
use crate::docker::{EngineError, Inspected, State};
use crate::heartbeat::{self, bounded};
use crate::identity::ContainerId;
use crate::labels::Labels;
use crate::usage::Disk;

use super::effects::kill;
use super::scene::Scene;
use super::session::Session;

/// How long a container is held before it is looked at: most have ended by then.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// The shortest and the longest time between two looks at one container.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// The same for one that was not started yet, and after the engine gave no answer.
const SELDOM: Duration = Duration::from_secs(30);
/// How much longer than the engine worked on the last look is waited before the next one.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(30);
/// How many containers are looked at at once.
const LANES: usize = 3;
/// After so many looks in a row without an answer it is said that a container is not watched.
const GIVEN_UP_AFTER: u32 = 3;
/// The longest time between two looks at one that cannot be looked at.
const RARELY: Duration = Duration::from_secs(600);

/// Where containers are handed in to be watched.
#[derive(Debug)]
pub struct Disks {
    // Dropped first: the lane's end is asked for.
    _closing: DropGuard,
    orders: mpsc::UnboundedSender<Order>,
    _lane: AbortOnDropHandle<()>,
}

#[derive(Debug)]
enum Order {
    Watch(ContainerId, Concern),
    Forget(ContainerId),
}

impl Disks {
    /// Starts the watch.
    #[must_use]
    pub fn start(session: Arc<Session>) -> Self {
        let (orders, given) = mpsc::unbounded_channel();
        let lane = Lane {
            session,
            due: DelayQueue::new(),
            watched: HashMap::new(),
            looked_at: HashSet::new(),
            busy: FuturesUnordered::new(),
        };
        let closing = CancellationToken::new();
        let lane = heartbeat::spawn("completer: disks", &closing, lane.run(given));
        Self { _closing: closing.drop_guard(), orders, _lane: lane }
    }

    /// Watches a container from now on, about what this is called for.
    pub fn watch(&self, container: &ContainerId) {
        // It ends with the completer: what is handed in then is watched by the next one.
        let _ = self.orders.send(Order::Watch(container.clone(), Concern::current()));
    }

    /// Leaves it alone.
    pub fn forget(&self, container: &ContainerId) {
        let _ = self.orders.send(Order::Forget(container.clone()));
    }
}

struct Lane {
    session: Arc<Session>,
    due: DelayQueue<ContainerId>,
    watched: HashMap<ContainerId, (Key, Watched)>,
    /// Those that are being looked at, unless they were forgotten meanwhile.
    looked_at: HashSet<ContainerId>,
    busy: FuturesUnordered<BoxFuture<'static, Turn>>,
}

/// What came of a turn of one lane.
enum Turn {
    /// A container was looked at.
    Looked(Box<(ContainerId, Watched, Option<Duration>)>, Duration),
    /// The lane has rested.
    Rested,
}

/// What is known of a container's disk.
#[derive(Clone, Debug)]
struct Watched {
    /// Whose lines in the log are about it.
    concern: Concern,
    /// Its limit and its volumes; `None` before the first look.
    terms: Option<(u64, Vec<String>)>,
    /// How much was written, and when that was so.
    last: (u64, Instant),
    /// How many looks in a row had no answer.
    unanswered: u32,
}

/// What came of a look.
#[derive(Debug, PartialEq)]
enum Looked {
    /// It may write as it likes, or it ended.
    Done,
    /// It was not started yet.
    NotYet,
    /// It has written so much.
    Wrote(Disk),
}

impl Lane {
    async fn run(mut self, mut given: mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                biased;
                order = given.recv() => match order {
                    Some(Order::Watch(container, concern)) => self.watch(container, concern),
                    Some(Order::Forget(container)) => self.forget(&container),
                    None => return,
                },
                Some(turn) = self.busy.next(), if !self.busy.is_empty() => self.turned(turn),
                Some(due) = self.due.next(), if !self.due.is_empty() && self.busy.len() < LANES => {
                    self.look_at(due.into_inner());
                }
            }
        }
    }

    fn watch(&mut self, container: ContainerId, concern: Concern) {
        if !self.watched.contains_key(&container) && !self.looked_at.contains(&container) {
            self.put(container, Watched::anew(concern), FIRST_LOOK);
        }
    }

    fn put(&mut self, container: ContainerId, watched: Watched, wait: Duration) {
        let key = self.due.insert(container.clone(), wait);
        self.watched.insert(container, (key, watched));
    }

    fn forget(&mut self, container: &ContainerId) {
        self.looked_at.remove(container);
        if let Some((key, _)) = self.watched.remove(container) {
            self.due.try_remove(&key);
        }
    }

    fn look_at(&mut self, container: ContainerId) {
        let Some((_, mut watched)) = self.watched.remove(&container) else { return };
        self.looked_at.insert(container.clone());
        let session = Arc::clone(&self.session);
        let span = watched.concern.span();
        self.busy.push(
            async move {
                let (wait, rest) = watched.look(session.scene(), &container).await;
                Turn::Looked(Box::new((container, watched, wait)), (rest * REST).min(LONGEST_REST))
            }
            .instrument(span)
            .boxed(),
        );
    }

    fn turned(&mut self, turn: Turn) {
        let Turn::Looked(looked, rest) = turn else { return };
        let (container, watched, wait) = *looked;
        let is_watched = self.looked_at.remove(&container);
        if let Some(wait) = wait.filter(|_| is_watched) {
            self.put(container, watched, wait);
        }
        self.busy.push(tokio::time::sleep(rest).map(|()| Turn::Rested).boxed());
    }
}

impl Watched {
    fn anew(concern: Concern) -> Self {
        Self { concern, terms: None, last: (0, Instant::now()), unanswered: 0 }
    }

    /// Looks at a container. Tells when to look again (`None` = no more), and how long the engine worked on it.
    async fn look(&mut self, scene: Scene<'_>, container: &ContainerId) -> (Option<Duration>, Duration) {
        let began = Instant::now();
        let looked = bounded(look(scene, container, self)).await;
        let took = began.elapsed();
        match looked {
            Ok(Ok(Looked::Done)) => (None, took),
            Ok(Ok(Looked::NotYet)) => (Some(SELDOM), took),
            Ok(Ok(Looked::Wrote(disk))) => {
                self.unanswered = 0;
                let (before, at) = std::mem::replace(&mut self.last, (disk.used, began));
                (Some(next_look(before, began.saturating_duration_since(at), disk)), took)
            }
            // The container rests, and not the lane.
            Ok(Err(error)) => (Some(self.not_answered(&error)), Duration::ZERO),
            Err(stuck) => (Some(self.not_answered(&stuck)), Duration::ZERO),
        }
    }

    /// A look had no answer. Tells when to look again.
    fn not_answered(&mut self, why: &dyn std::error::Error) -> Duration {
        self.unanswered = self.unanswered.saturating_add(1);
        if self.unanswered == GIVEN_UP_AFTER {
            warn!(error = %why, "how much a container writes to its disk cannot be counted: it is hardly watched any more");
        } else {
            debug!(error = %why, "a disk could not be looked at");
        }
        let doubled = 2_u32.saturating_pow(self.unanswered.saturating_sub(1));
        SELDOM.saturating_mul(doubled).min(RARELY)
    }
}

/// Watches the disk of a single container, for as long as there is something to watch.
pub async fn watch_one(scene: Scene<'_>, container: &ContainerId) {
    let (mut watched, mut wait) = (Watched::anew(Concern::current()), FIRST_LOOK);
    loop {
        tokio::time::sleep(wait).await;
        let (next, worked) = watched.look(scene, container).await;
        let Some(next) = next else { return };
        wait = next.max((worked * REST).min(LONGEST_REST));
    }
}

/// Looks at a container's disk, and kills it where that is too full.
async fn look(
    scene: Scene<'_>,
    container: &ContainerId,
    watched: &mut Watched,
) -> Result<Looked, EngineError> {
    let (allowed, volumes) = if let Some(terms) = &watched.terms {
        terms
    } else {
        let Some(inspected) = scene.engine.inspect(container.as_str()).await? else {
            return Ok(Looked::Done);
        };
        match (inspected.state, limit_of(&inspected)) {
            (State::Created | State::Restarting, Some(_)) => return Ok(Looked::NotYet),
            (State::Running | State::Paused, Some(allowed)) => {
                watched.terms.insert((allowed, inspected.volumes))
            }
            _ => return Ok(Looked::Done),
        }
    };
    let Some(disk) = measure(scene, container, *allowed, volumes).await? else { return Ok(Looked::Done) };
    if disk.is_exceeded() {
        warn!(
            used = disk.used,
            allowed = disk.allowed,
            "a container wrote more to its disk than it may, and is killed"
        );
        scene.witness.saw_full_disk(container, disk);
        kill(scene, container).await?;
        pass(Point::CompleterKilled).await;
    }
    Ok(Looked::Wrote(disk))
}

/// How much a container may write to its disk; `None` = as much as it likes.
#[must_use]
pub fn limit_of(inspected: &Inspected) -> Option<u64> {
    Labels::from_map(&inspected.labels)?.disk
}

/// How much a container wrote, its anonymous volumes included. `None` = it is gone, or the engine does not tell.
///
/// # Errors
/// The engine did not answer.
pub async fn measure(
    scene: Scene<'_>,
    container: &ContainerId,
    allowed: u64,
    volumes: &[String],
) -> Result<Option<Disk>, EngineError> {
    let Some(written) = scene.engine.written(container).await? else { return Ok(None) };
    let used = written.saturating_add(scene.engine.held_by_volumes(volumes).await?);
    Ok(Some(Disk { used, allowed }))
}

/// When to look again: after half the time in which it will be full if it writes on as since the last look.
fn next_look(before: u64, since: Duration, disk: Disk) -> Duration {
    let (soonest, latest) = LOOK_EVERY;
    let (wrote, left) = (disk.used.saturating_sub(before), disk.allowed.saturating_sub(disk.used));
    if wrote == 0 {
        return latest;
    }
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let until_full = since.as_secs_f64() * (left as f64 / wrote as f64);
    Duration::try_from_secs_f64(until_full / 2.0).unwrap_or(latest).clamp(soonest, latest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn who_writes_fast_is_looked_at_sooner() {
        let next = |before, used| next_look(before, SECOND, Disk { used, allowed: 100 });
        assert_eq!(next(0, 0), LOOK_EVERY.1, "it writes nothing");
        assert_eq!(next(0, 1), LOOK_EVERY.1, "there is room for a long time");
        assert_eq!(next(0, 20), 2 * SECOND, "it will be full in four seconds");
        assert_eq!(next(50, 90), LOOK_EVERY.0, "it will be full in a quarter of a second");
        assert_eq!(next(90, 80), LOOK_EVERY.1, "it deletes");
        assert_eq!(next(0, 200), LOOK_EVERY.0, "it is full, and was killed");
    }

    #[test]
    fn one_that_cannot_be_looked_at_is_looked_at_less_and_less_often() {
        let mut watched = Watched::anew(Concern::current());
        let why = std::io::Error::other("no answer");
        let waits: Vec<u64> = (0..6).map(|_| watched.not_answered(&why).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 600]);
    }

    proptest! {
        #[test]
        fn the_next_look_is_always_in_its_bounds(before: u64, used: u64, allowed: u64, ms: u64) {
            let wait = next_look(before, Duration::from_millis(ms), Disk { used, allowed });
            prop_assert!((LOOK_EVERY.0..=LOOK_EVERY.1).contains(&wait));
        }
    }
}
