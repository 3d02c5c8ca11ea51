//! What a container gets, as it is seen from inside on the real engine.

use std::collections::HashMap;
use std::path::Path;

use correction_runner::config::{self, Request};
use correction_runner::profile::{Profile, Tmpfs};

use super::{Bench, engine_at, hardened};
use crate::support::docker;
use crate::support::proxy::ENGINE_SOCKET;

/// Prints `key value` lines; what of control groups is not there under this version of them is left out.
const LOOK: &str = r#"
sed -nE 's/^(Cap...|NoNewPrivs|Seccomp):\s*/\1 /p' /proc/self/status
echo "core $(ulimit -c) $(ulimit -Hc)"
echo "files $(ulimit -n) $(ulimit -Hn)"
echo "length $(ulimit -f) $(ulimit -Hf)"
echo "score $(cat /proc/self/oom_score_adj)"
echo "init $(cat /proc/1/comm)"
echo interfaces $(ls /sys/class/net)
for name in ipc cgroup net pid mnt uts; do echo "ns.$name $(readlink /proc/self/ns/$name)"; done
cd /sys/fs/cgroup
for file in memory.max memory.swap.max pids.max cpu.max memory/memory.limit_in_bytes \
    memory/memory.memsw.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us; do
    if [ -e $file ]; then echo "$file $(cat $file)"; fi
done
awk '{ print "mount:" $2 " " $4 " " $1 }' /proc/mounts
(echo x >>/tmp/exercise) 2>/dev/null && echo "submission written"
(echo x >/x) && echo "root written"
(true &)
sleep 1
echo "zombies $(grep -l '^State:.*Z' /proc/[0-9]*/status 2>/dev/null | wc -l)"
"#;

/// What a container that ran to its end printed, line by line.
async fn seen(bench: &Bench, script: &str, profile: Profile, params: &[&str]) -> HashMap<String, String> {
    let mut spec = bench.spec(script);
    spec.profile = profile;
    spec.params = params.iter().map(ToString::to_string).collect();
    let id = bench.engine.create(&spec).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    docker::command(&["wait", id.as_str()]).await;
    let output = bench.engine.output(&id, 1 << 20).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(output.stdout().unwrap()).into_owned();
    text.lines()
        .map(|line| {
            let (key, value) = line.split_once(' ').unwrap_or((line, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

/// What the settings say where nothing is set.
fn of_the_defaults() -> Profile {
    let line = ["correction-runner", "starter"].map(Into::into);
    match config::read(line, std::iter::empty(), Path::new("/nonexistent")) {
        Ok(Request::Run(configuration)) => {
            configuration.starter.expect("a starter").policy.profile_of("any").expect("allowed")
        }
        other => panic!("{other:?}"),
    }
}

fn assert_lines(seen: &HashMap<String, String>, lines: &[(&str, &str)]) {
    for (key, value) in lines {
        assert_eq!(seen.get(*key).map(String::as_str), Some(*value), "{key}: {seen:#?}");
    }
}

/// A limit of a control group, under the name that either version has for it.
fn limit<'seen>(seen: &'seen HashMap<String, String>, names: [&str; 2]) -> &'seen str {
    let found = names.iter().find_map(|name| seen.get(*name));
    found.unwrap_or_else(|| panic!("none of {names:?}: {seen:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_of_the_hardened_profile_is_seen_from_inside() {
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let seen = seen(&bench, LOOK, of_the_defaults(), &[]).await;
    let nothing = "0000000000000000";
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_lines(&seen, &[(set, nothing)]);
    }
    // A file's length is told in blocks of 512 bytes, and 2 is the filter of the engine's own profile.
    assert_lines(
        &seen,
        &[
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
            ("core", "0 0"),
            ("files", "8192 8192"),
            ("length", "4194304 4194304"),
            ("score", "500"),
            ("init", "docker-init"),
            ("interfaces", "lo"),
            ("zombies", "0"),
            ("root", "written"),
        ],
    );
    assert_eq!(seen.get("submission"), None, "it is read-only: {seen:#?}");
    let exercise = &seen["mount:/tmp/exercise"];
    assert!(exercise.starts_with("ro,"), "{exercise}");
    for masked in ["mount:/proc/keys", "mount:/proc/sys"] {
        assert!(seen.contains_key(masked), "the engine masks {masked}: {seen:#?}");
    }
    for name in ["ipc", "cgroup", "net", "pid", "mnt", "uts"] {
        let ours = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a link");
        let theirs = &seen[&format!("ns.{name}")];
        assert_ne!(theirs, &ours.display().to_string(), "a view of its own: {name}");
    }
    let gigabyte = (1_u64 << 30).to_string();
    assert_eq!(limit(&seen, ["memory.max", "memory/memory.limit_in_bytes"]), gigabyte);
    let swap = limit(&seen, ["memory.swap.max", "memory/memory.memsw.limit_in_bytes"]);
    assert!(swap == "0" || swap == gigabyte, "memory and swap together are no more than memory: {swap}");
    assert_eq!(limit(&seen, ["pids.max", "pids/pids.max"]), "512");
    let processor = limit(&seen, ["cpu.max", "cpu/cpu.cfs_quota_us"]);
    assert!(processor == "100000 100000" || seen["cpu/cpu.cfs_period_us"] == processor, "{processor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_notes_of_a_container_is_what_was_asked_for() {
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let mut spec = bench.spec("true");
    spec.profile = of_the_defaults();
    let id = bench.engine.create(&spec).await.unwrap();
    let inspected = bench.engine.inspect(id.as_str()).await.unwrap().unwrap();
    assert_eq!((inspected.memory_limit, inspected.no_network), (Some(1 << 30), true));
    let format = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.AutoRemove}} {{.HostConfig.Privileged}} \
                  {{.HostConfig.IpcMode}} {{.Config.Healthcheck.Test}} {{.HostConfig.PidMode}}";
    let told = docker::command(&["inspect", "--format", format, id.as_str()]).await;
    assert_eq!(told, "no false false private [NONE]", "a restart would run a submission twice");
    spec.name += "-original";
    spec.profile = Profile::unlimited();
    let id = bench.engine.create(&spec).await.unwrap();
    let inspected = bench.engine.inspect(id.as_str()).await.unwrap().unwrap();
    assert_eq!((inspected.memory_limit, inspected.no_network), (None, false));
}

const LOOK_AT_READ_ONLY: &str = r#"
echo "who $(id -u):$(id -g)"
(echo x >/x) 2>/dev/null && echo "root written"
awk '$2 == "/" || $2 == "/tmp" || $2 == "/dev/shm" { print "mount:" $2 " " $4 }' /proc/mounts
cp /bin/busybox /tmp/busybox && echo "program $(/tmp/busybox echo runs)"
dd if=/dev/zero of=/tmp/more bs=64k count=100 2>/dev/null || echo "tmp full"
echo "files $(ulimit -n) $(ulimit -Hn)"
[ -s /tmp/exercise ] && echo "submission there"
"#;

const LOOK_AT_GIVEN_BACK: &str = r#"
sed -nE 's/^(CapEff):\s*/\1 /p' /proc/self/status
dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null; echo "dd $?"
echo "big $(wc -c </big)"
echo "env $A $B"
echo interfaces $(ls /sys/class/net)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_image_is_given_or_denied_besides_is_seen_from_inside() {
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let tmpfs = |path: &str, size| Tmpfs { path: path.to_owned(), size };
    let read_only = Profile {
        read_only_root: true,
        tmpfs: vec![tmpfs("/tmp", 4 << 20), tmpfs("/dev/shm", 2 << 20)],
        user: Some("1234:4321".to_owned()),
        nofile: Some(64),
        ..hardened()
    };
    let given_back = Profile {
        capabilities: vec!["CHOWN".to_owned(), "SETUID".to_owned()],
        network: "bridge".to_owned(),
        disk: Some(4 << 20),
        env: vec!["A=ours".to_owned()],
        ..hardened()
    };
    let params = ["A=theirs", "B=theirs"];
    let (read_only, given_back) = tokio::join!(
        seen(&bench, LOOK_AT_READ_ONLY, read_only, &[]),
        seen(&bench, LOOK_AT_GIVEN_BACK, given_back, &params)
    );
    assert_lines(
        &read_only,
        &[
            ("who", "1234:4321"),
            ("program", "runs"),
            ("tmp", "full"),
            ("files", "64 64"),
            ("submission", "there"),
        ],
    );
    assert!(!read_only.contains_key("root") && read_only["mount:/"].starts_with("ro,"), "{read_only:#?}");
    assert!(read_only["mount:/tmp"].contains("size=4096k"), "{read_only:#?}");
    for option in ["nosuid", "nodev"] {
        assert!(read_only["mount:/tmp"].contains(option), "{read_only:#?}");
    }
    assert!(read_only["mount:/dev/shm"].contains("size=2048k"), "{read_only:#?}");
    // The bits of CHOWN (0) and SETUID (7); 153 is the death by the signal for a file that is too long.
    assert_lines(
        &given_back,
        &[("CapEff", "0000000000000081"), ("dd", "153"), ("big", "4194304"), ("env", "ours theirs")],
    );
    assert!(given_back["interfaces"].contains("eth0"), "{given_back:#?}");
}
