//! Docker: whether the engine is there, and what it can hold containers to.

use std::time::Duration;

use jiff::Timestamp;

use super::finding::Findings;
use super::host;
use crate::config::{Diagnosed, DockerSettings, Endpoint, StarterSettings};
use crate::docker::{Checkup, Engine, EngineError};
use crate::identity::InstanceId;
use crate::policy::Policy;
use crate::profile::VerdictChannel;

/// What containers print can be read back from these without a copy.
const READABLE: [&str; 4] = ["json-file", "local", "journald", "k8s-file"];
/// From here on a clock matters: its `Date` tells it to a second.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3);
const CLOCKS_ARE_WRONG: Duration = Duration::from_secs(240);

pub(super) async fn check(
    settings: &DockerSettings,
    starter: Option<&StarterSettings>,
    diagnosed: &Diagnosed,
    into: &mut Findings,
) {
    let engine = match Engine::new(settings) {
        Ok(engine) => engine,
        Err(error) => return into.fail("settings", error.to_string(), "mend DOCKER_OPTIONS or DOCKER_HOST"),
    };
    let found = match engine.checkup().await {
        Ok(found) => found,
        Err(error) => return away(&error, &settings.endpoint, into),
    };
    what_it_is(&found, into);
    lists(&engine, into).await;
    let ahead = engine.now().duration_since(Timestamp::now());
    host::clock("the Docker host", ahead, (CLOCKS_DIFFER, CLOCKS_ARE_WRONG), into);
    control(&found, into);
    let starter = starter.filter(|_| diagnosed.may_use_all());
    if let Some(starter) = starter {
        limits(&starter.policy, &found, into);
        log_driver(&starter.policy, &found, into);
        networks(&engine, &starter.policy, into).await;
        host::room(starter, &found.about, into);
    }
    safety(&found, into);
    if matches!(settings.endpoint, Endpoint::Unix(_)) {
        let least = |of: fn(&StarterSettings) -> Option<u64>| starter.and_then(of);
        host::disk(found.about.root.clone(), least(|it| it.min_free_disk), into).await;
        host::memory(least(|it| it.min_free_memory), into);
    } else {
        into.note(
            "disk",
            "the engine is on another machine: its disk and memory are not watched (MIN_FREE_DISK, MIN_FREE_MEMORY)",
            "let a starter run there, or watch them otherwise",
        );
    }
}

fn away(error: &EngineError, endpoint: &Endpoint, into: &mut Findings) {
    let text = error.to_string();
    let denied = text.contains("ermission denied");
    let over_ssh = matches!(endpoint, Endpoint::Ssh(_));
    let remedy = match error {
        // What is wrong there has many places, and the finding names the one.
        EngineError::Unreachable { .. } if over_ssh => {
            "do what it says; DOCKER_OPTIONS, DOCKER_HOST and DOCKER_SSH_CONFIG say how ssh logs in, and as the same user \
             ssh -v HOST shows each step"
        }
        EngineError::Unreachable { .. } if denied => {
            "sudo usermod -aG docker USER for the user that runs the components, then log in again; in a container \
             --group-add with the socket's group"
        }
        EngineError::Unreachable { .. } => {
            "start the engine (systemctl start docker), or set DOCKER_HOST or DOCKER_OPTIONS to where it is; in a \
             container mount /var/run/docker.sock"
        }
        EngineError::Timeout { .. } | EngineError::NoAnswer { .. } => {
            "see whether docker info answers; the engine may be overloaded or hang: its log, systemctl restart docker"
        }
        EngineError::Incompatible { .. } => "take an engine of these years, Docker 20.10 or newer",
        EngineError::Garbled { .. } => "check the address: something else answers there",
        _ => "see what docker info says, as the same user",
    };
    into.fail("reachable", text, remedy);
}

fn what_it_is(found: &Checkup, into: &mut Findings) {
    let about = &found.about;
    let kind = if found.is_podman { "Podman" } else { "Docker" };
    let mut text = format!("{kind} {}, API {}, engine {}", about.version, about.api_version, about.id);
    if !found.host.is_empty() {
        text = format!("{text}; {}", found.host.join(", "));
    }
    into.ok("reachable", text);
    if found.is_podman {
        into.note(
            "kind",
            "it is Podman, whose answers differ from Docker's here and there",
            "nothing, as long as it works; the tests are made with Docker",
        );
    }
    if let Some(kind) = found.os_type.as_deref().filter(|kind| *kind != "linux") {
        into.fail(
            "os_type",
            format!("it runs {kind} containers"),
            "take an engine that runs Linux containers",
        );
    }
    if !found.is_podman && is_older(&about.version, (20, 10)) {
        into.warn(
            "version",
            format!("Docker {} is older than what was tested", about.version),
            "install Docker 20.10 or newer",
        );
    }
    let (all, running) = found.containers;
    into.ok("containers", format!("it has {all} containers, {running} of which run"));
}

fn is_older(version: &str, than: (u32, u32)) -> bool {
    let mut parts = version.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < than,
        _ => false,
    }
}

/// A proxy before the engine's socket may let some calls pass and others not.
async fn lists(engine: &Engine, into: &mut Findings) {
    let nobody = InstanceId::new("correction-runner-doctor");
    if let Err(error) = engine.list(&nobody, |_| Some(())).await {
        into.fail(
            "list",
            format!("its containers cannot be listed: {error}"),
            "let the proxy before the engine, if there is one, pass containers, images, events and POST",
        );
    }
}

/// Control groups, restarts, what it complains about itself.
fn control(found: &Checkup, into: &mut Findings) {
    let version = found.cgroup_version.as_deref().unwrap_or("1");
    let driver = found.cgroup_driver.as_deref().unwrap_or("unknown");
    into.ok("cgroups", format!("control groups {version}, by {driver}"));
    match found.live_restore {
        Some(false) => into.note(
            "live_restore",
            "live-restore is off: a restart of the engine kills all graders, whose corrections are run again",
            "\"live-restore\": true in /etc/docker/daemon.json",
        ),
        Some(true) => into.ok("live_restore", "graders survive a restart of the engine (live-restore)"),
        None => {}
    }
    if !found.has_init {
        into.warn(
            "init",
            "the engine has no docker-init: containers run without an init process, and processes that graders leave \
             behind are not cleared away",
            "install docker-init (tini)",
        );
    }
    if !found.warnings.is_empty() {
        let all = found.warnings.join("; ");
        into.note("engine_warnings", format!("the engine itself says: {all}"), "");
    }
}

/// What the components say at their start.
fn limits(policy: &Policy, found: &Checkup, into: &mut Findings) {
    let runtimes = found.runtimes.join(", ");
    match policy.on(&found.about.abilities) {
        Err(problem) => into.fail(
            "runtime",
            problem.to_string(),
            "name one that the engine has, or add it to \"runtimes\" in /etc/docker/daemon.json",
        ),
        Ok(warnings) => {
            let default = found.default_runtime.as_deref().unwrap_or("unknown");
            into.ok("runtime", format!("runtimes {runtimes}; {default} where none is named"));
            if warnings.is_empty() {
                into.ok("limits", "the engine holds containers to every limit that is set");
            }
            for warning in warnings {
                into.start_up_warning("limits", warning);
            }
        }
    }
    into.ok("storage", format!("storage driver {}", found.about.abilities.storage));
}

/// Whether verdicts can be read back. Hardened containers, and those with a secret, bring a log driver of their own.
fn log_driver(policy: &Policy, found: &Checkup, into: &mut Findings) {
    let Some(driver) = found.log_driver.as_deref() else { return };
    let counts = policy.profiles().any(|it| !it.hardened && it.verdict == VerdictChannel::Output);
    if READABLE.contains(&driver) {
        into.ok("log_driver", format!("log driver {driver}, which can be read back"));
    } else if counts {
        into.fail(
            "log_driver",
            format!("the engine's log driver is {driver}: what graders print, and so their verdicts, may not be read back"),
            "\"log-driver\": \"json-file\" (or local, or journald) in /etc/docker/daemon.json, or CONTAINER_PROFILE=hardened, \
             which brings its own",
        );
    } else {
        into.ok("log_driver", format!("log driver {driver}; graders bring json-file of their own"));
    }
}

async fn networks(engine: &Engine, policy: &Policy, into: &mut Findings) {
    let mut names: Vec<&str> = policy.profiles().map(|profile| profile.network.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        if matches!(name, "none" | "bridge" | "host" | "default") || name.starts_with("container:") {
            continue;
        }
        match engine.has_network(name).await {
            Ok(true) => into.ok("network", format!("it has the network {name}")),
            Ok(false) => into.fail(
                "network",
                format!("it has no network {name}, which CONTAINER_NETWORK or the policy names: nothing can be started"),
                format!("docker network create {name}"),
            ),
            Err(error) => into.note("network", format!("whether it has the network {name}: {error}"), ""),
        }
    }
}

/// What stands between a submission and the host.
fn safety(found: &Checkup, into: &mut Findings) {
    let has = |name: &str| found.security.iter().any(|option| option.contains(name));
    let mut protected = Vec::new();
    for (name, words) in [
        ("name=seccomp", "system calls are filtered (seccomp)"),
        ("name=apparmor", "AppArmor"),
        ("name=selinux", "SELinux"),
        ("name=userns", "user namespaces"),
        ("name=rootless", "the engine runs as a user (rootless)"),
    ] {
        if has(name) {
            protected.push(words);
        }
    }
    if !protected.is_empty() {
        into.ok("security", protected.join(", "));
    }
    if has("name=rootless") || has("name=userns") {
        into.note(
            "submissions",
            "root in a container is another user on the host: submissions' files have to be readable for everybody",
            "chmod o+r what the API server stores, o+x its folders",
        );
    }
    if has("name=selinux") {
        into.note(
            "submissions",
            "SELinux keeps containers from files that are not labelled for them",
            "chcon -Rt container_file_t on the folder of submissions",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (version, older) in
            [("19.03.15", true), ("20.10.24", false), ("20.9", true), ("28.0.1", false), ("dev", false)]
        {
            assert_eq!(is_older(version, (20, 10)), older, "{version}");
        }
    }

    #[test]
    fn each_way_in_which_an_engine_is_away_has_its_remedy() {
        let unreachable =
            |reason: &str| EngineError::Unreachable { endpoint: "unix:///s".into(), reason: reason.into() };
        for (error, part) in [
            (unreachable("Permission denied (os error 13)"), "usermod -aG docker"),
            (unreachable("No such file or directory"), "systemctl start docker"),
            (
                EngineError::Timeout { call: crate::docker::Call::About, after: Duration::from_secs(5) },
                "docker info answers",
            ),
        ] {
            let mut findings = Findings::of("docker", "Docker");
            away(&error, &Endpoint::Unix("/s".into()), &mut findings);
            let remedy = findings.all[0].remedy.clone().unwrap_or_default();
            assert!(remedy.contains(part), "{remedy}");
        }
    }
}
