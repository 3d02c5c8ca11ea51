//! Settings as they are read from flags, environment, `.env` and defaults.

use std::time::Duration;

use super::*;
use crate::egress::{Egress, OwnService};
use crate::policy::{Bases, Policy};
use crate::profile::Profile;
use crate::signing::SigningKeys;

mod callbacks;
mod proxies;
mod refusals;

/// Reads with these arguments (between spaces), environment and `.env`.
fn request(arguments: &str, environment: &[(&str, &str)], dotenv: &str) -> Result<Request, Refusal> {
    let directory = tempfile::tempdir().unwrap();
    if !dotenv.is_empty() {
        std::fs::write(directory.path().join(".env"), dotenv).unwrap();
    }
    let arguments = std::iter::once("correction-runner").chain(arguments.split_whitespace());
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    read(arguments.map(OsString::from), environment, directory.path())
}

fn configured(arguments: &str, environment: &[(&str, &str)], dotenv: &str) -> Configuration {
    match request(arguments, environment, dotenv) {
        Ok(Request::Run(configuration)) => *configuration,
        other => panic!("{arguments} {environment:?} {dotenv:?}: {other:?}"),
    }
}

fn refused(arguments: &str, environment: &[(&str, &str)], dotenv: &str) -> String {
    request(arguments, environment, dotenv).unwrap_err().to_string()
}

/// What every image's container gets by the settings.
fn profile(starter: &StarterSettings) -> Profile {
    starter.policy.profile_of("any").unwrap()
}

fn redis(arguments: &str, environment: &[(&str, &str)], dotenv: &str) -> RedisSettings {
    configured(arguments, environment, dotenv).notifier.unwrap().common.redis
}

#[test]
fn with_nothing_set_everything_is_as_the_contract_says() {
    let all = configured("all", &[], "");
    let (starter, completer, notifier) =
        (all.starter.unwrap(), all.completer.unwrap(), all.notifier.unwrap());
    assert!(all.hardened);
    assert_eq!(all.warnings, Vec::<String>::new());
    let redis = RedisSettings {
        host: "127.0.0.1".into(),
        port: 6379,
        username: None,
        password: None,
        database: 0,
        tls: false,
        prefix: "bull".into(),
    };
    let common = CommonSettings {
        redis,
        instance: None,
        retention: Retention { completed: 1000, failed: 5000 },
        deliveries: DeliveryRetries { attempts: 10, backoff: Duration::from_secs(5), schedule: vec![] },
        connect_wait: None,
    };
    let docker = DockerSettings {
        endpoint: Endpoint::Unix("/var/run/docker.sock".into()),
        timeout: Duration::from_secs(5),
        pull: false,
        pull_timeout: Duration::from_secs(15),
        credentials: std::collections::HashMap::new(),
    };
    let profile = Profile {
        hardened: true,
        timeout: Some(Duration::from_secs(600)),
        memory: Some(1 << 30),
        cpus: Some(1.0),
        pids: Some(512),
        nofile: Some(8192),
        disk: Some(2 << 30),
        network: "none".into(),
        ..Profile::unlimited()
    };
    let bases = Bases { hardened: profile, original: Profile::unlimited(), is_original: false };
    let expected = StarterSettings {
        common: common.clone(),
        docker: docker.clone(),
        policy: Policy::of_settings(bases),
        dont_start: false,
        concurrency: 8,
        max_running: None,
        min_free_disk: Some(1 << 30),
        min_free_memory: Some(256 << 20),
        rate: None,
        exercise_folders: Vec::new(),
        retry_for: Duration::from_secs(3600),
    };
    assert_eq!(starter, expected);
    let expected = CompleterSettings {
        common: common.clone(),
        docker,
        output_limit: 1 << 20,
        sweep_interval: Duration::from_secs(30),
        reruns: 2,
        remove_exercises_in: Vec::new(),
        images: ImageRetention::default(),
    };
    assert_eq!(completer, expected);
    let expected = NotifierSettings {
        signing: SigningKeys::default(),
        common,
        concurrency: 50,
        rate: None,
        timeout: Duration::from_secs(60),
        ca_file: None,
        egress: Egress {
            own: vec![OwnService { name: "Redis", host: "127.0.0.1".into(), port: 6379 }],
            ..Egress::default()
        },
    };
    assert_eq!(notifier, expected);
    let log =
        LogSettings { level: LogLevel::Info, destination: LogDestination::StandardOutput, format: None };
    assert_eq!(all.log, log);
}

#[test]
fn the_original_profile_lifts_every_limit_and_brings_the_originals_rates() {
    let all = configured("all", &[("CONTAINER_PROFILE", "original")], "");
    assert!(!all.hardened);
    let starter = all.starter.unwrap();
    assert_eq!(profile(&starter), Profile::unlimited());
    assert_eq!(starter.rate, Some(RateLimit { max: 10, duration: Duration::from_secs(5) }));
    assert_eq!((starter.max_running, starter.min_free_disk, starter.min_free_memory), (Some(0), None, None));
    assert_eq!(all.completer.unwrap().reruns, 0);
    assert_eq!(all.notifier.unwrap().rate, Some(RateLimit { max: 20, duration: Duration::from_secs(1) }));
}

#[test]
fn what_is_set_explicitly_wins_over_the_profile() {
    let environment = [
        ("CONTAINER_PROFILE", "Original"),
        ("CONTAINER_MEMORY", "64m"),
        ("CONTAINER_NETWORK", "none"),
        ("START_RATE_MAX", "0"),
        ("NOTIFY_RATE_MAX", "7"),
    ];
    let all = configured("all", &environment, "");
    let starter = all.starter.unwrap();
    let profile = profile(&starter);
    assert_eq!(profile.memory, Some(64 << 20));
    assert_eq!(profile.network, "none");
    assert_eq!(profile.pids, None);
    assert_eq!(starter.rate, None);
    assert_eq!(all.notifier.unwrap().rate.unwrap().max, 7);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let (flag, environment, file) = ("notifier --redis-port 1", [("REDIS_PORT", "2")], "REDIS_PORT=3");
    assert_eq!(redis(flag, &environment, file).port, 1);
    assert_eq!(redis("notifier", &environment, file).port, 2);
    assert_eq!(redis("notifier", &[], file).port, 3);
    assert_eq!(redis("notifier", &[], "").port, 6379);
}

#[test]
fn an_empty_value_means_not_set_and_hides_those_behind_it() {
    assert_eq!(redis("notifier", &[("REDIS_PORT", "")], "REDIS_PORT=3").port, 6379);
    assert_eq!(redis("notifier --redis-port=", &[("REDIS_PORT", "2")], "").port, 6379);
    assert_eq!(redis("notifier", &[("REDIS_PASSWORD", "")], "").password, None);
}

#[test]
fn passwords_keep_their_spaces_and_dollars_and_other_values_lose_their_spaces() {
    let redis = redis("notifier", &[], "REDIS_PASSWORD=' $a\\n '\nREDIS_HOST=' h '\n");
    assert_eq!(redis.password, Some(Secret::new(" $a\\n ")));
    assert_eq!(redis.host, "h");
}

#[test]
fn the_user_of_redis_counts_only_with_a_password() {
    let with = redis("notifier", &[("REDIS_USER", "u"), ("REDIS_PASSWORD", "p")], "");
    assert_eq!(with.username.as_deref(), Some("u"));
    let without = configured("notifier", &[("REDIS_USER", "u")], "");
    assert_eq!(without.notifier.unwrap().common.redis.username, None);
    assert!(without.warnings[0].contains("user of Redis is ignored"), "{:?}", without.warnings);
}

#[test]
fn the_url_of_redis_wins_over_its_parts() {
    let environment = [
        ("REDIS_URL", "rediss://u:p%40@h:7/2"),
        ("REDIS_HOST", "other"),
        ("REDIS_PASSWORD", "other"),
        ("REDIS_DB", "9"),
    ];
    let all = configured("notifier", &environment, "");
    let redis = all.notifier.unwrap().common.redis;
    let expected = RedisSettings {
        host: "h".into(),
        port: 7,
        username: Some("u".into()),
        password: Some(Secret::new("p@")),
        database: 2,
        tls: true,
        prefix: "bull".into(),
    };
    assert_eq!(redis, expected);
    assert_eq!(all.warnings, ["REDIS_URL is set and wins: REDIS_HOST, REDIS_PASSWORD ignored"]);
    let database = self::redis("notifier", &[("REDIS_URL", "redis://h"), ("REDIS_DB", "9")], "");
    assert_eq!(database.database, 9);
}

#[test]
fn docker_is_found_by_options_then_their_file_then_docker_host() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("options.json");
    std::fs::write(&file, "\u{feff}{\"socketPath\": \"/file\"}\n").unwrap();
    let file = file.to_str().unwrap();
    let mut environment = vec![
        ("DOCKER_OPTIONS", r#"{"socketPath": "/options"}"#),
        ("DOCKER_OPTIONS_FILE", file),
        ("DOCKER_HOST", "unix:///host"),
    ];
    let mut found = Vec::new();
    for _ in 0..4 {
        match configured("completer", &environment, "").completer.unwrap().docker.endpoint {
            Endpoint::Unix(path) => found.push(path.display().to_string()),
            other => panic!("{other:?}"),
        }
        environment.drain(..environment.len().min(1));
    }
    assert_eq!(found, ["/options", "/file", "/host", "/var/run/docker.sock"]);
}

#[test]
fn certificates_that_cannot_be_read_are_named_each_with_its_field() {
    let options = r#"{"host": "h", "port": 1, "ca": "/no/ca", "cert": "/no/cert", "key": "/"}"#;
    let text = refused("completer", &[("DOCKER_OPTIONS", options)], "");
    for part in
        [r#""ca": cannot read /no/ca"#, r#""cert": cannot read /no/cert"#, r#""key": / is a directory"#]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    let environment = [("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", path)];
    let text = refused("completer", &environment, "");
    assert!(text.contains("DOCKER_CERT_PATH") && text.contains("no ca.pem"), "{text}");
}

#[test]
fn the_file_of_registry_logins_and_both_old_names_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("logins.json");
    std::fs::write(&file, r#"{"r": {"username": "u", "password": "old"}}"#).unwrap();
    let file = file.to_str().unwrap();
    for name in ["DOCKER_REGISTRY_CREDENTIALS", "DOCKER_REPOSITORY_CREDENTIALS"] {
        let file_name = format!("{name}_FILE");
        let environment =
            [(name, r#"{"r": {"password": "new"}}"#), (file_name.as_str(), file), ("DOCKER_PULL", "Y")];
        let starter = configured("starter", &environment, "").starter.unwrap();
        assert_eq!(starter.docker.credentials["r"].username, "u", "{name}");
        assert_eq!(starter.docker.credentials["r"].password.reveal(), "new", "{name}");
    }
    let text = refused("starter", &[("DOCKER_REGISTRY_CREDENTIALS_FILE", "/no/such")], "");
    assert!(text.contains("DOCKER_REGISTRY_CREDENTIALS_FILE") && text.contains("/no/such"), "{text}");
}

#[test]
fn the_extra_roots_of_node_are_taken_where_ours_are_not_set() {
    let directory = tempfile::NamedTempFile::new().unwrap();
    let path = directory.path().to_str().unwrap();
    for name in ["CALLBACK_CA_FILE", "NODE_EXTRA_CA_CERTS"] {
        let notifier = configured("notifier", &[(name, path)], "").notifier.unwrap();
        assert_eq!(notifier.ca_file.as_deref(), Some(Path::new(path)), "{name}");
    }
    let text = refused("notifier", &[("NODE_EXTRA_CA_CERTS", "/no/such")], "");
    assert!(text.contains("CALLBACK_CA_FILE") && text.contains("NODE_EXTRA_CA_CERTS"), "{text}");
}

#[test]
fn a_switch_needs_no_value_on_the_command_line() {
    let starter = |arguments| configured(arguments, &[], "").starter.unwrap();
    assert!(starter("starter --docker-pull --redis-host h").docker.pull);
    assert!(!starter("starter --docker-pull no").docker.pull);
    assert!(starter("starter --dont-start-container").dont_start);
}

#[test]
fn capabilities_are_read_with_and_without_their_prefix() {
    let read = |text| profile(&configured("starter", &[("CONTAINER_CAPS", text)], "").starter.unwrap());
    assert_eq!(read("CHOWN, cap_setuid CHOWN").capabilities, ["CHOWN", "SETUID"]);
    assert_eq!(read("none").capabilities, Vec::<String>::new());
    assert!(refused("starter", &[("CONTAINER_CAPS", "CHOWN,ROOT")], "").contains("\"ROOT\" is none"));
}

#[test]
fn the_log_is_set_by_pinos_names_and_node_env() {
    let log = |environment: &[(&str, &str)]| configured("notifier", environment, "").log;
    assert_eq!(log(&[("LOG_LEVEL", "FATAL")]).level, LogLevel::Fatal);
    assert_eq!(log(&[("LOG_LEVEL", "silent")]).level, LogLevel::Silent);
    assert_eq!(log(&[("LOG_FILE", "1")]).destination, LogDestination::StandardOutput);
    assert_eq!(log(&[("LOG_FILE", "2")]).destination, LogDestination::StandardError);
    assert_eq!(log(&[("LOG_FILE", "/l")]).destination, LogDestination::File("/l".into()));
    assert_eq!(log(&[("NODE_ENV", "development")]).format, Some(LogFormat::Pretty));
    assert_eq!(log(&[("NODE_ENV", "production")]).format, None);
    let both = [("NODE_ENV", "development"), ("LOG_FORMAT", "json")];
    assert_eq!(log(&both).format, Some(LogFormat::Json));
}

#[test]
fn settings_that_contradict_each_other_are_warned_of() {
    for (component, environment, part) in [
        ("starter", vec![("START_RATE_DURATION", "1s")], "START_RATE_MAX is 0"),
        ("notifier", vec![("NOTIFY_RATE_DURATION", "1s")], "NOTIFY_RATE_MAX is 0"),
        (
            "starter",
            vec![("DOCKER_REGISTRY_CREDENTIALS", r#"{"r": {"username": "u", "password": "p"}}"#)],
            "DOCKER_PULL is not",
        ),
        ("starter", vec![("START_RETRY_FOR", "1s")], "shorter than DOCKER_TIMEOUT"),
        (
            "starter",
            vec![("START_RETRY_FOR", "9s"), ("DOCKER_PULL", "y")],
            "shorter than DOCKER_PULL_TIMEOUT",
        ),
        ("starter", vec![("DONT_START_CONTAINER", "y")], "wait for you"),
        ("starter", vec![("CONTAINER_NETWORK", "host")], "CONTAINER_NETWORK is host"),
        ("starter", vec![("CONTAINER_CAPS", "ALL")], "CONTAINER_CAPS"),
        ("notifier", vec![("NOTIFY_TIMEOUT", "1h")], "NOTIFY_TIMEOUT is longer"),
        ("completer", vec![("IMAGES_KEEP_FOR", "30d")], "no image is removed"),
        ("completer", vec![("DOCKER_OPTIONS", "{}"), ("DOCKER_HOST", "tcp://h")], "DOCKER_HOST is ignored"),
        ("completer", vec![("DOCKER_OPTIONS", r#"{"x": 1}"#)], r#"DOCKER_OPTIONS: the field "x""#),
        ("completer", vec![("DOCKER_HOST", "tcp://h"), ("DOCKER_CERT_PATH", "/x")], "DOCKER_HOST is plain"),
    ] {
        let warnings = configured(component, &environment, "").warnings;
        assert!(warnings.len() == 1 && warnings[0].contains(part), "{part}: {warnings:?}");
    }
}

#[test]
fn process_names_the_component_where_the_command_line_does_not() {
    let process = |name| [("PROCESS", name)];
    assert_eq!(configured("", &process("starter"), "").component, Component::Starter);
    assert_eq!(configured("--redis-host h", &process("Notifier"), "").component, Component::Notifier);
    assert_eq!(configured("", &[], "PROCESS=all").component, Component::All);
    assert_eq!(configured("completer", &process("starter"), "").component, Component::Completer);
    assert!(refused("", &process("server"), "").contains(r#"PROCESS is "server" (environment"#));
    let text = refused("", &process(""), "");
    assert!(text.contains("Usage:") && text.contains("name a component"), "{text}");
    assert!(matches!(request("--version", &process("starter"), ""), Ok(Request::Show(_))));
}
