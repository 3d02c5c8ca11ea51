//! What the engine is told to make: the grader's container, hardened or as the original made it.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
};

use super::types::ContainerSpec;

/// Where the submission stands in the container.
const SUBMISSION: &str = "/tmp/exercise";
/// When the host runs out of memory, the kernel shall take a grader and not what grades.
const OOM_SCORE: i64 = 500;

/// The body of the create request. No TTY (it would mix stdout and stderr), no stdin, no automatic
/// removal and no restart: the ended container is what a correction is finished from.
pub(super) fn body(spec: &ContainerSpec, has_init: bool) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        env: Some(spec.params.clone()),
        labels: Some(spec.labels.clone()),
        tty: Some(false),
        open_stdin: Some(false),
        attach_stdin: Some(false),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host(spec, has_init)),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &ContainerSpec, has_init: bool) -> HostConfig {
    let settings = &spec.settings;
    // Of the kind `Mounts` and not `Binds`: where the file is missing that one is an error, this one
    // makes a directory.
    let submission = Mount {
        target: Some(SUBMISSION.to_owned()),
        source: Some(spec.file.clone()),
        typ: Some(MountType::BIND),
        read_only: Some(settings.hardened),
        ..Mount::default()
    };
    let bytes = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let memory = settings.memory.filter(|count| *count > 0).map(bytes);
    let cap_add = settings.capabilities.clone();
    let limits = HostConfig {
        mounts: Some(vec![submission]),
        network_mode: Some(settings.network.clone()),
        runtime: settings.runtime.clone(),
        memory,
        // Memory and swap together: no swap.
        memory_swap: memory,
        nano_cpus: settings.cpus.filter(|count| *count > 0.0).map(nanos),
        pids_limit: settings.pids.filter(|count| *count > 0).map(i64::from),
        cap_add: (!cap_add.is_empty()).then_some(cap_add),
        auto_remove: Some(false),
        ..HostConfig::default()
    };
    if settings.hardened { hardened(limits, has_init) } else { limits }
}

fn hardened(limits: HostConfig, has_init: bool) -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        // Reaps orphans, and lets SIGTERM end a grader that knows nothing of being process 1. With it,
        // a command that does not exist shows as exit code 127, no longer as a refused start.
        init: has_init.then_some(true),
        oom_score_adj: Some(OOM_SCORE),
        ulimits: Some(vec![ulimit("core", 0, 0), ulimit("nofile", 8192, 8192)]),
        log_config: Some(bounded_log()),
        ..limits
    }
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

fn ulimit(name: &str, soft: i64, hard: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) }
}

/// Processors in the engine's unit, billionths.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn nanos(cpus: f64) -> i64 {
    (cpus * 1e9).round() as i64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::ContainerSettings;

    fn spec(hardened: bool) -> ContainerSpec {
        ContainerSpec {
            name: "correction-1".into(),
            image: "grader:1".into(),
            file: "/srv/a:b,c".into(),
            params: vec!["A=1".into()],
            labels: HashMap::from([("l".to_owned(), "v".to_owned())]),
            seal: None,
            settings: ContainerSettings {
                hardened,
                timeout: None,
                memory: hardened.then_some(1 << 30),
                cpus: hardened.then_some(0.3),
                pids: hardened.then_some(512),
                network: if hardened { "none" } else { "bridge" }.into(),
                runtime: None,
                capabilities: Vec::new(),
            },
        }
    }

    fn json(spec: &ContainerSpec, has_init: bool) -> serde_json::Value {
        serde_json::to_value(body(spec, has_init)).unwrap()
    }

    #[test]
    fn the_original_profile_asks_for_nothing_but_the_bind() {
        let expected = serde_json::json!({
            "Image": "grader:1", "Env": ["A=1"], "Labels": {"l": "v"}, "Tty": false, "OpenStdin": false,
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true,
            "HostConfig": {
                "AutoRemove": false, "NetworkMode": "bridge",
                "Mounts": [
                    {"Type": "bind", "Source": "/srv/a:b,c", "Target": "/tmp/exercise", "ReadOnly": false}
                ],
            },
        });
        assert_eq!(json(&spec(false), true), expected);
    }

    #[test]
    fn the_hardened_profile_takes_away_what_a_grader_does_not_need() {
        let host = &json(&spec(true), true)["HostConfig"];
        assert_eq!(host["Mounts"][0]["ReadOnly"], true);
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]));
        assert_eq!(host["CapAdd"], serde_json::Value::Null);
        assert_eq!(host["SecurityOpt"], serde_json::json!(["no-new-privileges"]));
        assert_eq!((&host["Memory"], &host["MemorySwap"]), (&(1 << 30).into(), &(1 << 30).into()));
        assert_eq!(host["NanoCpus"], 300_000_000);
        assert_eq!(host["PidsLimit"], 512);
        assert_eq!(host["Init"], true);
        assert_eq!(host["LogConfig"]["Type"], "json-file");
    }

    #[test]
    fn an_engine_without_an_init_process_is_not_asked_for_one() {
        assert_eq!(json(&spec(true), false)["HostConfig"]["Init"], serde_json::Value::Null);
    }

    #[test]
    fn limits_of_zero_are_no_limits_and_capabilities_are_given_back() {
        let mut spec = spec(true);
        spec.settings.memory = Some(0);
        spec.settings.cpus = Some(0.0);
        spec.settings.pids = Some(0);
        spec.settings.capabilities = vec!["CHOWN".into()];
        let host = &json(&spec, true)["HostConfig"];
        for name in ["Memory", "MemorySwap", "NanoCpus", "PidsLimit"] {
            assert_eq!(host[name], serde_json::Value::Null, "{name}");
        }
        assert_eq!(host["CapAdd"], serde_json::json!(["CHOWN"]));
    }
}
