//! An engine behind `ssh`: one ssh process that carries all connections, started again when it ended.
//!
//! ```text
//! hyper ─▶ Unix socket here ─▶ ssh -N -L ═══ one TCP connection ═══▶ sshd ─▶ Unix socket of the engine there
//! ```
//!
//! A connection is a stream within the one ssh connection: it costs two round trips and no login, so that sshd's
//! limits (`MaxStartups`, `MaxSessions`) are not met, and the far host needs no docker command. The socket on this
//! side has no name any more once ssh listens on it. When ssh ends, its connections break as an engine's do that
//! goes away; who asks next starts it anew.

mod complaint;
mod recipe;
mod stand_in;
mod way;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::error::EngineError;
use crate::backoff::Backoff;
use crate::config::SshEndpoint;
use recipe::Recipe;
pub use stand_in::stand_in;
use way::{Way, open};

/// The first and the longest wait after a login that failed: more of them, and some hosts shut their door.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A login that held for so long went well. A host that drops each one right away is asked as seldom as one that lets
/// nobody in.
const SETTLED: Duration = Duration::from_secs(10);

/// The ssh process to one engine.
pub(super) struct Tunnel {
    recipe: Arc<Recipe>,
    /// How long one connection may take.
    patience: Duration,
    state: Mutex<State>,
}

struct State {
    process: Option<(watch::Receiver<Phase>, AbortOnDropHandle<()>)>,
    backoff: Backoff,
    not_before: Instant,
}

#[derive(Clone)]
enum Phase {
    Opening,
    Open(Arc<Way>),
    /// It ended, for that reason; for how long it had been open.
    Ended {
        why: String,
        open_for: Duration,
    },
}

impl Tunnel {
    /// Looks for the program and keeps the key at hand; starts nothing.
    pub(super) fn new(endpoint: &SshEndpoint, timeout: Duration) -> Result<Self, EngineError> {
        Ok(Self::with(Arc::new(Recipe::new(endpoint)?), timeout.mul_f64(0.8)))
    }

    fn with(recipe: Arc<Recipe>, patience: Duration) -> Self {
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let state = State { process: None, backoff, not_before: Instant::now() };
        Self { recipe, patience, state: Mutex::new(state) }
    }

    /// The same with an ssh process of its own, which is not started yet. Reads no file.
    pub(super) fn apart(&self) -> Self {
        Self::with(Arc::clone(&self.recipe), self.patience)
    }

    /// A new connection to the engine, which has answered over it already: so that what fails here failed before
    /// anything was asked for.
    pub(super) async fn connect(&self) -> io::Result<UnixStream> {
        let deadline = Instant::now() + self.patience;
        let mut phase = self.process().map_err(io::Error::other)?;
        let ready = phase.wait_for(|phase| !matches!(phase, Phase::Opening));
        let phase = match timeout_at(deadline, ready).await {
            Ok(phase) => phase.map(|phase| phase.clone()),
            Err(_) => return Err(self.too_late("there is no login over ssh")),
        };
        let way = match phase {
            Ok(Phase::Open(way)) => way,
            Ok(Phase::Ended { why, .. }) => return Err(io::Error::other(why)),
            Ok(Phase::Opening) | Err(_) => return Err(io::Error::other("ssh was ended")),
        };
        match timeout_at(deadline, way.connect(&self.recipe)).await {
            Ok(connected) => connected,
            Err(_) => Err(self.too_late("nothing comes back over ssh")),
        }
    }

    fn too_late(&self, what: &str) -> io::Error {
        io::Error::other(format!("{what} within {} ms (DOCKER_TIMEOUT)", self.patience.as_millis()))
    }

    /// The ssh process that there is, or a new one where it is time for that; else why the last one ended.
    fn process(&self) -> Result<watch::Receiver<Phase>, String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((phase, _)) = &state.process {
            // A process whose runtime is gone tells nothing any more.
            let is_told = phase.has_changed().is_ok();
            let now = phase.borrow().clone();
            match now {
                Phase::Opening | Phase::Open(_) if is_told => return Ok(phase.clone()),
                Phase::Ended { open_for, .. } if open_for >= SETTLED => state.backoff.reset(),
                Phase::Ended { why, .. } if Instant::now() < state.not_before => return Err(why),
                _ => {}
            }
        }
        let (sender, phase) = watch::channel(Phase::Opening);
        let recipe = Arc::clone(&self.recipe);
        let task = AbortOnDropHandle::new(tokio::spawn(async move { open(&recipe, &sender).await }));
        state.process = Some((phase.clone(), task));
        let least = state.backoff.ceiling() / 2;
        state.not_before = Instant::now() + least + state.backoff.next_delay() / 2;
        Ok(phase)
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recipe.fmt(formatter)
    }
}
