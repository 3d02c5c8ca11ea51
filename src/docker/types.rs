//! What goes to the engine and what comes back, in our own words.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::identity::{ContainerId, EngineId};
use crate::labels::Labels;
use crate::profile::Profile;
use crate::profile::abilities::Abilities;
use crate::seal::Seal;

/// A container to be made for one correction.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// The grader's image, as the job names it.
    pub image: String,
    /// The submission's absolute path on the Docker host; it is bound to `/tmp/exercise`.
    pub file: String,
    /// Environment of the grader, each `KEY=value`.
    pub params: Vec<String>,
    /// Labels, but for that of the secret.
    pub labels: HashMap<String, String>,
    /// The secret without which its verdict does not count; `None` = whatever it prints counts.
    pub seal: Option<Seal>,
    /// What it gets.
    pub profile: Profile,
}

/// What a container is doing, in the engine's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made and never started.
    Created,
    /// Running.
    Running,
    /// Frozen by somebody.
    Paused,
    /// Between two runs; never with containers of ours, which have no restart policy.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Ended, and the engine could not remove it completely.
    Dead,
}

impl State {
    /// Whether it runs or has run: there is something to wait for, or to read.
    #[must_use]
    pub fn was_started(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting | Self::Exited)
    }
}

/// What the engine knows of one container. `Debug` leaves the labels out: there may be a secret among them.
#[derive(Clone, PartialEq)]
pub struct Inspected {
    /// Its id.
    pub id: ContainerId,
    /// What it is doing.
    pub state: State,
    /// The exit code of its last run; 0 if it has not ended.
    pub exit_code: i64,
    /// Whether the kernel killed a process of it for want of memory.
    pub oom_killed: bool,
    /// Why the engine could not start it; empty if nothing went wrong.
    pub error: String,
    /// When it was last started, on the daemon's clock.
    pub started_at: Option<Timestamp>,
    /// When it last ended, on the daemon's clock.
    pub finished_at: Option<Timestamp>,
    /// Its labels.
    pub labels: HashMap<String, String>,
    /// Its memory limit in bytes; `None` = none.
    pub memory_limit: Option<u64>,
    /// Whether it has no network.
    pub no_network: bool,
    /// How many processes and threads it may have; `None` = no limit.
    pub pids_limit: Option<u64>,
    /// How many bytes the engine was asked to let it write; `None` = it was not.
    pub disk_bound: Option<u64>,
    /// The names of its volumes.
    pub volumes: Vec<String>,
}

#[cfg(test)]
impl Inspected {
    /// One of which a test asks nothing but its state and exit code.
    pub(crate) fn of(state: State, exit_code: i64) -> Self {
        Self {
            id: ContainerId::new("c"),
            state,
            exit_code,
            oom_killed: false,
            error: String::new(),
            started_at: None,
            finished_at: None,
            labels: HashMap::new(),
            memory_limit: None,
            no_network: true,
            pids_limit: None,
            disk_bound: None,
            volumes: Vec::new(),
        }
    }
}

impl fmt::Debug for Inspected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Inspected");
        shown.field("id", &self.id).field("state", &self.state).field("exit_code", &self.exit_code);
        shown.field("oom_killed", &self.oom_killed).field("error", &self.error);
        shown.field("started_at", &self.started_at).field("finished_at", &self.finished_at);
        shown.field("memory_limit", &self.memory_limit).field("no_network", &self.no_network);
        shown.finish_non_exhaustive()
    }
}

/// One line of a list of containers. Its state is only a hint: `exited` can be believed, `running` not.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its id.
    pub id: ContainerId,
    /// What it is doing.
    pub state: State,
    /// When it was made, in seconds of Unix time on the daemon's clock.
    pub created: i64,
    /// What its labels say of its correction; `None` where they are not ours or are incomplete.
    pub labels: Option<Box<Labels>>,
}

/// Which engine this is.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Its id.
    pub id: EngineId,
    /// Its version, like `20.10.24`.
    pub version: String,
    /// The API version that we speak with it, like `1.41`.
    pub api_version: String,
    /// Processors of its host.
    pub cpus: u32,
    /// Bytes of memory of its host.
    pub memory: u64,
    /// Where it keeps its files, on its own host.
    pub root: Option<PathBuf>,
    /// What it can hold containers to.
    pub abilities: Abilities,
}

/// What came of asking for a SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Killed {
    /// The signal was sent.
    Sent,
    /// The container is not running.
    NotRunning,
    /// There is no such container.
    Gone,
}

/// What came of asking for a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The container was removed.
    Done,
    /// There is no such container.
    Gone,
    /// The container runs (or is paused), and the removal was not forced.
    Running,
    /// Somebody else's removal of it is under way.
    InProgress,
}

impl State {
    /// Reads the engine's word for it. Podman has words of its own; a word that nobody knows counts as
    /// `Running`, which is the one state that nobody draws a conclusion from.
    pub(super) fn read(word: &str) -> Self {
        match word {
            "created" | "configured" | "initialized" => Self::Created,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            _ => Self::Running,
        }
    }
}
