//! The settings after they were read and checked: what each part of the runner is given.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::ssh::SshEndpoint;
use crate::egress::Egress;
use crate::identity::InstanceId;
use crate::policy::Policy;
use crate::signing::SigningKeys;

/// A text that must never be printed: its `Debug` and `Display` show stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to be handed to the service that it is for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("********")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("********")
    }
}

/// Where Redis is, and under which prefix the queues stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User, only ever together with a password.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Number of the database.
    pub database: u32,
    /// Whether the connection is encrypted (`rediss://`).
    pub tls: bool,
    /// BullMQ's key prefix.
    pub prefix: String,
}

/// Where the Docker engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket on this machine.
    Unix(PathBuf),
    /// Plain HTTP over TCP.
    Tcp {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// HTTPS, usually with client certificates. The paths are of PEM files.
    Tls {
        /// Host name or address.
        host: String,
        /// TCP port.
        port: u16,
        /// The authority that signed the daemon's certificate; `None` = the system's roots.
        ca: Option<PathBuf>,
        /// Our certificate and its key.
        identity: Option<(PathBuf, PathBuf)>,
    },
    /// The engine of another machine through the `ssh` program.
    Ssh(Box<SshEndpoint>),
}

/// A user and password of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryLogin {
    /// User name.
    pub username: String,
    /// Password or token.
    pub password: Secret,
}

/// How the Docker engine is reached and used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerSettings {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Time for each call but pulls and streams.
    pub timeout: Duration,
    /// Whether an image that is not there is pulled.
    pub pull: bool,
    /// Time for one pull.
    pub pull_timeout: Duration,
    /// Logins by registry domain; the key `""` is Docker Hub.
    pub credentials: HashMap<String, RegistryLogin>,
}

/// At most `max` in each `duration`, as BullMQ's limiter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub max: u32,
    /// In how long.
    pub duration: Duration,
}

/// How many ended jobs stay in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Completed jobs kept per queue.
    pub completed: u32,
    /// Failed jobs kept per queue.
    pub failed: u32,
}

/// How deliveries are tried again; written into each finished job by whoever adds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRetries {
    /// How often a delivery is tried in all.
    pub attempts: u32,
    /// The wait after the first failure; it doubles each time.
    pub backoff: Duration,
    /// The waits one by one, in place of both; nothing = those.
    pub schedule: Vec<Duration>,
}

/// What all components share.
#[derive(Clone, Debug, PartialEq)]
pub struct CommonSettings {
    /// Redis.
    pub redis: RedisSettings,
    /// The installation's id, where it is pinned.
    pub instance: Option<InstanceId>,
    /// What stays in Redis of ended jobs.
    pub retention: Retention,
    /// How deliveries are tried again.
    pub deliveries: DeliveryRetries,
    /// How long to wait for Redis and Docker at start; `None` = for ever.
    pub connect_wait: Option<Duration>,
}

/// What the starter is given.
#[derive(Clone, Debug, PartialEq)]
pub struct StarterSettings {
    /// What all components share.
    pub common: CommonSettings,
    /// The engine.
    pub docker: DockerSettings,
    /// Which images may run, and what their containers get.
    pub policy: Policy,
    /// Test mode: containers are created and never started.
    pub dont_start: bool,
    /// Starts in flight.
    pub concurrency: usize,
    /// Containers running at once on one engine; 0 = no limit, `None` = from its processors and memory.
    pub max_running: Option<u32>,
    /// Bytes that have to be free where the engine keeps its files; `None` = never mind.
    pub min_free_disk: Option<u64>,
    /// Bytes of memory that have to be free; `None` = never mind.
    pub min_free_memory: Option<u64>,
    /// The optional limiter of starts.
    pub rate: Option<RateLimit>,
    /// The folders that submissions have to lie in, plain absolute paths; none = any.
    pub exercise_folders: Vec<PathBuf>,
    /// How long a start that may heal is tried.
    pub retry_for: Duration,
}

/// What the completer is given.
#[derive(Clone, Debug, PartialEq)]
pub struct CompleterSettings {
    /// What all components share.
    pub common: CommonSettings,
    /// The engine.
    pub docker: DockerSettings,
    /// Bytes of a container's output that are kept.
    pub output_limit: u64,
    /// Time between two sweeps.
    pub sweep_interval: Duration,
    /// How often a correction is run again that the Docker host failed.
    pub reruns: u32,
    /// The folders in which submissions' files are deleted once their result is safe; none = nothing is deleted.
    pub remove_exercises_in: Vec<PathBuf>,
    /// When images are removed that we pulled.
    pub images: ImageRetention,
}

/// When images are removed that we pulled; with neither, never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageRetention {
    /// Those that were not used for so long.
    pub keep_for: Option<Duration>,
    /// Those that were not used for the longest time, while the engine's disk has less room than this, in bytes.
    pub min_free_disk: Option<u64>,
}

/// What the notifier is given.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifierSettings {
    /// What all components share.
    pub common: CommonSettings,
    /// Deliveries in flight.
    pub concurrency: usize,
    /// The optional limiter of deliveries.
    pub rate: Option<RateLimit>,
    /// Total time for one delivery.
    pub timeout: Duration,
    /// Extra roots for receivers' certificates (PEM).
    pub ca_file: Option<PathBuf>,
    /// Where callbacks may go.
    pub egress: Egress,
    /// The keys that sign each callback.
    pub signing: SigningKeys,
}

/// How much is logged, by pino's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What helps to find an error.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What looks wrong.
    Warn,
    /// What went wrong.
    Error,
    /// What ends the process; shown with the errors, since we have no level above them.
    Fatal,
    /// Nothing.
    Silent,
}

impl LogLevel {
    /// The level of that name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "trace" => Self::Trace,
            "debug" => Self::Debug,
            "info" => Self::Info,
            "warn" => Self::Warn,
            "error" => Self::Error,
            "fatal" => Self::Fatal,
            "silent" => Self::Silent,
            _ => return None,
        })
    }
}

/// Where the log goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard output.
    #[default]
    StandardOutput,
    /// Standard error.
    StandardError,
    /// The end of a file.
    File(PathBuf),
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// How much.
    pub level: LogLevel,
    /// Where.
    pub destination: LogDestination,
    /// How; `None` = pretty on a terminal, else JSON.
    pub format: Option<LogFormat>,
}
