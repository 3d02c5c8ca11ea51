//! Graders that are stopped, and what cannot be tried at all.

use super::{Bench, GOOD, said};
use crate::support::docker::{self, BAD_ENTRYPOINT_IMAGE};

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_runs_for_too_long_or_needs_too_much_memory_is_broken_and_says_which() {
    let (slow, large) = tokio::join!(
        Bench::new("echo working; exec sleep 600"),
        Bench::new("sleep 1; x=0123456789; while :; do x=$x$x; done"),
    );
    let (slow, large) =
        tokio::join!(slow.tried(&["--container-timeout", "2s"]), large.tried(&["--container-memory", "32m"]));
    slow.has(
        2,
        &[
            "BROKEN GRADER  timeout",
            "longer than the 2 s",
            "exit code  137 (SIGKILL)",
            "│ working",
            "\"outcome\":\"timeout\"",
        ],
    );
    large.has(2, &["BROKEN GRADER  out_of_memory", "more than the 32 MiB of memory"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_or_cannot_start_is_told_with_what_to_do() {
    let bench = Bench::new(GOOD).await;
    let (missing, bad) = tokio::join!(
        said(bench.command_of("correction-runner-test/no-such:1", &[])),
        said(bench.command_of(BAD_ENTRYPOINT_IMAGE, &[])),
    );
    missing.has(
        64,
        &[
            "NOT TRIED  image_not_found",
            "Did you build it?",
            "docker build -t correction-runner-test/no-such:1 .",
        ],
    );
    bad.has(2, &["BROKEN GRADER  start_failed", "/no/such/program", "chmod +x"]);
    assert_eq!(bench.containers().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_the_policy_refuses_is_not_started_and_its_rule_is_pointed_to() {
    let bench = Bench::new(GOOD).await;
    let policy = bench.folder.path().join("policy.toml");
    std::fs::write(&policy, "[[rule]]\nimages = ['school/*']\n").expect("a file");
    let refused = bench.tried(&["--policy", "policy.toml"]).await;
    refused.has(
        64,
        &[
            "NOT TRIED  image_not_allowed",
            "no rule of policy.toml allows",
            "correction-runner policy check correction-runner-test/grader:1 --policy-file policy.toml",
        ],
    );
    std::fs::write(&policy, "[[rule]]\nname = 'ours'\nimages = ['correction-runner-test/*']\npids = 50\n")
        .expect("a file");
    let (code, told) = bench.told(&["--policy", "policy.toml"]).await;
    assert_eq!(
        (code, told["rule"].as_str(), told["container"]["pids"].as_u64()),
        (Some(0), Some("ours"), Some(50))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_told_before_anything_is_started() {
    let bench = Bench::new(GOOD).await;
    let (param, engine) = tokio::join!(
        bench.tried(&["--param", "=1"]),
        bench.tried(&["--docker-host", "unix:///no/such/engine.sock"]),
    );
    param.has(64, &["KEY=VALUE is needed"]);
    engine.has(69, &["There is no /no/such/engine.sock", "is Docker installed"]);
    std::fs::remove_file(bench.file()).expect("removed");
    let path = bench.file().display().to_string();
    bench.tried(&[]).await.has(64, &["the submission", &path, "No such file"]);
    std::fs::create_dir(bench.folder.path().join("x")).expect("a folder");
    std::os::unix::fs::symlink("/run", bench.file()).expect("a link");
    bench.tried(&[]).await.has(64, &["NOT TRIED  invalid_job", "must not be, hold or lie in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_looks_for_a_network_or_is_denied_something_is_told_why() {
    let (network, denied) = tokio::join!(
        Bench::new("wget -q http://registry.example/ ; exit 1"),
        Bench::new("echo 'cat: /data/answers: Permission denied' >&2; exit 1"),
    );
    let (network, denied) = tokio::join!(network.tried(&[]), denied.tried(&[]));
    network.has(2, &["no_verdict", "--container-network bridge"]);
    denied.has(2, &["no_verdict", "root has no special powers", "chmod a+rX"]);
}

/// A look can only see what it uses then. The kernel's own count knows what was given back since, where engines tell it
/// (cgroup v1); where they do not, no peak is claimed.
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_was_given_back_at_once_is_in_the_peak_and_what_is_only_a_sample_is_said_to_be_one() {
    const TAKEN: u64 = 40 << 20;
    let version = docker::command(&["info", "--format", "{{.CgroupVersion}}"]).await;
    // On a busy machine the engine may not tell in time; then it is given more.
    for pause in [2, 10, 50] {
        let take =
            format!("dd if=/dev/zero of=/dev/null bs={TAKEN} count=1 2>/dev/null; sleep {pause}; {GOOD}");
        let bench = Bench::new(take).await;
        let ((code, told), said) = tokio::join!(bench.told(&[]), bench.tried(&[]));
        assert_eq!((code, said.code), (Some(0), Some(0)), "{told} {said:?}");
        let (seen, seen_as) = (&told["run"]["memory_bytes_seen"], told["run"]["memory_seen_as"].as_str());
        let (Some(seen), Some(seen_as), true) = (seen.as_u64(), seen_as, said.out.contains("\nmemory "))
        else {
            continue;
        };
        match seen_as {
            "peak" => {
                assert!((TAKEN..2 * TAKEN).contains(&seen), "{told}");
                said.has(0, &["up to 4", "MiB of 1 GiB, until shortly before its end"]);
            }
            "samples" => {
                assert_ne!(version, "1", "such an engine tells the peak: {told}");
                said.has(0, &["at least ", "seen now and then"]);
            }
            other => panic!("{other}: {told}"),
        }
        return;
    }
    panic!("the engine tells nothing of what a container uses");
}
