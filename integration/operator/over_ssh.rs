//! `doctor` with an engine behind ssh, through a real sshd: keys, their passphrases, and keys that an ssh-agent holds.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::asked;
use super::doctor::Found;
use crate::support::docker;
use crate::support::redis::RedisServer;
use crate::support::ssh::{PASSPHRASE, SshServer};

/// A Redis, and an engine behind sshd.
struct Bench {
    redis: RedisServer,
    server: SshServer,
}

impl Bench {
    fn start() -> Self {
        Self { redis: RedisServer::start(&["--appendonly", "yes"]), server: SshServer::start() }
    }

    /// What `doctor` finds with these `sshOptions`, and more in its environment or its arguments.
    async fn found(&self, options: Value, environment: &[(&str, &str)], arguments: &[&str]) -> Found {
        let far = json!({
            "protocol": "ssh", "host": "127.0.0.1", "port": self.server.port(), "sshOptions": options,
        });
        let (far, config) = (far.to_string(), text(&self.server.file("known.config")));
        let own = [("DOCKER_OPTIONS", far.as_str()), ("DOCKER_SSH_CONFIG", &config)];
        self.diagnosed(&[&own, environment].concat(), arguments).await
    }

    async fn diagnosed(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Found {
        let port = self.redis.port().to_string();
        let own = [("REDIS_PORT", port.as_str()), ("MIN_FREE_DISK", "0"), ("MIN_FREE_MEMORY", "0")];
        // On a busy machine a login takes its time.
        let patient = [("DOCKER_TIMEOUT", "60s")];
        let arguments = [&["doctor", "starter", "--json"], arguments].concat();
        Found::of(&asked(&arguments, &[&own[..], &patient, environment].concat()).await)
    }

    /// Nothing of a key is in what was found.
    #[track_caller]
    fn tells_no_secret(&self, found: &Found) {
        for key in ["user", "locked", "stranger"] {
            let text = self.server.text(key);
            let secrets = text.lines().filter(|line| line.len() > 20 && !line.starts_with("-----"));
            for secret in secrets.skip(1).chain(["anary", PASSPHRASE]) {
                assert!(!found.text.contains(secret), "{key}: {}", found.text);
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

/// An ssh-agent of a test's own; it ends when dropped.
struct Agent {
    folder: tempfile::TempDir,
    process: Child,
}

impl Agent {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("agent of mine");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null());
        let process = agent.spawn().expect("ssh-agent is there; `make test` installs it");
        let (agent, begun) = (Self { folder, process }, Instant::now());
        while std::os::unix::net::UnixStream::connect(agent.socket()).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "ssh-agent does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        agent
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("agent of mine")
    }

    fn add(&self, key: &Path) {
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", self.socket()).output();
        let added = added.expect("ssh-add is there");
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What is told of an engine, wherever it is.
fn engine(found: &Found) -> String {
    let all = found.all("reachable");
    let told = all.iter().filter_map(|finding| finding["found"].as_str()).find(|told| told.contains("API "));
    told.unwrap_or_else(|| panic!("no engine in {}", found.text)).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_over_ssh_is_examined_as_any_other_and_a_container_is_run_there() {
    docker::build_images().await;
    let bench = Bench::start();
    let local = bench.diagnosed(&[], &[]).await;
    let key = json!({"privateKey": text(&bench.server.file("user"))});
    let deep = ["--deep", "--image", docker::GRADER_IMAGE];
    let far = bench.found(key, &[], &deep).await;
    assert_eq!((far.code, local.code), (Some(0), Some(0)), "{}", far.text);
    assert_eq!(engine(&far), engine(&local));
    for check in ["limits", "cgroups", "storage", "runtime", "log_driver", "security"] {
        assert_eq!(far.all(check), local.all(check), "{check}");
    }
    assert_eq!(far.verdict("run"), "ok", "{}", far.text);
    assert_eq!(far.verdict("disk"), "note", "{}", far.text);
    bench.tells_no_secret(&far);
}

/// Told as a text, and as a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_passphrase_opens_with_the_right_one_and_else_the_setting_is_named() {
    let bench = Bench::start();
    let file = text(&bench.server.file("locked"));
    for key in [bench.server.text("locked"), file.clone()] {
        let options = |passphrase: &str| json!({"privateKey": key, "passphrase": passphrase});
        let right = bench.found(options(PASSPHRASE), &[], &[]).await;
        assert_eq!((right.code, right.verdict("reachable")), (Some(0), "ok"), "{}", right.text);
        let wrong = bench.found(options("another Canary"), &[], &[]).await;
        wrong.fails("reachable", "\"sshOptions.passphrase\" does not open it", "DOCKER_OPTIONS");
        bench.tells_no_secret(&right);
        bench.tells_no_secret(&wrong);
    }
    // One that is missing is known before anything is tried where the key is there as a text.
    let missing = bench.found(json!({"privateKey": bench.server.text("locked")}), &[], &[]).await;
    missing.fails("value", "protected by a passphrase: tell it in \"sshOptions.passphrase\"", "64");
    bench.tells_no_secret(&missing);
    let missing = bench.found(json!({"privateKey": file}), &[], &[]).await;
    let told = format!("the private key {file} is protected by a passphrase");
    missing.fails("reachable", &told, "DOCKER_OPTIONS");
    missing.fails("reachable", "\"sshOptions.passphrase\"", "ssh -v");
    bench.tells_no_secret(&missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_ssh_agent_holds_is_used_and_a_wrong_agent_is_named() {
    let bench = Bench::start();
    let agent = Agent::start();
    let socket = text(&agent.socket());
    let by_setting = || json!({"agent": socket});
    let empty = bench.found(by_setting(), &[], &[]).await;
    empty.fails("reachable", "\"sshOptions.agent\"", "DOCKER_OPTIONS");
    empty.fails("reachable", &format!("SSH_AUTH_SOCK={socket} ssh-add -l"), "");
    agent.add(&bench.server.file("user"));
    // The setting wins over the environment and over ssh's configuration.
    let config = bench.server.file("agent.config");
    let known = text(&bench.server.file("known.config"));
    std::fs::write(&config, format!("Include {known}\nIdentityAgent none\n")).expect("a file");
    let config = text(&config);
    let elsewhere = [("SSH_AUTH_SOCK", "/no/such/agent"), ("DOCKER_SSH_CONFIG", &config)];
    for environment in [&[][..], &elsewhere] {
        let found = bench.found(by_setting(), environment, &[]).await;
        assert_eq!((found.code, found.verdict("reachable")), (Some(0), "ok"), "{}", found.text);
    }
    // Without the setting it is the environment's, as ssh has it.
    let host = format!("ssh://127.0.0.1:{}", bench.server.port());
    let own = [("DOCKER_HOST", host.as_str()), ("DOCKER_SSH_CONFIG", &known), ("SSH_AUTH_SOCK", &socket)];
    let found = bench.diagnosed(&own, &[]).await;
    assert_eq!((found.code, found.verdict("reachable")), (Some(0), "ok"), "{}", found.text);
    bench.tells_no_secret(&found);
}
