//! The commit in the version is found as the build script says: without git, in each shape of a checkout.

use std::fs;
use std::process::Command;

#[allow(dead_code, reason = "its main is that of a build")]
#[path = "../../build.rs"]
mod build_script;

use build_script::{Checkout, revision_checked_out, revision_given};

const COMMIT: &str = "76dadbe0123456789abcdef0123456789abcdef0";
const OTHER: &str = "1111111111111111111111111111111111111111";

/// Files in a folder of their own, by their paths.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

#[test]
fn the_commit_is_found_in_a_checkout_of_each_shape_and_none_elsewhere() {
    let line = format!("{COMMIT}\n");
    let packed =
        format!("# pack-refs with: peeled\n{OTHER} refs/heads/a\n{COMMIT} refs/heads/main\n^{OTHER}\n");
    let head = ("HEAD", "ref: refs/heads/main\n");
    for (shape, files) in [
        ("a branch", vec![(".git/HEAD", head.1), (".git/refs/heads/main", line.as_str())]),
        ("a commit", vec![(".git/HEAD", line.as_str())]),
        ("packed", vec![(".git/HEAD", head.1), (".git/packed-refs", packed.as_str())]),
        (
            "a file beats packed",
            vec![
                (".git/HEAD", head.1),
                (".git/refs/heads/main", line.as_str()),
                (".git/packed-refs", "1111111111111111111111111111111111111111 refs/heads/main\n"),
            ],
        ),
        (
            "a worktree",
            vec![
                (".git", "gitdir: main/.git/worktrees/w\n"),
                ("main/.git/HEAD", OTHER),
                ("main/.git/worktrees/w/HEAD", head.1),
                ("main/.git/worktrees/w/commondir", "../..\n"),
                ("main/.git/refs/heads/main", line.as_str()),
            ],
        ),
    ] {
        // Git does not know such a commit, so that there is no day.
        assert_eq!(revision_checked_out(folder(&files).path()), "76dadbe", "{shape}");
    }
    for (shape, files) in [
        ("an archive", vec![("Cargo.toml", "")]),
        ("a branch without a commit", vec![(".git/HEAD", head.1)]),
        ("nonsense", vec![(".git/HEAD", "x\n")]),
        ("a worktree whose repository is gone", vec![(".git", "gitdir: /nowhere/at/all\n")]),
    ] {
        assert_eq!(revision_checked_out(folder(&files).path()), "", "{shape}");
    }
}

#[test]
fn what_is_watched_changes_with_each_commit_and_with_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(folder.path()).args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "gc.auto=0",
        ]);
        let done = git.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").output().expect("git runs");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let watched = || -> Vec<_> {
        let files = Checkout::in_folder(folder.path()).expect("a checkout").what_changes_with_it();
        files.into_iter().map(|file| (fs::read(&file).expect("it is there"), file)).collect()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["commit", "--quiet", "--allow-empty", "--message=first", "--date=2001-02-03T00:00:00Z"]);
    let first = watched();
    fs::write(folder.path().join("file"), "text").expect("a file");
    git(&["add", "file"]);
    git(&["status"]);
    assert_eq!(watched(), first);
    git(&["commit", "--quiet", "--message=second"]);
    let second = watched();
    assert_ne!(second, first);
    // With all references in one file, as after a clone.
    git(&["pack-refs", "--all"]);
    let packed = watched();
    assert!(!folder.path().join(".git/refs/heads/main").exists());
    git(&["commit", "--quiet", "--allow-empty", "--message=third"]);
    // What cargo was told to look at, which is the files of before.
    let now: Vec<_> =
        packed.iter().map(|(_, file)| (fs::read(file).expect("it is there"), file.clone())).collect();
    assert_ne!(now, packed);
    let revision = revision_checked_out(folder.path());
    let (commit, day) = revision.split_once(", ").expect("a commit and its day");
    assert_eq!((commit.len(), day.len()), (7, 10), "{revision}");
}

#[test]
fn a_commit_that_is_given_is_shortened_and_nonsense_is_refused() {
    for (given, shown) in [
        (COMMIT, Some("76dadbe")),
        (" 76dadbe, 2026-11-23\n", Some("76dadbe, 2026-11-23")),
        ("v1.0-rc_1", Some("v1.0-rc_1")),
        ("a\ncargo::rustc-env=X=y", None),
        ("$(id)", None),
    ] {
        assert_eq!(revision_given(given).as_deref(), shown, "{given}");
    }
}
