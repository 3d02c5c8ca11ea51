//! docker-compose.yml hands on every setting, asks for what it cannot guess, and brings up a system that grades.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use correction_runner::config::{Component, RedisSettings, Secret, settings};
use correction_runner::job::PENDING_QUEUE;
use correction_runner::queue::{JobOptions, NewJob, Redis};
use serde_json::json;

use super::image::Image;
use crate::notifier::receiver::{Answer, Receiver};
use crate::support::docker;
use crate::support::redis::free_port;

/// What the file itself decides, or what means something else inside of a container than outside.
const NOT_HANDED_ON: [&str; 9] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USER",
    "REDIS_URL",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "EXERCISE_FOLDERS",
    "LOG_FILE",
];

/// `docker-compose` with the file, and nothing in its environment but this.
fn compose(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml");
    // A folder without a .env of a developer's.
    let folder = tempfile::tempdir().expect("a folder");
    let mut compose = Command::new("docker-compose");
    compose.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder.path());
    compose
        .envs(environment)
        .args(["--no-ansi", "--project-directory"])
        .arg(folder.path())
        .arg("--file")
        .arg(file);
    compose
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("docker-compose runs; `make test` installs it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The environment of each service, as docker-compose prints it: two spaces, four, six.
fn environments(config: &str) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let mut all: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let (mut service, mut within) = ("", false);
    for line in config.lines() {
        let depth = line.len() - line.trim_start().len();
        let (name, value) = line.trim().split_once(':').unwrap_or_default();
        match depth {
            2 => service = name,
            4 => within = name == "environment",
            6 if within => {
                all.entry(service).or_default().insert(name, value.trim().trim_matches(['\'', '"']));
            }
            _ => {}
        }
    }
    all
}

#[test]
fn each_component_is_handed_every_setting_that_it_knows_and_no_other() {
    let mut set: BTreeMap<String, String> =
        settings().map(|setting| (setting.name.to_owned(), format!("of-{}", setting.name))).collect();
    set.insert("DOCKER_GROUP_ID".to_owned(), "999".to_owned());
    let done = compose(&set, &["--profile", "all", "config"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let config = text(&done.stdout);
    let environments = environments(&config);
    for component in Component::EACH {
        let environment = &environments[component.name()];
        assert_eq!(environment["PROCESS"], component.name());
        for setting in settings().filter(|setting| !NOT_HANDED_ON.contains(&setting.name)) {
            let expected = format!("of-{}", setting.name);
            let found = environment.get(setting.name).copied();
            let wanted = setting.is_of(component).then_some(expected.as_str());
            assert_eq!(found, wanted, "{} of the {}", setting.name, component.name());
        }
        let known =
            |name: &str| settings().any(|setting| setting.name == name || setting.aliases.contains(&name));
        let unknown: Vec<_> = environment.keys().filter(|name| **name != "PROCESS" && !known(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn what_cannot_be_guessed_is_asked_for_by_name() {
    for (set, missing) in [
        (environment(&[("DOCKER_GROUP_ID", "999")]), "REDIS_PASSWORD"),
        (environment(&[("REDIS_PASSWORD", "p")]), "stat -c %g /var/run/docker.sock"),
    ] {
        let done = compose(&set, &["config"]);
        assert!(
            !done.status.success() && text(&done.stderr).contains(missing),
            "{missing}: {}",
            text(&done.stderr)
        );
    }
}

/// Makes an image of Debian's Redis, for there is no registry to take one from.
const REDIS_IMAGE: &str = r#"
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/bin" "$folder/data" "$folder/tmp"
for program in redis-server redis-cli; do
    path=$(command -v "$program")
    cp -L "$path" "$folder/bin/$program"
    ldd "$path" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$folder$(dirname "$library")"
        cp -L "$library" "$folder$library"
    done
done
cp /bin/busybox "$folder/bin/busybox"
for applet in sh grep; do ln -s busybox "$folder/bin/$applet"; done
tar -C "$folder" -c . | docker import --change 'ENV PATH=/bin' --change 'WORKDIR /data' - "$1" >/dev/null
"#;

/// A running system, gone with the test.
struct Up {
    environment: BTreeMap<String, String>,
}

impl Up {
    fn compose(&self, arguments: &[&str]) -> String {
        let done = compose(&self.environment, arguments);
        let (out, errors) = (text(&done.stdout), text(&done.stderr));
        assert!(done.status.success(), "{arguments:?}: {out}{errors}\n{}", self.logs());
        out
    }

    fn logs(&self) -> String {
        text(&compose(&self.environment, &["logs", "--no-color"]).stdout)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = compose(&self.environment, &["down", "--volumes", "--timeout", "20"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn compose_brings_up_a_system_that_grades_and_stops() {
    docker::build_images().await;
    let image = Image::of_release().await;
    let redis_image = format!("correction-runner-test/redis:{:016x}", fastrand::u64(..));
    let made = Command::new("sh").args(["-c", REDIS_IMAGE, "redis", &redis_image]).status();
    assert!(made.expect("sh runs").success());
    let uploads = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(uploads.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let submission = uploads.path().join("submission");
    std::fs::write(&submission, "echo '{\"success\": true, \"grade\": 3}'").expect("a file");
    let (port, password) = (free_port(), "a$b 'c");
    let group =
        text(&Command::new("stat").args(["-c", "%g", "/var/run/docker.sock"]).output().expect("stat").stdout);
    let project = format!("correction-runner-test-{:08x}", fastrand::u32(..));
    let up = Up {
        environment: environment(&[
            ("COMPOSE_PROJECT_NAME", &project),
            ("CORRECTION_RUNNER_IMAGE", &image.name),
            ("REDIS_IMAGE", &redis_image),
            ("REDIS_PUBLISHED_PORT", &port.to_string()),
            ("REDIS_PASSWORD", password),
            ("UPLOAD_DIRECTORY", &uploads.path().display().to_string()),
            ("DOCKER_GROUP_ID", group.trim()),
            ("MIN_FREE_MEMORY", "0"),
        ]),
    };
    let redis = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port,
        username: None,
        password: Some(Secret::new(password.to_owned())),
        database: 0,
        tls: false,
        prefix: "bull".to_owned(),
    };
    let redis = Redis::new(&redis).expect("settings that can be used");
    let mut receiver = Receiver::start_at("0.0.0.0:0", |_, _| Answer::status(200)).await;
    for services in [&["redis", "starter", "completer", "notifier"][..], &["redis", "all"]] {
        let mut arguments = vec!["up", "--detach", "--no-build"];
        arguments.extend(services);
        up.compose(&arguments);
        let data = json!({
            "work_id": "w", "image": docker::GRADER_IMAGE, "file": submission,
            "callback": format!("http://host.docker.internal:{}/", receiver.port),
        });
        let job =
            NewJob { id: None, name: "C".to_owned(), data: data.to_string(), options: JobOptions::default() };
        redis.queue(PENDING_QUEUE).add(&job).await.expect("Redis takes it");
        let asked = tokio::time::timeout(Duration::from_secs(120), receiver.next()).await;
        let asked = asked.unwrap_or_else(|_| panic!("no result came:\n{}", up.logs()));
        assert_eq!(asked.body, r#"{"grade":3,"success":true,"work_id":"w"}"#);
        for service in services {
            let container = up.compose(&["ps", "--quiet", service]);
            let begun = std::time::Instant::now();
            while docker::command(&["inspect", "--format={{.State.Health.Status}}", container.trim()]).await
                != "healthy"
            {
                assert!(
                    begun.elapsed() < Duration::from_secs(120),
                    "{service} is not healthy\n{}",
                    up.logs()
                );
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            if *service != "redis" {
                docker::command(&["stop", "--time=30", container.trim()]).await;
                let code =
                    docker::command(&["inspect", "--format={{.State.ExitCode}}", container.trim()]).await;
                assert_eq!(code, "0", "{service}");
            }
        }
    }
    drop(up);
    docker::command(&["rmi", "--force", &redis_image]).await;
}
