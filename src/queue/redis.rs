//! The way to Redis: where it is, whether it will do, whose it is.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{self, Client, IntoConnectionInfo, RedisConnectionInfo};
use deadpool_redis::{Manager, Pool, Runtime};
use tokio::sync::Mutex;

use super::calls::{Lane, connection_config};
use super::{Queue, QueueError};
use crate::config::RedisSettings;
use crate::heartbeat::{self, Gauge, Vital};
use crate::identity::{CorrectionId, InstanceId};
use crate::metrics::Metrics;

/// Connections that all calls of a process share. Each carries many calls at once, so that few
/// are enough: Redis works on one call at a time anyway.
const CONNECTIONS: usize = 4;

/// Our own key of the installation's id.
pub(super) const INSTANCE: &str = "instance";

/// The oldest Redis that knows all commands we use.
pub(super) const OLDEST_VERSION: &str = "6.0";

/// A Redis server and the prefix of our keys on it. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    pub(super) inner: Arc<Inner>,
}

/// What all clones share.
pub(super) struct Inner {
    pub address: String,
    prefix: String,
    pub client: Client,
    pub pool: Pool,
    pub lanes: [Mutex<Lane>; CONNECTIONS],
    /// Which lane is next.
    pub turn: AtomicUsize,
    /// Whether the last call found nobody.
    pub down: AtomicBool,
    /// How many calls are under way.
    pub calls: Gauge,
    pub metrics: Metrics,
    /// Whether the log is told when it is away.
    pub is_quiet: bool,
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Redis({}, prefix {})", self.inner.address, self.inner.prefix)
    }
}

impl Redis {
    /// Prepares the way to Redis; nothing is sent before the first call.
    ///
    /// # Errors
    /// The settings cannot be used at all.
    pub fn new(settings: &RedisSettings) -> Result<Self, QueueError> {
        Self::with(settings, false)
    }

    /// The same for whoever only looks: that Redis is away is not logged once more.
    ///
    /// # Errors
    /// As [`Redis::new`].
    pub fn quiet(settings: &RedisSettings) -> Result<Self, QueueError> {
        Self::with(settings, true)
    }

    fn with(settings: &RedisSettings, is_quiet: bool) -> Result<Self, QueueError> {
        let bad = |problem: &dyn fmt::Display| QueueError::BadSettings(problem.to_string());
        let address = if settings.tls {
            redis::ConnectionAddr::TcpTls {
                host: settings.host.clone(),
                port: settings.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            redis::ConnectionAddr::Tcp(settings.host.clone(), settings.port)
        };
        let mut login =
            RedisConnectionInfo::default().set_db(settings.database.into()).set_skip_set_lib_name();
        if let Some(password) = &settings.password {
            login = login.set_password(password.reveal());
            if let Some(username) = &settings.username {
                login = login.set_username(username);
            }
        }
        let target = address
            .into_connection_info()
            .map_err(|error| bad(&error))?
            .set_tcp_settings(TcpSettings::default().set_nodelay(true))
            .set_redis_settings(login);
        let client = Client::open(target.clone()).map_err(|error| bad(&error))?;
        let manager = Manager::new_with_config(target, connection_config()).map_err(|error| bad(&error))?;
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| bad(&error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                address: format!("{}:{}", settings.host, settings.port),
                prefix: settings.prefix.clone(),
                client,
                pool,
                lanes: Default::default(),
                turn: AtomicUsize::new(0),
                down: AtomicBool::new(false),
                calls: Gauge::of(Vital::RedisCalls),
                metrics: heartbeat::metrics(),
                is_quiet,
            }),
        })
    }

    /// One of the queues under our prefix.
    #[must_use]
    pub fn queue(&self, name: &'static str) -> Queue {
        Queue::new(self.clone(), name)
    }

    /// Checks that Redis is reachable, lets us in, is done loading and is new enough; warns where it
    /// is set to throw keys away.
    ///
    /// # Errors
    /// Any of these does not hold.
    pub async fn ready(&self) -> Result<(), QueueError> {
        self.ping().await?;
        let info = match self.command::<String>("info", &redis::cmd("INFO")).await {
            Ok(info) => info,
            // A user may be denied INFO and still be good for everything else.
            Err(QueueError::Denied { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        if let Some(policy) = field("maxmemory_policy")
            && policy != "noeviction"
        {
            tracing::warn!(
                policy,
                "Redis may throw queued corrections away; set maxmemory-policy noeviction"
            );
        }
        match field("redis_version") {
            Some(found) if version(found) < version(OLDEST_VERSION) => Err(QueueError::TooOld {
                address: self.inner.address.clone(),
                found: found.to_owned(),
                needed: OLDEST_VERSION,
            }),
            _ => Ok(()),
        }
    }

    /// Asks whether Redis is there, lets us in and is done loading.
    ///
    /// # Errors
    /// It is not.
    pub async fn ping(&self) -> Result<(), QueueError> {
        self.command::<()>("ping", &redis::cmd("PING")).await
    }

    /// The id of this installation: made once and kept in Redis, or the pinned one, which is then
    /// kept there too so that components without the pin agree at their next start.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn instance(&self, pinned: Option<&InstanceId>) -> Result<InstanceId, QueueError> {
        let key = self.own_key(INSTANCE);
        if let Some(pinned) = pinned {
            self.command::<()>("set the instance", redis::cmd("SET").arg(&key).arg(pinned.as_str())).await?;
            return Ok(pinned.clone());
        }
        let fresh = uuid::Uuid::new_v4().to_string();
        self.command::<Option<String>>("set the instance", redis::cmd("SET").arg(&key).arg(fresh).arg("NX"))
            .await?;
        self.command::<String>("get the instance", redis::cmd("GET").arg(&key)).await.map(InstanceId::new)
    }

    /// The id of this installation, where it has one already; makes none.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn known_instance(&self) -> Result<Option<InstanceId>, QueueError> {
        let id: Option<String> =
            self.command("get the instance", redis::cmd("GET").arg(self.own_key(INSTANCE))).await?;
        Ok(id.map(InstanceId::new))
    }

    /// The id of this installation for whoever only looks: the pinned one, or the one it has. Changes nothing.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn instance_as_it_is(
        &self,
        pinned: Option<&InstanceId>,
    ) -> Result<Option<InstanceId>, QueueError> {
        match pinned {
            Some(pinned) => Ok(Some(pinned.clone())),
            None => self.known_instance().await,
        }
    }

    /// A key of ours beside the queues.
    pub(super) fn own_key(&self, name: &str) -> String {
        format!("{}:correction-runner:{name}", self.inner.prefix)
    }

    /// The key that remembers a correction as done.
    pub(super) fn done_key(&self, correction: &CorrectionId) -> String {
        format!("{}{correction}", self.done_keys())
    }

    /// What the keys start with that remember corrections as done.
    pub(super) fn done_keys(&self) -> String {
        self.own_key("done:")
    }

    /// What the keys of a queue start with, the colon included.
    pub(super) fn base_key(&self, queue: &str) -> String {
        format!("{}:{queue}:", self.inner.prefix)
    }
}

/// Major and minor of a version's text; 0 for what cannot be read.
pub(super) fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn versions_compare_by_number_and_not_by_text() {
        assert!(version("10.0.1") > version("6.2"));
        assert!(version("5.0.14") < version(OLDEST_VERSION));
        assert!(version("6.0.16") >= version(OLDEST_VERSION));
    }

    #[test]
    fn no_password_is_printed() {
        let settings = RedisSettings {
            host: "h".into(),
            port: 1,
            username: Some("u".into()),
            password: Some(Secret::new("hush-hush")),
            database: 0,
            tls: false,
            prefix: "bull".into(),
        };
        let redis = Redis::new(&settings).expect("usable settings");
        assert!(!format!("{redis:?}").contains("hush"), "{redis:?}");
    }
}
