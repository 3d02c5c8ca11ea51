//! Calls to Redis: over a few connections that all tasks share, each with a deadline.

use std::sync::atomic::Ordering;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Cmd, FromRedisValue, RedisResult, ScriptInvocation,
};
use deadpool_redis::{Connection, PoolError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{QueueError, Redis};
use crate::heartbeat::waiting_for;

/// How long any call may take, from asking for a connection to the whole of its answer.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// A pooled connection kept in hand: a pool's own check on each check-out would cost two commands
/// and a round trip per call.
#[derive(Default)]
pub(super) struct Lane {
    connection: Option<Connection>,
    /// Which connection it is, so that only the broken one is thrown away.
    serial: u64,
}

/// Whether a call is repeated when its connection turns out to be broken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    /// Doing it twice would harm.
    Never,
    /// Doing it twice is doing it once.
    OnNewConnection,
}

impl Redis {
    /// The error for an answer that an operation never gives.
    pub(super) fn bad_reply(&self, operation: &'static str, detail: impl Into<String>) -> QueueError {
        let (address, detail) = (self.inner.address.clone(), detail.into());
        self.counted_as_failed(operation, QueueError::BadReply { address, operation, detail })
    }

    /// A connection of one's own, for commands that block, and its id at the server.
    pub(super) async fn dedicated(&self) -> Result<(MultiplexedConnection, i64), QueueError> {
        let connected = self
            .within("connect", async {
                let config = connection_config();
                let connect = self.inner.client.get_multiplexed_async_connection_with_config(&config);
                let mut connection = Box::pin(connect).await?;
                self.inner.metrics.redis_connections.one();
                let id = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await?;
                Ok((connection, id))
            })
            .await;
        self.tell_of_change(&connected);
        connected
    }

    /// The error for what a connection of one's own said.
    pub(super) fn error(&self, operation: &'static str, source: redis::RedisError) -> QueueError {
        self.counted_as_failed(operation, QueueError::of(&self.inner.address, operation, source))
    }

    fn counted_as_failed(&self, operation: &'static str, error: QueueError) -> QueueError {
        self.inner.metrics.redis_errors.failed(operation, error.fault());
        error
    }

    /// The error for an answer that did not come.
    pub(super) fn no_answer(&self, operation: &'static str, limit: Duration) -> QueueError {
        let address = self.inner.address.clone();
        self.counted_as_failed(operation, QueueError::Timeout { address, operation, limit })
    }

    /// Runs a script that may be run twice; Redis is given its text when it does not know it yet.
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        operation: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let ask = |mut connection| async move { invocation.invoke_async(&mut connection).await };
        self.call(operation, Again::OnNewConnection, ask).await
    }

    /// Runs a script whose second run would do its work twice.
    pub(super) async fn script_once<T: FromRedisValue>(
        &self,
        operation: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let ask = |mut connection| async move { invocation.invoke_async(&mut connection).await };
        self.call(operation, Again::Never, ask).await
    }

    /// Runs a single command that may be run twice.
    pub(super) async fn command<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, QueueError> {
        let ask = |mut connection| async move { command.query_async(&mut connection).await };
        self.call(operation, Again::OnNewConnection, ask).await
    }

    async fn call<T, F, A>(&self, operation: &'static str, again: Again, ask: F) -> Result<T, QueueError>
    where
        F: Fn(MultiplexedConnection) -> A,
        A: Future<Output = RedisResult<T>>,
    {
        let lanes = &self.inner.lanes;
        let lane = &lanes[self.inner.turn.fetch_add(1, Ordering::Relaxed) % lanes.len()];
        let (mut answer, reused) = self.try_call(operation, lane, &ask).await;
        // A connection that was in hand may have broken long ago, unnoticed.
        if reused && again == Again::OnNewConnection && matches!(answer, Err(QueueError::Unreachable { .. }))
        {
            (answer, _) = self.try_call(operation, lane, &ask).await;
        }
        self.tell_of_change(&answer);
        answer
    }

    /// The answer, and whether the connection had been used before.
    async fn try_call<T, F, A>(
        &self,
        operation: &'static str,
        lane: &Mutex<Lane>,
        ask: &F,
    ) -> (Result<T, QueueError>, bool)
    where
        F: Fn(MultiplexedConnection) -> A,
        A: Future<Output = RedisResult<T>>,
    {
        let mut used = None;
        let answer = self
            .within(operation, async {
                let (connection, serial, reused) = self.connection(lane).await?;
                used = Some((serial, reused));
                ask(connection).await
            })
            .await;
        if answer.as_ref().is_err_and(QueueError::spoils_connection)
            && let Some((serial, _)) = used
        {
            let mut lane = lane.lock().await;
            if lane.serial == serial
                && let Some(connection) = lane.connection.take()
            {
                drop(Connection::take(connection));
            }
        }
        (answer, used.is_some_and(|(_, reused)| reused))
    }

    /// The lane's connection, which one it is, and whether it had been in hand already.
    async fn connection(&self, lane: &Mutex<Lane>) -> RedisResult<(MultiplexedConnection, u64, bool)> {
        let mut lane = lane.lock().await;
        if let Some(connection) = &lane.connection {
            return Ok((MultiplexedConnection::clone(connection), lane.serial, true));
        }
        // In a box: connecting is rare, and its state would weigh on every call that is under way.
        let connection = Box::pin(self.inner.pool.get()).await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => redis::RedisError::from(std::io::Error::other(other.to_string())),
        })?;
        self.inner.metrics.redis_connections.one();
        let shared = MultiplexedConnection::clone(&connection);
        lane.connection = Some(connection);
        lane.serial += 1;
        Ok((shared, lane.serial, false))
    }

    async fn within<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = RedisResult<T>>,
    ) -> Result<T, QueueError> {
        let _counted = self.inner.calls.one_more();
        let _waiting = waiting_for(operation, CALL_DEADLINE);
        let asked = Instant::now();
        let answer = tokio::time::timeout(CALL_DEADLINE, call).await;
        self.inner.metrics.redis_calls.took(operation, asked.elapsed());
        match answer {
            Ok(answer) => answer.map_err(|error| self.error(operation, error)),
            Err(_) => Err(self.no_answer(operation, CALL_DEADLINE)),
        }
    }

    /// Says once that Redis is away, and once that it is back.
    fn tell_of_change<T>(&self, answer: &Result<T, QueueError>) {
        match answer {
            _ if self.inner.is_quiet => {}
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
pub(super) fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(CALL_DEADLINE))
}
