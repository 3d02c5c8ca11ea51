//! Tells the program which commit it was built from, without needing git.
//!
//! `CORRECTION_RUNNER_COMMIT` in the environment wins (the build of the image sets it); else what `.git` says
//! is checked out; where neither is there, as in an unpacked archive, the version stands alone. Nothing depends
//! on the time or the machine, and the package is compiled again only when another commit is checked out.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is given from outside, such as `76dadbe, 2026-11-23`.
const GIVEN: &str = "CORRECTION_RUNNER_COMMIT";
/// How much of a commit's name is shown.
const SHOWN: usize = 7;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    let number = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let revision = match env::var(GIVEN).ok().filter(|given| !given.trim().is_empty()) {
        Some(given) => revision_given(&given).unwrap_or_else(|| {
            println!("cargo::warning={GIVEN} is no name of a commit (letters, digits and -._, with spaces)");
            String::new()
        }),
        None => revision_checked_out(Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default())),
    };
    let version = if revision.is_empty() { number } else { format!("{number} ({revision})") };
    println!("cargo::rustc-env=CORRECTION_RUNNER_VERSION={version}");
    println!("cargo::rustc-env=CORRECTION_RUNNER_REVISION={revision}");
}

/// What was given, if it can stand in a version: a whole name of a commit is shortened.
#[must_use]
pub fn revision_given(given: &str) -> Option<String> {
    let given = given.trim();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._, ".contains(letter);
    if given.len() > 60 || !given.chars().all(fits) {
        return None;
    }
    Some(if is_commit(given) { given[..SHOWN].to_owned() } else { given.to_owned() })
}

/// The commit that is checked out in a folder, with its day where git can be asked; empty where the folder is
/// no checkout.
#[must_use]
pub fn revision_checked_out(folder: &Path) -> String {
    let Some(checkout) = Checkout::in_folder(folder) else { return String::new() };
    for file in checkout.what_changes_with_it() {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let Some(commit) = checkout.commit() else { return String::new() };
    let short = commit[..SHOWN].to_owned();
    match day_of(folder, &commit) {
        Some(day) => format!("{short}, {day}"),
        None => short,
    }
}

/// The committer's day, which stands in the commit itself, so that it is the same wherever it is built.
fn day_of(folder: &Path, commit: &str) -> Option<String> {
    let asked =
        Command::new("git").arg("-C").arg(folder).args(["show", "-s", "--format=%cs", commit]).output();
    let answer = asked.ok().filter(|answer| answer.status.success())?;
    let day = String::from_utf8(answer.stdout).ok()?.trim().to_owned();
    let is_day = day.len() == 10 && day.chars().all(|letter| letter.is_ascii_digit() || letter == '-');
    is_day.then_some(day)
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.chars().all(|letter| letter.is_ascii_hexdigit())
}

/// A checkout of a repository: the main one or a worktree.
pub struct Checkout {
    /// Where what concerns this checkout is, its `HEAD` first.
    own: PathBuf,
    /// Where what all checkouts of the repository share is.
    shared: PathBuf,
}

impl Checkout {
    /// That of a folder, if it is one.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Option<Self> {
        let git = folder.join(".git");
        // In a worktree and in a submodule it is a file that names the folder.
        let own = match fs::read_to_string(&git) {
            Ok(text) => folder.join(text.trim().strip_prefix("gitdir:")?.trim()),
            Err(_) => git,
        };
        if !own.join("HEAD").is_file() {
            return None;
        }
        let shared = match fs::read_to_string(own.join("commondir")) {
            Ok(text) => own.join(text.trim()),
            Err(_) => own.clone(),
        };
        Some(Self { own, shared })
    }

    fn head(&self) -> Option<String> {
        Some(fs::read_to_string(self.own.join("HEAD")).ok()?.trim().to_owned())
    }

    /// The branch that is checked out, such as `refs/heads/main`.
    fn branch(&self) -> Option<String> {
        Some(self.head()?.strip_prefix("ref:")?.trim().to_owned())
    }

    fn commit(&self) -> Option<String> {
        let commit = match self.branch() {
            None => self.head()?,
            Some(branch) => match fs::read_to_string(self.shared.join(&branch)) {
                Ok(text) => text.trim().to_owned(),
                Err(_) => self.packed(&branch)?,
            },
        };
        is_commit(&commit).then_some(commit)
    }

    /// The commit of a branch that has no file of its own.
    fn packed(&self, branch: &str) -> Option<String> {
        let all = fs::read_to_string(self.shared.join("packed-refs")).ok()?;
        all.lines().find_map(|line| {
            let (commit, name) = line.split_once(' ')?;
            (name == branch).then(|| commit.to_owned())
        })
    }

    /// The files of which one changes whenever another commit is checked out. Only those that are there: cargo
    /// takes one that is missing as changed, each time.
    #[must_use]
    pub fn what_changes_with_it(&self) -> Vec<PathBuf> {
        let mut files =
            vec![self.own.join("HEAD"), self.own.join("logs/HEAD"), self.shared.join("packed-refs")];
        files.extend(self.branch().map(|branch| self.shared.join(branch)));
        files.retain(|file| file.is_file());
        files
    }
}
