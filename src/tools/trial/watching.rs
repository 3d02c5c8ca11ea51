//! Whether the submission or the image changed since it was tried (`--watch`), by looking now and then.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::terminal::{Style, Terminal};
use crate::config::Trial;
use crate::docker::Engine;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Of a folder so many files are looked at.
const MOST_FILES: usize = 10_000;

/// What is watched, as it was when it was tried.
pub(super) struct Watching<'a> {
    is_wanted: bool,
    engine: &'a Engine,
    image: String,
    file: PathBuf,
    seen: Look,
}

/// What a look shows. What the engine does not tell is no change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look {
    file: u64,
    image: Option<String>,
}

impl Look {
    /// Whether another look shows a change. `pulls`: an image that came is none, and is known from now on.
    fn becomes(&mut self, now: Self, pulls: bool) -> bool {
        if pulls && self.image.is_none() && now.file == self.file {
            self.image = now.image;
            return false;
        }
        now != *self
    }
}

impl<'a> Watching<'a> {
    /// Looks at it as it is now.
    pub(super) async fn begin(trial: &Trial, engine: &'a Engine, file: &str) -> Self {
        let (image, file) = (trial.policy.spelled(&trial.image), PathBuf::from(file));
        let image_id = if trial.watch { engine.image_id(&image).await.ok().flatten() } else { None };
        let seen = Look { file: fingerprint(&file), image: image_id };
        Self { is_wanted: trial.watch, engine, image, file, seen }
    }

    /// Waits until it is another; for ever where nobody wants to know. `pulls`: a trial runs that pulls an image
    /// which is not there: that this one comes is no change.
    pub(super) async fn changed(&mut self, pulls: bool) {
        if !self.is_wanted {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let image = self.engine.image_id(&self.image).await.unwrap_or_else(|_| self.seen.image.clone());
            let now = Look { file: fingerprint(&self.file), image };
            if self.seen.becomes(now, pulls) {
                // What is being written or built is left to become whole.
                tokio::time::sleep(LOOK_EVERY / 2).await;
                return;
            }
        }
    }
}

impl Watching<'_> {
    /// A trial is over that pulls what is not there, and found this image.
    pub(super) fn pulled(&mut self, image: Option<&str>) {
        if self.seen.image.is_none() {
            self.seen.image = image.map(str::to_owned);
        }
    }
}

/// What tells a file, or a folder with all that is in it, from what it was.
fn fingerprint(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    let (mut open, mut seen) = (vec![path.to_path_buf()], 0);
    while let Some(path) = open.pop() {
        seen += 1;
        let Ok(found) = path.metadata() else { continue };
        (&path, found.ino(), found.len(), found.mtime(), found.mtime_nsec(), found.mode()).hash(&mut hasher);
        // The links of a folder may lead in circles.
        let is_folder = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if seen < MOST_FILES && (is_folder || seen == 1 && found.is_dir()) {
            let mut inner: Vec<_> =
                std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            inner.sort();
            open.extend(inner.into_iter().take(MOST_FILES));
        }
    }
    hasher.finish()
}

/// Says something beside the answer. Whether anybody reads it does not matter.
pub(super) fn say(aside: &mut Terminal<'_>, what: &str) {
    let _ = aside.progress("");
    let line = aside.painted(Style::Faint, what);
    let _ = writeln!(aside, "{line}");
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_image_that_we_pulled_is_no_change_and_each_other_one_is() {
        let look = |file, image: Option<&str>| Look { file, image: image.map(str::to_owned) };
        for (seen, now, pulls, change) in [
            (look(1, None), look(1, Some("a")), true, false),
            (look(1, None), look(1, Some("a")), false, true),
            (look(1, None), look(2, Some("a")), true, true),
            (look(1, Some("a")), look(1, Some("b")), true, true),
            (look(1, Some("a")), look(1, Some("a")), true, false),
            (look(1, None), look(1, None), true, false),
        ] {
            let mut after = seen.clone();
            assert_eq!(after.becomes(now.clone(), pulls), change, "{seen:?} {now:?} {pulls}");
            assert!(change || after == now, "what came is known: {after:?}");
        }
    }

    #[test]
    fn each_change_of_a_file_or_of_one_in_a_folder_is_seen_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).expect("a folder");
        let file = inner.join("work");
        fs::write(&file, "one").expect("a file");
        std::os::unix::fs::symlink(folder.path(), inner.join("circle")).expect("a link");
        for watched in [folder.path(), file.as_path()] {
            fs::write(&file, "one").expect("a file");
            let before = fingerprint(watched);
            assert_eq!(before, fingerprint(watched));
            fs::write(&file, "three").expect("a file");
            assert_ne!(before, fingerprint(watched), "{}", watched.display());
        }
        let before = fingerprint(folder.path());
        fs::remove_file(&file).expect("removed");
        assert_ne!(before, fingerprint(folder.path()));
        assert_ne!(fingerprint(&file), before);
    }
}
