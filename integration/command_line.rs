//! The built binary as a person meets it: help, wrong settings, exit codes, signals, the log.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary in a directory of its own, with nothing in its environment.
struct Runner {
    directory: TempDir,
    command: Command,
}

impl Runner {
    fn new(arguments: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.args(arguments.split_whitespace()).env_clear().current_dir(directory.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { directory, command }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn dotenv(self, text: &str) -> Self {
        fs::write(self.directory.path().join(".env"), text).expect("a file");
        self
    }

    fn output(mut self) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command.output().expect("the binary starts");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout), text(stderr))
    }

    /// Starts it with its log in a file.
    fn start(mut self) -> Running {
        self.command.env("LOG_FILE", "log").stdout(Stdio::null());
        let child = self.command.spawn().expect("the binary starts");
        Running { child, directory: self.directory }
    }
}

/// The binary while it runs.
struct Running {
    child: Child,
    directory: TempDir,
}

impl Running {
    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Looks at the log until it holds a text.
    fn wait_for_log(&mut self, text: &str) {
        let begun = Instant::now();
        while !self.log().contains(text) {
            let over = self.child.try_wait().expect("it is ours").is_some() || begun.elapsed() > PATIENCE;
            assert!(!over, "no {text:?} in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its exit code and what it said on the standard error.
    fn end(&mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut text).expect("text");
        }
        (status.code(), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens at, and that no other test is given.
const DEAD_PORT: &str = "1";

/// A component that waits for a Redis which is not there.
fn waiting() -> Running {
    let mut runner = Runner::new("starter").env("REDIS_PORT", DEAD_PORT).start();
    runner.wait_for_log("waiting for Redis");
    runner
}

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
fn a_command_line_that_makes_no_sense_ends_it_with_64() {
    for (arguments, part) in [
        ("notifer", "'notifier'"),
        ("notifier --redis-hots h", "--redis-host"),
        ("notifier --docker-pull", "--docker-pull"),
        ("notifier --redis-port", "--redis-port"),
        ("notifier --redis-port 1 --redis-port 2", "--redis-port"),
        ("notifier canary", "not shown"),
        ("", "name a component"),
    ] {
        let (code, output, error) = Runner::new(arguments).output();
        assert_eq!(code, Some(64), "{arguments}: {output}{error}");
        assert!(error.contains(part), "{arguments}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn process_stands_in_for_the_command() {
    let (code, _, error) = Runner::new("").env("PROCESS", "server").output();
    assert_eq!(code, Some(64));
    assert!(error.contains("PROCESS is \"server\""), "{error}");
    // The notifier has this flag and the completer has not.
    let (_, _, error) = Runner::new("--notify-timeout x").env("PROCESS", "notifier").output();
    assert!(error.contains("NOTIFY_TIMEOUT is \"x\""), "{error}");
    let (_, _, error) = Runner::new("--notify-timeout x").env("PROCESS", "completer").output();
    assert!(error.contains("unexpected argument '--notify-timeout'"), "{error}");
}

#[test]
fn help_and_version_are_shown_with_0_and_whatever_the_settings() {
    for (arguments, parts) in [
        (
            "--help",
            vec!["starter", "--redis-host", "NOTIFY_TIMEOUT", "Exit codes", "What a container is allowed:"],
        ),
        ("-h", vec!["Runs strangers' submissions", "starter", "completer", "notifier", "all"]),
        ("starter --help", vec!["CONTAINER_MEMORY; default: 1g", "Docker:", "--docker-pull"]),
        ("--version", vec![correction_runner::version::VERSION]),
    ] {
        let (code, output, error) = Runner::new(arguments).env("REDIS_PORT", "canary").output();
        assert_eq!((code, error.as_str()), (Some(0), ""), "{arguments}");
        for part in parts {
            assert!(output.contains(part), "{part} is not in\n{output}");
        }
        assert!(!output.contains("canary"), "{output}");
    }
    let (_, output, _) = Runner::new("notifier --help").output();
    assert!(!output.contains("--docker"), "{output}");
}

const POLICY: &str =
    "[defaults]\nmemory = '64m'\n[[rule]]\nname = 'ours'\nimages = ['school/*']\ntimeout = '9s'\n";

#[test]
fn the_policy_is_checked_with_an_exit_code_for_yes_no_and_faulty() {
    let check = |arguments: &str, policy: &str| {
        let runner = Runner::new(&format!("policy check {arguments}"))
            .dotenv("POLICY_FILE=policy.toml\nCONTAINER_PIDS=7\n");
        fs::write(runner.directory.path().join("policy.toml"), policy).expect("a file");
        runner.output()
    };
    let (code, output, error) = check("school/quiz", POLICY);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    for part in [
        "read as docker.io/school/quiz:latest",
        "the rule ours decides (policy.toml, line 3",
        "memory       64m",
        "timeout      9 s",
        "pids         7",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let (code, output, _) = check("--json other/quiz --container-pids 8", POLICY);
    let told: serde_json::Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!((code, &told["allowed"]), (Some(1), &serde_json::Value::Bool(false)), "{output}");
    let (code, output, error) = check("school/quiz", "[[rule]]\nimages = 'A'\npids = -1\n");
    assert_eq!((code, output.as_str()), (Some(64), ""));
    for part in [
        "POLICY_FILE (POLICY_FILE in .env, line 1): policy.toml, line 2, column 10: images is \"A\"; allowed: ",
        "policy.toml, line 3, column 8: pids is -1; allowed: ",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let (code, output, _) = check("", POLICY);
    assert_eq!(code, Some(0));
    assert!(output.contains("line 3: ours allows school/*"), "{output}");
    let (code, output, _) = Runner::new("policy check any").output();
    assert_eq!(code, Some(0));
    assert!(output.contains("POLICY_FILE is not set: every image may run"), "{output}");
    let (code, _, error) = Runner::new("policy").output();
    assert!(code == Some(64) && error.contains("check"), "{error}");
}

#[test]
fn a_faulty_policy_ends_a_starter_with_64_and_no_other_component() {
    let runner = Runner::new("starter").env("POLICY_FILE", "/no/such/policy");
    let (code, _, error) = runner.output();
    assert_eq!(code, Some(64));
    assert!(error.contains("cannot read /no/such/policy"), "{error}");
    let runner = Runner::new("notifier --connect-wait 100ms").env("REDIS_PORT", DEAD_PORT);
    assert_eq!(runner.env("POLICY_FILE", "/no/such/policy").output().0, Some(69));
}

#[test]
fn being_asked_to_read_again_what_is_not_there_harms_nobody() {
    let mut running = waiting();
    running.signal("-HUP");
    running.wait_for_log("SIGHUP: there is nothing to read again");
    running.signal("-TERM");
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn a_signal_stops_it_with_0_even_while_it_waits_for_redis() {
    for signal in ["-TERM", "-INT"] {
        let mut running = waiting();
        let asked = Instant::now();
        running.signal(signal);
        let (code, error) = running.end();
        assert_eq!((code, error.as_str()), (Some(0), ""), "{}", running.log());
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        assert!(running.log().contains("\"msg\":\"stopped\""), "{}", running.log());
    }
}

#[test]
fn without_redis_it_gives_up_with_69_after_the_time_it_was_given() {
    let runner = Runner::new("starter --connect-wait 300ms").env("REDIS_PORT", DEAD_PORT);
    let (code, error) = runner.start().end();
    assert_eq!(code, Some(69), "{error}");
    assert!(error.contains("Redis is unreachable") && error.contains("CONNECT_WAIT"), "{error}");
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

#[test]
fn the_log_is_json_says_how_containers_run_and_holds_no_secret() {
    let mut running = Runner::new("starter")
        .env("REDIS_PORT", DEAD_PORT)
        .env("REDIS_PASSWORD", "canary")
        .env("LOG_LEVEL", "trace")
        .env("DOCKER_REGISTRY_CREDENTIALS", r#"{"r": {"username": "u", "password": "canary"}}"#)
        .start();
    running.wait_for_log("waiting for Redis");
    running.signal("-TERM");
    running.end();
    let log = running.log();
    assert!(!log.contains("canary"), "{log}");
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        for field in ["time", "level", "msg", "component", "target"] {
            assert!(line[field].is_string(), "{field}: {line}");
        }
        assert_eq!(line["component"], "starter");
    }
    for part in ["CONTAINER_PROFILE=original is the way back", "DOCKER_PULL is not: they are never used"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn the_log_is_for_people_where_node_env_says_so() {
    let (code, output, _) = Runner::new("starter --connect-wait 100ms")
        .env("REDIS_PORT", DEAD_PORT)
        .env("NODE_ENV", "development")
        .output();
    assert_eq!(code, Some(69));
    assert!(output.contains("INFO") && !output.starts_with('{'), "{output}");
    assert!(!Path::new("log").exists());
}
