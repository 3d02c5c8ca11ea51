//! Notes of the images that we pulled, and when each was last used.
//!
//! `<prefix>:correction-runner:images:used:<engine>` is a sorted set of names by the time of their last use;
//! `…:images:id:<engine>:<name>` is the id of what was pulled. An engine that does not come back is forgotten.

use std::time::Duration;

use deadpool_redis::redis;

use super::operations::now_ms;
use super::options::millis;
use super::{QueueError, Redis};
use crate::identity::EngineId;

/// How long notes are kept of an engine that nobody uses.
const KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 3600);
/// How many images are noted for one engine; those not used for the longest time are forgotten first.
const KEPT_AT_MOST: i64 = 10_000;
/// How many are given at once.
const READ_AT_ONCE: usize = 1000;

/// An image that we pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledImage {
    /// Its name, as the job had it.
    pub name: String,
    /// The id that it had then; `None` where that was forgotten.
    pub id: Option<String>,
    /// How long ago a correction used it.
    pub unused_for: Duration,
}

impl Redis {
    /// An image was pulled.
    ///
    /// # Errors
    /// Redis cannot be asked; then it is never removed, unless it is pulled again.
    pub async fn note_pulled(&self, engine: &EngineId, image: &str, id: &str) -> Result<(), QueueError> {
        let (used, key) = (self.images_used_key(engine), self.image_id_key(engine, image));
        let set = redis::cmd("SET").arg(key).arg(id).arg("PX").arg(millis(KEPT_FOR)).clone();
        self.command::<()>("note an image", &set).await?;
        self.command::<()>("note an image", redis::cmd("ZADD").arg(&used).arg(now_ms()).arg(image)).await?;
        let bound = redis::cmd("ZREMRANGEBYRANK").arg(&used).arg(0).arg(-1 - KEPT_AT_MOST).clone();
        self.command::<()>("note an image", &bound).await?;
        self.command::<()>("note an image", redis::cmd("PEXPIRE").arg(&used).arg(millis(KEPT_FOR))).await
    }

    /// An image was used; noted only where it is one that we pulled.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn note_image_use(&self, engine: &EngineId, image: &str) -> Result<(), QueueError> {
        let (used, key) = (self.images_used_key(engine), self.image_id_key(engine, image));
        let touch = redis::cmd("ZADD").arg(&used).arg("XX").arg(now_ms()).arg(image).clone();
        self.command::<()>("note an image's use", &touch).await?;
        self.command::<()>("note an image's use", redis::cmd("PEXPIRE").arg(&used).arg(millis(KEPT_FOR)))
            .await?;
        self.command::<()>("note an image's use", redis::cmd("PEXPIRE").arg(key).arg(millis(KEPT_FOR))).await
    }

    /// The images that we pulled, those that were not used for the longest time first, a thousand at most.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn pulled_images(&self, engine: &EngineId) -> Result<Vec<PulledImage>, QueueError> {
        let read = redis::cmd("ZRANGE")
            .arg(self.images_used_key(engine))
            .arg(0)
            .arg(READ_AT_ONCE - 1)
            .arg("WITHSCORES")
            .clone();
        let noted: Vec<(String, f64)> = self.command("read images", &read).await?;
        let mut images = Vec::with_capacity(noted.len());
        let now = now_ms();
        for (name, used) in noted {
            let id = self
                .command("read an image", redis::cmd("GET").arg(self.image_id_key(engine, &name)))
                .await?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of ours")]
            let unused_for = Duration::from_millis(now.saturating_sub(used.max(0.0) as u64));
            images.push(PulledImage { name, id, unused_for });
        }
        Ok(images)
    }

    /// An image is gone, or is not the one any more that we pulled.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn forget_image(&self, engine: &EngineId, image: &str) -> Result<(), QueueError> {
        let forget = redis::cmd("ZREM").arg(self.images_used_key(engine)).arg(image).clone();
        self.command::<()>("forget an image", &forget).await?;
        self.command::<()>("forget an image", redis::cmd("DEL").arg(self.image_id_key(engine, image))).await
    }

    /// What all of these keys start with.
    pub(super) fn images_keys(&self) -> String {
        self.own_key("images:")
    }

    fn images_used_key(&self, engine: &EngineId) -> String {
        format!("{}used:{engine}", self.images_keys())
    }

    fn image_id_key(&self, engine: &EngineId, image: &str) -> String {
        format!("{}id:{engine}:{image}", self.images_keys())
    }
}
