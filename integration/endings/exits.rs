//! Graders that end by a signal.

use super::{assert_says, told};
use crate::support::system::System;

#[tokio::test(flavor = "multi_thread")]
async fn the_signal_that_ended_a_grader_is_told_by_its_name_and_what_it_means() {
    let system = System::start(&[]).await;
    // Those that end a shell, but for SIGKILL and SIGTERM, which somebody else has to send.
    let ended = [
        ("HUP", 1, "ended by the signal SIGHUP"),
        ("INT", 2, "ended by the signal SIGINT"),
        ("ILL", 4, "(signal SIGILL"),
        ("TRAP", 5, "ended by the signal SIGTRAP"),
        ("ABRT", 6, "gave up on an error of its own (signal SIGABRT"),
        ("BUS", 7, "(signal SIGBUS"),
        ("FPE", 8, "division by zero (signal SIGFPE"),
        ("USR1", 10, "ended by the signal SIGUSR1"),
        ("SEGV", 11, "used memory that is not its own (signal SIGSEGV"),
        ("USR2", 12, "ended by the signal SIGUSR2"),
        ("PIPE", 13, "ended by the signal SIGPIPE"),
        ("ALRM", 14, "ended by the signal SIGALRM"),
        ("XCPU", 24, "processor time than it may (signal SIGXCPU"),
        ("SYS", 31, "(signal SIGSYS"),
    ];
    for (signal, ..) in ended {
        system.submit(&system.job(signal, &format!("kill -{signal} $$; sleep 9"))).await;
    }
    for (signal, number, words) in ended {
        let text = told(&system, signal, "no_verdict").await;
        assert_says(&text, &[words, &format!("exit code {}", 128 + number)]);
    }
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grader_that_is_killed_or_asked_to_end_is_told_as_that() {
    let system = System::start(&[]).await;
    system.submit(&system.job("killed", "sleep 3; kill -KILL $$; sleep 9")).await;
    system.submit(&system.job("asked", "kill -TERM $$; sleep 9")).await;
    let killed = told(&system, "killed", "killed").await;
    assert_says(&killed, &["was killed (SIGKILL, exit code 137) after 3", "ask the administrator"]);
    let asked = told(&system, "asked", "killed").await;
    assert_says(&asked, &["was asked to stop (SIGTERM, exit code 143)"]);
    system.end().await;
}
