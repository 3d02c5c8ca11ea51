//! The services, settings and knowledge that all starts of one starter share.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::sync::mpsc;
use tracing::debug;

use crate::config::StarterSettings;
use crate::docker::{About, Engine};
use crate::heartbeat;
use crate::identity::{InstanceId, Whereabouts};
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use crate::metrics::Metrics;
use crate::policy::PolicyHandle;
use crate::queue::{Queue, Redis};

use super::admission::{Comparing, MostRunning};
use super::chores::Chore;
use super::host::Host;
use super::image_use::ImageUse;
use super::images::Images;

/// The services and settings of one starter.
pub struct Session {
    /// The Docker engine.
    pub engine: Engine,
    /// The settings.
    pub settings: StarterSettings,
    /// Which images may run, and what their containers get; it may be exchanged at any time.
    pub policy: PolicyHandle,
    pub(super) redis: Redis,
    /// When the use of images was noted.
    pub image_use: ImageUse,
    pub(super) pending: Queue,
    pub(super) running: Queue,
    pub(super) finished: Queue,
    /// Which installation we are, and which engine runs the containers.
    pub whereabouts: Whereabouts,
    /// How many containers may run at once.
    pub most_running: MostRunning,
    /// What is known of the permits to run.
    pub comparing: Comparing,
    /// The engine's host.
    pub host: Host,
    /// What is counted.
    pub metrics: Metrics,
    images: Mutex<Images>,
    chores: mpsc::UnboundedSender<Chore>,
}

impl Session {
    /// Gathers what is shared. Also gives what is to be done beside the starts.
    #[must_use]
    pub fn new(
        redis: Redis,
        engine: Engine,
        about: About,
        instance: InstanceId,
        settings: StarterSettings,
    ) -> (Self, mpsc::UnboundedReceiver<Chore>) {
        let (chores, to_do) = mpsc::unbounded_channel();
        let session = Self {
            pending: redis.queue(PENDING_QUEUE),
            running: redis.queue(RUNNING_QUEUE),
            finished: redis.queue(FINISHED_QUEUE),
            redis,
            image_use: ImageUse::default(),
            engine,
            most_running: MostRunning::of(&settings, &about),
            comparing: Comparing::default(),
            host: Host::new(&settings, about.root),
            metrics: heartbeat::metrics(),
            images: Mutex::new(Images::new(settings.concurrency)),
            chores,
            whereabouts: Whereabouts::new(instance, about.id),
            policy: PolicyHandle::new(settings.policy.clone()),
            settings,
        };
        (session, to_do)
    }

    /// What is known of the images.
    pub fn images(&self) -> MutexGuard<'_, Images> {
        // Nothing panics while it is held; and if it did, an image would be held back for a while.
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless somebody holds it just now.
    pub fn images_if_free(&self) -> Option<MutexGuard<'_, Images>> {
        match self.images.try_lock() {
            Ok(images) => Some(images),
            Err(TryLockError::Poisoned(images)) => Some(images.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Has something done beside the starts.
    pub fn do_beside(&self, chore: Chore) {
        // Nobody listens any more once the starter stops.
        let _ = self.chores.send(chore);
    }

    /// Tells, for people, what this starter is at.
    async fn tell_of_itself(&self, away: Option<String>) {
        let (engine, most) = (self.whereabouts.now().1, self.most_running.number());
        let held_back = away.or_else(|| self.host.shortage().map(|shortage| shortage.to_string()));
        if let Err(error) = self.redis.note_starter(&engine, most, held_back.as_deref()).await {
            debug!(error = format!("{error:#}"), "what this starter is at cannot be noted now");
        }
    }

    /// Reads the installation's and the engine's ids again, and tells what this starter is at.
    pub async fn refresh_identity(&self) {
        match self.redis.instance(self.settings.common.instance.as_ref()).await {
            Ok(instance) => self.whereabouts.set_instance(instance),
            Err(error) => debug!(error = format!("{error:#}"), "the installation's id cannot be read now"),
        }
        let mut away = None;
        match self.engine.about().await {
            Ok(about) => {
                self.whereabouts.set_engine(about.id);
                self.host.set_root(about.root);
            }
            Err(error) => {
                debug!(error = format!("{error:#}"), "the engine does not tell its id now");
                away = Some(error.to_string());
            }
        }
        self.tell_of_itself(away).await;
    }
}
