//! The Docker adapter against real engines and a real registry.

mod containers;
mod events;
mod faults;
mod profiles;
mod pulls;
mod ssh;
mod streams;
mod transports;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use correction_runner::config::{DockerSettings, Endpoint, RegistryLogin};
use correction_runner::docker::{ContainerSpec, Engine};
use correction_runner::identity::{ContainerId, InstanceId};
use correction_runner::labels::INSTANCE_LABEL;
use correction_runner::profile::Profile;
use tempfile::TempDir;

use crate::support::docker;

/// Settings for an engine at an endpoint.
fn settings(endpoint: Endpoint) -> DockerSettings {
    DockerSettings {
        endpoint,
        timeout: Duration::from_secs(20),
        pull: true,
        pull_timeout: Duration::from_secs(60),
        credentials: HashMap::new(),
    }
}

/// The engine behind a socket.
fn engine_at(socket: impl Into<PathBuf>) -> Engine {
    Engine::new(&settings(Endpoint::Unix(socket.into()))).expect("settings that can be used")
}

/// The engine behind a socket, with a short time for each call.
fn impatient_engine_at(socket: impl Into<PathBuf>, timeout: Duration) -> Engine {
    let settings = DockerSettings { timeout, ..settings(Endpoint::Unix(socket.into())) };
    Engine::new(&settings).expect("settings that can be used")
}

fn login(username: &str, password: &str) -> RegistryLogin {
    RegistryLogin {
        username: username.to_owned(),
        password: correction_runner::config::Secret::new(password),
    }
}

/// What the hardened profile sets.
fn hardened() -> Profile {
    Profile {
        hardened: true,
        memory: Some(256 << 20),
        cpus: Some(1.0),
        pids: Some(128),
        disk: None,
        network: "none".to_owned(),
        ..Profile::unlimited()
    }
}

/// Containers of one test, removed when it ends.
struct Bench {
    engine: Engine,
    instance: InstanceId,
    folder: TempDir,
    made: std::cell::Cell<u32>,
}

impl Bench {
    /// On the machine's own engine, with the test images made.
    async fn on(engine: Engine) -> Self {
        docker::build_images().await;
        let instance = InstanceId::new(uuid::Uuid::new_v4().simple().to_string());
        let folder = tempfile::tempdir().expect("a folder");
        Self { engine, instance, folder, made: std::cell::Cell::new(0) }
    }

    /// A container that runs a script.
    fn spec(&self, script: &str) -> ContainerSpec {
        let number = self.made.get();
        self.made.set(number + 1);
        let file = self.folder.path().join(format!("submission-{number}"));
        std::fs::write(&file, script).expect("a file can be written");
        ContainerSpec {
            name: format!("correction-{}-{number}", self.instance),
            image: docker::GRADER_IMAGE.to_owned(),
            file: file.display().to_string(),
            params: Vec::new(),
            labels: HashMap::from([(INSTANCE_LABEL.to_owned(), self.instance.to_string())]),
            seal: None,
            profile: hardened(),
        }
    }

    async fn create(&self, script: &str) -> ContainerId {
        self.engine.create(&self.spec(script)).await.expect("it can be made")
    }

    async fn run(&self, script: &str) -> ContainerId {
        let container = self.create(script).await;
        self.engine.start(&container).await.expect("it starts");
        container
    }

    /// Runs a script to its end.
    async fn ran(&self, script: &str) -> ContainerId {
        let container = self.run(script).await;
        docker::command(&["wait", container.as_str()]).await;
        container
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let line = "docker ps -aq --filter \"label=$1\" | xargs -r docker rm -fv";
        let _ = std::process::Command::new("sh")
            .args(["-c", line, "clean", &format!("{INSTANCE_LABEL}={}", self.instance)])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status();
    }
}
