//! A submission that only its owner may read, and a grader that has lost root's powers.
//!
//! Without capabilities root may read no more than others may. What an API server stores with mode 600 worked
//! with the original, and a teacher expects nothing else. So the container of such a submission is given
//! `DAC_OVERRIDE` back: over files only, and only over those that it sees, of which the host's one is
//! mounted read-only. (`DAC_READ_SEARCH`, which sounds less, lets a container open the host's files by their
//! handles.) It counts for root only: a submission that a grader runs as another user does not get it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tracing::debug;

use crate::config::{DockerSettings, Endpoint};
use crate::profile::Profile;

/// The capability that lets root read and write what it does not own.
const DAC_OVERRIDE: &str = "DAC_OVERRIDE";
/// How long a look at the file may take: it may stand on a file system of another host.
const PATIENCE: Duration = Duration::from_secs(1);
/// Looks that may hang at a time; with so many under way no further one is made.
static LOOKS: std::sync::LazyLock<Arc<Semaphore>> = std::sync::LazyLock::new(|| Arc::new(Semaphore::new(16)));

/// The profile with which a grader can read this submission, as far as that can be seen from here.
pub async fn readable(mut profile: Profile, file: &str, docker: &DockerSettings) -> Profile {
    if is_concerned(&profile, docker) && is_for_its_owner_only(file).await {
        debug!(file, "the submission is for its owner only: its container gets DAC_OVERRIDE to read it");
        profile.capabilities.push(DAC_OVERRIDE.to_owned());
    }
    profile
}

/// Whether the container's root could do with the capability, and the engine sees the files that we see.
fn is_concerned(profile: &Profile, docker: &DockerSettings) -> bool {
    let has_it = |capability: &String| matches!(capability.as_str(), DAC_OVERRIDE | "ALL");
    profile.hardened
        && profile.user.is_none()
        && !profile.capabilities.iter().any(has_it)
        && matches!(docker.endpoint, Endpoint::Unix(_))
}

async fn is_for_its_owner_only(file: &str) -> bool {
    let Ok(permit) = Arc::clone(&LOOKS).try_acquire_owned() else { return false };
    let path = file.to_owned();
    let look = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        std::fs::metadata(path).is_ok_and(|metadata| !root_without_powers_reads(&metadata))
    });
    matches!(tokio::time::timeout(PATIENCE, look).await, Ok(Ok(true)))
}

/// Whether a process of user 0 and group 0 may read it by its mode alone.
fn root_without_powers_reads(metadata: &Metadata) -> bool {
    may_read(metadata.uid(), metadata.gid(), metadata.mode(), metadata.is_dir())
}

fn may_read(uid: u32, gid: u32, mode: u32, is_folder: bool) -> bool {
    let bits = match (uid, gid) {
        (0, _) => mode >> 6,
        (_, 0) => mode >> 3,
        _ => mode,
    };
    let needed = if is_folder { 0o5 } else { 0o4 };
    bits & needed == needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_tells_who_may_read() {
        for (uid, gid, mode, is_folder, reads) in [
            (1000, 1000, 0o644, false, true),
            (1000, 1000, 0o640, false, false),
            (1000, 1000, 0o600, false, false),
            (1000, 0, 0o640, false, true),
            (1000, 0, 0o604, false, false),
            (0, 1000, 0o600, false, true),
            (0, 1000, 0o044, false, false),
            (1000, 1000, 0o100_644, false, true),
            (1000, 1000, 0o744, true, false),
            (1000, 1000, 0o705, true, true),
        ] {
            assert_eq!(may_read(uid, gid, mode, is_folder), reads, "{uid} {gid} {mode:o} {is_folder}");
        }
    }

    #[tokio::test]
    async fn a_capability_is_given_only_where_it_is_needed_and_helps() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("submission");
        std::fs::write(&file, "x").unwrap();
        let mode = |mode| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let at = |endpoint| DockerSettings {
            endpoint,
            timeout: PATIENCE,
            pull: false,
            pull_timeout: PATIENCE,
            credentials: std::collections::HashMap::new(),
        };
        let here = at(Endpoint::Unix("/d".into()));
        let hardened = Profile { hardened: true, ..Profile::unlimited() };
        let given = async |profile: &Profile, docker: &DockerSettings| {
            readable(profile.clone(), file.to_str().unwrap(), docker).await.capabilities
        };
        // Whoever runs the tests owns the file: as root, who may read what the mode lets its owner read.
        mode(0o044);
        let unreadable = !root_without_powers_reads(&std::fs::metadata(&file).unwrap());
        let expected = if unreadable { vec![DAC_OVERRIDE.to_owned()] } else { Vec::new() };
        assert_eq!(given(&hardened, &here).await, expected);
        let elsewhere = at(Endpoint::Tcp { host: "h".into(), port: 1 });
        assert_eq!(given(&hardened, &elsewhere).await, Vec::<String>::new());
        let as_user = Profile { user: Some("1000".into()), ..hardened.clone() };
        assert_eq!(given(&as_user, &here).await, Vec::<String>::new());
        assert_eq!(given(&Profile::unlimited(), &here).await, Vec::<String>::new());
        let has_all = Profile { capabilities: vec!["ALL".into()], ..hardened.clone() };
        assert_eq!(given(&has_all, &here).await, ["ALL"]);
        mode(0o644);
        assert_eq!(given(&hardened, &here).await, Vec::<String>::new());
        std::fs::remove_file(&file).unwrap();
        assert_eq!(given(&hardened, &here).await, Vec::<String>::new());
    }
}
