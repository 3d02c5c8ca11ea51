//! What an engine can hold a container to, and which of our limits are but words there.

use super::Profile;

/// What an engine says it can do. What it does not tell counts as something that it can.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an answer of the engine, and they do not depend on another"
)]
pub struct Abilities {
    /// Whether it can limit memory.
    pub memory: bool,
    /// Whether it can limit swap.
    pub swap: bool,
    /// Whether it can limit the number of processes.
    pub pids: bool,
    /// Whether it can limit processor time.
    pub cpus: bool,
    /// Whether it may use control groups at all.
    pub control_groups: bool,
    /// Whether it filters system calls.
    pub seccomp: bool,
    /// Its storage driver, and the file system below, for people.
    pub storage: String,
    /// Whether that may be able to bound what a container writes; only trying tells.
    pub disk_quota: bool,
    /// Its runtimes; empty where it does not tell.
    pub runtimes: Vec<String>,
}

impl Default for Abilities {
    fn default() -> Self {
        Self {
            memory: true,
            swap: true,
            pids: true,
            cpus: true,
            control_groups: true,
            seccomp: true,
            storage: String::new(),
            disk_quota: false,
            runtimes: Vec::new(),
        }
    }
}

/// A runtime that the engine does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine has no runtime {runtime:?}; it has {}", .known.join(", "))]
pub struct NoSuchRuntime {
    /// The runtime.
    pub runtime: String,
    /// Those that it has.
    pub known: Vec<String>,
}

impl Abilities {
    /// Whether the engine has the runtime that a profile names. It tells of those in its settings; shims of
    /// containerd by their full name work as well.
    ///
    /// # Errors
    /// It has not.
    pub fn has_runtime_of(&self, profile: &Profile) -> Result<(), NoSuchRuntime> {
        match &profile.runtime {
            Some(runtime)
                if !self.runtimes.is_empty()
                    && !self.runtimes.contains(runtime)
                    && !runtime.starts_with("io.containerd.") =>
            {
                Err(NoSuchRuntime { runtime: runtime.clone(), known: self.runtimes.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Which limits of these profiles the engine does not enforce: what that means, and what helps.
    #[must_use]
    pub fn unenforced(&self, profiles: &[&Profile]) -> Vec<String> {
        let any = |has: fn(&Profile) -> bool| profiles.iter().any(|profile| has(profile));
        let (memory, pids, cpus) =
            (any(|p| p.memory.is_some()), any(|p| p.pids.is_some()), any(|p| p.cpus.is_some()));
        let mut warnings = Vec::new();
        let mut warn = |text: &str| warnings.push(text.to_owned());
        if !self.control_groups && (memory || pids || cpus) {
            warn(
                "the engine may not use control groups, so that no limit of memory, processors and processes is in \
                 force: one submission can take the whole machine. Let the engine run as root, or, where it runs as a \
                 user, on a host with control groups 2 and systemd that hands them on to that user",
            );
        } else {
            if memory && !self.memory {
                warn(
                    "limits of memory (CONTAINER_MEMORY) are not in force: the engine's kernel has no control group \
                     for it. One submission can take all memory of the host. Boot it with cgroup_enable=memory",
                );
            } else if memory && !self.swap {
                warn(
                    "limits of memory (CONTAINER_MEMORY) do not count swap: a container can take as much swap again. \
                     Boot the engine's host with swapaccount=1, or switch to control groups 2, or turn swap off",
                );
            }
            if pids && !self.pids {
                warn(
                    "limits of processes (CONTAINER_PIDS) are not in force: the engine's kernel has no control group \
                     for it. One submission can fill the host with processes. Take a kernel with CONFIG_CGROUP_PIDS",
                );
            }
            if cpus && !self.cpus {
                warn(
                    "limits of processors (CONTAINER_CPUS) are not in force: the engine's kernel cannot do it. One \
                     submission can slow down all others. Take a kernel with CONFIG_CFS_BANDWIDTH",
                );
            }
        }
        if any(|p| p.hardened) && !self.seccomp {
            warn(
                "the engine does not filter system calls (seccomp): a hole in the kernel is easier to reach for a \
                 submission. Take --seccomp-profile=unconfined out of the engine's settings, or a kernel with \
                 CONFIG_SECCOMP_FILTER",
            );
        }
        if any(|p| p.disk.is_some()) && !self.disk_quota {
            warnings.push(format!(
                "limits of the disk (CONTAINER_DISK) cannot be held by the engine, which stores containers with {}: \
                 only the length of each single file is, and the completer stops a container some seconds after it \
                 wrote too much. Until then a submission that writes many can fill the host's disk. Put the engine's \
                 data on an XFS that is mounted with pquota, under the storage driver overlay2",
                if self.storage.is_empty() { "a driver that it does not name" } else { &self.storage },
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited() -> Profile {
        Profile {
            hardened: true,
            memory: Some(1),
            cpus: Some(1.0),
            pids: Some(1),
            disk: Some(1),
            ..Profile::unlimited()
        }
    }

    fn able() -> Abilities {
        Abilities { disk_quota: true, ..Abilities::default() }
    }

    #[test]
    fn each_limit_that_is_but_words_is_told_with_its_remedy_and_only_where_it_is_asked_for() {
        for (abilities, parts) in [
            (able(), vec![]),
            (Abilities { memory: false, swap: false, ..able() }, vec!["cgroup_enable=memory"]),
            (Abilities { swap: false, ..able() }, vec!["swapaccount=1"]),
            (Abilities { pids: false, ..able() }, vec!["CONTAINER_PIDS"]),
            (Abilities { cpus: false, ..able() }, vec!["CONTAINER_CPUS"]),
            (Abilities { seccomp: false, ..able() }, vec!["seccomp"]),
            (
                Abilities { storage: "overlay2 on extfs".into(), ..Abilities::default() },
                vec!["overlay2 on extfs"],
            ),
            (
                Abilities { control_groups: false, memory: false, pids: false, cpus: false, ..able() },
                vec!["may not use control groups"],
            ),
        ] {
            let told = abilities.unenforced(&[&Profile::unlimited(), &limited()]);
            assert_eq!(told.len(), parts.len(), "{told:#?}");
            for (text, part) in told.iter().zip(parts) {
                assert!(text.contains(part), "{part}: {text}");
            }
            let nothing_asked = abilities.unenforced(&[&Profile::unlimited()]);
            assert_eq!(nothing_asked, Vec::<String>::new(), "nobody misses what nobody asks for");
        }
    }

    #[test]
    fn a_runtime_that_the_engine_does_not_have_is_told_with_those_that_it_has() {
        let abilities = Abilities { runtimes: vec!["runc".into(), "runsc".into()], ..able() };
        let asks =
            |runtime: Option<&str>| Profile { runtime: runtime.map(str::to_owned), ..Profile::unlimited() };
        for fine in [None, Some("runsc"), Some("io.containerd.kata.v2")] {
            assert_eq!(abilities.has_runtime_of(&asks(fine)), Ok(()), "{fine:?}");
        }
        let error = abilities.has_runtime_of(&asks(Some("kata"))).unwrap_err();
        assert_eq!(error.to_string(), "the engine has no runtime \"kata\"; it has runc, runsc");
        assert_eq!(
            able().has_runtime_of(&asks(Some("kata"))),
            Ok(()),
            "an engine that does not tell is believed"
        );
    }
}
