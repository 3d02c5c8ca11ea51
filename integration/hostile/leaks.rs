//! Where the verdict's secret must not turn up: Redis, logs, callbacks, the container's environment, a second run.

use std::collections::HashSet;

use correction_runner::docker::{Listed, State};
use serde_json::Value;

use super::{comment, job, says_with_secret, system};
use crate::support::docker;
use crate::support::redis_contents::{Content, contents};
use crate::support::system::{System, calls_back_at};

async fn secret_of(system: &System, name: &str) -> String {
    // One that is not yet started may be removed: the starter makes another where the engine does not allow the first one.
    let runs = |one: &Listed| one.state == State::Running && calls_back_at(one, name);
    let container =
        system.until("its container runs", async || system.containers().await.into_iter().find(runs)).await;
    let format = "{{index .Config.Labels \"org.correctomatic.secret\"}}";
    docker::command(&["inspect", "--format", format, container.id.as_str()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_another_for_each_correction_and_stands_in_no_job_log_or_callback() {
    let system = system(&[("CONTAINER_VERDICT", "secret"), ("LOG_LEVEL", "trace")]).await;
    // One has a verdict, one tells its secret in its verdict, one in an error, one never prints it.
    let trace = "set -x\nsecret=$(cat /run/correctomatic/secret)\necho \"it is $secret\"\n".to_owned();
    let scripts = [
        ("good", says_with_secret("fine")),
        ("told", says_with_secret("$(cat /run/correctomatic/secret)")),
        ("traced", trace + "echo '-----BEGIN CORRECTOMATIC RESPONSE-----'\n"),
        ("silent", "true\n".to_owned()),
    ];
    let (mut secrets, mut jobs) = (HashSet::new(), Vec::new());
    for (name, script) in &scripts {
        jobs.push(job(&system, name, &super::when_looked_at(script)));
        system.submit(&jobs[jobs.len() - 1]).await;
    }
    for (name, _) in &scripts {
        secrets.insert(secret_of(&system, name).await);
    }
    jobs.iter().for_each(super::looked_at);
    assert_eq!(secrets.len(), scripts.len());
    assert_eq!(comment(&system, "good").await, "fine");
    assert_eq!(comment(&system, "told").await, "[secret]");
    let traced = system.result("traced").await.json();
    let text = traced["error"].as_str().expect("a text");
    assert!(traced["outcome"] == "no_verdict" && text.contains("it is [secret]"), "{text}");
    let silent = system.result("silent").await.json();
    assert!(silent["error"].as_str().is_some_and(|text| text.contains("It printed nothing")), "{silent}");
    let bodies: String = system.receiver.all().into_iter().map(|received| received.body).collect();
    let in_redis = contents(&system).await;
    for secret in &secrets {
        assert_eq!(secret.len(), 40, "{secret}");
        let with_secret: Vec<&Content> = in_redis.iter().filter(|one| one.holds(secret)).collect();
        assert!(with_secret.is_empty(), "{with_secret:?}");
        // A part of it would do harm as well.
        for part in [&secret[..8], &secret[32..]] {
            assert!(!bodies.contains(part) && !system.logs().contains(part), "{}", system.logs());
        }
    }
    assert!(in_redis.iter().any(|one| one.holds("Correction completed")), "the search does find");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_not_in_the_environment_and_its_file_is_roots_alone() {
    let read_only = ("CONTAINER_READ_ONLY", "yes");
    for more in [&[][..], &[read_only], &[read_only, ("CONTAINER_TMPFS", "/tmp:8m,/run:1m")]] {
        let settings: Vec<_> =
            [("CONTAINER_VERDICT", "secret")].into_iter().chain(more.iter().copied()).collect();
        let system = system(&settings).await;
        the_file_is_roots_alone(&system).await;
        system.end().await;
    }
}

async fn the_file_is_roots_alone(system: &System) {
    let script = r"
found=$(cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\0' '\n' | grep -c -f /run/correctomatic/secret)
mode=$(ls -ln /run/correctomatic/secret | awk '{print $1, $3, $4, $5}')
others=$(ls -A /run/correctomatic | grep -v '^secret$')
"
    .to_owned()
        + &says_with_secret("$found;$mode;$others");
    system.submit(&job(system, "file", &script)).await;
    assert_eq!(comment(system, "file").await, "0;-r-------- 0 0 40;");
}

/// A container without a secret has none of what comes with it.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_channel_nothing_of_it_is_there() {
    let system = system(&[]).await;
    let script = "found=$(ls /run 2>&1)\n".to_owned() + &super::says("$found");
    let asked = job(&system, "none", &super::when_looked_at(&script));
    system.submit(&asked).await;
    assert_eq!(secret_of(&system, "none").await, "");
    super::looked_at(&asked);
    let found = comment(&system, "none").await;
    assert!(found.contains("No such file"), "{found}");
    system.end().await;
}

/// What stays of a container on its host goes with it: its volume, and the secret in it.
#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_volume_goes_with_its_container() {
    let system = system(&[("CONTAINER_VERDICT", "secret")]).await;
    let asked = job(&system, "volume", &super::when_looked_at(&says_with_secret("mine")));
    system.submit(&asked).await;
    let secret = secret_of(&system, "volume").await;
    let container = system.containers().await.remove(0).id;
    let mounts = docker::command(&["inspect", "--format", "{{json .Mounts}}", container.as_str()]).await;
    let mounts: Vec<Value> = serde_json::from_str(&mounts).expect("JSON");
    let volume = mounts.iter().find(|mount| mount["Type"] == "volume").expect("a volume");
    let name = volume["Name"].as_str().expect("a name").to_owned();
    assert_eq!(volume["Destination"], "/run/correctomatic");
    super::looked_at(&asked);
    assert_eq!(comment(&system, "volume").await, "mine");
    assert!(!name.contains(&secret));
    system.until_clean().await;
    let left = docker::command(&["volume", "ls", "--quiet", "--filter", &format!("name={name}")]).await;
    assert_eq!(left, "");
    system.end().await;
}
