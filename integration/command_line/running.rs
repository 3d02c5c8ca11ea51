//! A component as a process: signals, what it does without Redis, and its log.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{DEAD_PORT, Runner, Running};

/// A component that waits for a Redis which is not there.
fn waiting() -> Running {
    let mut runner = Runner::new("starter").env("REDIS_PORT", DEAD_PORT).start();
    runner.wait_for_log("waiting for Redis");
    runner
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
