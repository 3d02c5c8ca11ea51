//! What may stand on the command line: components, help, the version, and the check of a policy.

use std::fs;

use super::Runner;

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
