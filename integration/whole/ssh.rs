//! The whole runner with its engine behind ssh, through a real sshd.

use std::time::Duration;

use serde_json::json;

use crate::faults::campaign::Campaign;
use crate::support::ssh::{PASSPHRASE, SshServer};
use crate::support::system::System;

/// The processes whose command line holds a text, and all that can be seen of them: command line and environment.
fn processes(text: &str) -> Vec<(u32, String)> {
    let all = std::fs::read_dir("/proc").expect("Linux").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let told = |pid: u32| {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
        line.contains(text).then(|| (pid, line + &String::from_utf8_lossy(&read("environ"))))
    };
    pids.filter_map(told).collect()
}

/// Lines of a key that stand nowhere else.
fn secret_lines(server: &SshServer, key: &str) -> Vec<String> {
    let text = server.text(key);
    let lines = text.lines().filter(|line| !line.starts_with("-----")).skip(2);
    let secrets: Vec<String> = lines.filter(|line| line.len() > 20).map(str::to_owned).collect();
    assert!(!secrets.is_empty(), "a key has lines");
    secrets
}

/// The starter is told the key itself, with a passphrase; the completer its file, under the original's name for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_over_ssh_and_nothing_of_the_key_is_seen_or_left_anywhere() {
    let server = SshServer::start();
    let mut system = System::prepare().await;
    let (folder, config) = (tempfile::tempdir().expect("a folder"), server.file("known.config"));
    let path = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    system.set(&[
        ("DOCKER_SSH_CONFIG", &path(&config)),
        ("TMPDIR", &path(folder.path())),
        ("LOG_LEVEL", "trace"),
    ]);
    system.set(&[("XDG_RUNTIME_DIR", &path(folder.path()))]);
    let far = json!({"protocol": "ssh", "host": "127.0.0.1", "port": server.port()});

    let mut options = far.clone();
    options["sshOptions"] = json!({"privateKey": server.text("locked"), "passphrase": PASSPHRASE});
    let file = system.folder().join("options.json");
    std::fs::write(&file, options.to_string()).expect("a file");
    system.set(&[("DOCKER_OPTIONS_FILE", &path(&file))]);
    system.spawn("starter");
    let mut options = far;
    options["sshOptions.privateKey"] = json!(server.file("user"));
    system.set(&[("DOCKER_OPTIONS", &options.to_string())]);
    system.spawn("completer");
    system.spawn("notifier");

    system.submit(&system.job("far", r#"echo '{"success": true, "grade": 3}'"#)).await;
    assert_eq!(system.result("far").await.body, r#"{"grade":3,"success":true,"work_id":"far"}"#);

    let mut secrets = secret_lines(&server, "locked");
    secrets.extend(secret_lines(&server, "user"));
    secrets.push(PASSPHRASE.to_owned());
    let ssh = processes(&path(&config));
    assert!(ssh.len() >= 3, "one of the starter, two of the completer: {ssh:?}");
    let logs = system.logs() + &server.log();
    for secret in &secrets {
        assert!(!logs.contains(secret), "a secret is in a log");
        assert!(ssh.iter().all(|(_, seen)| !seen.contains(secret)), "a secret can be seen of ssh");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");

    // Who is killed leaves no ssh behind, nor does who stops.
    system.until_clean().await;
    system.kill("completer").await;
    system.stop_all().await;
    system.until("no ssh is left", async || processes(&path(&config)).is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sshd_is_killed_and_comes_back_while_corrections_run_and_none_is_lost() {
    let mut server = SshServer::start();
    let config = server.file("login.config").display().to_string();
    let host = format!("ssh://127.0.0.1:{}", server.port());
    let system = System::start(&[("DOCKER_HOST", &host), ("DOCKER_SSH_CONFIG", &config)]).await;
    let mut campaign = Campaign::of(system);
    campaign.submit(6, Duration::from_millis(700)).await;
    campaign.until_delivered(1).await;
    server.kill();
    let gone = async || {
        let log = campaign.system.log_of("all");
        (log.matches("the ssh connection to the Docker engine's host is gone").count() >= 2).then_some(())
    };
    campaign.system.until("both ssh are gone", gone).await;
    // What is submitted meanwhile waits.
    campaign.submit(2, Duration::from_millis(100)).await;
    server.run();
    let proof = campaign.prove().await;
    assert_eq!(proof.results, 8);
}
