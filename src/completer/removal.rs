//! The low-priority lane on which containers are removed, some time after their result is safe.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::docker::{Engine, Removed};
use crate::identity::ContainerId;

/// Redis with an append-only file written each second may lose the last one. Until then the container
/// is what the result can be read from again.
pub const SAFE_AFTER: Duration = Duration::from_secs(2);
/// How many removals are under way at once.
const LANES: usize = 4;
/// How often one removal is tried; then the sweep, which finds it again, tries.
const TRIES: u32 = 3;

/// A container that nobody needs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The container.
    pub container: ContainerId,
    /// Whether it may be removed although it runs: only where it could not be stopped.
    pub force: bool,
}

/// Where removals are handed in. Each waits [`SAFE_AFTER`] and is then carried out.
#[derive(Debug)]
pub struct Removals {
    queue: mpsc::UnboundedSender<(Instant, Removal)>,
    queued: Arc<Mutex<HashSet<ContainerId>>>,
    lane: JoinHandle<()>,
}

impl Removals {
    /// Starts the lane.
    #[must_use]
    pub fn start(engine: Engine) -> Self {
        let (queue, due) = mpsc::unbounded_channel();
        let queued = Arc::new(Mutex::new(HashSet::new()));
        let lane = tokio::spawn(carry_out(engine, due, Arc::clone(&queued)));
        Self { queue, queued, lane }
    }

    /// Hands a container in, unless it is on the lane already.
    pub fn add(&self, removal: Removal) {
        let new =
            self.queued.lock().unwrap_or_else(PoisonError::into_inner).insert(removal.container.clone());
        if new && self.queue.send((Instant::now() + SAFE_AFTER, removal)).is_err() {
            debug!("the removal lane has ended; the next sweep removes what is left");
        }
    }

    /// Carries out what was handed in, for at most the given time. What is left is found by the next
    /// sweep of any completer.
    pub async fn close(self, at_most: Duration) {
        drop(self.queue);
        let mut lane = self.lane;
        if tokio::time::timeout(at_most, &mut lane).await.is_err() {
            lane.abort();
        }
    }
}

async fn carry_out(
    engine: Engine,
    due: mpsc::UnboundedReceiver<(Instant, Removal)>,
    queued: Arc<Mutex<HashSet<ContainerId>>>,
) {
    let due = stream::unfold(due, |mut due| async move {
        let (at, removal) = due.recv().await?;
        tokio::time::sleep_until(at).await;
        Some((removal, due))
    });
    due.for_each_concurrent(LANES, |removal| {
        let (engine, queued) = (engine.clone(), Arc::clone(&queued));
        async move {
            remove(&engine, &removal).await;
            queued.lock().unwrap_or_else(PoisonError::into_inner).remove(&removal.container);
        }
    })
    .await;
}

async fn remove(engine: &Engine, removal: &Removal) {
    let container = removal.container.as_str();
    for tried in 0..TRIES {
        let why = match engine.remove(&removal.container, removal.force).await {
            Ok(Removed::Done | Removed::Gone | Removed::InProgress) => {
                debug!(container_id = container, "container removed");
                return;
            }
            Ok(Removed::Running) => {
                warn!(
                    container_id = container,
                    "a container whose correction has ended runs again; it is left alone"
                );
                return;
            }
            Err(error) => format!("{error:#}"),
        };
        warn!(container_id = container, error = why, tried, "a container could not be removed");
        tokio::time::sleep(SAFE_AFTER * 2_u32.pow(tried)).await;
    }
}
