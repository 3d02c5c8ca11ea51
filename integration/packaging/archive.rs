//! What `make install` and `make package` put where.

use std::os::unix::fs::PermissionsExt;
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

/// systemctl with a folder in the place of `/`.
fn systemctl(root: &Path, arguments: &[&str]) -> String {
    let mut systemctl = Command::new("systemctl");
    systemctl.arg(format!("--root={}", root.display())).args(arguments);
    let done = systemctl.output().expect("systemctl runs; `make test` installs it");
    assert!(done.status.success(), "{arguments:?}: {done:?}");
    String::from_utf8(done.stdout).expect("text")
}

#[test]
fn what_is_installed_is_where_a_system_looks_for_it() {
    // systemd looks below /usr and /usr/local alone.
    for (prefix, library) in
        [("/opt/runner", "/usr/local/lib"), ("/usr/local", "/usr/local/lib"), ("/usr", "/usr/lib")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = folder.path();
        script("install", &[prefix], &[("DESTDIR", &machine.display().to_string())]);
        let below = |path: &str| machine.join(path.trim_start_matches('/'));
        for file in [
            "bin/correction-runner",
            "share/man/man1/correction-runner-starter.1",
            "share/bash-completion/completions/correction-runner",
            "share/zsh/site-functions/_correction-runner",
            "share/fish/vendor_completions.d/correction-runner.fish",
            "share/doc/correction-runner/LICENSE",
        ] {
            assert!(below(prefix).join(file).is_file(), "{file} of {prefix}");
        }
        let unit =
            std::fs::read_to_string(below(library).join("systemd/system/correction-runner-starter.service"));
        let command = format!("ExecStart={prefix}/bin/correction-runner starter\n");
        assert!(unit.expect("a unit").contains(&command), "{prefix}");
        let known = systemctl(machine, &["list-unit-files", "correction-runner*"]);
        assert_eq!(known.matches(".service").count(), 4, "{prefix}: {known}");
        for file in ["sysusers.d/correction-runner.conf", "tmpfiles.d/correction-runner.conf"] {
            assert!(below(library).join(file).is_file(), "{file} of {prefix}");
        }
    }
}

/// In the place of systemd's own programs: with a folder in the place of `/`, and nothing changed.
const SYSTEMDS: [(&str, &str); 3] = [
    ("systemd-sysusers", "exec /usr/bin/systemd-sysusers --dry-run --root=\"$MACHINE\" \"$@\""),
    ("systemd-tmpfiles", "for file; do [ \"$file\" = --create ] || [ -f \"$file\" ] || exit 1; done"),
    ("systemctl", "echo \"systemctl $*\""),
];

#[test]
fn what_is_installed_outside_of_usr_is_set_up_on_a_machine_with_systemd() {
    let folder = tempfile::tempdir().expect("a folder");
    let machine = folder.path().display().to_string();
    for (name, text) in SYSTEMDS {
        let path = folder.path().join("bin").join(name);
        std::fs::create_dir_all(folder.path().join("bin")).expect("a folder");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a file");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
    }
    let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install");
    // The folder in the place of `/`, in which systemd runs.
    let text = std::fs::read_to_string(&install).expect("a script");
    for path in ["/run/systemd/system", "=/usr/local/lib"] {
        assert!(text.contains(path), "{path} is in the script");
    }
    let text =
        text.replace("/run/systemd/system", &machine).replace("=/usr/local/lib", "=$MACHINE/usr/local/lib");
    let done = Command::new("bash")
        .args(["-c", &text])
        .arg(&install)
        .arg(format!("{machine}/opt/runner"))
        .env("PROGRAM", env!("CARGO_BIN_EXE_correction-runner"))
        .env("MACHINE", &machine)
        .env("PATH", format!("{machine}/bin:{}", std::env::var("PATH").expect("a PATH")))
        .env_remove("DESTDIR")
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let said = String::from_utf8([done.stdout, done.stderr].concat()).expect("text");
    assert!(done.status.success(), "{said}");
    for part in
        ["Creating user 'correction-runner'", "systemctl daemon-reload", "/etc/correction-runner/.env"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
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
