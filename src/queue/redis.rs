//! The way to Redis: a few pooled connections shared by all tasks, and a deadline on every call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::io::tcp::TcpSettings;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult, ScriptInvocation,
};
use deadpool_redis::{Connection, Manager, Pool, Runtime};
use tokio::sync::Mutex;

use super::{Queue, QueueError};
use crate::config::RedisSettings;
use crate::identity::{CorrectionId, InstanceId};

/// How long any call may take, from asking for a connection to the whole of its answer.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Connections that all calls of a process share. Each carries many calls at once, so that few
/// are enough: Redis works on one call at a time anyway.
const CONNECTIONS: usize = 4;

/// The oldest Redis that knows all commands we use.
const OLDEST_VERSION: &str = "6.2";

/// A Redis server and the prefix of our keys on it. Cheap to clone.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    address: String,
    prefix: String,
    client: Client,
    pool: Pool,
    lanes: Vec<Mutex<Lane>>,
    turn: AtomicUsize,
    down: AtomicBool,
}

/// A pooled connection kept in hand: a pool's own check on each check-out would cost two commands
/// and a round trip per call.
#[derive(Default)]
struct Lane {
    connection: Option<Connection>,
    /// Which connection it is, so that only the broken one is thrown away.
    serial: u64,
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
                lanes: (0..CONNECTIONS).map(|_| Mutex::default()).collect(),
                turn: AtomicUsize::new(0),
                down: AtomicBool::new(false),
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
        self.command::<()>("ping", &redis::cmd("PING")).await?;
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

    /// The id of this installation: made once and kept in Redis, or the pinned one, which is then
    /// kept there too so that components without the pin agree at their next start.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn instance(&self, pinned: Option<&InstanceId>) -> Result<InstanceId, QueueError> {
        let key = self.own_key("instance");
        if let Some(pinned) = pinned {
            self.command::<()>("set the instance", redis::cmd("SET").arg(&key).arg(pinned.as_str())).await?;
            return Ok(pinned.clone());
        }
        let fresh = uuid::Uuid::new_v4().to_string();
        self.command::<Option<String>>("set the instance", redis::cmd("SET").arg(&key).arg(fresh).arg("NX"))
            .await?;
        self.command::<String>("get the instance", redis::cmd("GET").arg(&key)).await.map(InstanceId::new)
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

    /// The error for an answer that an operation never gives.
    pub(super) fn bad_reply(&self, operation: &'static str, detail: impl Into<String>) -> QueueError {
        QueueError::BadReply { address: self.inner.address.clone(), operation, detail: detail.into() }
    }

    /// A connection of one's own, for commands that block, and its id at the server.
    pub(super) async fn dedicated(&self) -> Result<(MultiplexedConnection, i64), QueueError> {
        let connected = self
            .within("connect", async {
                let config = connection_config();
                let connect = self.inner.client.get_multiplexed_async_connection_with_config(&config);
                let mut connection = Box::pin(connect).await?;
                let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
                Ok((connection, id))
            })
            .await;
        self.tell_of_change(&connected);
        connected
    }

    /// The error for what a connection of one's own said.
    pub(super) fn error(&self, operation: &'static str, source: redis::RedisError) -> QueueError {
        QueueError::of(&self.inner.address, operation, source)
    }

    /// The error for an answer that did not come.
    pub(super) fn no_answer(&self, operation: &'static str, limit: Duration) -> QueueError {
        QueueError::Timeout { address: self.inner.address.clone(), operation, limit }
    }

    /// Runs a script; Redis is given its text when it does not know it yet.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        operation: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        self.call(operation, |mut connection| async move { invocation.invoke_async(&mut connection).await })
            .await
    }

    /// Runs a single command.
    pub(super) async fn command<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, QueueError> {
        self.call(operation, |mut connection| async move { command.query_async(&mut connection).await }).await
    }

    async fn call<T, F, A>(&self, operation: &'static str, ask: F) -> Result<T, QueueError>
    where
        F: FnOnce(MultiplexedConnection) -> A,
        A: Future<Output = RedisResult<T>>,
    {
        let turn = self.inner.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        let lane = &self.inner.lanes[turn];
        let mut used = None;
        let answer = self
            .within(operation, async {
                let (connection, serial) = self.connection(lane).await?;
                used = Some(serial);
                ask(connection).await
            })
            .await;
        if answer.as_ref().is_err_and(QueueError::spoils_connection)
            && let Some(serial) = used
        {
            let mut lane = lane.lock().await;
            if lane.serial == serial
                && let Some(connection) = lane.connection.take()
            {
                drop(Connection::take(connection));
            }
        }
        self.tell_of_change(&answer);
        answer
    }

    async fn connection(&self, lane: &Mutex<Lane>) -> RedisResult<(MultiplexedConnection, u64)> {
        let mut lane = lane.lock().await;
        if let Some(connection) = &lane.connection {
            return Ok((MultiplexedConnection::clone(connection), lane.serial));
        }
        // In a box: connecting is rare, and its state would weigh on every call that is under way.
        let connection = Box::pin(self.inner.pool.get()).await.map_err(|error| match error {
            deadpool_redis::PoolError::Backend(error) => error,
            other => redis::RedisError::from(std::io::Error::other(other.to_string())),
        })?;
        let shared = MultiplexedConnection::clone(&connection);
        lane.connection = Some(connection);
        lane.serial += 1;
        Ok((shared, lane.serial))
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, QueueError> {
        match tokio::time::timeout(CALL_DEADLINE, call).await {
            Ok(answer) => answer.map_err(|error| self.error(operation, error)),
            Err(_) => Err(self.no_answer(operation, CALL_DEADLINE)),
        }
    }

    /// Says once that Redis is away, and once that it is back.
    fn tell_of_change<T>(&self, answer: &Result<T, QueueError>) {
        match answer {
            Err(error) if error.is_ambiguous() => {
                if !self.inner.down.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "Redis is away");
                }
            }
            _ => {
                if self.inner.down.load(Ordering::Relaxed) && self.inner.down.swap(false, Ordering::Relaxed) {
                    tracing::info!(address = self.inner.address, "Redis is back");
                }
            }
        }
    }
}

/// Deadlines are our own ([`CALL_DEADLINE`]), around the whole call.
fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(CALL_DEADLINE))
}

/// Major and minor of a version's text; 0 for what cannot be read.
fn version(text: &str) -> (u32, u32) {
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
        assert!(version("6.0.16") < version(OLDEST_VERSION));
        assert!(version("6.2.14") >= version(OLDEST_VERSION));
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
