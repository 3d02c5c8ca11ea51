//! How a person writes what a container gets: the same in settings and in policy files.
//!
//! Each function returns, as its error, what is allowed: a phrase that follows "allowed: ".
#![expect(clippy::missing_errors_doc, reason = "told above for all of them")]

use std::time::Duration;

use super::{Tmpfs, VerdictChannel};
use crate::config::formats::{self, Unit};
use crate::seal::SEAL_FOLDER;

/// Memory: what Docker accepts at least, and more than any machine has.
const LEAST_MEMORY: u64 = 6 << 20;
const MOST_MEMORY: u64 = 1 << 44;
/// The least that a container may be left to write.
const LEAST_DISK: u64 = 1 << 20;
/// The least of a file system in memory: a page.
const LEAST_TMPFS: u64 = 4 << 10;
/// Open files: less than this no runtime starts with, more than this Linux allows nobody as it comes.
const LEAST_FILES: u32 = 32;
const MOST_FILES: u32 = 1 << 20;
/// The most processes that Linux can number.
const MOST_PIDS: u32 = 1 << 22;
/// The longest names of runtimes, networks and users.
const LONGEST_NAME: usize = 128;
/// What a file system in memory cannot be mounted over.
const TAKEN: [&str; 6] = ["/proc", "/sys", "/dev", "/tmp/exercise", "/run/secrets", SEAL_FOLDER];

/// A wall clock limit; 0 = none.
pub fn timeout(text: &str) -> Result<Option<Duration>, String> {
    formats::duration(text, Unit::Seconds).map(|timeout| Some(timeout).filter(|timeout| !timeout.is_zero()))
}

/// Memory; 0 = no limit.
pub fn memory(text: &str) -> Result<Option<u64>, String> {
    formats::size_or_none(text, LEAST_MEMORY, MOST_MEMORY)
}

/// Processors; 0 = no limit.
pub fn cpus(text: &str) -> Result<Option<f64>, String> {
    formats::processors(text)
}

/// Processes; 0 = no limit.
pub fn pids(text: &str) -> Result<Option<u32>, String> {
    formats::whole(text, 0, MOST_PIDS).map(|pids| Some(pids).filter(|pids| *pids > 0))
}

/// Open files of a process; 0 = the engine's own limit.
pub fn nofile(text: &str) -> Result<Option<u32>, String> {
    match text {
        "0" => Ok(None),
        _ => formats::whole(text, LEAST_FILES, MOST_FILES).map(Some),
    }
    .map_err(|allowed| format!("0 (the engine's own limit), or {allowed}"))
}

/// What may be written to the file system; 0 = no limit.
pub fn disk(text: &str) -> Result<Option<u64>, String> {
    formats::size_or_none(text, LEAST_DISK, MOST_MEMORY)
}

/// A network.
pub fn network(text: &str) -> Result<String, String> {
    formats::name(text, LONGEST_NAME)
        .map_err(|allowed| format!("none, bridge, or the name of a network: {allowed}"))
}

/// A runtime.
pub fn runtime(text: &str) -> Result<String, String> {
    formats::name(text, LONGEST_NAME)
}

/// A user, with or without a group.
pub fn user(text: &str) -> Result<String, String> {
    let parts: Vec<_> = text.split(':').collect();
    let fine = parts.len() <= 2 && parts.iter().all(|part| formats::name(part, LONGEST_NAME).is_ok());
    let allowed = "a user, or user:group, by number or by a name that the image knows, such as 1000:1000";
    fine.then(|| text.to_owned()).ok_or_else(|| allowed.to_owned())
}

/// How a verdict is told from a forged one.
pub fn verdict(text: &str) -> Result<VerdictChannel, String> {
    let found = VerdictChannel::NAMES.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, channel)| channel).ok_or_else(|| "output or secret".to_owned())
}

/// Whether the profile is the hardened one.
pub fn hardened(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "hardened" => Ok(true),
        "original" => Ok(false),
        _ => Err("hardened or original".to_owned()),
    }
}

/// How many containers may run at once; 0 = no limit of its own.
pub fn most_running(text: &str) -> Result<Option<u32>, String> {
    formats::whole(text, 0, 100_000).map(|count| Some(count).filter(|count| *count > 0))
}

/// File systems in memory, such as `/tmp:64m,/run:1m`.
pub fn tmpfs(text: &str) -> Result<Vec<Tmpfs>, String> {
    let mut all: Vec<Tmpfs> = Vec::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let (path, size) = word
            .rsplit_once(':')
            .ok_or_else(|| format!("paths with sizes, such as /tmp:64m,/run:1m; {word:?} has no size"))?;
        let tmpfs = one_tmpfs(path, size)?;
        if all.iter().any(|other| other.path == tmpfs.path) {
            return Err(format!("each path once; {path} stands there twice"));
        }
        all.push(tmpfs);
    }
    Ok(all)
}

/// One file system in memory. `/dev/shm` is there anyway: its size is set.
pub fn one_tmpfs(path: &str, size: &str) -> Result<Tmpfs, String> {
    let parts = path.strip_prefix('/').map(|rest| rest.split('/'));
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '@');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(legal);
    if !parts.is_some_and(|mut parts| parts.all(is_plain)) {
        return Err(format!(
            "as path one from the root, of letters, digits, '_', '.', '-', '+', '@', such as /tmp; {path:?} is none"
        ));
    }
    let below =
        |taken: &str| path.strip_prefix(taken).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if path != "/dev/shm" && TAKEN.iter().any(|taken| below(taken)) {
        return Err(format!("none of {} and what is below them, but for /dev/shm", TAKEN.join(", ")));
    }
    let size =
        formats::size(size, LEAST_TMPFS, MOST_MEMORY).map_err(|allowed| format!("for {path} {allowed}"))?;
    Ok(Tmpfs { path: path.to_owned(), size })
}

/// One environment variable.
pub fn variable(key: &str, value: &str) -> Result<String, String> {
    if key.is_empty() || key.contains(['=', '\0']) || key.chars().any(char::is_whitespace) {
        return Err("as a variable's name a text without '=' and spaces".to_owned());
    }
    if value.contains('\0') {
        return Err("as a variable's value a text without the character 0".to_owned());
    }
    Ok(format!("{key}={value}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_no_limit_and_limits_have_bounds() {
        assert_eq!((timeout("0"), timeout("90")), (Ok(None), Ok(Some(Duration::from_secs(90)))));
        assert_eq!((nofile("0"), nofile("64")), (Ok(None), Ok(Some(64))));
        assert_eq!((pids("0"), most_running("0"), disk("0")), (Ok(None), Ok(None), Ok(None)));
        assert_eq!(disk("2g"), Ok(Some(2 << 30)));
        for allowed in [nofile("16").unwrap_err(), nofile("1048577").unwrap_err()] {
            assert_eq!(allowed, "0 (the engine's own limit), or a whole number from 32 to 1048576");
        }
        assert!(disk("1k").is_err() && memory("1m").is_err());
    }

    #[test]
    fn users_are_one_or_two_names_or_numbers() {
        for text in ["1000", "1000:1000", "nobody", "nobody:nogroup"] {
            assert_eq!(user(text).as_deref(), Ok(text));
        }
        for text in ["", ":", "1000:", "a:b:c", "a b", "/etc"] {
            assert!(user(text).is_err(), "{text}");
        }
    }

    #[test]
    fn file_systems_in_memory_have_a_path_and_a_size_and_cover_nothing_that_is_needed() {
        let read = |text| {
            tmpfs(text).map(|all| all.iter().map(|one| (one.path.clone(), one.size)).collect::<Vec<_>>())
        };
        let expected = vec![("/tmp".to_owned(), 64 << 20), ("/dev/shm".to_owned(), 1 << 20)];
        assert_eq!(read("/tmp:64m, /dev/shm:1m"), Ok(expected));
        for (text, part) in [
            ("/tmp", "has no size"),
            ("tmp:1m", "from the root"),
            ("/:1m", "from the root"),
            ("/a/../b:1m", "from the root"),
            ("/a b:1m", "has no size"),
            ("/tmp:1", "for /tmp a size from 4k"),
            ("/tmp:1m,/tmp:2m", "twice"),
            ("/proc/x:1m", "none of /proc"),
            ("/tmp/exercise:1m", "none of /proc"),
        ] {
            let allowed = tmpfs(text).expect_err(text);
            assert!(allowed.contains(part), "{text}: {allowed}");
        }
        assert!(tmpfs("/processes:1m").is_ok());
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A", "b=c\n").as_deref(), Ok("A=b=c\n"));
        for (key, value) in [("", "x"), ("A=", "x"), ("A B", "x"), ("A", "\0")] {
            assert!(variable(key, value).is_err(), "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = (timeout(&text), memory(&text), cpus(&text), pids(&text), nofile(&text), disk(&text));
            let _ = (network(&text), runtime(&text), user(&text), verdict(&text), hardened(&text), tmpfs(&text));
            let _ = (variable(&text, &text), one_tmpfs(&text, &text), most_running(&text));
        }
    }
}
