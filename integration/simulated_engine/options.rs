//! How a simulated engine is and behaves.

use std::path::PathBuf;
use std::time::Duration;

use super::world::World;
use super::{Present, Shape};

/// How a simulated engine is and behaves.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Options {
    /// Where its socket is to be; `None` = in a directory of its own, removed at the end.
    pub socket: Option<PathBuf>,
    /// How long a container runs.
    pub run_time: Duration,
    /// What a container writes to stdout.
    pub verdict: String,
    /// What a container exits with.
    pub exit_code: i64,
    /// Which images it has.
    pub images: Present,
    /// Whether a mount's source must be there on this machine.
    pub check_mounts: bool,
    /// Whose events its events look like.
    pub shape: Shape,
    /// Its `ID`.
    pub id: String,
    /// Processors.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// What its `/info` says besides, or in place of what it would say.
    pub info: serde_json::Value,
    /// The newest API that it speaks.
    pub api_version: &'static str,
    /// The oldest API that it speaks.
    pub min_api_version: &'static str,
    /// Its `Server` header.
    pub server: &'static str,
    /// Whether [`SimulatedEngine::lag`] is measured: event streams take little ahead of their readers.
    pub measure_reading: bool,
    /// Whether every death is recorded, for [`SimulatedEngine::deaths`].
    pub record_deaths: bool,
    /// Whether all that happens to containers is recorded, for [`SimulatedEngine::history`].
    pub record_history: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: None,
            run_time: Duration::ZERO,
            verdict: r#"{"success":true,"grade":7.5,"comments":["ok"]}"#.to_owned() + "\n",
            exit_code: 0,
            images: Present::All,
            check_mounts: false,
            shape: Shape::Docker20,
            id: "SIMU:LATE:DENG:INE0".to_owned(),
            cpus: 2,
            memory: 8 << 30,
            info: serde_json::json!({}),
            api_version: "1.41",
            min_api_version: "1.12",
            server: "Docker/20.10.24 (linux)",
            measure_reading: false,
            record_deaths: false,
            record_history: false,
        }
    }
}

impl Options {
    pub(super) fn version_json(&self) -> String {
        let version = self.server.trim_start_matches("Docker/").split(' ').next();
        let json = serde_json::json!({
            "Version": version, "ApiVersion": self.api_version, "MinAPIVersion": self.min_api_version,
            "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1.0",
        });
        format!("{json}\n")
    }

    pub(super) fn info_json(&self, world: &World) -> String {
        let now = jiff::Timestamp::from_nanosecond(world.now()).map(|now| now.to_string());
        let mut json = serde_json::json!({
            "ID": self.id, "Containers": world.containers.len(), "ContainersRunning": world.stats.alive,
            "NCPU": self.cpus, "MemTotal": self.memory, "OSType": "linux", "Architecture": "x86_64",
            "DefaultRuntime": "runc", "Name": "simulated", "SystemTime": now.unwrap_or_default(),
            "Runtimes": { "runc": { "path": "runc" } }, "CgroupVersion": "2",
            "ServerVersion": self.server.trim_start_matches("Docker/").split(' ').next(),
        });
        for (name, value) in self.info.as_object().into_iter().flatten() {
            json[name] = value.clone();
        }
        format!("{json}\n")
    }
}
