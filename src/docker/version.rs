//! The version of the API that is spoken: the newest that both know.

use std::fmt;

use serde::Deserialize;

use super::error::EngineError;

/// The oldest API version that has all we ask for (Docker 17.12).
const OLDEST: Version = Version(1, 35);
/// The newest that we know of: an engine that speaks a newer one speaks this one too, or says so.
const NEWEST: Version = Version(1, 53);
/// Both, for people.
const OURS: &str = "1.35 to 1.53";

/// A version of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u32, u32);

/// What the engine says of itself.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VersionAnswer {
    api_version: String,
    #[serde(rename = "MinAPIVersion")]
    least: Option<String>,
    #[serde(default)]
    components: Option<Vec<Component>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
    #[serde(default)]
    version: String,
}

impl VersionAnswer {
    /// The version to speak.
    pub(super) fn agreed(self) -> Result<Version, EngineError> {
        let most = Version::read(&self.api_version);
        let least = self.least.as_deref().and_then(Version::read).unwrap_or(OLDEST);
        let version = most.map(|most| most.min(NEWEST)).filter(|version| *version >= OLDEST.max(least));
        version.ok_or_else(|| EngineError::Incompatible {
            least: self.least.unwrap_or_default(),
            most: self.api_version,
            ours: OURS,
        })
    }

    /// Whether it is Podman, which calls the first of its parts `Podman Engine`.
    pub(super) fn is_podman(&self) -> bool {
        self.components.iter().flatten().any(|component| component.name.starts_with("Podman"))
    }

    /// Whether the engine has an init process for containers. Docker lists its parts, without the one
    /// that it does not find; what lists no such parts is asked for one in good faith.
    pub(super) fn has_init(&self) -> bool {
        let has = |name: &str| {
            let found = self.components.iter().flatten().find(|component| component.name == name);
            found.is_some_and(|component| component.version != "N/A")
        };
        !has("runc") || has("docker-init")
    }
}

impl Version {
    /// The same as bollard wants it.
    pub(super) fn for_bollard(self) -> bollard::ClientVersion {
        bollard::ClientVersion { major_version: self.0 as usize, minor_version: self.1 as usize }
    }

    /// Whether it is 1.`minor` or later.
    pub(super) fn is_at_least(self, minor: u32) -> bool {
        self >= Self(1, minor)
    }

    /// Whether it can ask for a container's own view of control groups.
    pub(super) fn has_cgroup_namespaces(self) -> bool {
        self >= Self(1, 41)
    }

    fn read(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(components: &[(&str, &str)]) -> VersionAnswer {
        let components = components
            .iter()
            .map(|(name, version)| Component { name: (*name).to_owned(), version: (*version).to_owned() });
        VersionAnswer { api_version: "1.41".into(), least: None, components: Some(components.collect()) }
    }

    fn agreed(most: &str, least: Option<&str>) -> Option<String> {
        let answer =
            VersionAnswer { api_version: most.into(), least: least.map(str::to_owned), components: None };
        answer.agreed().ok().map(|version| version.to_string())
    }

    #[test]
    fn an_engine_that_lists_its_parts_and_not_an_init_process_has_none() {
        assert!(answer(&[("Engine", "20"), ("runc", "1"), ("docker-init", "0.19.0")]).has_init());
        assert!(!answer(&[("Engine", "20"), ("runc", "1")]).has_init());
        assert!(!answer(&[("runc", "1"), ("docker-init", "N/A")]).has_init());
        assert!(answer(&[("Podman Engine", "5"), ("Conmon", "2")]).has_init());
        assert!(answer(&[]).has_init());
    }

    #[test]
    fn podman_is_told_from_docker_by_its_parts() {
        assert!(answer(&[("Podman Engine", "5"), ("Conmon", "2")]).is_podman());
        assert!(!answer(&[("Engine", "20"), ("runc", "1")]).is_podman() && !answer(&[]).is_podman());
    }

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        assert_eq!(agreed("1.41", Some("1.12")).as_deref(), Some("1.41"));
        assert_eq!(agreed("1.52", Some("1.44")).as_deref(), Some("1.52"));
        assert_eq!(agreed("1.99", Some("1.44")).as_deref(), Some("1.53"));
        assert_eq!(agreed("1.41", None).as_deref(), Some("1.41"));
        assert_eq!(agreed("1.9", Some("1.1")), None, "too old: versions are numbers");
        assert_eq!(agreed("2.0", Some("1.60")), None, "too new");
        assert_eq!(agreed("latest", None), None);
    }
}
