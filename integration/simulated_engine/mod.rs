//! Docker's API on a Unix socket without containers: for tests of faults and for measurements.
//!
//! It answers the calls that the runner makes as Docker 20.10 (API 1.41) does, texts included; each was
//! compared with a real daemon. A container ends by itself after its run time, and what goes wrong
//! is switched on with the methods of [`SimulatedEngine`] or with variables of the container's
//! environment ([`script`]).
#![allow(dead_code, unused_imports, reason = "each user of this module uses another part of it")]

mod calls;
mod container;
mod events;
mod faults;
mod images;
mod options;
mod query;
pub mod reading;
mod reply;
mod server;
mod stats;
mod volumes;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use container::{Identity, Status, script};
pub use events::{Ending, Happening, Loss, Shape};
pub use faults::{Call, Fault, Rule};
pub use images::Present;
pub use options::Options;
pub use stats::Stats;

pub use world::Death;
use world::World;

/// What the handle, the server and the timers share.
struct Shared {
    options: Options,
    world: Mutex<World>,
    changed: Notify,
    reading: Arc<reading::Reading>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A container as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub status: Status,
    /// How often its start was asked for.
    pub start_calls: u64,
    /// Its labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// The running engine; it ends when this is dropped.
pub struct SimulatedEngine {
    shared: Arc<Shared>,
    socket: PathBuf,
    directory: Option<tempfile::TempDir>,
    listening: Mutex<CancellationToken>,
}

impl SimulatedEngine {
    /// Starts an engine on the current runtime.
    ///
    /// # Panics
    /// Where the socket cannot be made.
    #[allow(clippy::unused_async, reason = "it needs a runtime, and starting may come to take time")]
    pub async fn start(options: Options) -> Self {
        let directory = options.socket.is_none().then(|| tempfile::tempdir().expect("a temporary directory"));
        let socket = match (&options.socket, &directory) {
            (Some(socket), _) => socket.clone(),
            (None, Some(directory)) => directory.path().join("docker.sock"),
            (None, None) => unreachable!("one of them is there"),
        };
        let mut world = World::new(options.clone());
        world.log.history = options.record_history.then(Vec::new);
        let world = Mutex::new(world);
        let shared = Arc::new(Shared { options, world, changed: Notify::new(), reading: Arc::default() });
        let listening = Mutex::new(server::listen(Arc::clone(&shared), &socket));
        Self { shared, socket, directory, listening }
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it counted.
    pub fn stats(&self) -> Stats {
        self.shared.world().stats.clone()
    }

    /// Its containers, in no order.
    pub fn containers(&self) -> Vec<Seen> {
        let world = self.shared.world();
        let seen = world.containers.values().map(|container| Seen {
            id: container.identity.id.clone(),
            name: container.identity.name.clone(),
            status: container.status,
            start_calls: container.start_calls,
            labels: container.identity.labels.clone(),
        });
        seen.collect()
    }

    /// The deaths recorded since the last call.
    pub fn deaths(&self) -> Vec<Death> {
        std::mem::take(&mut self.shared.world().deaths)
    }

    /// All that happened to containers since it was started, removed ones too.
    pub fn history(&self) -> Vec<Happening> {
        self.shared.world().log.history.clone().unwrap_or_default()
    }

    /// Waits until its counts are as wanted.
    pub async fn until(&self, wanted: impl Fn(&Stats) -> bool) -> Stats {
        self.until_world(|world| wanted(&world.stats).then(|| world.stats.clone())).await
    }

    /// Waits until so many event streams are open.
    pub async fn until_streams(&self, count: usize) {
        self.until_world(|world| (world.log.open_streams() == count).then_some(())).await;
    }

    async fn until_world<T>(&self, wanted: impl Fn(&mut World) -> Option<T>) -> T {
        loop {
            let mut changed = std::pin::pin!(self.shared.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = wanted(&mut self.shared.world()) {
                return found;
            }
            // A stream that is closed by its reader is noticed by looking, not by a call.
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
        }
    }

    fn alter<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.shared.world());
        self.shared.changed.notify_waiters();
        result
    }

    // ---- things done by hand ----

    /// Ends a running container with an exit code. Answers whether it ran.
    pub fn end(&self, reference: &str, exit_code: i64) -> bool {
        self.alter(|world| {
            let id = world.resolve(reference).map(ToOwned::to_owned);
            id.is_some_and(|id| world.end(&id, None, exit_code))
        })
    }

    /// Ends every running container at once. Answers how many ran.
    pub fn end_all(&self, exit_code: i64) -> usize {
        self.alter(|world| {
            let ids: Vec<String> = world.containers.keys().cloned().collect();
            ids.iter().filter(|id| world.end(id, None, exit_code)).count()
        })
    }

    /// Ends a running container while the disk is full: what it wrote is lost. Answers whether it ran.
    pub fn lose(&self, reference: &str) -> bool {
        self.alter(|world| {
            let id = world.resolve(reference).map(ToOwned::to_owned);
            id.is_some_and(|id| world.lose(&id))
        })
    }

    /// `docker kill` of somebody else.
    pub fn kill(&self, reference: &str) -> bool {
        self.alter(|world| world.kill(reference, "KILL").is_ok())
    }

    /// `docker rm --force` of somebody else.
    pub fn remove(&self, reference: &str) -> bool {
        self.alter(|world| world.remove(reference, true).is_ok())
    }

    /// `docker start` of somebody else.
    pub fn start_by_hand(&self, reference: &str) -> bool {
        let run = self.alter(|world| world.start(reference).ok().flatten());
        run.map(|run| calls::schedule(&self.shared, run)).is_some()
    }

    /// `docker pause` of somebody else.
    pub fn pause(&self, reference: &str) -> bool {
        self.alter(|world| world.freeze(reference, true).is_ok())
    }

    /// Puts a container into a status that no call leads to (`dead`, `removing`).
    pub fn set_status(&self, reference: &str, status: Status) -> bool {
        self.alter(|world| {
            let id = world.resolve(reference).map(ToOwned::to_owned);
            id.and_then(|id| world.containers.get_mut(&id)).is_some_and(|found| {
                found.status = status;
                true
            })
        })
    }

    // ---- faults of calls ----

    /// The next `times` calls of this kind meet a fault.
    pub fn inject(&self, call: Call, fault: Fault, times: usize) {
        self.add_rule(Rule { call: Some(call), container: None, fault, left: times });
    }

    /// Adds a fault of any scope.
    pub fn add_rule(&self, rule: Rule) {
        self.alter(|world| world.rules.push(rule));
    }

    /// How many faults of calls are still to come.
    pub fn rules_left(&self) -> usize {
        self.shared.world().rules.iter().fold(0, |sum, rule| sum.saturating_add(rule.left))
    }

    /// Calls go right again.
    pub fn clear_rules(&self) {
        self.alter(|world| world.rules.clear());
    }

    /// Containers end before their start is answered, or (as at first) after it.
    pub fn die_within_start(&self, on: bool) {
        self.alter(|world| world.dies_within_start = on);
    }

    /// For how long `list` calls an ended container `running`.
    pub fn set_list_lag(&self, lag: Duration) {
        self.alter(|world| world.list_lag = lag);
    }

    /// `list` leaves out one container in so many, by chance; 1 = all, 0 = none.
    pub fn set_list_omits(&self, one_in: usize) {
        self.alter(|world| world.list_omits = one_in);
    }

    /// Puts the engine's clock ahead of (or, negative, behind) this machine's, in milliseconds.
    pub fn set_clock_skew(&self, milliseconds: i64) {
        self.alter(|world| world.skew = i128::from(milliseconds) * 1_000_000);
    }

    // ---- faults of events ----

    /// Ends every open event stream.
    pub fn close_streams(&self, how: Ending) {
        self.alter(|world| world.log.close_streams(how));
    }

    /// Loses the next `count` events of an action (`None` = of any).
    pub fn lose_events(&self, action: Option<&str>, count: usize, loss: Loss) {
        self.alter(|world| world.log.losses.push((action.map(ToOwned::to_owned), count, loss)));
    }

    /// Tells each event so many times more, each a nanosecond later.
    pub fn set_repeats(&self, times: u32) {
        self.alter(|world| world.log.repeats = times);
    }

    /// Loses none of the events to come.
    pub fn lose_no_events(&self) {
        self.alter(|world| world.log.losses.clear());
    }

    /// Sends bytes into every open event stream.
    pub fn inject_into_streams(&self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.alter(|world| world.log.inject(&bytes));
    }

    /// What events look like from now on.
    pub fn set_shape(&self, shape: Shape) {
        self.alter(|world| world.log.shape = shape);
    }

    /// How many event streams are open.
    pub fn open_streams(&self) -> usize {
        self.alter(|world| world.log.open_streams())
    }

    // ---- images ----

    /// A pull of this image succeeds.
    pub fn allow_pull(&self, image: &str) {
        self.alter(|world| world.images.pullable.insert(images::tagged(image)));
    }

    /// `docker rmi` of somebody else.
    pub fn remove_image(&self, image: &str) {
        self.alter(|world| world.images.remove(image));
    }

    /// What was pulled, with the login that was sent.
    pub fn pulls(&self) -> Vec<(String, Option<String>)> {
        self.shared.world().images.pulls.clone()
    }

    // ---- the daemon itself ----

    /// The daemon goes away: connections break, new ones are refused. Containers run on.
    pub fn go_away(&self) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).cancel();
        self.alter(|world| world.log.close_streams(Ending::Broken));
    }

    /// The daemon is back. `forgets` = its events of before are lost, as after every restart.
    pub fn come_back(&self, forgets: bool) {
        if forgets {
            self.alter(|world| world.log.forget());
        }
        let _ = std::fs::remove_file(&self.socket);
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) =
            server::listen(Arc::clone(&self.shared), &self.socket);
    }
}

impl Drop for SimulatedEngine {
    fn drop(&mut self) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).cancel();
    }
}
