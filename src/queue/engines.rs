//! Notes of the Docker engines that a completer watches, and when it last did.
//!
//! `<prefix>:correction-runner:engines:<engine>` is the time, in milliseconds of Unix time.

use std::time::Duration;

use deadpool_redis::redis;

use super::operations::now_ms;
use super::options::millis;
use super::{QueueError, Redis};
use crate::identity::EngineId;

/// For how long it is remembered of an engine that nobody watches any more.
const KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

impl Redis {
    /// A completer watches this engine, which answers.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn note_engine(&self, engine: &EngineId) -> Result<(), QueueError> {
        let set = redis::cmd("SET")
            .arg(self.engine_key(engine))
            .arg(now_ms())
            .arg("PX")
            .arg(millis(KEPT_FOR))
            .clone();
        self.command::<()>("note an engine", &set).await
    }

    /// For how long no completer has watched this engine; `None` = none is known ever to have.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn engine_unseen_for(&self, engine: &EngineId) -> Result<Option<Duration>, QueueError> {
        let seen: Option<u64> =
            self.command("read an engine", redis::cmd("GET").arg(self.engine_key(engine))).await?;
        Ok(seen.map(|seen| Duration::from_millis(now_ms().saturating_sub(seen))))
    }

    /// What all of these keys start with.
    pub(super) fn engines_keys(&self) -> String {
        self.own_key("engines:")
    }

    fn engine_key(&self, engine: &EngineId) -> String {
        format!("{}{engine}", self.engines_keys())
    }
}
