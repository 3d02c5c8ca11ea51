//! What a hostile program may do in a container that nobody loosened, root as it is there: next to nothing.

use std::collections::BTreeSet;

use super::{ATTEMPT, IMAGE, build_image, comment, job, says, system};
use crate::support::docker;
use crate::support::receiver::Receiver;

/// What needs a capability, or is for nobody in a container: each refused.
const FORBIDDEN: [&str; 27] = [
    "user_namespace",
    "mount_namespace",
    "network_namespace",
    "join_namespace",
    "mount",
    "remount",
    "unmount",
    "new_mount_api",
    "pivot_root",
    "chroot",
    "raw_socket",
    "packet_socket",
    "bpf",
    "perf",
    "kexec",
    "kernel_module",
    "clock",
    "reboot",
    "swap",
    "host_name",
    "open_by_handle",
    "ports",
    "device",
    "owner",
    "other_user",
    "other_group",
    "userfault",
];
/// Those of them that Docker allows by itself, or by its filter alone does not.
const BY_DEFAULT: [&str; 8] = [
    "user_namespace",
    "chroot",
    "raw_socket",
    "packet_socket",
    "device",
    "owner",
    "other_user",
    "other_group",
];
/// What no capability is asked for: only Docker's filter of system calls refuses it.
const FILTERED: [&str; 1] = ["keyring"];

/// A script that probes all of them, and notes in `$worked` those that are allowed.
fn probes(probes: &[&str]) -> String {
    format!("{ATTEMPT}\nfor what in {}; do attempt \"$what\" probe \"$what\"; done\n", probes.join(" "))
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_grader_is_refused_what_needs_a_capability_or_a_system_call_that_docker_filters() {
    let all = [&FORBIDDEN[..], &FILTERED].concat();
    let script = probes(&all) + &says("$worked");
    let system = system(&[]).await;
    system.submit(&job(&system, "refused", &script)).await;
    assert_eq!(comment(&system, "refused").await, "", "nothing may work");
    // The probes do work where less is taken away: else that nothing works would prove nothing.
    let free = probes(&all) + "echo $worked";
    let filter_off = ["run", "--rm", "--security-opt", "seccomp=unconfined", IMAGE, "/bin/sh", "-c", &free];
    let worked = docker::command(&filter_off).await;
    let expected = [&BY_DEFAULT[..], &FILTERED].concat();
    let missing: Vec<_> = expected.iter().filter(|what| !words(&worked).contains(*what)).collect();
    assert!(missing.is_empty(), "refused even where they are allowed: {missing:?} of {worked}");
    system.end().await;
}

/// The kernel's own words for what the engine was asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_grader_has_no_capability_no_new_privileges_and_dockers_system_call_filter() {
    let system = system(&[]).await;
    let script = "status=$(grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr '\\n\\t' '; ')\n"
        .to_owned()
        + "limits=$(ulimit -c)\n"
        + &says("$status core=$limits");
    system.submit(&job(&system, "status", &script)).await;
    let none = "0000000000000000";
    assert_eq!(
        comment(&system, "status").await,
        format!(
            "CapInh: {none};CapPrm: {none};CapEff: {none};CapBnd: {none};CapAmb: {none};NoNewPrivs: 1;Seccomp: 2; core=0"
        )
    );
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_submission_nor_the_kernels_files_nor_a_device_can_be_written() {
    let system = system(&[]).await;
    let script = ATTEMPT.to_owned()
        + r#"
attempt write sh -c 'echo x >>/tmp/exercise'
attempt truncate sh -c ': >/tmp/exercise'
attempt mode chmod 777 /tmp/exercise
attempt remove rm -f /tmp/exercise
attempt rename mv /tmp/exercise /tmp/other
attempt replace ln -sf /etc/passwd /tmp/exercise
attempt replace_by_rename sh -c 'ln -s /etc/passwd /tmp/link; mv -f /tmp/link /tmp/exercise'
for file in kernel/core_pattern kernel/hostname kernel/panic net/ipv4/ip_forward vm/overcommit_memory; do
    attempt sysctl_$file sh -c "echo 1 >/proc/sys/$file"
done
attempt sysrq sh -c 'echo h >/proc/sysrq-trigger'
attempt oom_score sh -c 'echo -1000 >/proc/self/oom_score_adj'
attempt cgroup sh -c 'for file in $(find /sys/fs/cgroup -name cgroup.procs); do echo 1 >$file && exit 0; done; exit 1'
attempt cgroup_new mkdir /sys/fs/cgroup/memory/mine
attempt sysfs sh -c 'echo x >/sys/kernel/uevent_helper'
attempt kcore sh -c 'head -c 1 /proc/kcore | grep -q .'
attempt firmware ls /sys/firmware/acpi
attempt keys sh -c 'grep -q . /proc/keys'
attempt kernel_memory dd if=/dev/mem of=/dev/null bs=1 count=1
devices=$(ls /dev | tr '\n' ' ')
"# + &says("$worked;$devices");
    let file = system.submission("");
    let job = job(&system, "files", &script);
    let text = std::fs::read_to_string(job["file"].as_str().expect("a path")).expect("the submission");
    system.submit(&job).await;
    let found = comment(&system, "files").await;
    let (worked, devices) = found.split_once(';').expect("two lists");
    assert_eq!(worked, "");
    let harmless = words("core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero");
    assert!(words(devices).is_subset(&harmless) && words(devices).len() > 5, "{devices}");
    let after = std::fs::read_to_string(job["file"].as_str().expect("a path")).expect("the submission");
    assert_eq!(after, text, "it stands on the host as it stood");
    drop(file);
    system.end().await;
}

/// The receiver of this test listens on the host, where a container with a network would reach it.
#[tokio::test(flavor = "multi_thread")]
async fn a_grader_reaches_no_network_not_even_its_host() {
    let system = system(&[]).await;
    let receiver = Receiver::start().await;
    let gateway = "172.17.0.1";
    let script = format!(
        "{ATTEMPT}
interfaces=$(ls /sys/class/net | tr '\\n' ' ')
attempt host wget -T 2 -q -O - '{}'
attempt gateway nc -w 2 {gateway} 22
attempt metadata nc -w 2 169.254.169.254 80
attempt world nc -w 2 1.1.1.1 53
attempt name nslookup example.org
attempt engine ls /var/run/docker.sock
",
        receiver.url("from-inside")
    ) + &says("$interfaces;$worked");
    system.submit(&job(&system, "network", &script)).await;
    assert_eq!(comment(&system, "network").await, "lo ;");
    assert!(receiver.all().is_empty());
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_sees_no_process_and_no_file_of_its_host_or_of_another_grader() {
    let system = system(&[]).await;
    let marks = "echo mark >/tmp/mark; echo mark >/dev/shm/mark; sleep 3\n".to_owned() + &says("marked");
    let looks = "sleep 1; found=$(ls /tmp /dev/shm | grep mark); processes=$(ls /proc | grep -c '^[0-9]')
[ \"$processes\" -lt 12 ] || found=\"$found processes=$processes\"
[ ! -e /proc/1/root/etc/hostname ] || [ \"$(cat /proc/1/root/etc/hostname)\" = \"$(hostname)\" ] || found=\"$found root\"
ipcs | grep -q 0x && found=\"$found ipc\"
"
    .to_owned()
        + &says("$found");
    system.submit(&job(&system, "marks", &marks)).await;
    system.submit(&job(&system, "looks", &looks)).await;
    assert_eq!(comment(&system, "marks").await, "marked");
    assert_eq!(comment(&system, "looks").await, "");
    system.end().await;
}

/// The one way to more rights that a file system offers: a program with the set-user-id bit.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_user_id_program_gives_no_rights() {
    build_image().await;
    let raise = ["/bin/su", "-s", "/bin/sh", "nobody", "-c", "raise become_root; echo $?"];
    let run = |options: &[&'static str]| {
        let start = ["run", "--rm"].into_iter().chain(options.iter().copied());
        start.chain([IMAGE]).chain(raise).collect::<Vec<_>>()
    };
    assert_eq!(docker::command(&run(&[])).await, "0", "it does where new privileges are allowed");
    let system = super::system(&[("CONTAINER_CAPS", "SETUID,SETGID")]).await;
    let script =
        "raised=$(su -s /bin/sh nobody -c 'raise become_root; echo $?')\n".to_owned() + &says("$raised");
    system.submit(&job(&system, "raise", &script)).await;
    assert_eq!(comment(&system, "raise").await, "1");
    system.end().await;
}
