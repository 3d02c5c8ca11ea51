//! What the process tells whoever watches it, over HTTP: `/metrics`, `/healthz`, `/readyz` (`HTTP_LISTEN`).
//!
//! It runs on a thread of its own with an executor for it alone, so that it answers while the stages are stuck. What
//! it says of Redis and Docker it learns over connections of its own ([`looks`]), now and then and not when it is
//! asked: no answer waits for anything, and nobody who asks costs those services anything.
//!
//! A connection lasts for one request and for [`serve::PATIENCE`] at most, and there are few of them at once.

mod answers;
mod looks;
mod negotiation;
mod process;
mod readiness;
mod serve;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{Component, Configuration, DockerSettings, RedisSettings};
use crate::heartbeat::Hearts;

/// How long the end of the process waits for the last answer.
const LAST_ANSWER: Duration = Duration::from_millis(200);

/// The address cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else listens there.
    #[error(
        "HTTP_LISTEN: {address} is in use: another program listens there, perhaps another component with the same \
         setting; each process needs a port of its own"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// It is not to be had.
    #[error("HTTP_LISTEN: cannot listen at {address}: {reason}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why not.
        reason: io::Error,
    },
}

impl ListenError {
    /// Whether the same setting may work later: whoever is there may go.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::InUse { .. })
    }
}

/// A socket that is bound and at which nobody answers yet.
#[derive(Debug)]
pub struct Listening(TcpListener);

/// Listens at an address.
///
/// # Errors
/// It is in use, or not this machine's.
pub fn listen(address: SocketAddr) -> Result<Listening, ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(Listening(listener))
    });
    bound.map_err(|reason| match reason.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { address },
        _ => ListenError::Refused { address, reason },
    })
}

/// What is watched.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What the process was asked to run.
    component: Component,
    /// The components that run.
    components: Vec<Component>,
    redis: Option<RedisSettings>,
    docker: Option<DockerSettings>,
}

impl Watched {
    /// What a configuration has to be watched for.
    #[must_use]
    pub fn of(configuration: &Configuration) -> Self {
        let Configuration { component, starter, completer, notifier, .. } = configuration;
        let components = [
            (Component::Starter, starter.is_some()),
            (Component::Completer, completer.is_some()),
            (Component::Notifier, notifier.is_some()),
        ];
        let starter = starter.as_ref().map(|settings| (&settings.common, Some(&settings.docker)));
        let completer = completer.as_ref().map(|settings| (&settings.common, Some(&settings.docker)));
        let notifier = notifier.as_ref().map(|settings| (&settings.common, None));
        // They share both where they run in one process.
        let first = starter.or(completer).or(notifier);
        Self {
            component: *component,
            components: components.into_iter().filter(|(_, runs)| *runs).map(|(one, _)| one).collect(),
            redis: first.map(|(common, _)| common.redis.clone()),
            docker: first.and_then(|(_, docker)| docker.cloned()),
        }
    }
}

/// A server that answers, until it is closed or dropped.
#[derive(Debug)]
pub struct Serving {
    close: CancellationToken,
    closed: mpsc::Receiver<()>,
}

impl Listening {
    /// Answers from now on, on a thread of its own. From when `stop` is cancelled it says that the process stops.
    ///
    /// # Errors
    /// The system grants no thread, or no file for its executor.
    pub fn serve(self, watched: Watched, hearts: &Hearts, stop: &CancellationToken) -> io::Result<Serving> {
        let address = self.0.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let observed = Arc::new(readiness::Observed::new(watched, hearts.clone(), stop.clone()));
        let close = CancellationToken::new();
        let closing = close.clone();
        let (tell, closed) = mpsc::channel();
        std::thread::Builder::new().name("http".to_owned()).spawn(move || {
            let work = async { tokio::join!(serve::answer(self.0, &observed), looks::look(&observed)) };
            runtime.block_on(closing.run_until_cancelled(work));
            drop(runtime);
            let _ = tell.send(());
        })?;
        info!(%address, "answering at http://{address}: /metrics, /healthz, /readyz");
        Ok(Serving { close, closed })
    }
}

impl Serving {
    /// Closes the socket.
    pub fn close(self) {
        self.close.cancel();
        let _ = self.closed.recv_timeout(LAST_ANSWER);
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

#[cfg(test)]
mod tests;
