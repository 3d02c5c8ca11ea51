//! `reset_queues`: what it deletes, what it leaves, and that nobody gives its confirmation by accident.

use std::path::Path;
use std::process::Command;

use super::{call, call_at_terminal, said, script};
use crate::support::redis::RedisServer;

/// A prefix that is a pattern to Redis, so that a script which does not escape it is found out.
const PREFIX: &str = "b?l*[a]";

fn redis(server: &RedisServer, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli")
        .args(["-p", &server.port().to_string(), "--raw"])
        .args(arguments)
        .output()
        .expect("redis-cli runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Fills a server with what is ours and what is not, and gives the keys that must stay.
fn filled(server: &RedisServer) -> Vec<String> {
    for queue in ["pending_corrections", "running_corrections", "finished_corrections"] {
        redis(server, &["RPUSH", &format!("{PREFIX}:{queue}:wait"), "a b", "2"]);
        redis(server, &["HSET", &format!("{PREFIX}:{queue}:a b\n\"c'"), "data", "{}"]);
        redis(server, &["XADD", &format!("{PREFIX}:{queue}:events"), "*", "event", "added"]);
    }
    redis(server, &["SET", &format!("{PREFIX}:correction-runner:instance"), "i1"]);
    redis(server, &["SET", &format!("{PREFIX}:correction-runner:done:x"), "t"]);
    let strangers = [
        "bul:pending_corrections:wait".to_owned(),
        "bxlya:pending_corrections:1".to_owned(),
        format!("{PREFIX}:other_queue:1"),
        format!("{PREFIX}:pending_corrections_of_another:1"),
        format!("x{PREFIX}:running_corrections:1"),
    ];
    for key in &strangers {
        redis(server, &["SET", key, "1"]);
    }
    let mut staying = strangers.to_vec();
    staying.sort();
    staying
}

fn number_of_keys(server: &RedisServer) -> String {
    redis(server, &["DBSIZE"])
}

#[test]
fn reset_queues_deletes_the_three_queues_and_our_keys_and_leaves_all_others() {
    let server = RedisServer::start(&[]);
    let staying = filled(&server);
    // More than one step of a scan.
    let bulk = format!(
        "for i = 1, 5000 do redis.call('SET', '{PREFIX}:running_corrections:' .. i, 'x') end return 'OK'"
    );
    assert_eq!(redis(&server, &["EVAL", &bulk, "0"]), "OK");

    let target = format!("127.0.0.1:{}/0/{PREFIX}", server.port());
    let output = call("reset_queues", server.directory())
        .args(["--yes-delete", &target])
        .env("REDIS_PORT", server.port().to_string())
        .env("QUEUE_PREFIX", PREFIX)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("Deleted 5011 keys"), "{}", said(&output));
    assert!(said(&output).contains("remove_containers --instance i1"), "{}", said(&output));

    let mut left: Vec<String> = redis(&server, &["KEYS", "*"]).lines().map(str::to_owned).collect();
    left.sort();
    assert_eq!(left, staying);
}

#[test]
fn reset_queues_deletes_nothing_without_a_terminal_or_when_another_target_is_named() {
    let server = RedisServer::start(&[]);
    filled(&server);
    let before = number_of_keys(&server);
    let other_prefix = format!("127.0.0.1:{}/0/bull", server.port());
    let cases: [(&[&str], i32, &str); 5] = [
        (&[], 1, "there is no terminal"),
        (&["--yes-delete", &other_prefix], 64, "Nothing was done"),
        (&["--yes-delete", "127.0.0.1:6379/0/b?l*[a]"], 64, "Nothing was done"),
        (&["--yes-delete"], 64, "takes HOST:PORT/DATABASE/PREFIX"),
        (&["--yes"], 64, "unknown argument"),
    ];
    for (arguments, code, text) in cases {
        let output = call("reset_queues", server.directory())
            .args(arguments)
            .env("REDIS_PORT", server.port().to_string())
            .env("QUEUE_PREFIX", PREFIX)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(text), "{arguments:?}: {}", said(&output));
    }
    assert_eq!(number_of_keys(&server), before);
}

#[test]
fn a_person_must_type_the_word_that_is_shown() {
    let server = RedisServer::start(&[]);
    filled(&server);
    let before = number_of_keys(&server);
    let line = script("reset_queues").display().to_string();
    let port = server.port().to_string();
    let settings = [
        ("REDIS_PORT", port.as_str()),
        ("QUEUE_PREFIX", PREFIX),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_URL", ""),
    ];
    for wrong in ["yes", "y", ""] {
        let (said, code) = call_at_terminal(&line, &settings, |_| wrong.to_owned());
        assert!(said.contains("Nothing was done"), "{said}");
        assert_eq!((code, number_of_keys(&server)), (Some(1), before.clone()), "{said}");
    }
    let (said, code) = call_at_terminal(&line, &settings, str::to_owned);
    assert!(said.contains("Deleted 11 keys"), "{said}");
    assert_eq!((code, number_of_keys(&server).as_str()), (Some(0), "5"), "{said}");
}

#[test]
fn scripts_read_the_settings_from_the_environment_and_then_from_the_env_file() {
    let password = "p#$HOME %41'";
    let server = RedisServer::start(&["--requirepass", password]);
    let directory = tempfile::tempdir().expect("a directory");
    let reset = |settings: &[(&str, &str)], target: &str| {
        let output = call("reset_queues", directory.path())
            .args(["--yes-delete", target])
            .envs(settings.iter().copied())
            .output()
            .expect("it runs");
        (output.status.code(), said(&output))
    };
    let write = |text: &str| std::fs::write(directory.path().join(".env"), text).expect("written");
    let target = format!("127.0.0.1:{}/2/school", server.port());

    write(&format!(
        "# Redis\nexport REDIS_PORT = {} # ours\nREDIS_PASSWORD=\"{password}\"\r\nREDIS_DB='2'\nQUEUE_PREFIX=school\n",
        server.port()
    ));
    let (code, text) = reset(&[], &target);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = reset(&[("QUEUE_PREFIX", "other")], &target);
    assert_eq!(code, Some(64), "the environment wins over .env: {text}");
    let (code, text) = reset(&[("REDIS_PASSWORD", "wrong")], &target);
    assert_eq!(code, Some(69), "{text}");
    assert!(!text.contains(password), "a password was printed: {text}");

    write("QUEUE_PREFIX=school");
    let url = format!("redis://:p%23%24HOME%20%2541'@127.0.0.1:{}/2", server.port());
    let (code, text) = reset(&[("REDIS_URL", &url), ("REDIS_PORT", "1")], &target);
    assert_eq!(code, Some(0), "REDIS_URL wins and is decoded: {text}");
    assert_eq!(reset(&[("REDIS_URL", "nonsense")], &target).0, Some(1));
}

#[test]
fn a_redis_that_is_not_there_is_told_with_its_address() {
    let output = call("reset_queues", Path::new("/")).env("REDIS_PORT", "1").output().expect("it runs");
    assert_eq!(output.status.code(), Some(69));
    assert!(said(&output).contains("Redis at 127.0.0.1:1 does not answer"), "{}", said(&output));
}
