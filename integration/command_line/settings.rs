//! What is wrong with a setting: named with its place, and which of several places counts.

use std::fs;

use super::Runner;

#[test]
fn every_bad_setting_ends_it_with_64_and_is_named() {
    for (component, name, value) in [
        ("notifier", "REDIS_PORT", "http"),
        ("notifier", "REDIS_DB", "-1"),
        ("notifier", "REDIS_URL", "http://h"),
        ("notifier", "REDIS_HOST", "h:1"),
        ("notifier", "QUEUE_PREFIX", "a b"),
        ("notifier", "KEEP_COMPLETED", "many"),
        ("notifier", "KEEP_FAILED", "-1"),
        ("notifier", "INSTANCE_ID", "a:b"),
        ("notifier", "CONNECT_WAIT", "0"),
        ("notifier", "CONCURRENT_NOTIFIERS", "0"),
        ("notifier", "NOTIFY_RATE_MAX", "x"),
        ("notifier", "NOTIFY_RATE_DURATION", "1 week"),
        ("notifier", "NOTIFY_TIMEOUT", "0"),
        ("notifier", "CALLBACK_CA_FILE", "/no/such/file"),
        ("notifier", "CALLBACK_PROXY", "https://proxy.example:3128"),
        ("notifier", "CALLBACK_PROXY", "proxy.example:3128"),
        ("notifier", "CALLBACK_PROXY", "http://proxy.example"),
        ("notifier", "CALLBACK_NO_PROXY", "http://lms.example/"),
        ("notifier", "HTTP_LISTEN", "9464"),
        ("notifier", "HTTP_LISTEN", "localhost:web"),
        ("notifier", "LOG_LEVEL", "loud"),
        ("notifier", "LOG_FORMAT", "xml"),
        ("notifier", "LOG_FILE", "/no/such/directory/log"),
        ("completer", "DOCKER_OPTIONS", "{"),
        ("completer", "DOCKER_OPTIONS_FILE", "/no/such/file"),
        ("completer", "DOCKER_HOST", "fd://3"),
        ("completer", "DOCKER_TIMEOUT", "0"),
        ("completer", "CONTAINER_OUTPUT_LIMIT", "1"),
        ("completer", "SWEEP_INTERVAL", "0"),
        ("completer", "NOTIFY_ATTEMPTS", "0"),
        ("completer", "NOTIFY_BACKOFF", "-1"),
        ("starter", "DOCKER_PULL", "maybe"),
        ("starter", "DOCKER_PULL_TIMEOUT", "soon"),
        ("starter", "DOCKER_REGISTRY_CREDENTIALS", "[]"),
        ("starter", "DOCKER_REGISTRY_CREDENTIALS_FILE", "/no/such/file"),
        ("starter", "DONT_START_CONTAINER", "perhaps"),
        ("starter", "CONCURRENT_STARTERS", "1.5"),
        ("starter", "START_RATE_MAX", "-1"),
        ("starter", "START_RATE_DURATION", "0"),
        ("starter", "START_RETRY_FOR", "long"),
        ("starter", "CONTAINER_PROFILE", "soft"),
        ("starter", "CONTAINER_TIMEOUT", "-1"),
        ("starter", "CONTAINER_MEMORY", "1m"),
        ("starter", "CONTAINER_CPUS", "all"),
        ("starter", "CONTAINER_PIDS", "-1"),
        ("starter", "CONTAINER_NETWORK", "container:x"),
        ("starter", "CONTAINER_RUNTIME", "/bin/sh"),
        ("starter", "CONTAINER_CAPS", "ROOT"),
        ("starter", "CONTAINER_NOFILE", "1"),
        ("starter", "CONTAINER_DISK", "1k"),
        ("starter", "CONTAINER_USER", "a:b:c"),
        ("starter", "CONTAINER_READ_ONLY", "maybe"),
        ("starter", "CONTAINER_TMPFS", "/tmp"),
        ("starter", "EXERCISE_FOLDERS", "uploads"),
        ("starter", "EXERCISE_FOLDERS", "/srv/uploads:/"),
        ("completer", "REMOVE_EXERCISE", "yes"),
        ("starter", "POLICY_FILE", "/no/such/file"),
        ("starter", "MAX_RUNNING", "-3"),
        ("starter", "MIN_FREE_DISK", "much"),
        ("starter", "MIN_FREE_MEMORY", "10%"),
        ("notifier", "NOTIFY_SIGNING_KEYS", "whsec_x"),
        ("notifier", "NOTIFY_SIGNING_KEYS_FILE", "/no/such/file"),
    ] {
        let (code, output, error) = Runner::new(component).env(name, value).output();
        assert_eq!(code, Some(64), "{name}={value}: {output}{error}");
        assert!(error.contains(name), "{name}={value}: {error}");
        assert!(output.is_empty(), "{output}");
    }
}

#[test]
fn all_bad_settings_are_told_at_once_each_with_its_place() {
    let runner = Runner::new("all --redis-db x").env("LOG_LEVEL", "loud").dotenv("\nREDIS_PORT=http\n");
    let (code, _, error) = runner.output();
    assert_eq!(code, Some(64));
    for part in [
        "REDIS_DB is \"x\" (flag --redis-db); allowed: a whole number",
        "LOG_LEVEL is \"loud\" (environment variable LOG_LEVEL); allowed: trace",
        "REDIS_PORT is \"http\" (REDIS_PORT in .env, line 2); allowed: a whole number from 1 to 65535",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_the_file() {
    let value = |flag: &str, environment: &str| {
        let runner = Runner::new(&format!("notifier {flag}")).dotenv("REDIS_DB=in-file");
        let runner = if environment.is_empty() { runner } else { runner.env("REDIS_DB", environment) };
        let (code, _, error) = runner.output();
        assert_eq!(code, Some(64));
        error
    };
    assert!(value("--redis-db=in-flag", "in-environment").contains("in-flag"));
    assert!(value("", "in-environment").contains("in-environment"));
    assert!(value("", "").contains("in-file"));
}

#[test]
fn a_certificate_that_is_none_ends_it_with_64() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    fs::write(&path, "no certificate").expect("a file");
    let options = format!(r#"{{"host": "h", "port": 1, "protocol": "https", "ca": "{}"}}"#, path.display());
    let (code, output, error) = Runner::new("starter").env("DOCKER_OPTIONS", &options).output();
    assert_eq!(code, Some(64), "{output}{error}");
    assert!(error.contains("DOCKER_OPTIONS") && error.contains("ca.pem"), "{error}");
}

#[test]
fn an_engine_over_ssh_without_the_program_ssh_ends_it_with_64_and_what_to_install() {
    for component in ["starter", "completer"] {
        let runner =
            Runner::new(component).env("PATH", "/no/such/folder").env("DOCKER_HOST", "ssh://me@far.example");
        let (code, output, error) = runner.output();
        assert_eq!(code, Some(64), "{output}{error}");
        assert!(error.contains("`ssh`") && error.contains("openssh-client"), "{error}");
    }
}
