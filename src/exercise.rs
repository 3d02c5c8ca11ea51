//! Where a submission may lie: what of the host no job may name, and the folders of `EXERCISE_FOLDERS`.
//!
//! A container that is given the engine's socket, or a folder with it, is root on the host: a read-only mount keeps
//! nobody from talking to a socket, and the container's user 0 may connect without any capability.

use std::path::{Component, Path, PathBuf};

/// Nothing in these can be a submission.
const NEVER: [&str; 2] = ["/proc", "/sys"];
/// In these only what a folder of `EXERCISE_FOLDERS` within them holds.
const THE_HOSTS: [&str; 3] = ["/dev", "/run", "/var/run"];

/// Why a path can be no submission, as words that follow the field's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// It is, holds, or lies in a place of the host or of the engine.
    TheHosts,
    /// It lies in no folder of `EXERCISE_FOLDERS`.
    Elsewhere,
    /// It is a socket, a pipe, a device, or links in a circle.
    NoFile,
}

impl Misplaced {
    /// The words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TheHosts => {
                "must not be, hold or lie in what belongs to the Docker host itself (/proc, /sys, /dev, /run, the \
                 engine's socket and its folder)"
            }
            Self::Elsewhere => "must lie in one of the folders where submissions are kept (EXERCISE_FOLDERS)",
            Self::NoFile => "must be a file or a folder, and not a socket, a pipe or a device",
        }
    }
}

/// An absolute path without detours, as the engine reads it: `//`, `.` and `..` are taken out of the text.
#[must_use]
pub fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

/// Whether a plain path may be a submission, by its text alone. `folders` = those that it has to lie in, none = any;
/// `engine` = the engine's own socket and folders.
///
/// # Errors
/// It may not, and why.
pub fn check(path: &Path, folders: &[PathBuf], engine: &[PathBuf]) -> Result<(), Misplaced> {
    let never = NEVER.iter().map(Path::new);
    let theirs = THE_HOSTS.iter().map(Path::new).chain(engine.iter().map(PathBuf::as_path));
    if never.clone().any(|place| path.starts_with(place)) {
        return Err(Misplaced::TheHosts);
    }
    if never.chain(theirs.clone()).any(|place| place.starts_with(path)) {
        return Err(Misplaced::TheHosts);
    }
    let lies_in = |folder: &Path| path != folder && path.starts_with(folder);
    let is_given = |place: &Path| {
        folders.iter().any(|folder| folder != place && folder.starts_with(place) && lies_in(folder))
    };
    if theirs.into_iter().any(|place| path.starts_with(place) && !is_given(place)) {
        return Err(Misplaced::TheHosts);
    }
    if !folders.is_empty() && !folders.iter().any(|folder| lies_in(folder)) {
        return Err(Misplaced::Elsewhere);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(texts: &[&str]) -> Vec<PathBuf> {
        texts.iter().map(PathBuf::from).collect()
    }

    fn checked(file: &str, folders: &[&str]) -> Result<(), Misplaced> {
        let engine = paths(&["/var/run/docker.sock", "/srv/engine/docker.sock", "/var/lib/docker"]);
        check(&plain(file), &paths(folders), &engine)
    }

    #[test]
    fn what_belongs_to_the_host_or_holds_it_is_no_submission() {
        for file in [
            "/",
            "//",
            "/./",
            "/..",
            "/tmp/..",
            "/proc",
            "/proc/1/root/etc/shadow",
            "/sys/fs/cgroup",
            "/dev",
            "/dev/sda",
            "/run",
            "/run/docker.sock",
            "/var",
            "/var/",
            "/var/run",
            "/var//run/./docker.sock",
            "/srv/../var/run/docker.sock",
            "/../../run/docker.sock",
            "/srv/engine",
            "/srv/engine/docker.sock",
            "/srv",
            "/var/lib",
            "/var/lib/docker",
            "/var/lib/docker/volumes/a/_data/work",
        ] {
            assert_eq!(checked(file, &[]), Err(Misplaced::TheHosts), "{file}");
        }
        for file in
            ["/tmp/work", "/srv/work", "/runs/work", "/device", "/var/lib/uploads", "/home/a/..b/c", "/procs"]
        {
            assert_eq!(checked(file, &[]), Ok(()), "{file}");
        }
    }

    #[test]
    fn with_folders_only_what_lies_in_them_is_a_submission() {
        let folders =
            ["/srv/uploads", "/var/lib/docker/volumes/work/_data", "/run/uploads", "/var", "/sys/x"];
        for (file, expected) in [
            ("/srv/uploads/1", Ok(())),
            ("/srv/uploads/1/2", Ok(())),
            ("/srv/uploads/../uploads/1", Ok(())),
            ("/srv/uploads", Err(Misplaced::Elsewhere)),
            ("/srv/uploads/", Err(Misplaced::Elsewhere)),
            ("/srv/uploads/../1", Err(Misplaced::Elsewhere)),
            ("/srv/uploads2/1", Err(Misplaced::Elsewhere)),
            ("/home/a", Err(Misplaced::Elsewhere)),
            // A folder of the list within one of the host's is meant so; one that holds that is not.
            ("/var/lib/docker/volumes/work/_data/1", Ok(())),
            ("/run/uploads/1", Ok(())),
            ("/var/lib/docker/volumes/other/_data/1", Err(Misplaced::TheHosts)),
            ("/var/run/docker.sock", Err(Misplaced::TheHosts)),
            ("/run/uploads", Err(Misplaced::TheHosts)),
            ("/sys/x/1", Err(Misplaced::TheHosts)),
            ("/var/work", Ok(())),
            ("/srv/uploads/../../run/docker.sock", Err(Misplaced::TheHosts)),
        ] {
            assert_eq!(checked(file, &folders), expected, "{file}");
        }
    }

    /// Paths of few names, with detours, that often meet what is refused.
    fn detours() -> impl Strategy<Value = String> {
        "(/{1,2}(\\.|\\.\\.|run|var|proc|docker\\.sock|srv|uploads|a)){0,6}/?"
            .prop_map(|path| format!("/{path}"))
    }

    proptest! {
        #[test]
        fn no_detour_gets_round_the_check(file in detours()) {
            let plain = plain(&file);
            let text = plain.to_str().unwrap();
            prop_assert!(plain.is_absolute() && !text.contains("..") && !text.contains("//"));
            prop_assert_eq!(super::plain(text), plain.clone());
            for refused in ["/proc", "/run", "/var/run"] {
                if plain.starts_with(refused) || Path::new(refused).starts_with(&plain) {
                    prop_assert_eq!(checked(&file, &[]), Err(Misplaced::TheHosts));
                    prop_assert!(checked(&file, &["/srv/uploads"]).is_err());
                }
            }
            if checked(&file, &["/srv/uploads"]).is_ok() {
                prop_assert!(plain.starts_with("/srv/uploads") && text != "/srv/uploads");
                prop_assert_eq!(checked(&file, &[]), Ok(()), "folders only ever narrow here");
            }
        }

        #[test]
        fn no_text_is_too_strange(file in "/\\PC{0,40}") {
            let _ = checked(&file, &["/srv"]);
        }
    }
}
