//! Whether a job's file may be given to a container: by its path, and by what can be seen there.
//!
//! The path is checked on any engine. Where the engine is on this machine its links are followed, and what
//! is no file and no folder is refused. What cannot be seen from here, and what is exchanged between the
//! look and the start, only `EXERCISE_FOLDERS` and who may write there keep in bounds.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::config::Endpoint;
use crate::exercise::{self, Misplaced};

/// How long a look may take: it may go to a file system of another host.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks that may hang at a time.
static LOOKS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(16)));
/// As many links as the kernel follows.
const LINKS: u32 = 40;

/// What is known of a job's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nothing speaks against it, as far as it can be seen.
    Fits,
    /// It must not be given to a container.
    Refused(Misplaced),
    /// The file system does not answer.
    Unknown,
}

/// Looks at a job's file. `folders` = those that it has to lie in, none = any; `root` = where the engine says that
/// it keeps its files.
pub async fn of(file: &str, folders: &[PathBuf], endpoint: &Endpoint, root: Option<PathBuf>) -> Place {
    let path = exercise::plain(file);
    let folders = folders.to_vec();
    let mut engine: Vec<PathBuf> = root.into_iter().collect();
    let is_here = match endpoint {
        Endpoint::Unix(socket) => {
            engine.push(socket.clone());
            true
        }
        _ => false,
    };
    if let Err(misplaced) = exercise::check(&path, &folders, &engine) {
        return Place::Refused(misplaced);
    }
    if !is_here {
        return Place::Fits;
    }
    let look = async {
        let permit = Arc::clone(&LOOKS).acquire_owned().await.ok()?;
        let look = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            seen(&path, &folders, &engine)
        });
        look.await.ok()
    };
    match tokio::time::timeout(PATIENCE, look).await {
        Ok(Some(Ok(()))) => Place::Fits,
        Ok(Some(Err(misplaced))) => Place::Refused(misplaced),
        Ok(None) | Err(_) => Place::Unknown,
    }
}

/// Checks what the path leads to.
fn seen(path: &Path, folders: &[PathBuf], engine: &[PathBuf]) -> Result<(), Misplaced> {
    let followed = |paths: &[PathBuf]| paths.iter().map(|path| follow(path)).collect::<Vec<_>>();
    let target = follow(path);
    exercise::check(&target, &followed(folders), &[followed(engine), engine.to_vec()].concat())?;
    match std::fs::symlink_metadata(&target) {
        Ok(found) if !found.is_file() && !found.is_dir() => Err(Misplaced::NoFile),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where a path leads, also where what a link names is not here: the engine may see it.
fn follow(path: &Path) -> PathBuf {
    let mut left = names(path);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    while let Some(name) = left.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(name);
        // The links of /proc lead to what their text does not tell; whatever is there is refused.
        let link =
            if links < LINKS && !next.starts_with("/proc") { std::fs::read_link(&next).ok() } else { None };
        let Some(target) = link else {
            at = next;
            continue;
        };
        links += 1;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        left.extend(names(&target));
    }
    at
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let wanted = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    let names = path.components().filter(wanted).map(|part| part.as_os_str().to_owned());
    names.collect::<Vec<_>>().into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_a_path_leads_to_counts_and_what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["uploads", "uploads/inner", "engine"] {
            std::fs::create_dir(at(name)).expect("a folder");
        }
        std::fs::write(at("uploads/work"), "x").expect("a file");
        std::fs::write(at("elsewhere"), "x").expect("a file");
        let _other = UnixListener::bind(at("uploads/socket")).expect("a socket");
        let _engine = UnixListener::bind(at("engine/docker.sock")).expect("a socket");
        for (link, target) in [
            ("to-engine", at("engine/docker.sock")),
            ("to-engines-folder", "../engine".into()),
            ("to-root", "/".into()),
            ("to-run", "/run/is/not/here".into()),
            ("to-proc", "/proc/self/cwd/Cargo.toml".into()),
            ("to-device", "/dev/null".into()),
            ("to-work", "inner/../work".into()),
            ("to-elsewhere", "../elsewhere".into()),
            ("to-nowhere", "nowhere".into()),
            ("circle", "circle".into()),
        ] {
            symlink(target, at("uploads").join(link)).expect("a link");
        }
        symlink(at("engine"), at("other-name")).expect("a link");
        // The engine's socket is known by a path that has a link in it itself.
        let engine = [at("other-name/docker.sock")];
        let look = |name: &str, folders: &[PathBuf]| seen(&at("uploads").join(name), folders, &engine);
        for (name, expected) in [
            ("work", Ok(())),
            ("inner", Ok(())),
            ("missing", Ok(())),
            ("to-work", Ok(())),
            ("to-nowhere", Ok(())),
            ("to-elsewhere", Ok(())),
            ("socket", Err(Misplaced::NoFile)),
            ("circle", Err(Misplaced::NoFile)),
            ("to-engine", Err(Misplaced::TheHosts)),
            ("to-engines-folder", Err(Misplaced::TheHosts)),
            ("to-root", Err(Misplaced::TheHosts)),
            ("to-run", Err(Misplaced::TheHosts)),
            ("to-proc", Err(Misplaced::TheHosts)),
            ("to-device", Err(Misplaced::TheHosts)),
        ] {
            assert_eq!(look(name, &[]), expected, "{name}");
        }
        symlink(at("uploads"), at("uploads-by-link")).expect("a link");
        for folders in [[at("uploads")], [at("uploads-by-link")]] {
            assert_eq!(look("work", &folders), Ok(()));
            assert_eq!(look("to-work", &folders), Ok(()));
            assert_eq!(look("to-elsewhere", &folders), Err(Misplaced::Elsewhere));
        }
    }
}
