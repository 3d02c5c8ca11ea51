//! One simulated container: what it was created with, what it is doing, and how the engine prints it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What never changes about a container, shared with the events that tell of it.
#[derive(Debug)]
pub struct Identity {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Without the leading `/`.
    pub name: String,
    /// As the create call named it.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// What a container is doing, in Docker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not started yet.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Ended.
    Exited,
    /// Half removed.
    Dead,
    /// Being removed.
    Removing,
}

impl Status {
    /// The word in `State.Status`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Removing => "removing",
        }
    }

    /// Whether its process lives.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// The part of a create call's body that the engine looks at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateBody {
    /// The image's name.
    #[serde(default)]
    pub image: String,
    /// `KEY=value` pairs.
    #[serde(default)]
    pub env: Option<Vec<String>>,
    /// Labels.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Kept as it came, and printed by inspect.
    #[serde(default)]
    pub host_config: Option<Box<RawValue>>,
}

/// The mounts in a create call's `HostConfig`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    /// The binds of the `Mounts` kind.
    #[serde(default)]
    pub mounts: Option<Vec<Mount>>,
}

/// One mount.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// A path on the host; none for a volume.
    #[serde(default)]
    pub source: Option<String>,
    /// Its place in the container.
    #[serde(default)]
    pub target: String,
}

/// A container that only exists in this process.
#[derive(Debug)]
pub struct Container {
    /// What never changes.
    pub identity: Arc<Identity>,
    /// `KEY=value` pairs.
    pub env: Vec<String>,
    /// The create call's `HostConfig`, as it came.
    pub host_config: Option<Box<RawValue>>,
    /// What it is doing.
    pub status: Status,
    /// Exit code of the last run.
    pub exit_code: i64,
    /// Whether the last run was ended for its memory.
    pub oom_killed: bool,
    /// Why the last start failed.
    pub error: String,
    /// Nanoseconds of Unix time on the engine's clock.
    pub created: i128,
    /// Start of the last run; 0 = never.
    pub started: i128,
    /// End of the last run; 0 = never.
    pub finished: i128,
    /// How often it was really started: a run that ended does not end a later one.
    pub run: u64,
    /// How often a start was asked for.
    pub start_calls: u64,
    /// Whether the disk was full when it ended, so that what it wrote is lost.
    pub lost: bool,
    /// The content of the file that was put into it.
    pub secret: Option<String>,
}

/// The label of the secret that its verdict needs.
pub const SECRET_LABEL: &str = "org.correctomatic.secret";
/// The one place where files are put.
pub const SECRET_FOLDER: &str = "/run/correctomatic";

/// The variables of a container's environment that tell the simulated engine how it behaves.
pub mod script {
    /// What it writes to stdout, in place of the configured verdict; ` <secret>` is what was put into it.
    pub const STDOUT: &str = "SIMULATED_STDOUT";
    /// What it writes to stderr.
    pub const STDERR: &str = "SIMULATED_STDERR";
    /// Its exit code.
    pub const EXIT_CODE: &str = "SIMULATED_EXIT_CODE";
    /// How long it runs, in milliseconds.
    pub const RUN_MS: &str = "SIMULATED_RUN_MS";
    /// Set to 1: it ends for its memory (137, with an `oom` event).
    pub const OOM: &str = "SIMULATED_OOM";
    /// How many bytes it has written to its file system.
    pub const WRITTEN: &str = "SIMULATED_WRITTEN";
    /// How many bytes it has written to an anonymous volume, which it has only then.
    pub const VOLUME: &str = "SIMULATED_VOLUME";
    /// How many bytes of memory it uses, told as with cgroup v2.
    pub const MEMORY: &str = "SIMULATED_MEMORY";
    /// A text that stands in the record of its death.
    pub const NOTE: &str = "SIMULATED_NOTE";
    /// Set to a text: its start fails with it.
    pub const START_ERROR: &str = "SIMULATED_START_ERROR";
}

impl Container {
    /// The value of an environment variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// How long it runs.
    pub fn run_time(&self, otherwise: Duration) -> Duration {
        self.variable(script::RUN_MS)
            .and_then(|text| text.parse().ok())
            .map_or(otherwise, Duration::from_millis)
    }

    /// The exit code of a run that nobody disturbs.
    pub fn own_exit_code(&self, otherwise: i64) -> i64 {
        if self.variable(script::OOM) == Some("1") {
            return 137;
        }
        self.variable(script::EXIT_CODE).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
    }

    /// Its output as the engine sends it: frames of stream, length and bytes.
    pub fn frames(&self, verdict: &str, stdout: bool, stderr: bool) -> Vec<u8> {
        let mut frames = Vec::new();
        if self.started == 0 || self.status.is_alive() || self.lost {
            return frames;
        }
        let mut frame = |stream: u8, text: &str| {
            for part in text.as_bytes().chunks(16 * 1024) {
                frames.extend_from_slice(&[stream, 0, 0, 0]);
                frames.extend_from_slice(&u32::try_from(part.len()).unwrap_or(0).to_be_bytes());
                frames.extend_from_slice(part);
            }
        };
        if stdout {
            // As a grader does that reads its file, or finds none.
            let secret = self.secret.as_ref().map_or(String::new(), |secret| format!(" {secret}"));
            frame(1, &self.variable(script::STDOUT).unwrap_or(verdict).replace(" <secret>", &secret));
        }
        if stderr {
            frame(2, self.variable(script::STDERR).unwrap_or(""));
        }
        frames
    }

    /// What `GET /containers/{id}/json` says.
    pub fn inspect_json(&self, size: bool) -> String {
        let identity = &*self.identity;
        let number = |name| self.variable(name).and_then(|text| text.parse::<u64>().ok());
        let volume = number(script::VOLUME).map(|_| VolumeMount { kind: "volume", name: &identity.id });
        let none = serde_json::value::to_raw_value(&()).unwrap_or_default();
        let inspected = Inspect {
            id: &identity.id,
            created: &time(self.created),
            path: "",
            args: &[],
            state: State {
                status: self.status.word(),
                running: self.status.is_alive(),
                paused: self.status == Status::Paused,
                restarting: false,
                oom_killed: self.oom_killed,
                dead: self.status == Status::Dead,
                pid: if self.status.is_alive() { 4711 } else { 0 },
                exit_code: self.exit_code,
                error: &self.error,
                started_at: &time(self.started),
                finished_at: &time(self.finished),
            },
            image: IMAGE_ID,
            name: &format!("/{}", identity.name),
            restart_count: 0,
            driver: "overlay2",
            platform: "linux",
            size_rw: size.then(|| number(script::WRITTEN).unwrap_or_default()),
            mounts: volume.into_iter().collect(),
            host_config: self.host_config.as_deref().unwrap_or(&none),
            config: Config { tty: false, env: &self.env, image: &identity.image, labels: &identity.labels },
        };
        serde_json::to_string(&inspected).unwrap_or_default()
    }

    /// What `GET /containers/{id}/stats` says of one that runs, with cgroup v2.
    pub fn stats_json(&self) -> String {
        let memory = self.variable(script::MEMORY).filter(|_| self.status.is_alive());
        let usage = memory.and_then(|text| text.parse::<u64>().ok());
        let stats =
            usage.map(|usage| serde_json::json!({ "usage": usage, "limit": 1_u64 << 40, "stats": {} }));
        serde_json::json!({ "memory_stats": stats.unwrap_or_else(|| serde_json::json!({})) }).to_string()
    }

    /// Adds what `GET /containers/json` says of it.
    pub fn append_listed(&self, status: Status, list: &mut String) {
        let identity = &*self.identity;
        let listed = Listed {
            id: &identity.id,
            names: [&format!("/{}", identity.name)],
            image: &identity.image,
            image_id: IMAGE_ID,
            command: "",
            created: i64::try_from(self.created / 1_000_000_000).unwrap_or(0),
            labels: &identity.labels,
            state: status.word(),
            status: &match status {
                Status::Exited => format!("Exited ({}) Less than a second ago", self.exit_code),
                Status::Running => "Up Less than a second".to_owned(),
                Status::Paused => "Up Less than a second (Paused)".to_owned(),
                Status::Created => "Created".to_owned(),
                Status::Dead => "Dead".to_owned(),
                Status::Removing => "Removal In Progress".to_owned(),
            },
        };
        let _ = write!(list, "{}", serde_json::to_string(&listed).unwrap_or_default());
    }
}

/// Every simulated image has this id.
pub const IMAGE_ID: &str = "sha256:e57d47f42066842a2c8075c45e0157c4f048ea1d9ea2bea72553ce66ce9a94fd";

/// A time as the engine prints it; 0 is Go's zero time.
fn time(nanoseconds: i128) -> String {
    if nanoseconds == 0 {
        return "0001-01-01T00:00:00Z".to_owned();
    }
    jiff::Timestamp::from_nanosecond(nanoseconds).map(|at| at.to_string()).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspect<'a> {
    id: &'a str,
    created: &'a str,
    path: &'a str,
    args: &'a [String],
    state: State<'a>,
    image: &'a str,
    name: &'a str,
    restart_count: u32,
    driver: &'a str,
    platform: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    mounts: Vec<VolumeMount<'a>>,
    host_config: &'a RawValue,
    config: Config<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeMount<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
#[allow(clippy::struct_excessive_bools, reason = "Docker's own shape")]
struct State<'a> {
    status: &'a str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: u32,
    exit_code: i64,
    error: &'a str,
    started_at: &'a str,
    finished_at: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Config<'a> {
    tty: bool,
    env: &'a [String],
    image: &'a str,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed<'a> {
    id: &'a str,
    names: [&'a str; 1],
    image: &'a str,
    #[serde(rename = "ImageID")]
    image_id: &'a str,
    command: &'a str,
    created: i64,
    labels: &'a BTreeMap<String, String>,
    state: &'a str,
    status: &'a str,
}
