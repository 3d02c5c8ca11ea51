//! The low-priority lane on which containers are removed, some time after their result is safe.
//!
//! Until then the container is what the result can be read from again. So Redis is asked once more right
//! before: one that came back without its last second may have forgotten what it had answered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tokio_util::time::DelayQueue;
use tracing::{Instrument, debug, error, warn};

use crate::concern::Concern;
use crate::crash_points::{Point, pass};
use crate::docker::Removed;
use crate::heartbeat::{self, Gauge, Stuck, Vital, bounded};
use crate::identity::{ContainerId, CorrectionId};
use crate::labels::Labels;
use crate::metrics::{CameOf, Find};
use crate::queue::{Leftover, QueueError, Standing};

use super::STAGE;
use super::session::Session;

/// A power cut takes from an append-only file that is flushed each second what was answered in the last
/// one, and up to two more where Redis put a write off because the disk was slow.
pub const SAFE_AFTER: Duration = Duration::from_secs(3);
/// How many removals are under way at once at the least and at the most; between them, as many as the
/// engine has processors. A removal costs the engine about as much as a start, which must not wait for it.
const LANES: (usize, usize) = (2, 16);
/// How often one removal is tried, with waits of 3, 6, 12 and 24 s; then the sweep finds it again, by its
/// labels or by its note.
const TRIES: u32 = 5;

/// A container that nobody needs any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    /// The container.
    pub container: ContainerId,
    /// Whether it may be removed although it runs: only where it could not be stopped.
    pub force: bool,
    /// Why nobody needs it.
    pub because: Because,
    /// The note of it in Redis, which is to be forgotten then; only where no label tells of it.
    pub noted: Option<Leftover>,
    /// Whose lines in the log are about it.
    pub concern: Concern,
}

impl Removal {
    /// Of a container that ended, or was never started.
    #[must_use]
    pub fn of(container: ContainerId, because: Because) -> Self {
        let concern = match &because {
            Because::Done(labels) => Concern::of_labelled(STAGE, &container, labels),
            Because::HandedOver(_) | Because::NeverStarted => Concern::of_container(STAGE, &container),
        };
        Self { container, force: false, because, noted: None, concern }
    }

    /// Of a container that Redis knows of.
    #[must_use]
    pub fn of_leftover(leftover: Leftover) -> Self {
        let because = Because::HandedOver(CorrectionId::of_unlabelled(&leftover.container));
        Self { noted: Some(leftover.clone()), ..Self::of(leftover.container, because) }
    }
}

/// Why nobody needs a container any more.
#[derive(Clone, Debug, PartialEq)]
pub enum Because {
    /// Its correction's result was handed over.
    HandedOver(CorrectionId),
    /// Its correction is done, as far as the labels tell whose it is.
    Done(Box<Labels>),
    /// It was never started, and no job knows of it.
    NeverStarted,
}

/// What came of one try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// It is gone, or to be left alone.
    Settled,
    /// The engine could not do it.
    Failed,
    /// Redis did not answer: it is not known whether the result is safe.
    Unknown,
}

/// Where removals are handed in. Each waits [`SAFE_AFTER`] and is then carried out.
#[derive(Debug)]
pub struct Removals {
    queue: mpsc::UnboundedSender<(Removal, Source)>,
    closing: DropGuard,
    lane: AbortOnDropHandle<()>,
}

impl Removals {
    /// Starts the lane for an engine with that many processors.
    #[must_use]
    pub fn start(session: Arc<Session>, cpus: u32) -> Self {
        let (queue, handed_in) = mpsc::unbounded_channel();
        let lane = Lane {
            session,
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
        self.hand_in(removal, Source::End);
    }

    /// The same with one that a sweep found; only what was not on the lane yet is counted as found.
    pub fn add_found(&self, removal: Removal) {
        self.hand_in(removal, Source::Sweep);
    }

    fn hand_in(&self, removal: Removal, source: Source) {
        if self.queue.send((removal, source)).is_err() {
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

/// Who hands a container in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    End,
    Sweep,
}

struct Lane {
    session: Arc<Session>,
    width: usize,
    known: HashSet<ContainerId>,
    due: DelayQueue<(Removal, u32)>,
    under_way: JoinSet<Result<Tried, Stuck>>,
    tried: HashMap<Id, (Removal, u32)>,
    gauge: Gauge,
}

impl Lane {
    /// Carries out what is handed in, until nobody can hand anything in any more and all is done.
    async fn run(mut self, mut handed_in: mpsc::UnboundedReceiver<(Removal, Source)>) {
        let mut open = true;
        while open || !self.due.is_empty() || !self.under_way.is_empty() {
            tokio::select! {
                removal = handed_in.recv(), if open => match removal {
                    Some((removal, source)) => self.wait(removal, source),
                    None => open = false,
                },
                Some(due) = self.due.next(), if !self.due.is_empty() && self.under_way.len() < self.width => {
                    let (removal, tried) = due.into_inner();
                    self.start(removal, tried);
                }
                Some(done) = self.under_way.join_next_with_id(), if !self.under_way.is_empty() => match done {
                    Ok((id, Ok(tried))) => self.after(id, tried),
                    Ok((id, Err(stuck))) => self.failed(id, &stuck),
                    Err(panicked) => self.failed(panicked.id(), &panicked),
                },
            }
            self.gauge.set(self.known.len());
        }
    }

    fn wait(&mut self, removal: Removal, source: Source) {
        if self.known.insert(removal.container.clone()) {
            if source == Source::Sweep {
                self.session.metrics.sweep_finds.of(Find::Removable).one();
            }
            self.due.insert((removal, 0), SAFE_AFTER);
        }
    }

    fn start(&mut self, removal: Removal, tried: u32) {
        let (session, one) = (Arc::clone(&self.session), removal.clone());
        let span = removal.concern.span();
        let work = bounded(async move { remove(&session, &one).await }).instrument(span);
        let task = self.under_way.spawn(work);
        self.tried.insert(task.id(), (removal, tried));
    }

    fn failed(&mut self, id: Id, why: &dyn std::error::Error) {
        if let Some((removal, _)) = self.tried.get(&id) {
            removal
                .concern
                .about(|| error!(error = %why, "a removal was given up: only its container is held up"));
        }
        self.after(id, Tried::Failed);
    }

    /// What failed waits its turn again, out of the others' way.
    fn after(&mut self, id: Id, came_of_it: Tried) {
        let Some((removal, before)) = self.tried.remove(&id) else { return };
        match came_of_it {
            Tried::Failed if before + 1 < TRIES => {
                self.due.insert((removal, before + 1), SAFE_AFTER * 2_u32.pow(before));
            }
            Tried::Unknown => {
                self.due.insert((removal, before), SAFE_AFTER);
            }
            Tried::Settled | Tried::Failed => {
                self.known.remove(&removal.container);
            }
        }
    }
}

/// Removes a container, if it still is not needed.
async fn remove(session: &Session, removal: &Removal) -> Tried {
    pass(Point::CompleterRemoving).await;
    match is_unneeded(session, &removal.because).await {
        Ok(true) => {}
        Ok(false) => {
            warn!(
                "Redis forgot that the correction of this container is done; it is kept until that is so again"
            );
            return Tried::Settled;
        }
        Err(error) => {
            debug!(error = format!("{error:#}"), "a removal waits for Redis");
            return Tried::Unknown;
        }
    }
    let removed = session.engine.remove(&removal.container, removal.force).await;
    pass(Point::CompleterRemoved).await;
    match removed {
        Ok(Removed::Done | Removed::Gone) => {
            session.metrics.removals.of(CameOf::Done).one();
            debug!("container removed");
            forget(session, removal).await;
            Tried::Settled
        }
        // Its note stays until a later look finds it gone.
        Ok(Removed::InProgress) => Tried::Settled,
        Ok(Removed::Running) => {
            warn!("a container whose correction has ended runs again; it is left alone");
            Tried::Settled
        }
        Err(error) => {
            session.metrics.removals.of(CameOf::Failed).one();
            warn!(error = format!("{error:#}"), "a container could not be removed");
            Tried::Failed
        }
    }
}

/// Forgets the note of a container that is gone.
async fn forget(session: &Session, removal: &Removal) {
    let Some(leftover) = &removal.noted else { return };
    if let Err(error) = session.redis.forget_leftover(leftover).await {
        debug!(
            error = format!("{error:#}"),
            "the note of a container that is gone stays until the next sweep"
        );
    }
}

async fn is_unneeded(session: &Session, because: &Because) -> Result<bool, QueueError> {
    match because {
        Because::HandedOver(correction) => session.redis.is_done(correction).await,
        Because::Done(labels) => {
            Ok(session.redis.standing(std::slice::from_ref(&**labels)).await? == [Standing::Done])
        }
        Because::NeverStarted => Ok(true),
    }
}
