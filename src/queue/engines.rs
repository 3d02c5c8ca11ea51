//! Notes of the Docker engines that a completer watches or a starter uses, and when it last did.
//!
//! `<prefix>:correction-runner:engines:<engine>` is the time of a completer, in milliseconds of Unix time, and
//! `…:engines` a sorted set of the engines by the time at which any of the two was last there.
//! `…:running:<engine>:starter` is what a starter says of itself, for as long as it goes on saying it.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_redis::redis;
use serde::{Deserialize, Serialize};

use super::operations::now_ms;
use super::options::millis;
use super::{QueueError, Redis, scripts};
use crate::fields::raw;
use crate::identity::EngineId;
use crate::job::RUNNING_QUEUE;

/// For how long it is remembered of an engine that nobody watches any more.
const KEPT_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

/// How long a starter's note of itself counts.
const STARTER_KEPT_FOR: Duration = Duration::from_secs(60);

/// How many engines are listed; those not used for the longest time are forgotten first.
const LISTED_AT_MOST: i64 = 1000;

/// How many running jobs are looked at in each of their lists, to count them by engine.
const COUNTED_AT_MOST: u32 = 1000;

/// What is known of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineNotes {
    /// Which one.
    pub engine: EngineId,
    /// When a completer last watched it, in milliseconds of Unix time.
    pub watched: Option<u64>,
    /// What a starter says of itself; `None` = there has been none for a minute.
    pub starter: Option<StarterNote>,
    /// How many permits to run are out.
    pub permits: u64,
    /// Of these, those of containers that are being started.
    pub starting: u64,
    /// How many containers run there as the running queue tells, which is so without permits too; of very many, those
    /// that were looked at.
    pub running: u64,
}

impl EngineNotes {
    /// How many containers count as running. Permits are taken only where their number is limited.
    #[must_use]
    pub fn used(&self) -> u64 {
        match self.starter.as_ref().map(|starter| starter.most) {
            Some(Some(_)) => self.permits,
            Some(None) => self.running,
            None => self.permits.max(self.running),
        }
    }
}

/// What a starter says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StarterNote {
    /// When, in milliseconds of Unix time.
    pub at: u64,
    /// How many containers it lets run at once; `None` = any number.
    pub most: Option<u32>,
    /// Why it starts nothing at the moment.
    pub held_back: Option<String>,
}

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
        self.command::<()>("note an engine", &set).await?;
        self.list_engine(engine).await
    }

    /// A starter uses this engine: how many containers it lets run there at once (`None` = any number), and why it
    /// starts nothing at the moment, if so.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn note_starter(
        &self,
        engine: &EngineId,
        most: Option<u32>,
        held_back: Option<&str>,
    ) -> Result<(), QueueError> {
        let note = StarterNote { at: now_ms(), most, held_back: held_back.map(str::to_owned) };
        let set = redis::cmd("SET")
            .arg(self.starter_key(engine))
            .arg(raw(&note).get())
            .arg("PX")
            .arg(millis(STARTER_KEPT_FOR))
            .clone();
        self.command::<()>("note a starter", &set).await?;
        self.list_engine(engine).await
    }

    async fn list_engine(&self, engine: &EngineId) -> Result<(), QueueError> {
        let key = self.engine_list_key();
        let list = redis::cmd("ZADD").arg(&key).arg(now_ms()).arg(engine.as_str()).clone();
        self.command::<()>("list an engine", &list).await?;
        let bound = redis::cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(-1 - LISTED_AT_MOST).clone();
        self.command::<()>("list an engine", &bound).await?;
        self.command::<()>("list an engine", redis::cmd("PEXPIRE").arg(&key).arg(millis(KEPT_FOR))).await
    }

    /// What is known of the engines that were used last, at most so many.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn engines(&self, most: u16) -> Result<Vec<EngineNotes>, QueueError> {
        let list =
            redis::cmd("ZREVRANGE").arg(self.engine_list_key()).arg(0).arg(i64::from(most) - 1).clone();
        let listed: Vec<String> = self.command("list engines", &list).await?;
        let mut all = Vec::with_capacity(listed.len());
        let running = if listed.is_empty() { HashMap::new() } else { self.running_by_engine().await? };
        for engine in listed.into_iter().map(EngineId::new) {
            let watched: Option<u64> =
                self.command("read an engine", redis::cmd("GET").arg(self.engine_key(&engine))).await?;
            let starter: Option<String> =
                self.command("read a starter", redis::cmd("GET").arg(self.starter_key(&engine))).await?;
            let (permits, starting) = self.permits_by_stage(&engine).await?;
            all.push(EngineNotes {
                watched,
                // What another version wrote is no reason to tell nothing.
                starter: starter.and_then(|text| serde_json::from_str(&text).ok()),
                permits,
                starting,
                running: running.get(engine.as_str()).copied().unwrap_or(0),
                engine,
            });
        }
        Ok(all)
    }

    async fn running_by_engine(&self) -> Result<HashMap<String, u64>, QueueError> {
        let mut call = scripts::RUNNING.key(self.base_key(RUNNING_QUEUE));
        call.arg(COUNTED_AT_MOST);
        let all: Vec<(String, u64)> = self.script("count what runs", &call).await?;
        Ok(all.into_iter().collect())
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

    /// What lists all engines.
    pub(super) fn engine_list_key(&self) -> String {
        self.own_key("engines")
    }

    fn starter_key(&self, engine: &EngineId) -> String {
        format!("{}:starter", self.house_key(engine))
    }

    /// What all of these keys start with.
    pub(super) fn engines_keys(&self) -> String {
        self.own_key("engines:")
    }

    fn engine_key(&self, engine: &EngineId) -> String {
        format!("{}{engine}", self.engines_keys())
    }
}
