//! Which engine it is, and what it can do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use serde::Deserialize;
use serde_json::Value;

use super::connect::{Engine, decoded};
use super::error::{Call, EngineError};
use super::types::About;
use crate::identity::EngineId;
use crate::profile::abilities::Abilities;

#[derive(Deserialize)]
struct InfoAnswer {
    #[serde(rename = "ID", default)]
    id: String,
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "ServerVersion", default)]
    version: String,
    #[serde(rename = "NCPU", default)]
    cpus: u32,
    #[serde(rename = "MemTotal", default)]
    memory: u64,
    #[serde(rename = "DockerRootDir", default)]
    root: Option<PathBuf>,
    #[serde(flatten)]
    able: AbleAnswer,
}

/// Engines leave out what they do not know of.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct AbleAnswer {
    memory_limit: Option<bool>,
    swap_limit: Option<bool>,
    pids_limit: Option<bool>,
    cpu_cfs_quota: Option<bool>,
    cgroup_driver: Option<String>,
    security_options: Option<Vec<String>>,
    driver: Option<String>,
    driver_status: Option<Vec<Vec<String>>>,
    runtimes: Option<BTreeMap<String, Value>>,
}

/// What only asking the engine tells: whether it bounds what containers write, and how many open files it can
/// allow.
pub(super) struct Learned {
    likely: AtomicBool,
    refused: AtomicBool,
    too_many_files: AtomicU32,
}

impl Default for Learned {
    fn default() -> Self {
        let nothing = || AtomicBool::new(false);
        Self { likely: nothing(), refused: nothing(), too_many_files: AtomicU32::new(u32::MAX) }
    }
}

impl Learned {
    /// Whether so many open files may be asked for; if not, the engine's own limit is a lower one.
    pub(super) fn can_allow(&self, files: u32) -> bool {
        files < self.too_many_files.load(Relaxed)
    }

    /// Whether a container may be created with one.
    pub(super) fn has_quota(&self) -> bool {
        self.likely.load(Relaxed) && !self.refused.load(Relaxed)
    }

    /// Remembers that the engine refused it; says so once.
    pub(super) fn refused_quota(&self, words: &str) -> bool {
        if !self.refused.swap(true, Relaxed) {
            tracing::warn!(
                error = words,
                "limits of the disk (CONTAINER_DISK) cannot be held by the engine: its data is on no XFS that is \
                 mounted with pquota. The kernel holds the length of each single file, and a completer looks every \
                 few seconds and kills what wrote more"
            );
        }
        true
    }
}

impl InfoAnswer {
    /// The engine's id. Podman has none: its `/info` makes up a new one for each answer
    /// (`pkg/api/handlers/compat/info.go`), but the name in it is its host's and stays.
    fn engine_id(&self, is_podman: bool) -> EngineId {
        if !is_podman && !self.id.is_empty() {
            return EngineId::new(&self.id);
        }
        let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
        EngineId::new(self.name.replace(|letter| !legal(letter), "-"))
    }
}

impl AbleAnswer {
    fn abilities(self, is_podman: bool) -> Abilities {
        let driver = self.driver.unwrap_or_default();
        let backing = self.driver_status.iter().flatten().find_map(|pair| match pair.as_slice() {
            [key, value] if key == "Backing Filesystem" => Some(value.as_str()),
            _ => None,
        });
        let runtimes = self.runtimes.unwrap_or_default().into_keys().collect();
        let filters = |option: &String| option.starts_with("name=seccomp") && !option.contains("unconfined");
        Abilities {
            memory: self.memory_limit.unwrap_or(true),
            swap: self.swap_limit.unwrap_or(true),
            pids: self.pids_limit.unwrap_or(true),
            cpus: self.cpu_cfs_quota.unwrap_or(true),
            control_groups: self.cgroup_driver.as_deref() != Some("none"),
            seccomp: self.security_options.is_none_or(|options| options.iter().any(filters)),
            // The other drivers count the image too, or need a size beyond its own; and Podman takes no quota in
            // this way.
            disk_quota: driver == "overlay2" && backing == Some("xfs") && !is_podman,
            storage: backing.map_or_else(|| driver.clone(), |backing| format!("{driver} on {backing}")),
            runtimes,
        }
    }
}

impl Engine {
    /// Remembers that it refused to let a container open so many files: from now on such containers get its
    /// own limit, which is a lower one.
    pub fn cannot_allow(&self, files: u32) {
        if files < self.learned().too_many_files.fetch_min(files, Relaxed) {
            tracing::warn!(
                files,
                "the engine cannot allow {files} open files (CONTAINER_NOFILE): containers get its own limit, which is \
                 lower. Raise LimitNOFILE of the engine's service, or set a lower number"
            );
        }
    }

    /// Asks which engine it is.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn about(&self) -> Result<About, EngineError> {
        self.within(Call::About, self.timeout(), async {
            let spoken = self.spoken().await?;
            let info: InfoAnswer = decoded(Call::About, self.get(Call::About, "/info", &[]).await?).await?;
            let (id, api_version) = (info.engine_id(spoken.is_podman), spoken.version.to_string());
            let InfoAnswer { version, cpus, memory, root, able, .. } = info;
            let abilities = able.abilities(spoken.is_podman);
            self.learned().likely.store(abilities.disk_quota, Relaxed);
            Ok(About { id, version, api_version, cpus, memory, root, abilities })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(text: &str) -> InfoAnswer {
        serde_json::from_str(text).expect("an answer")
    }

    fn abilities(text: &str) -> Abilities {
        info(text).able.abilities(false)
    }

    #[test]
    fn podman_is_known_by_its_host_since_its_id_is_another_in_each_answer() {
        let id = |id: &str, is_podman| {
            info(&format!(r#"{{"ID":"{id}","Name":"host: one.example"}}"#)).engine_id(is_podman)
        };
        assert_eq!(id("a", true), id("b", true));
        assert_eq!(id("a", true), EngineId::new("host--one.example"));
        assert_eq!(id("", false), EngineId::new("host--one.example"));
        assert_eq!(id("AB:CD", false), EngineId::new("AB:CD"));
    }

    #[test]
    fn what_an_engine_can_do_is_read_from_what_it_says() {
        let docker = abilities(
            r#"{"ID":"a","MemoryLimit":true,"SwapLimit":false,"PidsLimit":false,"CpuCfsQuota":false,
                "CgroupDriver":"cgroupfs","SecurityOptions":["name=apparmor","name=seccomp,profile=builtin"],
                "Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"],["Supports d_type","true"]],
                "Runtimes":{"runsc":{"path":"runsc"},"runc":{"path":"runc"}}}"#,
        );
        let expected = Abilities {
            swap: false,
            pids: false,
            cpus: false,
            storage: "overlay2 on extfs".into(),
            runtimes: vec!["runc".into(), "runsc".into()],
            ..Abilities::default()
        };
        assert_eq!(docker, expected);
    }

    #[test]
    fn what_an_engine_leaves_out_counts_as_able_and_what_it_denies_does_not() {
        assert_eq!(abilities("{}"), Abilities::default());
        assert_eq!(
            abilities(r#"{"SecurityOptions":null,"Runtimes":null,"DriverStatus":null}"#),
            Abilities::default()
        );
        let poor = abilities(
            r#"{"MemoryLimit":false,"CgroupDriver":"none","SecurityOptions":["name=seccomp,profile=unconfined","name=rootless"]}"#,
        );
        assert!(!poor.memory && !poor.control_groups && !poor.seccomp);
        assert!(!abilities(r#"{"SecurityOptions":[]}"#).seccomp);
    }

    #[test]
    fn a_quota_is_asked_for_on_xfs_only_and_no_more_once_it_was_refused() {
        let xfs = r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","xfs"]]}"#;
        assert!(abilities(xfs).disk_quota && !info(xfs).able.abilities(true).disk_quota);
        assert!(!abilities(&xfs.replace("overlay2", "btrfs")).disk_quota);
        let quota = Learned::default();
        assert!(!quota.has_quota());
        quota.likely.store(true, Relaxed);
        assert!(quota.has_quota());
        assert!(quota.refused_quota("words") && quota.refused_quota("again") && !quota.has_quota());
    }
}
