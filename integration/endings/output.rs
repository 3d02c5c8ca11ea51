//! Graders that print far too much, or what is no text.

use super::{BLOCK, SAYS_OK, assert_says, graded, told};
use crate::support::system::System;

/// Prints so many bytes in long lines.
fn flood(bytes: u64) -> String {
    let line = "0123456789".repeat(100);
    format!("yes {line} | head -c {bytes}; echo")
}

/// The most memory that a process ever had resident, in bytes.
fn peak_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_behind_200_mb_of_output_counts_and_the_completer_stays_small() {
    let mut system = System::prepare().await;
    for component in ["starter", "completer", "notifier"] {
        system.spawn(component);
    }
    let flood = flood(200_000_000);
    system.submit(&system.job("flood", &format!("{flood}; {BLOCK}"))).await;
    graded(&system, "flood").await;
    let peak = peak_memory(system.process_id("completer"));
    println!("a flood of 200 MB: the completer had {} MiB resident at most", peak >> 20);
    assert!(peak <= 64 << 20, "the completer had {peak} bytes resident");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_without_a_verdict_is_told_with_its_last_lines() {
    let system = System::start(&[]).await;
    system.submit(&system.job("flood", &format!("{}; echo the end", flood(20_000_000)))).await;
    let text = told(&system, "flood", "output_limit").await;
    assert_says(
        &text,
        &[
            "It printed at least 2",
            "of which 1048576 are kept",
            "between its two separator lines",
            "\nthe end",
        ],
    );
    assert!(text.len() < 4000, "{} bytes", text.len());
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_output_hides_no_verdict_and_is_told_without_harm() {
    let system = System::start(&[]).await;
    let noise = "head -c 300000 /dev/urandom";
    system.submit(&system.job("graded", &format!("{noise}; echo; {BLOCK} {noise}"))).await;
    system.submit(&system.job("noise", &format!("{noise}; printf '\\033[31m\\007red'; exit 1"))).await;
    graded(&system, "graded").await;
    let text = told(&system, "noise", "no_verdict").await;
    assert_says(&text, &["ended with an error (exit code 1)", "red"]);
    system.end().await;
}

/// A string of ten million characters within a verdict.
const LONG: &str = r#"
printf '{"success":true,"grade":7,"comments":["'
head -c 10000000 /dev/zero | tr '\0' x
printf '"]}'
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_of_10_mb_is_told_to_be_too_long_and_arrives_where_the_limit_allows_it() {
    let system = System::start(&[]).await;
    let block =
        format!("echo '-BEGIN CORRECTOMATIC RESPONSE-'{LONG}echo; echo '-END CORRECTOMATIC RESPONSE-'");
    system.submit(&system.job("bare", LONG)).await;
    system.submit(&system.job("block", &block)).await;
    let bare = told(&system, "bare", "output_limit").await;
    assert_says(
        &bare,
        &["Its verdict is longer (10000042 bytes) than the 1048576 bytes of output that are kept"],
    );
    let block = told(&system, "block", "output_limit").await;
    assert_says(&block, &["Its verdict is longer than the 1048576 bytes of output that are kept"]);
    for text in [bare, block] {
        assert_says(&text, &["Shorten the comments, or raise the limit (CONTAINER_OUTPUT_LIMIT)"]);
        assert!(text.len() < 4000, "{} bytes", text.len());
    }
    system.end().await;

    let system = System::start(&[("CONTAINER_OUTPUT_LIMIT", "11m")]).await;
    system.submit(&system.job("long", LONG)).await;
    let body = system.result("long").await.json();
    assert_eq!(body["comments"][0].as_str().map(str::len), Some(10_000_000));
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_ends_within_a_character_is_read_as_far_as_it_goes() {
    let system = System::start(&[]).await;
    // The first byte of an é.
    system.submit(&system.job("graded", &format!("{BLOCK} printf 'caf\\303'"))).await;
    system.submit(&system.job("cut", "printf 'caf\\303'; exit 2")).await;
    graded(&system, "graded").await;
    let text = told(&system, "cut", "no_verdict").await;
    assert_says(&text, &["exit code 2", "caf\u{fffd}"]);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_the_standard_error_alone_is_read_as_well() {
    let system = System::start(&[]).await;
    system.submit(&system.job("graded", &format!("{SAYS_OK} >&2"))).await;
    system.submit(&system.job("error", "echo 'Traceback: no such module' >&2; exit 1")).await;
    graded(&system, "graded").await;
    let text = told(&system, "error", "no_verdict").await;
    assert_says(&text, &["The last lines of its output:\nTraceback: no such module"]);
    system.end().await;
}
