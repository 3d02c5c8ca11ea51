//! What the engine is told to make: the grader's container, hardened or as the original made it.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount,
    MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use super::types::ContainerSpec;
use crate::profile::{Profile, Tmpfs};

/// Where the submission stands in the container.
const SUBMISSION: &str = "/tmp/exercise";
/// Where programs share memory; the engine mounts something there in any case.
const SHARED_MEMORY: &str = "/dev/shm";
/// When the host runs out of memory, the kernel shall take a grader and not what grades.
const OOM_SCORE: i64 = 500;

/// What an engine can do of what not every engine can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on one another")]
pub(super) struct Means {
    /// It has an init process to put into containers.
    pub(super) init: bool,
    /// It can give a container a view of control groups of its own.
    pub(super) cgroup_namespaces: bool,
    /// It can bound what a container writes to its file system.
    pub(super) disk_quota: bool,
    /// It can allow as many open files as the profile says; else its own limit is a lower one.
    pub(super) many_files: bool,
}

/// The body of the create request. No TTY (it would mix stdout and stderr), no stdin, no automatic
/// removal and no restart: the ended container is what a correction is finished from.
pub(super) fn body(spec: &ContainerSpec, means: Means) -> ContainerCreateBody {
    let profile = &spec.profile;
    // An image's own probes would only cost time and events: nobody asks whether a grader is healthy.
    let no_probes = HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() };
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        env: Some(profile.environment(&spec.params)),
        user: profile.user.clone(),
        labels: Some(spec.labels.clone()),
        tty: Some(false),
        open_stdin: Some(false),
        attach_stdin: Some(false),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        healthcheck: profile.hardened.then_some(no_probes),
        host_config: Some(host(spec, means)),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &ContainerSpec, means: Means) -> HostConfig {
    let profile = &spec.profile;
    // Of the kind `Mounts` and not `Binds`: where the file is missing that one is an error, this one
    // makes a directory.
    let submission = Mount {
        target: Some(SUBMISSION.to_owned()),
        source: Some(spec.file.clone()),
        typ: Some(MountType::BIND),
        read_only: Some(profile.hardened),
        ..Mount::default()
    };
    let memory = profile.memory.filter(|count| *count > 0).map(whole);
    let cap_add = profile.capabilities.clone();
    let ulimits = ulimits(profile, means);
    let quota = profile.disk.filter(|_| means.disk_quota);
    let limits = HostConfig {
        mounts: Some(vec![submission]),
        network_mode: Some(profile.network.clone()),
        runtime: profile.runtime.clone(),
        memory,
        // Memory and swap together: no swap.
        memory_swap: memory,
        nano_cpus: profile.cpus.filter(|count| *count > 0.0).map(nanos),
        pids_limit: profile.pids.filter(|count| *count > 0).map(i64::from),
        ulimits: (!ulimits.is_empty()).then_some(ulimits),
        storage_opt: quota.map(|bytes| HashMap::from([("size".to_owned(), bytes.to_string())])),
        readonly_rootfs: profile.read_only_root.then_some(true),
        tmpfs: tmpfs(profile),
        shm_size: shared_memory(&profile.tmpfs),
        cap_add: (!cap_add.is_empty()).then_some(cap_add),
        auto_remove: Some(false),
        // A verdict with a secret may stand behind a flood.
        log_config: spec.seal.is_some().then(bounded_log),
        restart_policy: profile.hardened.then(no_restart),
        ..HostConfig::default()
    };
    if profile.hardened { hardened(limits, means) } else { limits }
}

/// Docker's seccomp profile and its masked paths are in force because nothing is said of them.
fn hardened(limits: HostConfig, means: Means) -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        // Reaps orphans, and lets SIGTERM end a grader that knows nothing of being process 1. With it,
        // a command that does not exist shows as exit code 127, no longer as a refused start.
        init: means.init.then_some(true),
        oom_score_adj: Some(OOM_SCORE),
        // An engine may be set to share these with others unless told.
        ipc_mode: Some("private".to_owned()),
        cgroupns_mode: means.cgroup_namespaces.then_some(HostConfigCgroupnsModeEnum::PRIVATE),
        log_config: Some(bounded_log()),
        ..limits
    }
}

/// Limits of a process. No file can be longer than all that may be written: so a single one that fills the
/// disk is stopped by the kernel, whatever the engine can do.
fn ulimits(profile: &Profile, means: Means) -> Vec<ResourcesUlimits> {
    let no_core = profile.hardened.then(|| ulimit("core", 0));
    let nofile = profile.nofile.filter(|_| means.many_files).map(|count| ulimit("nofile", count.into()));
    let file_size = profile.disk.map(|bytes| ulimit("fsize", whole(bytes)));
    [no_core, nofile, file_size].into_iter().flatten().collect()
}

/// With the right to run what is written there, which the engine's default takes away: compilers of graders
/// put their programs there. No devices and no set-user-id programs. Some runtimes give it the mode of the
/// image's folder below it, whatever is asked for: so it is the user's own where the user's number is known.
fn tmpfs(profile: &Profile) -> Option<HashMap<String, String>> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
    let mut user = profile.user.iter().flat_map(|user| user.split(':'));
    let owner = [("uid", number(user.next())), ("gid", number(user.next()))]
        .into_iter()
        .filter_map(|(name, number)| Some(format!(",{name}={}", number?)))
        .collect::<String>();
    let mounts: HashMap<_, _> = profile
        .tmpfs
        .iter()
        .filter(|tmpfs| tmpfs.path != SHARED_MEMORY)
        .map(|Tmpfs { path, size }| {
            (path.clone(), format!("rw,exec,nosuid,nodev,size={size},mode=1777{owner}"))
        })
        .collect();
    (!mounts.is_empty()).then_some(mounts)
}

fn shared_memory(all: &[Tmpfs]) -> Option<i64> {
    all.iter().find(|tmpfs| tmpfs.path == SHARED_MEMORY).map(|tmpfs| whole(tmpfs.size))
}

/// Said although it is the engine's default: a restart would run a submission twice.
fn no_restart() -> RestartPolicy {
    RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }
}

/// A driver that can always be read back, whatever the engine's own choice is, and a bound: a grader
/// that prints without end must not fill the host's disk. Past the bound the oldest is lost; what was
/// printed last, where the verdict stands, remains.
fn bounded_log() -> HostConfigLogConfig {
    let options = [("max-size", "32m"), ("max-file", "2")];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
    }
}

fn ulimit(name: &str, limit: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(limit), hard: Some(limit) }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Processors in the engine's unit, billionths.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn nanos(cpus: f64) -> i64 {
    (cpus * 1e9).round() as i64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An engine that can do everything.
    const ALL: Means = Means { init: true, cgroup_namespaces: true, disk_quota: true, many_files: true };

    fn original() -> ContainerSpec {
        ContainerSpec {
            name: "correction-1".into(),
            image: "grader:1".into(),
            file: "/srv/a:b,c".into(),
            params: vec!["A=1".into()],
            labels: HashMap::from([("l".to_owned(), "v".to_owned())]),
            seal: None,
            profile: Profile::unlimited(),
        }
    }

    fn hardened() -> ContainerSpec {
        let profile = Profile {
            hardened: true,
            memory: Some(1 << 30),
            cpus: Some(0.3),
            pids: Some(512),
            nofile: Some(1024),
            disk: Some(1 << 31),
            network: "none".into(),
            ..Profile::unlimited()
        };
        ContainerSpec { profile, ..original() }
    }

    fn told(spec: &ContainerSpec, means: Means) -> Value {
        serde_json::to_value(body(spec, means)).unwrap()
    }

    #[test]
    fn the_original_profile_asks_for_nothing_but_the_bind() {
        let expected = json!({
            "Image": "grader:1", "Env": ["A=1"], "Labels": {"l": "v"}, "Tty": false, "OpenStdin": false,
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true,
            "HostConfig": {
                "AutoRemove": false, "NetworkMode": "bridge",
                "Mounts": [
                    {"Type": "bind", "Source": "/srv/a:b,c", "Target": "/tmp/exercise", "ReadOnly": false}
                ],
            },
        });
        assert_eq!(told(&original(), ALL), expected);
        let sealed = ContainerSpec { seal: Some(crate::seal::tests::seal(1)), ..original() };
        assert_eq!(
            told(&sealed, ALL)["HostConfig"]["LogConfig"],
            told(&hardened(), ALL)["HostConfig"]["LogConfig"],
            "what stands behind a flood has to be read"
        );
    }

    #[test]
    fn the_hardened_profile_takes_away_what_a_grader_does_not_need() {
        let expected = json!({
            "AutoRemove": false, "NetworkMode": "none",
            "Mounts": [
                {"Type": "bind", "Source": "/srv/a:b,c", "Target": "/tmp/exercise", "ReadOnly": true}
            ],
            "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"], "Init": true, "OomScoreAdj": 500,
            "RestartPolicy": {"Name": "no"}, "IpcMode": "private", "CgroupnsMode": "private",
            "Memory": 1 << 30, "MemorySwap": 1 << 30, "NanoCpus": 300_000_000, "PidsLimit": 512,
            "StorageOpt": {"size": "2147483648"},
            "Ulimits": [
                {"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "nofile", "Soft": 1024, "Hard": 1024},
                {"Name": "fsize", "Soft": 1_u64 << 31, "Hard": 1_u64 << 31},
            ],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "32m", "max-file": "2"}},
        });
        let told = told(&hardened(), ALL);
        assert_eq!(told["HostConfig"], expected);
        assert_eq!(told["Healthcheck"], json!({"Test": ["NONE"]}));
    }

    #[test]
    fn an_engine_is_not_asked_for_what_it_cannot_do() {
        let host = &told(&hardened(), Means::default())["HostConfig"];
        for name in ["Init", "CgroupnsMode", "StorageOpt"] {
            assert_eq!(host[name], Value::Null, "{name}");
        }
        let ulimits = host["Ulimits"].as_array().unwrap();
        let names: Vec<_> = ulimits.iter().map(|limit| limit["Name"].as_str().unwrap()).collect();
        assert_eq!(names, ["core", "fsize"], "a single file is bounded all the same");
    }

    #[test]
    fn limits_of_zero_are_no_limits_and_what_is_given_back_is_asked_for() {
        let mut spec = hardened();
        let profile = &mut spec.profile;
        (profile.memory, profile.cpus, profile.pids) = (Some(0), Some(0.0), Some(0));
        (profile.nofile, profile.disk) = (None, None);
        profile.capabilities = vec!["CHOWN".into()];
        profile.runtime = Some("runsc".into());
        profile.user = Some("1000:1000".into());
        profile.env = vec!["A=2".into()];
        let told = told(&spec, ALL);
        let host = &told["HostConfig"];
        for name in ["Memory", "MemorySwap", "NanoCpus", "PidsLimit", "StorageOpt"] {
            assert_eq!(host[name], Value::Null, "{name}");
        }
        assert_eq!(host["Ulimits"], json!([{"Name": "core", "Soft": 0, "Hard": 0}]));
        assert_eq!((&host["CapAdd"], &host["Runtime"]), (&json!(["CHOWN"]), &json!("runsc")));
        assert_eq!((&told["User"], &told["Env"]), (&json!("1000:1000"), &json!(["A=2"])));
    }

    #[test]
    fn a_read_only_root_comes_with_file_systems_in_memory_and_the_shared_one_has_a_size() {
        let mut spec = hardened();
        spec.profile.read_only_root = true;
        let tmpfs = |path: &str, size| Tmpfs { path: path.into(), size };
        spec.profile.tmpfs = vec![tmpfs("/tmp", 64 << 20), tmpfs("/dev/shm", 1 << 20)];
        let host = &told(&spec, ALL)["HostConfig"];
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["Tmpfs"], json!({"/tmp": "rw,exec,nosuid,nodev,size=67108864,mode=1777"}));
        assert_eq!(host["ShmSize"], 1 << 20);
        for (user, owner) in
            [("1000:5", ",uid=1000,gid=5"), ("1000", ",uid=1000"), ("me:5", ",gid=5"), ("me", "")]
        {
            spec.profile.user = Some(user.into());
            let tmpfs = &told(&spec, ALL)["HostConfig"]["Tmpfs"];
            assert!(
                tmpfs["/tmp"].as_str().unwrap().ends_with(&format!(",mode=1777{owner}")),
                "{user}: {tmpfs}"
            );
        }
    }
}
