//! Waiting for work: BullMQ's marker, on a connection of its own because the wait blocks.

use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, Value};

use super::calls::CALL_DEADLINE;
use super::{Queue, QueueError};
use crate::heartbeat::waiting_for;

/// Shortest wait that is asked of Redis; a shorter one may be rounded down to 'for ever'.
const SHORTEST: Duration = Duration::from_millis(10);

/// How long an interrupted wait may take to end before its connection is dropped.
const INTERRUPT: Duration = Duration::from_secs(1);

/// The wait for a queue's marker.
#[derive(Debug)]
pub(super) struct Wakeup {
    queue: Queue,
    /// With its id at the server, by which the wait can be ended from another connection.
    connection: Option<(MultiplexedConnection, i64)>,
}

impl Wakeup {
    pub fn of(queue: Queue) -> Self {
        Self { queue, connection: None }
    }

    /// Waits for a marker (of the queue: there is something to take; of an engine: there is room), at most so
    /// long, or until `interrupt` resolves.
    ///
    /// An interrupted wait ends at the server before this returns, so that no later wake-up can be
    /// given to a worker that went away; one that it took with it, `Queue::wake_others` puts back.
    pub async fn wait(
        &mut self,
        marker: &str,
        at_most: Duration,
        interrupt: impl Future<Output = ()>,
    ) -> Result<(), QueueError> {
        let at_most = at_most.max(SHORTEST);
        let (mut connection, id) = self.connected().await?;
        let mut pop = redis::cmd("BZPOPMIN");
        pop.arg(marker).arg(at_most.as_secs_f64());
        let mut popped = std::pin::pin!(pop.query_async::<Value>(&mut connection));
        let limit = at_most + CALL_DEADLINE;
        let _waiting = waiting_for("wake-up", limit);
        let answer = tokio::select! {
            answer = tokio::time::timeout(limit, &mut popped) => answer,
            () = interrupt => {
                tokio::time::timeout(INTERRUPT, async {
                    loop {
                        let _ = self
                            .queue
                            .redis
                            .command::<i64>("unblock", redis::cmd("CLIENT").arg("UNBLOCK").arg(id))
                            .await;
                        // The wait itself may reach the server only after the call that ends it.
                        let pause = Duration::from_millis(50);
                        if let Ok(answer) = tokio::time::timeout(pause, &mut popped).await {
                            return answer;
                        }
                    }
                })
                .await
            }
        };
        match answer {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                self.connection = None;
                Err(self.queue.redis.error("wait", error))
            }
            Err(_) => {
                self.connection = None;
                Err(self.queue.redis.no_answer("wait", at_most + CALL_DEADLINE))
            }
        }
    }

    async fn connected(&mut self) -> Result<(MultiplexedConnection, i64), QueueError> {
        if let Some((connection, id)) = &self.connection {
            return Ok((connection.clone(), *id));
        }
        let made = self.queue.redis.dedicated().await?;
        Ok(self.connection.insert(made).clone())
    }
}
