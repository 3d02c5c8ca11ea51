//! Our components beside Node's on the simulated engine, and producers of three kinds.

use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::PENDING_QUEUE;
use correction_runner::queue::{JobOptions, NewJob};
use serde_json::{Value, json};

use crate::support::node::{Node, Version};
use crate::support::simulated_engine::{Options, SimulatedEngine, script};
use crate::support::system::System;

const ALWAYS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// A running fleet. Its members are called `<component>-<kind>`, where the kind is `ours`, `bullmq5` or
/// `bullmq6`.
pub struct Fleet {
    pub system: System,
    pub engine: SimulatedEngine,
    pub producers: [Node; 2],
    /// The names of what was submitted; each has a grade of its own, its place here plus one.
    pub submitted: Vec<String>,
}

impl Fleet {
    /// Starts these members. Node's locks last 3 s here instead of 30 unless `own_locks`.
    pub async fn of(members: &[&str], own_locks: bool) -> Self {
        let engine = SimulatedEngine::start(Options::default()).await;
        let mut system = System::prepare_with_redis(&ALWAYS).await;
        system.use_engine(engine.socket());
        let socket = engine.socket().display().to_string();
        system.set(&[("DOCKER_SOCKET", &socket), ("MAX_RUNNING", "0"), ("SWEEP_INTERVAL", "2s")]);
        if !own_locks {
            system.set(&[("LOCK_DURATION", "3000"), ("STALLED_INTERVAL", "2000")]);
        }
        let producers = [Version::Five, Version::Six].map(|version| Node::start(version, &system.server));
        let mut fleet = Self { system, engine, producers, submitted: Vec::new() };
        for member in members {
            fleet.spawn(member);
        }
        fleet
    }

    pub fn spawn(&mut self, member: &str) {
        let (component, kind) = member.split_once('-').expect("component-kind");
        match kind {
            "bullmq5" | "bullmq6" => self.system.spawn_node_as(member, component, kind),
            _ => self.system.spawn_as(member, component),
        }
    }

    /// SIGKILL, and another in its place at once.
    pub async fn kill(&mut self, member: &str) {
        self.system.kill(member).await;
        self.spawn(member);
    }

    /// Has a queue paused, resumed, looked at by a client of a version.
    pub async fn tell(&self, version: Version, queue: &str, method: &str) -> Value {
        let request = json!({ "prefix": "bull", "queue": queue, "method": method });
        self.producer(version).call("queue", request).await
    }

    pub fn producer(&self, version: Version) -> &Node {
        &self.producers[usize::from(version == Version::Six)]
    }

    /// Submits by our producer, 5.12's and 6.x's by turns.
    pub async fn submit(&mut self, count: usize, run_time: Duration) {
        for _ in 0..count {
            let number = self.submitted.len() + 1;
            let name = format!("c{number}");
            let mut data = self.system.job(&name, "");
            data["params"] = json!([
                format!("{}={}", script::RUN_MS, run_time.as_millis()),
                format!(r#"{}={{"success":true,"grade":{number}}}"#, script::STDOUT),
            ]);
            match number % 3 {
                0 => self.submit_ours(&name, &data).await,
                kind => {
                    let request = json!({ "prefix": "bull", "queue": "pending_corrections", "data": data });
                    self.producers[kind - 1].call("add", request).await;
                }
            }
            self.submitted.push(name);
        }
    }

    /// With an id, so that it is added once however often a call breaks off.
    async fn submit_ours(&self, name: &str, data: &Value) {
        let job = NewJob {
            id: Some(JobId::new(name)),
            name: "Correction".to_owned(),
            data: data.to_string(),
            options: JobOptions::default(),
        };
        let queue = self.system.redis.queue(PENDING_QUEUE);
        self.system.until("Redis takes it", async || queue.add(&job).await.ok()).await;
    }

    /// Ends Node's members, whose ends prove nothing.
    pub async fn end_node(&mut self) {
        for name in self.system.running_components() {
            if name.contains("bullmq") {
                self.system.kill(&name).await;
            }
        }
    }
}
