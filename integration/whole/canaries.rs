//! Nothing secret is in any log, error text, note in Redis or callback, however talkative the log and whatever fails.

use std::process::{Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::support::redis::free_port;
use crate::support::redis_contents::contents;
use crate::support::system::System;

const CANARY: &str = "Canary7Yellow";

/// The canary as it may turn up: plain, in Base64 at each of the three places where it may begin, in hex.
fn forms() -> Vec<String> {
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    let mut forms = vec![CANARY.to_owned(), CANARY.to_lowercase()];
    for shift in 0..3 {
        let bytes = [&vec![b'-'; shift][..], CANARY.as_bytes()].concat();
        let text = encode(&bytes);
        // What stands at both ends depends on what stands around it.
        forms.push(text[4..text.len() - 4].to_owned());
    }
    let digit = |value: u8| char::from_digit(value.into(), 16).expect("four bits");
    forms.push(CANARY.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect());
    forms
}

fn assert_none(what: &str, text: &str) {
    for form in forms() {
        let at = text.find(&form).map(|at| &text[at.saturating_sub(300)..(at + 100).min(text.len())]);
        assert!(at.is_none(), "{what} holds {form}: …{}…", at.unwrap_or_default());
    }
}

/// What a start of the binary prints and logs, which ends by itself.
fn printed(component: &str, settings: &[(&str, String)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let output = Command::new(env!("CARGO_BIN_EXE_correction-runner"))
        .args([component, "--connect-wait", "1500ms", "--log-level", "trace"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LOG_FILE", &log)
        .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let code = output.status.code();
    assert!(matches!(code, Some(64 | 69)), "{settings:?} ended with {code:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout)
        + &log;
    assert!(text.len() > 20, "{settings:?} said nothing");
    text
}

/// Settings that cannot be used, and services that are not there or refuse us.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_the_settings_is_told_when_they_are_wrong_or_a_service_is_not_there() {
    let system = System::prepare().await;
    let (redis, nowhere) = (system.server.port(), free_port());
    let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----\n");
    let far = |port: u16, options: Value| {
        json!({"protocol": "ssh", "host": "127.0.0.1", "port": port, "username": "me", "sshOptions": options})
            .to_string()
    };
    let reachable = ("REDIS_PORT", redis.to_string());
    let cases: Vec<(&str, Vec<(&str, String)>)> = vec![
        // Redis refuses the password, is not there, or its URL is none.
        ("notifier", vec![("REDIS_URL", format!("redis://me:{CANARY}@127.0.0.1:{redis}"))]),
        ("notifier", vec![("REDIS_URL", format!("redis://me:{CANARY}@127.0.0.1:{nowhere}"))]),
        ("notifier", vec![("REDIS_URL", format!("rediss://me:{CANARY}@127.0.0.1:{redis}"))]),
        ("notifier", vec![("REDIS_URL", format!("redis://me:{CANARY}@127.0.0.1:{redis}/x/y"))]),
        ("notifier", vec![("REDIS_PASSWORD", CANARY.to_owned()), ("REDIS_PORT", redis.to_string())]),
        ("notifier", vec![("REDIS_PASSWORD", CANARY.to_owned()), ("REDIS_PORT", nowhere.to_string())]),
        // Docker: wrong JSON, wrong types, a password in a URL, a key that is none, a host that is not there.
        ("starter", vec![("DOCKER_OPTIONS", format!("{{\"host\": \"{CANARY}\" x"))]),
        ("starter", vec![("DOCKER_OPTIONS", json!({"host": [CANARY], "password": CANARY}).to_string())]),
        ("starter", vec![("DOCKER_HOST", format!("ssh://me:{CANARY}@far.example"))]),
        (
            "starter",
            vec![("DOCKER_HOST", format!("tcp://me:{CANARY}@127.0.0.1:{nowhere}")), reachable.clone()],
        ),
        ("starter", vec![("DOCKER_OPTIONS", far(nowhere, json!({"privateKey": key}))), reachable.clone()]),
        (
            "completer",
            vec![
                (
                    "DOCKER_OPTIONS",
                    far(nowhere, json!({"privateKey": key, "passphrase": CANARY, "password": CANARY})),
                ),
                reachable.clone(),
            ],
        ),
        (
            "starter",
            vec![("DOCKER_OPTIONS", far(nowhere, json!({"privateKey": key.replace("END", CANARY)})))],
        ),
        // Registries and signing keys.
        ("starter", vec![("DOCKER_REGISTRY_CREDENTIALS", format!("{{\"r\": \"{CANARY}\" x"))]),
        (
            "starter",
            vec![(
                "DOCKER_REGISTRY_CREDENTIALS",
                json!({"r": {"username": "u", "password": [CANARY]}}).to_string(),
            )],
        ),
        ("starter", vec![("DOCKER_REGISTRY_CREDENTIALS", json!({"r": CANARY}).to_string())]),
        ("notifier", vec![("NOTIFY_SIGNING_KEYS", format!("whsec_{CANARY}!"))]),
        ("notifier", vec![("NOTIFY_SIGNING_KEYS", format!("{CANARY} whsk_{CANARY}"))]),
    ];
    let runs = cases.into_iter().map(|(component, settings)| {
        tokio::task::spawn_blocking(move || {
            (printed(component, &settings), format!("{component} with {:?}", settings[0].0))
        })
    });
    for run in futures::future::join_all(runs).await {
        let (text, what) = run.expect("it ran");
        assert_none(&what, &text);
    }
}

/// Corrections that end well, and that fail in each stage, with secrets in all that their callers may send.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_running_system_or_of_a_job_is_told_anywhere() {
    let mut system = System::prepare().await;
    let (port, nowhere) = (system.server.port(), free_port());
    let secret = base64::engine::general_purpose::STANDARD.encode([CANARY.as_bytes(), &[7; 20]].concat());
    let registry = format!("127.0.0.1:{nowhere}");
    system.set(&[
        // Without a password of its own Redis takes any.
        ("REDIS_URL", &format!("redis://default:{CANARY}@127.0.0.1:{port}")),
        ("LOG_LEVEL", "trace"),
        ("NOTIFY_SIGNING_KEYS", &format!("whsec_{secret}")),
        ("NOTIFY_ATTEMPTS", "2"),
        ("NOTIFY_BACKOFF", "50ms"),
        ("DOCKER_PULL", "yes"),
        ("START_RETRY_FOR", "1s"),
        (
            "DOCKER_REGISTRY_CREDENTIALS",
            &json!({&registry: {"username": "u", "password": CANARY}}).to_string(),
        ),
    ]);
    system.spawn("all");
    let with_secrets = |name: &str, script: &str| {
        let mut job = system.job(name, script);
        let url = system.receiver.url(name).replace("http://", &format!("http://me:{CANARY}@"));
        job["callback"] = json!(format!("{url}?token={CANARY}"));
        job["params"] = json!([format!("TOKEN={CANARY}")]);
        job
    };
    let ok = r#"echo '{"success": true}'"#;
    let mut jobs = vec![with_secrets("good", ok), with_secrets("silent", "exit 3")];
    let mut add = |name: &str, field: &str, value: Value| {
        let mut job = with_secrets(name, ok);
        job[field] = value;
        jobs.push(job);
    };
    add("no-image", "image", json!(format!("{registry}/none:1")));
    add("params-no-list", "params", json!(format!("TOKEN={CANARY}")));
    add("params-no-pairs", "params", json!([format!("={CANARY}")]));
    add("params-with-nul", "params", json!([format!("TOKEN={CANARY}\0")]));
    add("file", "file", json!("not/absolute"));
    add("nobody", "callback", json!(format!("http://me:{CANARY}@{registry}/x?token={CANARY}#{CANARY}")));
    add("no-scheme", "callback", json!(format!("ftp://me:{CANARY}@h/x?token={CANARY}")));
    add("no-url", "callback", json!(format!("me:{CANARY}@h?{CANARY}")));
    for job in &jobs {
        system.submit(job).await;
    }
    for data in
        [format!("\"TOKEN={CANARY}\""), format!("[\"{CANARY}\"]"), format!("{{\"params\": [\"{CANARY}\"], x")]
    {
        system.submit_text(&data).await;
    }
    let wanted = 7;
    assert!(system.receiver.until_count(wanted, crate::support::system::PATIENCE).await, "{}", system.logs());
    let finished = system.redis.queue("finished_corrections");
    let buried = async || (finished.counts().await.ok()?.failed == 6).then_some(());
    system.until("six results that nobody takes", buried).await;
    system.until_clean().await;
    system.stop_all().await;

    assert_none("the log", &system.logs());
    for one in system.receiver.all() {
        assert_none("a callback", &one.body);
    }
    // Of a job's fields only its data may hold what its caller sent.
    let found = contents(&system).await;
    assert!(
        found.iter().any(|one| one.text.contains("result delivered") || one.text.len() > 500),
        "{found:?}"
    );
    for one in found.iter().filter(|one| !one.is_data_of_a_job()) {
        assert_none("a key in Redis", &one.place);
        assert_none(&one.place, &one.text);
    }
    let settings = [("REDIS_URL", format!("redis://default:{CANARY}@127.0.0.1:{port}"))];
    let listed = Command::new(env!("CARGO_BIN_EXE_correction-runner"))
        .args(["deliveries", "list"])
        .envs(settings)
        .output()
        .expect("the binary starts");
    let listed =
        String::from_utf8_lossy(&listed.stdout).into_owned() + &String::from_utf8_lossy(&listed.stderr);
    assert!(listed.contains("nobody"), "{listed}");
    assert_none("the list of dead letters", &listed);
}
