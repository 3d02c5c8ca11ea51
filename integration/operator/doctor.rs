//! `doctor`: each thing that is wrong is found, told with a remedy, and keeps nothing else from being checked.

use std::process::Command;

use serde_json::{Value, json};

use super::{Said, asked, assert_described, nobody};
use crate::support::docker;
use crate::support::redis::RedisServer;
use crate::support::simulated_engine::{Options, SimulatedEngine};

/// What `doctor --json` found.
pub(super) struct Found {
    pub(super) code: Option<i32>,
    document: Value,
    pub(super) text: String,
}

impl Found {
    pub(super) fn of(said: &Said) -> Self {
        Self { code: said.code, document: said.json(), text: said.text.clone() }
    }

    /// All findings of a check.
    pub(super) fn all(&self, check: &str) -> Vec<&Value> {
        let checks = self.document["checks"].as_array().expect("a list");
        checks.iter().filter(|finding| finding["check"] == check).collect()
    }

    /// The verdict of a check, the worst where there are several.
    #[track_caller]
    pub(super) fn verdict(&self, check: &str) -> &str {
        let verdicts: Vec<_> = self.all(check).iter().filter_map(|it| it["verdict"].as_str()).collect();
        let worst =
            ["failure", "warning", "note", "ok"].into_iter().find(|verdict| verdicts.contains(verdict));
        worst.unwrap_or_else(|| panic!("no check {check} in {}", self.text))
    }

    /// A check failed, in these words, with such a remedy; so the whole did.
    #[track_caller]
    pub(super) fn fails(&self, check: &str, words: &str, remedy: &str) {
        let failures = self.all(check);
        let failure = failures.iter().find(|finding| finding["verdict"] == "failure");
        let failure = failure.unwrap_or_else(|| panic!("{check} does not fail: {}", self.text));
        let says = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
        assert!(says("found").contains(words), "{words}: {failure}");
        assert!(says("remedy").contains(remedy), "{remedy}: {failure}");
        assert_eq!((self.code, &self.document["verdict"]), (Some(1), &json!("failure")), "{}", self.text);
    }
}

/// Of a notifier, which needs no Docker.
async fn of_redis(port: u16, environment: &[(&str, &str)]) -> Found {
    let port = port.to_string();
    let environment = [environment, &[("REDIS_PORT", port.as_str())]].concat();
    Found::of(&asked(&["doctor", "notifier", "--json"], &environment).await)
}

fn tell(server: &RedisServer, words: &[&str]) {
    let told = Command::new("redis-cli").args(["-p", &server.port().to_string()]).args(words).output();
    let told = told.expect("redis-cli runs");
    assert!(!String::from_utf8_lossy(&told.stdout).contains("ERR"), "{words:?}: {told:?}");
}

#[tokio::test]
async fn a_redis_that_will_do_is_told_to_be_so_and_nothing_is_left_in_it() {
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let found = of_redis(server.port(), &[]).await;
    assert_eq!((found.code, &found.document["component"]), (Some(0), &json!("notifier")), "{}", found.text);
    for check in [
        "reachable",
        "version",
        "role",
        "persistence",
        "maxmemory_policy",
        "memory",
        "clock",
        "commands",
        "instance",
    ] {
        assert_eq!(found.verdict(check), "ok", "{check}: {}", found.text);
    }
    assert!(!found.all("latency").is_empty() && !found.all("policy").is_empty(), "{}", found.text);
    let checks = found.document["checks"].as_array().expect("a list");
    for finding in checks {
        let names: Vec<_> = finding.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["area", "check", "found", "remedy", "verdict"]);
    }
    assert_described(&found.document);
    let counts = found.document["counts"].as_object().expect("counts");
    let counted: u64 = counts.values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, checks.len() as u64, "{}", found.text);
    let keys = Command::new("redis-cli").args(["-p", &server.port().to_string(), "dbsize"]).output();
    assert_eq!(String::from_utf8_lossy(&keys.expect("redis-cli runs").stdout).trim(), "0");
}

#[tokio::test]
async fn a_redis_that_throws_corrections_away_or_forgets_them_fails() {
    let server = RedisServer::start(&["--maxmemory-policy", "allkeys-lru", "--appendonly", "no"]);
    let found = of_redis(server.port(), &[]).await;
    found.fails("maxmemory_policy", "allkeys-lru", "noeviction");
    found.fails("persistence", "appendonly is no", "appendonly yes");
    tell(&server, &["config", "set", "save", "3600 1"]);
    tell(&server, &["config", "set", "maxmemory-policy", "noeviction"]);
    tell(&server, &["hset", "bull:running_corrections:meta", "paused", "1", "version", "bullmq:4.1.0"]);
    let found = of_redis(server.port(), &[]).await;
    assert_eq!((found.code, found.verdict("persistence")), (Some(0), "warning"), "{}", found.text);
    assert_eq!((found.verdict("paused"), found.verdict("clients_of_queues")), ("warning", "warning"));
    tell(&server, &["config", "set", "maxmemory", "1"]);
    let found = of_redis(server.port(), &[]).await;
    found.fails("memory", "about to refuse", "raise maxmemory");
    found.fails("commands", "OOM", "raise maxmemory");
}

#[tokio::test]
async fn a_replica_fails_and_its_master_is_named() {
    let master = RedisServer::start(&[]);
    let port = master.port().to_string();
    let replica = RedisServer::start(&["--replicaof", "127.0.0.1", &port]);
    let found = of_redis(replica.port(), &[]).await;
    found.fails("role", "replica", &format!("of 127.0.0.1:{port}"));
}

#[tokio::test]
async fn a_wrong_password_and_rights_that_are_missing_fail_and_no_secret_is_told() {
    let server = RedisServer::start(&["--requirepass", "right-canary"]);
    let found = of_redis(server.port(), &[("REDIS_PASSWORD", "wrong-canary")]).await;
    found.fails("login", "refuses us", "REDIS_PASSWORD");
    assert!(!found.text.contains("canary"), "{}", found.text);

    // The rights that the remedy names are enough, and without one of them it is that which is named.
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let rights = "ACL SETUSER app on >pw +@read +@write +@connection +@scripting +info +time ~bull:*";
    tell(&server, &rights.split(' ').collect::<Vec<_>>());
    let login = [("REDIS_USER", "app"), ("REDIS_PASSWORD", "pw")];
    let found = of_redis(server.port(), &login).await;
    assert_eq!((found.code, found.verdict("commands")), (Some(0), "ok"), "{}", found.text);
    tell(&server, &["ACL", "SETUSER", "app", "-zadd", "-bzpopmin"]);
    let found = of_redis(server.port(), &login).await;
    found.fails("commands", "ZADD, BZPOPMIN", "ACL SETUSER");
    let remedy = found.all("commands")[0]["remedy"].as_str().expect("a remedy").to_owned();
    for right in rights.split(' ').skip(5) {
        assert!(remedy.contains(right), "{right}: {remedy}");
    }
}

#[tokio::test]
async fn where_a_service_is_away_or_a_setting_is_wrong_the_rest_is_checked_all_the_same() {
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let (port, nobody) = (server.port().to_string(), nobody());
    let nowhere = [("REDIS_PORT", nobody.as_str()), ("DOCKER_HOST", "unix:///nowhere/docker.sock")];
    let found = Found::of(&asked(&["doctor", "--json"], &nowhere).await);
    found.fails("reachable", "Redis at 127.0.0.1", "REDIS_HOST");
    let docker = found.all("reachable")[1];
    assert_eq!((&docker["area"], &docker["verdict"]), (&json!("docker"), &json!("failure")), "{docker}");
    assert!(docker["remedy"].as_str().is_some_and(|remedy| remedy.contains("systemctl start docker")));
    assert_eq!(found.verdict("policy"), "ok", "{}", found.text);

    let wrong = [("REDIS_PORT", port.as_str()), ("DOCKER_OPTIONS", "{"), ("CONTAINER_MEMORY", "much")];
    let found = Found::of(&asked(&["doctor", "--json"], &wrong).await);
    found.fails("value", "DOCKER_OPTIONS", "64");
    assert_eq!(found.all("value").len(), 2, "{}", found.text);
    assert_eq!((found.verdict("commands"), found.verdict("skipped")), ("ok", "note"), "{}", found.text);
}

#[tokio::test]
async fn what_an_engine_cannot_do_is_told_by_what_is_asked_of_it() {
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let info = json!({
        "LoggingDriver": "none", "CgroupVersion": "1", "LiveRestoreEnabled": false, "MemoryLimit": false,
        "Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]], "Warnings": ["WARNING: of its own"],
    });
    let engine = SimulatedEngine::start(Options { info, ..Options::default() }).await;
    let host = format!("unix://{}", engine.socket().display());
    let port = server.port().to_string();
    let own = [
        ("REDIS_PORT", port.as_str()),
        ("DOCKER_HOST", host.as_str()),
        ("MIN_FREE_DISK", "0"),
        ("MIN_FREE_MEMORY", "0"),
    ];
    let doctor = async |more: &[(&str, &str)]| {
        Found::of(&asked(&["doctor", "starter", "--json"], &[&own, more].concat()).await)
    };
    let found = doctor(&[("MAX_RUNNING", "100")]).await;
    assert_eq!(
        (found.code, found.verdict("log_driver")),
        (Some(0), "ok"),
        "hardened graders bring one: {}",
        found.text
    );
    assert_eq!((found.verdict("room"), found.verdict("live_restore")), ("warning", "note"), "{}", found.text);
    assert_eq!(found.verdict("engine_warnings"), "note", "{}", found.text);
    let limits: Vec<_> = found.all("limits").iter().filter_map(|it| it["found"].as_str()).collect();
    assert!(limits.iter().any(|limit| limit.contains("CONTAINER_MEMORY")), "{limits:?}");

    let found = doctor(&[("CONTAINER_PROFILE", "original")]).await;
    found.fails("log_driver", "none", "json-file");
    let found = doctor(&[("CONTAINER_RUNTIME", "runsc")]).await;
    found.fails("runtime", "runsc", "runtimes");
    let found = doctor(&[("CONTAINER_NETWORK", "no-such-network")]).await;
    found.fails("network", "no-such-network", "docker network create");
    engine.set_clock_skew(3_600_000);
    let found = doctor(&[]).await;
    found.fails("clock", "ahead of this machine's", "NTP");
}

#[tokio::test]
async fn a_callback_is_followed_as_far_as_its_connection_and_refused_by_the_rule_that_refuses_it() {
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let port = server.port().to_string();
    let to = async |url: &str, more: &[(&str, &str)]| {
        let environment = [more, &[("REDIS_PORT", port.as_str())]].concat();
        Found::of(&asked(&["doctor", "notifier", "--json", "--callback", url], &environment).await)
    };
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://u:canary@127.0.0.1:{}/x?canary", receiver.local_addr().expect("bound").port());
    let found = to(&url, &[]).await;
    assert_eq!((found.code, found.verdict("callback")), (Some(0), "ok"), "{}", found.text);
    assert!(!found.text.contains("canary"), "{}", found.text);
    to(&url, &[("CALLBACK_POLICY", "public")]).await.fails(
        "callback",
        "CALLBACK_POLICY=public",
        "CALLBACK_ALLOW",
    );
    to(&url, &[("CALLBACK_DENY", "127.0.0.0/8")]).await.fails("callback", "CALLBACK_DENY", "CALLBACK_DENY");
    to(&format!("http://127.0.0.1:{port}/"), &[]).await.fails(
        "callback",
        "the runner's own Redis",
        "never reached",
    );
    to("http://no-such-host.invalid/", &[]).await.fails("callback", "cannot be found", "resolver");
    to(&format!("http://127.0.0.1:{}/", nobody()), &[]).await.fails("callback", "cannot connect", "firewall");
    to("ftp://h/", &[]).await.fails("callback", "not an http or https URL", "http or https");
}

#[tokio::test]
async fn settings_that_contradict_one_another_are_told() {
    let found = of_redis(
        RedisServer::shared().port(),
        &[
            ("CALLBACK_ALLOW", "169.254.169.254,lms.invalid"),
            ("CALLBACK_DENY", "lms.invalid"),
            ("NOTIFY_TIMEOUT", "20m"),
            ("LOG_FILE", "/no/such/folder/log"),
        ],
    )
    .await;
    found.fails("log_file", "/no/such/folder/log", "LOG_FILE");
    let told: Vec<_> = found.all("callback_rules").iter().filter_map(|it| it["found"].as_str()).collect();
    for part in
        ["lms.invalid stands in CALLBACK_ALLOW and in CALLBACK_DENY", "no callback goes there all the same"]
    {
        assert!(told.iter().any(|told| told.contains(part)), "{part}: {told:?}");
    }
    assert_eq!(
        (found.verdict("suspicious"), found.verdict("signing")),
        ("warning", "note"),
        "{}",
        found.text
    );
    assert_eq!(found.verdict("resolver"), "warning", "{}", found.text);
}

#[tokio::test]
async fn a_real_container_is_made_run_and_removed() {
    docker::build_images().await;
    let server = RedisServer::start(&["--appendonly", "yes"]);
    let port = server.port().to_string();
    let environment = [
        ("REDIS_PORT", port.as_str()),
        ("MIN_FREE_DISK", "0"),
        ("MIN_FREE_MEMORY", "0"),
        ("DOCKER_TIMEOUT", "60s"),
    ];
    let deep = ["doctor", "starter", "--json", "--deep", "--image", docker::GRADER_IMAGE];
    let found = Found::of(&asked(&deep, &environment).await);
    assert_eq!((found.code, found.verdict("run")), (Some(0), "ok"), "{}", found.text);
    let left = "docker ps --all --quiet --filter name=correction-doctor-";
    // Others may be at it at the same time: each removes its own.
    let mut words = left.split(' ');
    let program = words.next().expect("a program");
    let is_clean = || {
        let listed = Command::new(program).args(left.split(' ').skip(1)).output().expect("docker runs");
        listed.stdout.is_empty()
    };
    let begun = std::time::Instant::now();
    while !is_clean() {
        assert!(begun.elapsed().as_secs() < 90, "a container was left");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let deep = ["doctor", "starter", "--json", "--deep", "--image", "correction-runner-test/no-such:1"];
    Found::of(&asked(&deep, &environment).await).fails("image", "there is no image", "docker pull");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_whose_doctor_is_stopped_is_removed_and_that_is_no_failure() {
    let hour = std::time::Duration::from_secs(3600);
    let engine = SimulatedEngine::start(Options { run_time: hour, ..Options::default() }).await;
    let endpoint = format!("unix://{}", engine.socket().display());
    let folder = tempfile::tempdir().expect("a folder without a .env");
    let mut doctor = tokio::process::Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    doctor.args(["doctor", "starter", "--json", "--deep", "--image", "grader:1"]).env_clear();
    doctor.env("DOCKER_HOST", &endpoint).env("REDIS_PORT", nobody()).current_dir(folder.path());
    doctor.stdout(std::process::Stdio::piped()).kill_on_drop(true);
    let doctor = doctor.spawn().expect("the binary starts");
    let begun = std::time::Instant::now();
    while engine.stats().alive == 0 {
        assert!(begun.elapsed().as_secs() < 90, "no container runs");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let labels = engine.containers().remove(0).labels;
    // So the next one removes it where this one cannot.
    assert_eq!(labels["org.correctomatic.instance"], "correction-runner-try", "{labels:?}");
    let process = doctor.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &process]).status().expect("kill runs");
    let told = doctor.wait_with_output().await.expect("it ends");
    assert_eq!(told.status.code(), Some(130));
    let document: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    let of_container = |finding: &&Value| finding["area"] == "container";
    let all: Vec<_> = document["checks"].as_array().expect("a list").iter().filter(of_container).collect();
    assert!(!all.is_empty() && all.iter().all(|finding| finding["verdict"] != "failure"), "{document}");
    assert_eq!((engine.containers().len(), engine.stats().removed), (0, 1));
}

#[tokio::test]
async fn for_people_there_is_a_line_for_each_finding_and_colour_only_where_it_is_wanted() {
    let nobody = nobody();
    let environment = [("REDIS_PORT", nobody.as_str())];
    let said = asked(&["doctor", "notifier"], &environment).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in ["Redis\n  failure  Redis at 127.0.0.1:", "what helps: ", "not ready: 1 failure, "] {
        assert!(said.text.contains(part), "{part}: {}", said.text);
    }
    assert!(!said.text.contains('\u{1b}'), "{}", said.text);
    let coloured =
        asked(&["doctor", "notifier"], &[&environment[..], &[("CLICOLOR_FORCE", "1")]].concat()).await;
    assert!(coloured.text.contains("\u{1b}[1;31mfailure\u{1b}[0m"), "{}", coloured.text);
    let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
    let plain = asked(&["doctor", "notifier"], &[&environment[..], &both].concat()).await;
    assert!(!plain.text.contains('\u{1b}'), "{}", plain.text);
    let wrong = asked(&["doctor", "janitor"], &[]).await;
    assert!(
        wrong.code == Some(64) && wrong.errors.contains("starter, completer, notifier or all"),
        "{wrong:?}"
    );
}
