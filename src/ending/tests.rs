//! The texts of failures: the right outcome, what happened, what to do, never a word of programmers.

use proptest::prelude::*;

use super::*;
use crate::output::Capture;
use crate::usage::Pids;
use crate::verdict;

fn told(ending: &Ending, stdout: &str, stderr: &str) -> Failure {
    let output = Output::whole(stdout, stderr);
    explain(ending, &verdict::read(&output).expect_err(stdout), &output)
}

fn exited(code: i64) -> Ending {
    Ending { exit_code: Some(code), elapsed: Some(Duration::from_millis(2345)), ..Ending::default() }
}

#[test]
fn a_grader_that_says_nothing_is_told_with_exit_code_time_and_what_to_print() {
    let failure = told(&exited(1), "", "");
    assert_eq!(failure.outcome, Outcome::NoVerdict);
    assert_eq!(
        failure.text,
        "The grader ended with an error (exit code 1) after 2.3 s. It printed nothing. \
         A grader has to print its verdict as JSON, alone or between its two separator lines."
    );
}

#[test]
fn text_that_is_not_json_is_told_with_its_place_and_its_last_lines() {
    let failure = told(&exited(0), "hello\n", "warning\n");
    assert_eq!(failure.outcome, Outcome::NoVerdict);
    assert_eq!(
        failure.text,
        "The grader ended normally (exit code 0) after 2.3 s. Its output is not JSON (line 1, column 1: this is \
         no JSON value). A grader has to print its verdict as JSON, alone or between its two separator lines.\n\
         The last lines of its output:\nhello\nwarning"
    );
}

#[test]
fn what_happened_decides_in_the_order_of_its_weight() {
    let block = "-BEGIN CORRECTOMATIC RESPONSE-\n{}\n-END CORRECTOMATIC RESPONSE-\n";
    let mut ending = exited(0);
    for (stdout, expected) in [
        ("text".to_owned(), Outcome::NoVerdict),
        (r#"{"success":true,"grade":"7"}"#.to_owned(), Outcome::InvalidVerdict),
        ("{\"success\":true".to_owned(), Outcome::InvalidVerdict),
        (block.repeat(2), Outcome::InvalidVerdict),
    ] {
        assert_eq!(told(&ending, &stdout, "").outcome, expected, "{stdout}");
    }
    for code in [137, 143] {
        ending.exit_code = Some(code);
        assert_eq!(told(&ending, "{}", "").outcome, Outcome::Killed);
    }
    ending.oom_killed = true;
    assert_eq!(told(&ending, "{}", "").outcome, Outcome::OutOfMemory);
    ending.disk = Some(Disk { used: 2, allowed: 1 });
    assert_eq!(told(&ending, "{}", "").outcome, Outcome::DiskFull);
    ending.timed_out = Some(Duration::from_secs(90));
    assert_eq!(told(&ending, "{}", "").outcome, Outcome::Timeout);
    ending.engine_outage = true;
    assert_eq!(told(&ending, "{}", "").outcome, Outcome::EngineUnavailable);
}

#[test]
fn a_flood_without_a_verdict_is_its_own_outcome() {
    let mut capture = Capture::new(100);
    capture.stdout(&[b'x'; 1000]);
    let output = capture.finish();
    let failure = explain(&exited(0), &verdict::read(&output).expect_err("no verdict"), &output);
    assert_eq!(failure.outcome, Outcome::OutputLimit);
    assert!(
        failure.text.contains("It printed at least 1000 bytes, of which 100 are kept"),
        "{}",
        failure.text
    );
}

#[test]
fn each_ending_is_told_in_words() {
    for (ending, expected) in [
        (
            exited(139),
            "crashed: it used memory that is not its own (signal SIGSEGV, exit code 139) after 2.3 s.",
        ),
        (exited(130), "was ended by the signal SIGINT (exit code 130)"),
        (exited(127), "could not find a program that it calls (exit code 127)"),
        (exited(200), "ended with an error (exit code 200)"),
        (exited(137), "was killed (SIGKILL, exit code 137)"),
        (Ending { removed: true, ..Ending::default() }, "Somebody removed the grader's container, before"),
        (
            Ending { oom_killed: true, memory_limit: Some(1 << 30), ..exited(137) },
            "more than the 1 GiB of memory",
        ),
        (
            Ending { oom_killed: true, ..exited(137) },
            "The grader needed more memory than it may use, and was killed",
        ),
        (
            Ending { oom_killed: true, memory_limit: Some(1 << 30), ..exited(1) },
            "A process of the grader was killed for want of memory: together they needed more than the 1 GiB of memory \
             that they may use. The grader itself ended with an error (exit code 1) after 2.3 s.",
        ),
        (
            Ending { disk: Some(Disk { used: 3 << 29, allowed: 1 << 30 }), ..exited(137) },
            "was stopped after 2.3 s because it wrote 1.5 GiB to its disk, more than the 1 GiB that it may use.",
        ),
        (
            Ending { disk_limit: Some(1 << 30), ..exited(153) },
            "was stopped after 2.3 s because it wrote a file larger than the 1 GiB that it may use",
        ),
        (exited(153), "crashed: it wrote a file larger than it may (signal SIGXFSZ, exit code 153)"),
        (
            Ending { disk: Some(Disk { used: 1 << 30, allowed: 1 << 30 }), ..exited(1) },
            "ended with an error (exit code 1) after 2.3 s. It had filled the 1 GiB of disk that it may use.",
        ),
        (
            Ending {
                timed_out: Some(Duration::from_secs(600)),
                elapsed: Some(Duration::from_secs(601)),
                ..exited(137)
            },
            "was stopped after 10 min 1 s because it ran longer than the 10 min that it may take.",
        ),
        (Ending { engine_outage: true, ..exited(0) }, "The Docker engine went away while the grader ran"),
        (Ending::default(), "The grader ended. A grader has to print"),
    ] {
        let text = told(&ending, "", "").text;
        assert!(text.contains(expected), "{text} / {expected}");
    }
}

#[test]
fn what_it_used_before_it_was_stopped_is_told_with_its_limits() {
    let pids = Some(Pids { current: 64, limit: 64 });
    let stopped = |memory| Ending {
        timed_out: Some(Duration::from_secs(2)),
        usage: Usage { memory, pids },
        memory_limit: Some(64 << 20),
        ..exited(137)
    };
    for (ending, expected) in [
        (
            stopped(Some(Memory::Peak(5 << 20))),
            "It had used up to 5 MiB of memory of the 64 MiB that it may use.",
        ),
        (
            stopped(Some(Memory::Now(5 << 20))),
            "It used 5 MiB of memory of the 64 MiB that it may use when it was",
        ),
        (stopped(None), "It had as many processes and threads as it may have: 64 (CONTAINER_PIDS)."),
    ] {
        let text = told(&ending, "", "").text;
        assert!(text.contains(expected), "{text}");
    }
    assert!(!told(&stopped(None), "", "").text.contains("of memory"));
}

#[test]
fn who_complains_that_it_cannot_fork_is_told_how_many_processes_it_may_have() {
    let limited = Ending { pids_limit: Some(64), ..exited(2) };
    let hint = |ending: &Ending, stderr| told(ending, "", stderr).text.contains("more than the 64 processes");
    assert!(hint(&limited, "/tmp/exercise: line 1: can't fork: Resource temporarily unavailable\n"));
    assert!(!hint(&limited, "no such file"));
    assert!(!hint(&exited(2), "can't fork"), "there is no limit");
}

#[test]
fn who_was_killed_right_after_its_start_may_have_met_its_memory_limit_unseen() {
    let killed = |milliseconds| Ending {
        memory_limit: Some(32 << 20),
        elapsed: Some(Duration::from_millis(milliseconds)),
        ..exited(137)
    };
    let early = told(&killed(300), "", "");
    assert_eq!(early.outcome, Outcome::Killed);
    assert!(early.text.contains("perhaps it needed more than the 32 MiB of memory"), "{}", early.text);
    assert!(!told(&killed(30_000), "", "").text.contains("32 MiB"));
    let before_its_start = Ending { elapsed: None, ..killed(0) };
    assert!(
        told(&before_its_start, "", "").text.contains("32 MiB"),
        "the engine noted its end before its start"
    );
}

#[test]
fn a_verdict_that_is_too_long_is_told_as_that_with_what_to_do() {
    let mut capture = Capture::new(100);
    let comments = vec!["x".repeat(1000)];
    capture.stdout(serde_json::json!({ "success": true, "comments": comments }).to_string().as_bytes());
    let output = capture.finish();
    let failure = explain(&exited(0), &verdict::read(&output).expect_err("no verdict"), &output);
    assert_eq!(failure.outcome, Outcome::OutputLimit);
    assert!(
        failure.text.contains("Its verdict is longer (1032 bytes) than the 100 bytes"),
        "{}",
        failure.text
    );
    assert!(failure.text.contains("Shorten the comments, or raise the limit"), "{}", failure.text);
}

#[test]
fn the_network_is_mentioned_only_where_there_is_none_and_it_may_be_the_cause() {
    let network = |ending: &Ending, stdout: &str| told(ending, stdout, "").text.contains("network");
    let without = Ending { no_network: true, ..exited(1) };
    assert!(network(&without, "") && network(&without, "could not resolve host"));
    assert!(network(&Ending { timed_out: Some(Duration::from_secs(1)), ..without.clone() }, ""));
    assert!(!network(&exited(1), ""));
    assert!(!network(&without, "{}"));
    assert!(!network(&Ending { oom_killed: true, ..without }, ""));
}

proptest! {
    #[test]
    fn every_ending_has_a_text_that_a_teacher_can_read(
        exit_code in prop::option::of(any::<i64>()), flags: [bool; 4], limit in prop::option::of(any::<u64>()),
        elapsed in prop::option::of(any::<u64>()), stdout in prop::collection::vec(any::<u8>(), 0..200),
        kept in 0_u64..300, disk: Option<(u64, u64)>,
    ) {
        let ending = Ending {
            exit_code, oom_killed: flags[0], removed: flags[1], engine_outage: flags[2], no_network: flags[3],
            timed_out: limit.map(Duration::from_millis), elapsed: elapsed.map(Duration::from_nanos),
            memory_limit: limit, pids_limit: elapsed,
            usage: Usage {
                memory: limit.map(Memory::Now),
                pids: elapsed.map(|limit| Pids { current: kept, limit }),
            },
            disk_limit: limit, disk: disk.map(|(used, allowed)| Disk { used, allowed }),
        };
        let mut capture = Capture::new(kept);
        capture.stderr(&stdout);
        let output = capture.finish();
        if let Err(problem) = verdict::read(&output) {
            let text = explain(&ending, &problem, &output).text;
            for word in ["undefined", "None", "Some(", "null", "  ."] {
                prop_assert!(!text.split("\nThe last lines").next().unwrap_or_default().contains(word), "{}", text);
            }
            prop_assert!(!text.chars().any(|character| character.is_control() && character != '\n'));
        }
    }
}
