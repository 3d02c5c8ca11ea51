//! The units for systemd, judged by systemd's own tools, and held to what the program does.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What `systemd-analyze security` may say at most, times ten: 10 is the worst.
const EXPOSED_AT_MOST: u32 = 19;

fn units() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let entries = fs::read_dir(folder).expect("the units").map(|entry| entry.expect("an entry").path());
    let units: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "service")).collect();
    assert_eq!(units.len(), 4);
    units
}

fn analyze(arguments: &[&str], unit: &Path) {
    let done = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    let done = done.expect("systemd-analyze runs; `make test` installs it");
    let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && !text.contains("ignoring"), "{}: {text}", unit.display());
}

#[test]
fn systemd_finds_no_fault_in_the_units_and_no_more_exposure_than_has_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    for unit in units() {
        let text = fs::read_to_string(&unit).expect("a unit");
        let text = text.replace("/usr/local/bin/correction-runner", env!("CARGO_BIN_EXE_correction-runner"));
        let copy = folder.path().join(unit.file_name().expect("a name"));
        fs::write(&copy, text).expect("a file");
        analyze(&["verify", "--man=no"], &copy);
        let threshold = format!("--threshold={EXPOSED_AT_MOST}");
        analyze(&["security", "--offline=true", "--no-pager", &threshold], &copy);
    }
}

#[test]
fn the_units_start_each_component_and_know_how_it_ends() {
    let mut started = Vec::new();
    for unit in units() {
        let text = fs::read_to_string(&unit).expect("a unit");
        let of = |name: &str| {
            let all: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect();
            all.join(" ")
        };
        started.push(of("ExecStart").rsplit(' ').next().expect("a command").to_owned());
        assert_eq!(of("Type"), "notify");
        assert_eq!(of("RestartPreventExitStatus"), "64", "a wrong setting");
        // A loop that is stuck ends the process after 30 s by itself, with a line in the log that says why.
        assert!(of("WatchdogSec").parse::<u32>().is_ok_and(|seconds| seconds >= 60), "{}", of("WatchdogSec"));
        // A graceful stop takes 5 s at most.
        assert!(of("TimeoutStopSec").parse::<u32>().is_ok_and(|seconds| seconds >= 10));
        // Deliveries to receivers that hang take a connection each.
        assert!(
            of("LimitNOFILE")
                .parse::<u64>()
                .is_ok_and(|files| files >= correction_runner::startup::FILES_WANTED)
        );
        let uses_docker = !of("SupplementaryGroups").is_empty();
        assert_eq!(uses_docker, !unit.ends_with("correction-runner-notifier.service"), "{}", unit.display());
    }
    started.sort_unstable();
    assert_eq!(started, ["all", "completer", "notifier", "starter"]);
}

/// What systemd makes of the file with the users and groups, on a machine that has none yet.
fn made() -> String {
    let machine = tempfile::tempdir().expect("a folder");
    fs::create_dir(machine.path().join("etc")).expect("a folder");
    let users = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd/sysusers.conf");
    let mut root = OsString::from("--root=");
    root.push(machine.path());
    let done = Command::new("systemd-sysusers").arg("--dry-run").arg(root).arg(users).output();
    let done = done.expect("systemd-sysusers runs; `make test` installs it");
    assert!(done.status.success(), "{done:?}");
    String::from_utf8([done.stdout, done.stderr].concat()).expect("text")
}

/// A unit whose user or group is unknown does not start: 216/GROUP, 217/USER. Where the engine is on another host nothing else
/// makes its group.
#[test]
fn each_user_and_group_of_the_units_is_made_where_it_is_not_there() {
    let made = made();
    for unit in units() {
        let text = fs::read_to_string(&unit).expect("a unit");
        let mut names = 0;
        for line in text.lines() {
            let (setting, name) = line.split_once('=').unwrap_or_default();
            let kind = match setting {
                "User" => "user",
                "Group" | "SupplementaryGroups" => "group",
                _ => continue,
            };
            names += 1;
            assert!(
                made.contains(&format!("Creating {kind} '{name}'")),
                "{}: {line}: {made}",
                unit.display()
            );
        }
        assert!(names >= 2, "{}", unit.display());
    }
}
