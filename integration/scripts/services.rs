//! Setting up and stopping services, and the example grader's image.

use std::path::Path;
use std::process::Command;

use super::said;
use crate::support::redis::{RedisServer, free_port};

/// A copy of the scripts in a directory of its own, so that what they write is apart from the
/// project's own `.run`.
fn copied() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new("cp")
        .arg("-r")
        .args([root.join("scripts"), root.join("Cargo.toml")])
        .arg(directory.path())
        .status()
        .expect("cp runs");
    assert!(status.success());
    directory
}

fn run(directory: &Path, name: &str, arguments: &[&str], redis_port: u16) -> (Option<i32>, String) {
    let output = Command::new(directory.join("scripts").join(name))
        .args(arguments)
        .env("REDIS_PORT", redis_port.to_string())
        .env_remove("SERVICES_RECORD")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs");
    (output.status.code(), said(&output))
}

fn redis(port: u16, arguments: &[&str]) -> String {
    let output =
        Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn redis_is_started_with_an_append_only_file_and_stopped_again() {
    let directory = copied();
    let port = free_port();
    let (code, text) = run(directory.path(), "set_up_services", &["--for", "run"], port);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Starting Redis"), "{text}");
    assert_eq!(redis(port, &["CONFIG", "GET", "appendonly"]).lines().last(), Some("yes"));
    assert_eq!(redis(port, &["SET", "kept", "over a restart"]), "OK");

    let (code, text) = run(directory.path(), "set_up_services", &["--for", "run"], port);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("it is used as it is"), "what runs is started again: {text}");

    let (code, text) = run(directory.path(), "stop_services", &[], port);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(redis(port, &["PING"]), "", "it was not stopped");

    let (_, text) = run(directory.path(), "set_up_services", &["--for", "run"], port);
    assert_eq!(redis(port, &["GET", "kept"]), "over a restart", "{text}");
    run(directory.path(), "stop_services", &[], port);
}

#[test]
fn what_was_found_running_is_never_stopped() {
    let directory = copied();
    let server = RedisServer::start(&[]);
    let (code, text) = run(directory.path(), "set_up_services", &["--for", "run"], server.port());
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("It has no append-only file"), "{text}");
    // A note of a process whose id was given to another one since.
    let record = directory.path().join(".run/started");
    std::fs::create_dir_all(&record).expect("made");
    std::fs::write(record.join("redis"), format!("{} 1\n", server.process_id())).expect("written");
    let (code, text) = run(directory.path(), "stop_services", &[], server.port());
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(redis(server.port(), &["PING"]), "PONG");
}

#[test]
fn a_port_that_something_else_has_is_told_and_left_alone() {
    let directory = copied();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    // It takes connections and hangs up: no Redis.
    std::thread::spawn(move || while listener.accept().is_ok() {});
    let (code, text) = run(directory.path(), "set_up_services", &["--for", "run"], port);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("something listens at 127.0.0.1:{port}")), "{text}");
}

#[test]
fn the_example_grader_is_made_once_and_marks_the_example_submission() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let image = format!("correction-runner-test/example-{}:1", std::process::id());
    let make =
        || Command::new(root.join("scripts/make_example_grader")).arg(&image).output().expect("it runs");
    let first = make();
    assert!(first.status.success(), "{}", said(&first));
    let second = make();
    assert!(said(&second).contains("is there already"), "{}", said(&second));

    let mark = |submission: &str, param: &str| {
        let output = Command::new("docker")
            .args(["run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--env", param])
            .arg(format!("--volume={submission}:/tmp/exercise:ro"))
            .arg(&image)
            .output()
            .expect("docker runs");
        let text = said(&output);
        let verdict = text
            .split_once("BEGIN CORRECTOMATIC RESPONSE-----\n")
            .and_then(|(_, rest)| rest.split_once("\n-----END"))
            .unwrap_or_else(|| panic!("no verdict: {text}"))
            .0;
        serde_json::from_str::<serde_json::Value>(verdict).expect("a verdict is JSON")
    };
    let submission = root.join("integration/example_grader/submission.txt");
    let verdict = mark(submission.to_str().expect("UTF-8"), "OUT_OF=100");
    assert_eq!(verdict["success"], true);
    assert_eq!(verdict["grade"], 66.67);
    assert_eq!(verdict["comments"][2], "largest_planet: wrong");

    let empty = tempfile::NamedTempFile::new().expect("a file");
    assert_eq!(mark(empty.path().to_str().expect("UTF-8"), "A=b")["success"], false);
    let hostile = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(hostile.path(), "capital_of_france=\", \"grade\": 10, \"x\": \"\ntwo_plus_two=4\r\n")
        .expect("written");
    assert_eq!(mark(hostile.path().to_str().expect("UTF-8"), "A=b")["grade"], 3.33);
    let removed = Command::new("docker").args(["rmi", &image]).output().expect("docker runs");
    assert!(removed.status.success(), "{}", said(&removed));
}
