//! What a person wants to know of an engine before it is trusted with corrections.

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::connect::{Engine, decoded};
use super::error::{Call, EngineError};
use super::types::About;

/// More of an engine than starts and ends of containers need.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkup {
    /// Which engine it is, and what it can do.
    pub about: About,
    /// Whether it is Podman.
    pub is_podman: bool,
    /// Whether it has an init process for containers.
    pub has_init: bool,
    /// Where it writes what containers print unless it is told otherwise.
    pub log_driver: Option<String>,
    /// `1` or `2`.
    pub cgroup_version: Option<String>,
    /// Who manages control groups.
    pub cgroup_driver: Option<String>,
    /// Whether containers survive a restart of it.
    pub live_restore: Option<bool>,
    /// The runtime of containers that name none.
    pub default_runtime: Option<String>,
    /// Its runtimes.
    pub runtimes: Vec<String>,
    /// What protects its host, in its words.
    pub security: Vec<String>,
    /// What kind of containers it runs: `linux`.
    pub os_type: Option<String>,
    /// Its host's system, kernel and kind of processor.
    pub host: Vec<String>,
    /// What it complains about itself.
    pub warnings: Vec<String>,
    /// Containers that it has, and those that run.
    pub containers: (u64, u64),
}

/// Engines leave out what they do not know of.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    logging_driver: Option<String>,
    cgroup_version: Option<String>,
    cgroup_driver: Option<String>,
    live_restore_enabled: Option<bool>,
    default_runtime: Option<String>,
    security_options: Option<Vec<String>>,
    #[serde(rename = "OSType")]
    os_type: Option<String>,
    operating_system: Option<String>,
    kernel_version: Option<String>,
    architecture: Option<String>,
    warnings: Option<Vec<String>>,
    containers: u64,
    containers_running: u64,
}

impl Engine {
    /// All that it tells of itself.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn checkup(&self) -> Result<Checkup, EngineError> {
        let about = self.about().await?;
        self.within(Call::About, self.timeout(), async {
            let spoken = self.spoken().await?;
            let answer: Answer = decoded(Call::About, self.get(Call::About, "/info", &[]).await?).await?;
            let told = |text: Option<String>| text.filter(|text| !text.is_empty());
            let host = [answer.operating_system, answer.kernel_version, answer.architecture];
            Ok(Checkup {
                is_podman: spoken.is_podman,
                has_init: spoken.has_init,
                log_driver: told(answer.logging_driver),
                cgroup_version: told(answer.cgroup_version),
                cgroup_driver: told(answer.cgroup_driver),
                live_restore: answer.live_restore_enabled,
                default_runtime: told(answer.default_runtime),
                runtimes: about.abilities.runtimes.clone(),
                security: answer.security_options.unwrap_or_default(),
                os_type: told(answer.os_type),
                host: host.into_iter().filter_map(told).collect(),
                warnings: answer.warnings.unwrap_or_default(),
                containers: (answer.containers, answer.containers_running),
                about,
            })
        })
        .await
    }

    /// Whether it has a network of this name.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn has_network(&self, name: &str) -> Result<bool, EngineError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !name.bytes().all(legal) || matches!(name, "" | "." | "..") {
            return Ok(false);
        }
        self.within(Call::InspectNetwork, self.timeout(), async {
            let path = format!("/networks/{name}");
            let answer = self.ask(Call::InspectNetwork, Method::GET, &path, &[], None).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(false);
            }
            self.accepted(Call::InspectNetwork, answer).await.map(|_| true)
        })
        .await
    }
}
