//! Commands that cannot answer: text for a person, one JSON document for a program that asked for JSON.

use futures::future::join_all;
use serde_json::{Value, json};

use super::{Said, asked, assert_described};
use crate::support::redis::RedisServer;

/// A port that nobody listens at, and that no server of a test is given.
const NOBODY: &str = "1";

/// That it failed with this code and told both readers why.
fn assert_told(said: &Said, code: i32, kind: &str, culprit: &str) {
    assert_eq!(said.code, Some(code), "{said:?}");
    assert_eq!(said.text.lines().count(), 1, "one document on one line: {said:?}");
    let document = said.json();
    assert_described(&document);
    let message = document["error"]["message"].as_str().expect("a text");
    assert_eq!(document, json!({ "error": { "kind": kind, "message": message, "exit_code": code } }));
    assert!(message.contains(culprit) && !message.starts_with("error"), "{culprit}: {message}");
    assert!(said.errors.starts_with("error: ") && said.errors.contains(culprit), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_tells_a_program_that_redis_or_docker_is_not_there() {
    let alive = RedisServer::shared().port().to_string();
    let alive = [("REDIS_PORT", alive.as_str()), ("DOCKER_HOST", "unix:///no/such/socket")];
    let dead = [("REDIS_PORT", NOBODY)];
    let cases = [
        (&["status", "--json"][..], "Redis"),
        (&["submit", "g", "/f", "--json"], "Redis"),
        (&["cancel", "x", "--json"], "Redis"),
        (&["queues", "list", "--json"], "Redis"),
        (&["queues", "retry-failed", "pending", "--json"], "Redis"),
        (&["containers", "list", "--json"], "Redis"),
        (&["logs", "x", "--json"], "Redis"),
        (&["deliveries", "list", "--json"], "Redis"),
        (&["deliveries", "show", "x", "--json"], "Redis"),
        (&["containers", "list", "--json"], "Docker"),
        (&["logs", "x", "--json"], "Docker"),
        (&["try", "g", "/dev/null", "--json"], "Docker"),
    ];
    let runs = cases.map(|(arguments, away)| {
        let settings = if away == "Redis" { &dead[..] } else { &alive };
        async move { (asked(arguments, settings).await, away) }
    });
    for (said, away) in join_all(runs).await {
        assert_told(&said, 69, "unreachable", away);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_told_to_a_program_too() {
    let port = ("REDIS_PORT", NOBODY);
    let cases = [
        (&["status", "--json"][..], ("REDIS_DB", "many"), "REDIS_DB is \"many\""),
        (&["submit", "g", "/f", "--json"], ("NOTIFY_ATTEMPTS", "0"), "NOTIFY_ATTEMPTS is \"0\""),
        (&["containers", "list", "--json"], ("DOCKER_HOST", "fd://3"), "DOCKER_HOST"),
        (&["policy", "check", "--json"], ("POLICY_FILE", "/no/such/policy"), "/no/such/policy"),
        (&["try", "g", "/f", "--json"], ("CONTAINER_PIDS", "-1"), "CONTAINER_PIDS"),
        // The command line itself, be --json before or after what is wrong with it.
        (&["status", "--json", "--redis-hots", "h"], port, "--redis-hots"),
        (&["doctor", "--nonsense", "--json"], port, "--nonsense"),
        // What was asked for, found out by the command.
        (&["submit", "g", "/f", "--no-wait", "--json"], port, "--no-wait needs --callback"),
        (&["submit", "g", "/f", "--param", "X", "--json"], port, "KEY=VALUE"),
    ];
    let runs = cases
        .map(|(arguments, setting, culprit)| async move { (asked(arguments, &[setting]).await, culprit) });
    for (said, culprit) in join_all(runs).await {
        assert_told(&said, 64, "settings", culprit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_did_not_ask_for_json_gets_none() {
    for (arguments, code) in [
        (&["status"][..], 69),
        (&["status", "--nonsense"], 64),
        // It is a value here, and no flag.
        (&["logs", "--", "--json"], 69),
    ] {
        let said = asked(arguments, &[("REDIS_PORT", NOBODY)]).await;
        assert_eq!((said.code, said.text.as_str()), (Some(code), ""), "{arguments:?}: {said:?}");
        assert!(said.errors.starts_with("error: "), "{said:?}");
        assert!(serde_json::from_str::<Value>(&said.errors).is_err(), "{said:?}");
    }
}
