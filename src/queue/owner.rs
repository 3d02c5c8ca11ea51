//! Who holds a lock: a process of this machine can be proved dead, and then nobody waits for its locks.
//!
//! A token ends in `@place.pid.start`: the place is this boot of this machine and its namespaces of
//! process ids and of time, the start is the kernel's own number for when the process began. Two
//! processes with the same three are one. So one that the kernel does not know any more, or knows with
//! another start, will never do anything again, and its lock can be given up before it runs out. Of a
//! process elsewhere (another machine, another container) nothing can be proved: its lock runs out. So
//! it is where any of this cannot be read.
//!
//! Facts: proc(5) `/proc/pid/stat` field 22, kill(2) `ESRCH`, namespaces(7), `boot_id` in random(4).

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use sha2::{Digest, Sha256};

use crate::identity::LockToken;

/// What parts a token's random beginning from its owner.
const AT: char = '@';

/// A token of this process for one take.
pub(super) fn token() -> LockToken {
    static OWN: OnceLock<Option<String>> = OnceLock::new();
    let own = OWN.get_or_init(|| Some(format!("{}.{}", place()?, life(own_pid()?)?)));
    match own {
        Some(own) => LockToken::unique_of(AT, own),
        None => LockToken::unique(),
    }
}

/// Whether the owner of a lock, as it stands behind the `@` of its token, is a process of this machine
/// that has ended. `false` = it lives, or that cannot be told from here.
pub(super) fn is_dead(owner: &str) -> bool {
    let Some((its_place, its_life)) = owner.split_once('.') else { return false };
    if place() != Some(its_place) {
        return false;
    }
    let pid = its_life.split_once('.').and_then(|(pid, _)| pid.parse().ok());
    let Some(pid) = pid.and_then(Pid::from_raw) else { return false };
    if test_kill_process(pid) == Err(Errno::SRCH) {
        return true;
    }
    // The kernel may have given its number to another process since.
    life(pid).is_some_and(|life| life != its_life)
}

/// The place and the number of the process that a token names, and whether the place is here; `None` where it
/// names none, being another client's.
pub(super) fn process(token: &str) -> Option<(String, u32, bool)> {
    let (its_place, its_life) = token.split_once(AT)?.1.split_once('.')?;
    let pid = its_life.split_once('.')?.0.parse().ok()?;
    Some((its_place.to_owned(), pid, place() == Some(its_place)))
}

/// `pid.start` of a process.
fn life(pid: Pid) -> Option<String> {
    let pid = pid.as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything; what follows its last bracket begins with field 3.
    let began = stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(22 - 3)?;
    Some(format!("{pid}.{began}"))
}

/// This process's number, where `/proc` counts as the kernel does for this process: one that was
/// mounted for another namespace would tell of other processes.
fn own_pid() -> Option<Pid> {
    let own = rustix::process::getpid();
    let seen = fs::read_link("/proc/self").ok()?;
    (seen == Path::new(&own.as_raw_nonzero().to_string())).then_some(own)
}

/// This boot of this machine, and the namespaces by which process ids and times are counted here.
fn place() -> Option<&'static str> {
    static PLACE: OnceLock<Option<String>> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        own_pid()?;
        let mut hash = Sha256::new();
        for file in ["/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/hostname"] {
            hash.update(fs::read(file).ok()?);
        }
        for namespace in ["/proc/self/ns/pid", "/proc/self/ns/time"] {
            hash.update(fs::read_link(namespace).ok()?.as_os_str().as_encoded_bytes());
        }
        let digest = hash.finalize();
        let eight = digest.first_chunk().copied().map(u64::from_be_bytes)?;
        Some(format!("{:012x}", eight >> 16))
    });
    place.as_deref()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn owner_of(pid: u32) -> String {
        let pid = Pid::from_raw(i32::try_from(pid).expect("small")).expect("not 0");
        format!("{}.{}", place().expect("Linux"), life(pid).expect("it lives"))
    }

    #[test]
    fn a_token_names_this_process_which_lives() {
        let token = token().to_string();
        let (_, owner) = token.split_once(AT).expect("an owner");
        assert_eq!(owner, owner_of(std::process::id()));
        assert!(!is_dead(owner));
        assert_ne!(token, super::token().to_string());
        let told = process(&token).expect("a process");
        assert_eq!((told.1, told.2), (std::process::id(), true));
        assert_eq!(process("0011@0011aabbccdd.7.1"), Some(("0011aabbccdd".to_owned(), 7, false)));
        for other in ["", "5f1c:12", "a@b", "a@b.c.d"] {
            assert_eq!(process(other), None, "{other}");
        }
    }

    #[test]
    fn a_process_is_dead_once_the_kernel_has_forgotten_it_and_not_before() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let owner = owner_of(child.id());
        assert!(!is_dead(&owner));
        child.kill().expect("it is ours");
        child.wait().expect("it ended");
        assert!(is_dead(&owner));
    }

    #[test]
    fn a_number_that_another_process_has_by_now_is_no_sign_of_life() {
        let owner = owner_of(std::process::id());
        let (rest, start) = owner.rsplit_once('.').expect("a start");
        let earlier = start.parse::<u64>().expect("a number") - 1;
        assert!(is_dead(&format!("{rest}.{earlier}")));
    }

    #[test]
    fn nothing_is_known_of_processes_elsewhere_nor_of_what_is_no_owner() {
        let own = owner_of(std::process::id());
        let (_, life) = own.split_once('.').expect("a place");
        // No process has this number: on this machine it would be dead.
        let free = format!("{}.1", i32::MAX);
        assert!(is_dead(&format!("{}.{free}", place().expect("Linux"))));
        for owner in
            [&format!("0011aabbccdd.{free}"), &format!("0011aabbccdd.{life}"), "", "a.b", "..", "x.0.1"]
        {
            assert!(!is_dead(owner), "{owner}");
        }
    }
}
