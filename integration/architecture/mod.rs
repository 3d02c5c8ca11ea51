//! Holds the import rule of the house: stages know no stages, adapters know neither adapters nor
//! stages, the vocabulary knows only itself; and each source file is short and says what it is for.

mod paths;

use std::fs;
use std::path::{Path, PathBuf};

use paths::{WHOLE_ROOT, imported_modules};

const STAGES: [&str; 3] = ["starter", "completer", "notifier"];
const ADAPTERS: [&str; 3] = ["queue", "docker", "callback"];
const TOOLS: [&str; 1] = ["tools"];
const WATCH: [&str; 1] = ["http"];
const LONGEST_FILE: usize = 400;

/// What a module of the crate's root is. `main` and `lib` put the rest together and are free.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Stage,
    Tool,
    Watch,
    Adapter,
    Vocabulary,
}

impl Role {
    fn of(module: &str) -> Self {
        if STAGES.contains(&module) {
            Self::Stage
        } else if TOOLS.contains(&module) {
            Self::Tool
        } else if WATCH.contains(&module) {
            Self::Watch
        } else if ADAPTERS.contains(&module) {
            Self::Adapter
        } else {
            Self::Vocabulary
        }
    }

    fn may_import(self, other: Self) -> bool {
        match self {
            Self::Stage | Self::Watch => matches!(other, Self::Adapter | Self::Vocabulary),
            Self::Tool => matches!(other, Self::Stage | Self::Adapter | Self::Vocabulary),
            Self::Adapter | Self::Vocabulary => other == Self::Vocabulary,
        }
    }
}

/// The complaints about one source file, given its path below `src` and its text.
fn complaints(path: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let name = path.display();
    if !text.starts_with("//! ") {
        found.push(format!("{name} does not begin with a `//!` line that says what it is for"));
    }
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        found.push(format!("{name} has {lines} lines, at most {LONGEST_FILE} are allowed: split it"));
    }
    let module = module_path(path);
    let Some(own) = module.first() else { return found };
    for (line, imported) in imported_modules(&module, text) {
        if imported == WHOLE_ROOT {
            found.push(format!("{name}:{line}: `{own}` imports the whole crate: name the module"));
            continue;
        }
        let (from, to) = (Role::of(own), Role::of(&imported));
        if imported != *own && !from.may_import(to) {
            found.push(format!("{name}:{line}: the {from:?} `{own}` imports the {to:?} `{imported}`"));
        }
    }
    found
}

/// The module that a file below `src` holds: `queue/take.rs` is `["queue", "take"]`. Nothing for the
/// crate's roots.
fn module_path(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    if matches!(parts.as_slice(), [only] if only == "main" || only == "lib") {
        parts.clear();
    }
    parts
}

fn rust_files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_source_file_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    assert!(files.len() >= 10, "the source was not found: {} files below {}", files.len(), root.display());
    let found: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("the source can be read");
            complaints(file.strip_prefix(&root).expect("it is below"), &text)
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn each_forbidden_import_is_found_wherever_it_stands() {
    for (file, text, culprit) in [
        (
            "starter.rs",
            "//! S.\nuse crate::completer::run;",
            "starter.rs:2: the Stage `starter` imports the Stage `completer`",
        ),
        ("notifier.rs", "//! N.\nfn f() { crate::starter::g(); }", "`notifier` imports the Stage `starter`"),
        (
            "queue/take.rs",
            "//! Q.\nuse crate::{fields, docker::Engine};",
            "the Adapter `queue` imports the Adapter `docker`",
        ),
        (
            "docker/mod.rs",
            "//! D.\nuse crate::{\n  job,\n  queue::{a, b},\n};",
            "docker/mod.rs:4: the Adapter `docker` imports the Adapter `queue`",
        ),
        (
            "callback.rs",
            "//! C.\nuse super::notifier;",
            "the Adapter `callback` imports the Stage `notifier`",
        ),
        ("queue/a/b.rs", "//! Q.\nuse super::super::super::callback::C;", "imports the Adapter `callback`"),
        (
            "job.rs",
            "//! J.\nmod tests { use super::super::queue::Redis; }",
            "the Vocabulary `job` imports the Adapter `queue`",
        ),
        (
            "job/tests.rs",
            "//! J.\nmacro_rules! m { () => { $crate::docker::x() } }",
            "`job` imports the Adapter `docker`",
        ),
        ("docker/mod.rs", "//! D.\nuse crate::tools::t;", "the Adapter `docker` imports the Tool `tools`"),
        ("starter.rs", "//! S.\nuse crate::tools::t;", "the Stage `starter` imports the Tool `tools`"),
        ("http/a.rs", "//! H.\nuse crate::starter::S;", "the Watch `http` imports the Stage `starter`"),
        ("job.rs", "//! J.\nuse crate::http::H;", "the Vocabulary `job` imports the Watch `http`"),
        ("output.rs", "//! O.\npub(in crate::starter) fn f() {}", "imports the Stage `starter`"),
        ("job.rs", "//! J.\nuse crate as root;", "`job` imports the whole crate"),
        ("job.rs", "//! J.\nuse crate::*;", "`job` imports the whole crate"),
        ("job.rs", "//! J.\nuse crate::{self, fields};", "`job` imports the whole crate"),
    ] {
        let found = complaints(Path::new(file), text);
        assert!(found.iter().any(|complaint| complaint.contains(culprit)), "{file}: {text}: {found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_complained_about() {
    for (file, text) in [
        ("starter.rs", "//! S.\nuse crate::{docker::Engine, job, queue};"),
        ("completer/mod.rs", "//! C.\nuse crate::completer::inflight; use super::queue; use self::act;"),
        (
            "queue/take.rs",
            "//! Q.\nuse crate::queue::Redis; use super::Lock; use crate::config::RedisSettings;",
        ),
        (
            "job.rs",
            "//! J.\n// use crate::queue;\n/* crate::docker /* nested */ */\nconst A: &str = \"crate::queue\";",
        ),
        (
            "job.rs",
            "//! J.\nconst A: &str = r#\"\"crate::queue\"#; const B: char = '\"'; fn f<'a>(x: &'a str) {}",
        ),
        ("job.rs", "//! J.\nmod tests { use super::*; mod deeper { use super::super::Job; } }"),
        ("tools/trial.rs", "//! T.\nuse crate::starter::single::Single;"),
        ("main.rs", "//! M.\nuse correction_runner::{starter, completer, queue};"),
        ("lib.rs", "//! L.\npub use crate::starter::run;"),
    ] {
        assert_eq!(complaints(Path::new(file), text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn a_long_file_and_one_without_a_first_line_are_found() {
    let long = format!("//! Long.\n{}", "\n".repeat(LONGEST_FILE));
    assert!(complaints(Path::new("job.rs"), &long)[0].contains("401 lines"));
    assert!(complaints(Path::new("job.rs"), "use std::fmt;")[0].contains("does not begin"));
}
