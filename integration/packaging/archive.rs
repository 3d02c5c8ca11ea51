//! What `make install` and `make package` put where.

use std::path::Path;
use std::process::{Command, Stdio};

/// Runs one of the scripts with the program of all tests.
fn script(name: &str, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut script = Command::new(root.join("scripts").join(name));
    script
        .args(arguments)
        .envs(settings.iter().copied())
        .env("PROGRAM", env!("CARGO_BIN_EXE_correction-runner"));
    let done = script.stdin(Stdio::null()).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn what_is_installed_is_where_a_system_looks_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    script("install", &["/opt/runner"], &[("DESTDIR", &folder.path().display().to_string())]);
    let root = folder.path().join("opt/runner");
    for file in [
        "bin/correction-runner",
        "share/man/man1/correction-runner-starter.1",
        "share/bash-completion/completions/correction-runner",
        "share/zsh/site-functions/_correction-runner",
        "share/fish/vendor_completions.d/correction-runner.fish",
        "lib/sysusers.d/correction-runner.conf",
        "lib/tmpfiles.d/correction-runner.conf",
        "share/doc/correction-runner/LICENSE",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }
    let unit = std::fs::read_to_string(root.join("lib/systemd/system/correction-runner-starter.service"));
    assert!(unit.expect("a unit").contains("ExecStart=/opt/runner/bin/correction-runner starter\n"));
    let users = Command::new("systemd-sysusers")
        .args(["--dry-run", "--root"])
        .arg(folder.path())
        .arg(root.join("lib/sysusers.d/correction-runner.conf"))
        .output()
        .expect("systemd-sysusers runs; `make test` installs it");
    assert!(users.status.success(), "{}", String::from_utf8_lossy(&users.stderr));
}

#[test]
#[ignore = "long: make faults"]
fn the_archive_is_the_same_each_time_and_tells_the_licences_of_what_is_in_it() {
    let archives: Vec<Vec<u8>> = (0..2)
        .map(|_| {
            let folder = tempfile::tempdir().expect("a folder");
            script("make_package", &[], &[("OUT", &folder.path().display().to_string())]);
            let mut files =
                std::fs::read_dir(folder.path()).expect("ours").map(|file| file.expect("a file").path());
            let archive = files.next().expect("an archive");
            let listed =
                Command::new("tar").args(["--list", "--file"]).arg(&archive).output().expect("tar runs");
            let listed = String::from_utf8(listed.stdout).expect("text");
            for file in ["/bin/correction-runner", "/share/doc/correction-runner/docs/installing.md"] {
                assert!(listed.lines().any(|line| line.ends_with(file)), "{file}: {listed}");
            }
            let licences = Command::new("tar")
                .args(["--extract", "--to-stdout", "--wildcards", "*/THIRD-PARTY.txt", "--file"])
                .arg(&archive)
                .output()
                .expect("tar runs");
            let licences = String::from_utf8(licences.stdout).expect("text");
            for part in ["  tokio 1.", "Copyright (c) Tokio Contributors", "  ring 0."] {
                assert!(licences.contains(part), "{part}");
            }
            std::fs::read(archive).expect("it is there")
        })
        .collect();
    assert!(archives[0] == archives[1], "of the same files");
}
