//! Manual pages and completions, made by the program itself and read by what they are for.

use std::fs;
use std::path::Path;
use std::process::Command;

use correction_runner::version::REVISION;

fn runner(arguments: &[&str]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_correction-runner")).args(arguments).env_clear().output();
    let done = done.expect("the binary starts");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn there_is_a_page_for_each_command_that_the_reader_of_pages_takes_without_complaint() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("share/man/man1");
    runner(&["man", &pages.display().to_string()]);
    let names: Vec<_> =
        fs::read_dir(&pages).expect("pages").map(|page| page.expect("a page").path()).collect();
    for wanted in ["", "-starter", "-deliveries-redeliver", "-policy-check", "-man"] {
        let page = pages.join(format!("correction-runner{wanted}.1"));
        assert!(names.contains(&page), "{wanted}: {names:?}");
    }
    let read = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(&names).output();
    let read = read.expect("mandoc runs; `make test` installs it");
    // Of the generator's making, and harmless: an empty line too many between paragraphs. Of an archive without its
    // history no day is known.
    let harmless = |line: &str| {
        line.contains("skipping paragraph macro: br")
            || (REVISION.is_empty() && line.contains("cannot parse date"))
    };
    let complaints = String::from_utf8_lossy(&read.stdout).into_owned();
    let complaints: Vec<_> = complaints.lines().filter(|line| !harmless(line)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let shown =
        Command::new("mandoc").args(["-T", "utf8"]).arg(pages.join("correction-runner-starter.1")).output();
    let shown = String::from_utf8(shown.expect("mandoc runs").stdout).expect("text");
    // Bold letters are struck twice.
    let shown: String = shown.replace("_\u{8}", "");
    let mut plain = String::new();
    for letter in shown.chars() {
        if letter == '\u{8}' {
            plain.pop();
        } else {
            plain.push(letter);
        }
    }
    for part in ["--redis-host", "CONTAINER_MEMORY; default: 1g"] {
        assert!(plain.contains(part), "{part}: {plain}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let done = Command::new(env!("CARGO_BIN_EXE_correction-runner")).args(["man", "/dev/null/x"]).output();
    let done = done.expect("the binary starts");
    assert_eq!(done.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&done.stderr).contains("cannot write to /dev/null/x"));
}

/// What bash offers where a line ends.
fn offered(script: &Path, words: &[&str]) -> Vec<String> {
    let line = r#"
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        complete -p correction-runner >/dev/null || exit 3
        function=$(complete -p correction-runner | sed 's/.*-F \([^ ]*\) .*/\1/')
        "$function" correction-runner "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        ((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}""#;
    let done = Command::new("bash").args(["--norc", "-c", line, "bash"]).arg(script).args(words).output();
    let done = done.expect("bash runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("correction-runner");
    fs::write(&script, runner(&["completions", "bash"])).expect("a file");
    assert_eq!(offered(&script, &["correction-runner", "notif"]), ["notifier"]);
    assert_eq!(offered(&script, &["correction-runner", "starter", "--redis-ho"]), ["--redis-host"]);
    assert_eq!(offered(&script, &["correction-runner", "deliveries", "redel"]), ["redeliver"]);
    assert!(
        offered(&script, &["correction-runner", "notifier", "--docker-ti"]).is_empty(),
        "not the notifier's"
    );
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(runner(&["completions", shell]).contains("redis-host"), "{shell}");
    }
}
