//! Deleting the files of submissions whose result is safe (`REMOVE_EXERCISE`): a regular file and nothing else.
//!
//! The path is a job's, and whoever can add jobs must not have any file of this host deleted by a detour: each folder
//! of the path is opened from the one before, none may be a symbolic link, and the file is deleted from the folder
//! that was looked at.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is deleted.
    Done,
    /// It is not there any more.
    Gone,
    /// Not even its folder is here: the Docker host's files are not ours, or not under the same path.
    OutOfSight,
    /// It is left alone for good, and why.
    LeftAlone(&'static str),
    /// It cannot be deleted now.
    Failed(Errno),
}

/// Deletes a submission's file that lies in one of these folders and was not changed after the submission, whose
/// time is in milliseconds of Unix time.
#[must_use]
pub fn delete(path: &Path, submitted: u64, folders: &[PathBuf]) -> Deleted {
    // What leads to a folder is no link either, so that the text says where the file is.
    if !folders.iter().any(|folder| path.starts_with(folder)) {
        return Deleted::LeftAlone("it lies in none of EXERCISE_FOLDERS");
    }
    let Some((folders, name)) = split(path) else {
        return Deleted::LeftAlone("its path is not a plain absolute one");
    };
    let folder = match open(&folders) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Deleted::OutOfSight,
        Err(Errno::NOTDIR | Errno::LOOP) => {
            return Deleted::LeftAlone("its path leads over a symbolic link, or over what is no folder");
        }
        Err(error) => return Deleted::Failed(error),
    };
    match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile => {
            return Deleted::LeftAlone("it is no regular file");
        }
        // Whatever writes to a file, or puts another one in its place, sets this time; nobody can set it back.
        Ok(found) if changed_ms(&found) > submitted => {
            return Deleted::LeftAlone("it was changed after its submission: it may be a new one");
        }
        Ok(_) => {}
        Err(Errno::NOENT) => return Deleted::Gone,
        Err(error) => return Deleted::Failed(error),
    }
    // A link that took its place meanwhile would go itself, and not what it leads to; a folder would stay.
    match unlinkat(&folder, &name, AtFlags::empty()) {
        Ok(()) => Deleted::Done,
        Err(Errno::NOENT) => Deleted::Gone,
        Err(error) => Deleted::Failed(error),
    }
}

/// When a file was changed, in milliseconds of Unix time.
fn changed_ms(found: &Stat) -> u64 {
    let milliseconds = i128::from(found.st_ctime) * 1000 + i128::from(found.st_ctime_nsec) / 1_000_000;
    u64::try_from(milliseconds).unwrap_or_default()
}

/// The folders and the name of an absolute path without detours.
fn split(path: &Path) -> Option<(Vec<&OsStr>, OsString)> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) || path.as_os_str().as_bytes().ends_with(b"/") {
        return None;
    }
    let mut names = Vec::new();
    for part in parts {
        let Component::Normal(name) = part else { return None };
        names.push(name);
    }
    let name = names.pop()?.to_owned();
    Some((names, name))
}

fn open(folders: &[&OsStr]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = openat(CWD, "/", flags, Mode::empty())?;
    for name in folders {
        folder = openat(&folder, *name, flags, Mode::empty())?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const NEWER: Deleted = Deleted::LeftAlone("it was changed after its submission: it may be a new one");

    fn delete(path: &Path) -> Deleted {
        super::delete(path, u64::MAX, &["/".into()])
    }

    fn folder() -> TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn a_regular_file_is_deleted_and_one_that_is_gone_is_no_error() {
        let folder = folder();
        let path = folder.path().join("work");
        fs::write(&path, "x").expect("a file");
        let before = changed_ms(&rustix::fs::stat(&path).expect("a file")) - 1;
        assert_eq!(super::delete(&path, before, &[folder.path().into()]), NEWER);
        let elsewhere = [folder.path().join("other"), folder.path().join("wor")];
        assert!(matches!(super::delete(&path, u64::MAX, &elsewhere), Deleted::LeftAlone(_)) && path.exists());
        assert_eq!(super::delete(&path, before + 1, &[folder.path().into()]), Deleted::Done);
        assert!(!path.exists());
        assert_eq!(delete(&path), Deleted::Gone);
    }

    #[test]
    fn a_file_that_took_its_place_is_left_whatever_time_it_says_it_was_written() {
        let folder = folder();
        let (path, new) = (folder.path().join("work"), folder.path().join("new"));
        fs::write(&path, "x").expect("a file");
        let submitted = changed_ms(&rustix::fs::stat(&path).expect("a file"));
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&new, "y").expect("a file");
        let old = std::time::SystemTime::UNIX_EPOCH;
        fs::File::options()
            .write(true)
            .open(&new)
            .and_then(|file| file.set_modified(old))
            .expect("an old one");
        fs::rename(&new, &path).expect("in its place");
        assert_eq!(super::delete(&path, submitted, &[folder.path().into()]), NEWER);
        assert!(path.exists());
    }

    #[test]
    fn nothing_but_a_regular_file_is_deleted() {
        let folder = folder();
        let (inner, target) = (folder.path().join("folder"), folder.path().join("target"));
        fs::create_dir(&inner).expect("a folder");
        fs::write(&target, "x").expect("a file");
        let link = folder.path().join("link");
        symlink(&target, &link).expect("a link");
        for path in [&inner, &link] {
            assert_eq!(delete(path), Deleted::LeftAlone("it is no regular file"), "{}", path.display());
        }
        assert!(inner.is_dir() && link.is_symlink() && target.is_file());
    }

    #[test]
    fn no_link_in_the_path_leads_to_another_place() {
        let (folder, elsewhere) = (folder(), folder());
        let target = elsewhere.path().join("precious");
        fs::write(&target, "x").expect("a file");
        symlink(elsewhere.path(), folder.path().join("uploads")).expect("a link");
        let detour = folder.path().join("uploads/precious");
        assert!(detour.is_file());
        assert!(matches!(delete(&detour), Deleted::LeftAlone(_)));
        let upwards =
            folder.path().join("..").join(elsewhere.path().file_name().expect("a name")).join("precious");
        assert!(upwards.is_file());
        assert!(matches!(delete(&upwards), Deleted::LeftAlone(_)));
        assert!(target.is_file());
    }

    #[test]
    fn what_is_on_another_host_is_out_of_sight() {
        let gone = folder().path().join("nowhere/work");
        assert_eq!(delete(&gone), Deleted::OutOfSight);
        for path in ["relative/work", "/", "/tmp/work/", ""] {
            assert!(matches!(delete(Path::new(path)), Deleted::LeftAlone(_)), "{path}");
        }
    }
}
