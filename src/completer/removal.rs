//! The low-priority lane on which containers are removed, some time after their result is safe.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tokio_util::time::DelayQueue;
use tracing::{debug, error, warn};

use crate::crash_points::{Point, pass};
use crate::docker::{Engine, Removed};
use crate::heartbeat::{self, Gauge, Stuck, Vital, bounded};
use crate::identity::ContainerId;
use crate::queue::{Leftover, Redis};

/// Redis with an append-only file written each second may lose the last one. Until then the container
/// is what the result can be read from again.
pub const SAFE_AFTER: Duration = Duration::from_secs(2);
/// How many removals are under way at once at the least and at the most; between them, as many as the
/// engine has processors. A removal costs the engine about as much as a start, which must not wait for it.
const LANES: (usize, usize) = (2, 16);
/// How often one removal is tried, with waits of 2, 4, 8 and 16 s; then the sweep finds it again, by its
/// labels or by its note.
const TRIES: u32 = 5;

/// A container that nobody needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The container.
    pub container: ContainerId,
    /// Whether it may be removed although it runs: only where it could not be stopped.
    pub force: bool,
    /// The note of it in Redis, which is to be forgotten then; only where no label tells of it.
    pub noted: Option<Leftover>,
}

impl Removal {
    /// Of a container that ended, or was never started.
    #[must_use]
    pub fn of(container: ContainerId) -> Self {
        Self { container, force: false, noted: None }
    }

    /// Of a container that Redis knows of.
    #[must_use]
    pub fn of_leftover(leftover: Leftover) -> Self {
        Self { noted: Some(leftover.clone()), ..Self::of(leftover.container) }
    }
}

/// Where removals are handed in. Each waits [`SAFE_AFTER`] and is then carried out.
#[derive(Debug)]
pub struct Removals {
    queue: mpsc::UnboundedSender<Removal>,
    closing: DropGuard,
    lane: AbortOnDropHandle<()>,
}

impl Removals {
    /// Starts the lane for an engine with that many processors.
    #[must_use]
    pub fn start(engine: Engine, redis: Redis, cpus: u32) -> Self {
        let (queue, handed_in) = mpsc::unbounded_channel();
        let lane = Lane {
            engine,
            redis,
            width: usize::try_from(cpus).unwrap_or(LANES.1).clamp(LANES.0, LANES.1),
            known: HashSet::new(),
            due: DelayQueue::new(),
            under_way: JoinSet::new(),
            tried: HashMap::new(),
            gauge: Gauge::of(Vital::Removals),
        };
        let closing = CancellationToken::new();
        let lane = heartbeat::spawn("completer: removals", &closing, lane.run(handed_in));
        Self { queue, closing: closing.drop_guard(), lane }
    }

    /// Hands a container in; one that is on the lane already is left as it is there.
    pub fn add(&self, removal: Removal) {
        if self.queue.send(removal).is_err() {
            debug!("the removal lane has ended; the next sweep removes what is left");
        }
    }

    /// Carries out what was handed in, until the deadline at the latest. What is left is found by the
    /// next sweep of any completer.
    pub async fn close(self, deadline: Instant) {
        drop((self.closing, self.queue));
        let mut lane = self.lane;
        if timeout_at(deadline, &mut lane).await.is_err() {
            lane.abort();
        }
    }
}

struct Lane {
    engine: Engine,
    redis: Redis,
    width: usize,
    known: HashSet<ContainerId>,
    due: DelayQueue<(Removal, u32)>,
    under_way: JoinSet<Result<bool, Stuck>>,
    tried: HashMap<Id, (Removal, u32)>,
    gauge: Gauge,
}

impl Lane {
    /// Carries out what is handed in, until nobody can hand anything in any more and all is done.
    async fn run(mut self, mut handed_in: mpsc::UnboundedReceiver<Removal>) {
        let mut open = true;
        while open || !self.due.is_empty() || !self.under_way.is_empty() {
            tokio::select! {
                removal = handed_in.recv(), if open => match removal {
                    Some(removal) => self.wait(removal),
                    None => open = false,
                },
                Some(due) = self.due.next(), if !self.due.is_empty() && self.under_way.len() < self.width => {
                    let (removal, tried) = due.into_inner();
                    self.start(removal, tried);
                }
                Some(done) = self.under_way.join_next_with_id(), if !self.under_way.is_empty() => match done {
                    Ok((id, Ok(removed))) => self.after(id, removed),
                    Ok((id, Err(stuck))) => self.failed(id, &stuck),
                    Err(panicked) => self.failed(panicked.id(), &panicked),
                },
            }
            self.gauge.set(self.known.len());
        }
    }

    fn wait(&mut self, removal: Removal) {
        if self.known.insert(removal.container.clone()) {
            self.due.insert((removal, 0), SAFE_AFTER);
        }
    }

    fn start(&mut self, removal: Removal, tried: u32) {
        let (engine, redis, one) = (self.engine.clone(), self.redis.clone(), removal.clone());
        let task = self.under_way.spawn(bounded(async move { remove(&engine, &redis, &one).await }));
        self.tried.insert(task.id(), (removal, tried + 1));
    }

    fn failed(&mut self, id: Id, why: &dyn std::error::Error) {
        let container = self.tried.get(&id).map(|(removal, _)| removal.container.to_string());
        error!(container_id = container, error = %why, "a removal was given up: only its container is held up");
        self.after(id, false);
    }

    /// What failed waits its turn again, out of the others' way.
    fn after(&mut self, id: Id, removed: bool) {
        let Some((removal, tried)) = self.tried.remove(&id) else { return };
        if removed || tried >= TRIES {
            self.known.remove(&removal.container);
        } else {
            self.due.insert((removal, tried), SAFE_AFTER * 2_u32.pow(tried - 1));
        }
    }
}

/// Removes a container. False = it could not be removed now.
async fn remove(engine: &Engine, redis: &Redis, removal: &Removal) -> bool {
    pass(Point::CompleterRemoving).await;
    let container = removal.container.as_str();
    let removed = engine.remove(&removal.container, removal.force).await;
    pass(Point::CompleterRemoved).await;
    match removed {
        Ok(Removed::Done | Removed::Gone) => {
            debug!(container_id = container, "container removed");
            forget(redis, removal).await;
            true
        }
        // Its note stays until a later look finds it gone.
        Ok(Removed::InProgress) => true,
        Ok(Removed::Running) => {
            warn!(
                container_id = container,
                "a container whose correction has ended runs again; it is left alone"
            );
            true
        }
        Err(error) => {
            warn!(container_id = container, error = format!("{error:#}"), "a container could not be removed");
            false
        }
    }
}

/// Forgets the note of a container that is gone.
async fn forget(redis: &Redis, removal: &Removal) {
    let Some(leftover) = &removal.noted else { return };
    if let Err(error) = redis.forget_leftover(leftover).await {
        debug!(container_id = %removal.container, error = format!("{error:#}"),
            "the note of a container that is gone stays until the next sweep");
    }
}
