//! `remove_containers`: only what was chosen, and only after a confirmation.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{call, call_at_terminal, said, script};
use crate::support::docker::{GRADER_IMAGE, build_images, command};
use crate::support::redis::RedisServer;

const LABEL: &str = "org.correctomatic.instance";

/// Containers that one test made; what is left of them goes with the test.
#[derive(Default)]
struct Made(Vec<String>);

impl Made {
    async fn container(&mut self, name: &str, instance: Option<&str>, run: bool) {
        let label = instance.map(|instance| format!("--label={LABEL}={instance}"));
        let mut arguments = vec![if run { "run" } else { "create" }, "--name", name, "--network=none"];
        arguments.extend(run.then_some("--detach"));
        arguments.extend(label.as_deref());
        arguments.extend([GRADER_IMAGE, "sleep", "600"]);
        command(&arguments).await;
        self.0.push(name.to_owned());
    }

    /// Those of them that are still there.
    async fn left(&self) -> BTreeSet<String> {
        let all = command(&["ps", "--all", "--format", "{{.Names}}"]).await;
        all.lines().map(str::to_owned).filter(|name| self.0.contains(name)).collect()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force"]).args(&self.0).output();
    }
}

fn unique(start: &str) -> String {
    format!("{start}{}", uuid::Uuid::new_v4())
}

fn names(of: &[&String]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).clone()).collect()
}

#[tokio::test]
async fn remove_containers_removes_those_of_one_instance_and_no_others() {
    build_images().await;
    let (ours, theirs) = (unique("i-"), unique("i-"));
    let mut made = Made::default();
    let (running, created) = (unique("correction-"), unique("correction-"));
    let (neighbour, original, stranger) = (unique("correction-"), unique("correction-"), unique("stranger-"));
    // An instance's name that begins like ours: the engine's filter must not be a prefix.
    let longer = unique("correction-");
    made.container(&running, Some(&ours), true).await;
    made.container(&created, Some(&ours), false).await;
    made.container(&neighbour, Some(&theirs), false).await;
    made.container(&longer, Some(&format!("{ours}2")), false).await;
    made.container(&original, None, false).await;
    made.container(&stranger, None, false).await;

    // The instance is that of the Redis which the settings name.
    let server = RedisServer::start(&[]);
    let known = Command::new("redis-cli")
        .args(["-p", &server.port().to_string(), "SET", "bull:correction-runner:instance", &ours])
        .output()
        .expect("redis-cli runs");
    assert!(known.status.success());
    let port = server.port().to_string();
    let remove = |arguments: &[&str]| {
        let mut call = call("remove_containers", server.directory());
        let output = call.args(arguments).env("REDIS_PORT", &port).output().expect("it runs");
        (output.status.code(), said(&output))
    };

    let (code, text) = remove(&[]);
    assert_eq!(code, Some(1), "without a terminal nothing is removed: {text}");
    assert!(text.contains(&running) && text.contains(&created), "{text}");
    for other in [&neighbour, &longer, &original, &stranger] {
        assert!(!text.contains(other), "{other} was listed: {text}");
    }
    let (code, text) = remove(&["--yes-remove", &theirs]);
    assert_eq!(code, Some(64), "another instance was named: {text}");
    assert_eq!(made.left().await.len(), 6);

    let (code, text) = remove(&["--yes-remove", &ours]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(made.left().await, names(&[&neighbour, &longer, &original, &stranger]));

    let (code, text) = remove(&["--instance", &theirs, "--yes-remove", &theirs]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(made.left().await, names(&[&longer, &original, &stranger]));
}

/// Without a confirmation: with one, the containers of tests beside this one would go too.
#[tokio::test]
async fn what_is_of_all_instances_and_what_is_of_the_original_is_told_apart() {
    build_images().await;
    let mut made = Made::default();
    let (labelled, original) = (unique("correction-"), unique("correction-"));
    let (like, stranger) = (unique("my-correction-"), format!("{}x", unique("correction-")));
    made.container(&labelled, Some(&unique("i-")), false).await;
    made.container(&original, None, false).await;
    made.container(&like, None, false).await;
    made.container(&stranger, None, false).await;
    for (option, listed, others) in [
        ("--all-instances", &labelled, [&original, &like, &stranger]),
        ("--original", &original, [&labelled, &like, &stranger]),
    ] {
        let output = call("remove_containers", Path::new("/")).arg(option).output().expect("it runs");
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("  {listed}  ")), "{option}: {text}");
        for other in others {
            assert!(!text.contains(&format!("  {other}  ")), "{option} lists {other}: {text}");
        }
    }
    assert_eq!(made.left().await.len(), 4);
}

#[tokio::test]
async fn a_person_is_shown_the_containers_and_types_the_word() {
    build_images().await;
    let instance = unique("i-");
    let mut made = Made::default();
    let name = unique("correction-");
    made.container(&name, Some(&instance), false).await;
    let line = format!("{} --instance {instance}", script("remove_containers").display());
    let (text, code) = call_at_terminal(&line, &[], |_| "yes".to_owned());
    assert_eq!((code, made.left().await.len()), (Some(1), 1), "{text}");
    let (text, code) = call_at_terminal(&line, &[], |word| {
        assert_eq!(word.len(), 4);
        word.to_owned()
    });
    assert!(text.contains(&name), "{text}");
    assert_eq!((code, made.left().await.len()), (Some(0), 0), "{text}");
}

#[test]
fn without_a_known_instance_nothing_is_guessed() {
    let server = RedisServer::start(&[]);
    let output = call("remove_containers", server.directory())
        .env("REDIS_PORT", server.port().to_string())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("knows no instance"), "{}", said(&output));
}
