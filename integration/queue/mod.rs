//! The queue layer on a real Redis, alone and beside Node's own clients.

mod atomicity;
mod backlog;
mod beside_node;
mod families;
mod fidelity;
mod leases;
mod listing;
mod model;
mod oldest;
mod pausing;
mod permits;
mod reruns;
mod resetting;
mod scale;
mod searching;
mod seen_by_node;
mod standing;
mod stopping;
mod trouble;
mod turns;

use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::queue::{Assignment, JobOptions, Keep, NewJob, Queue, Redis, Worker, WorkerOptions};
use deadpool_redis::redis;

use crate::support::redis::{RedisServer, unique_prefix};

/// Kept for the test to look at.
pub const KEEP: Keep = Keep::Count(100);
pub const QUEUE: &str = "pending_corrections";
pub const NEXT: &str = "running_corrections";

/// A prefix of the test's own on the shared server, and clients for it.
pub struct Place {
    pub prefix: String,
    pub redis: Redis,
    pub queue: Queue,
    pub next: Queue,
    raw: redis::Client,
}

impl Place {
    pub fn new(test: &str) -> Self {
        Self::on(RedisServer::shared(), test)
    }

    pub fn on(server: &RedisServer, test: &str) -> Self {
        let prefix = unique_prefix(test);
        let redis = server.client(&prefix);
        let raw = redis::Client::open(("127.0.0.1", server.port())).expect("usable settings");
        Self { queue: redis.queue(QUEUE), next: redis.queue(NEXT), redis, prefix, raw }
    }

    /// Asks Redis directly; the key's prefix and queue are put in front of the second word.
    pub fn ask<T: redis::FromRedisValue>(&self, command: &str, key: &str, rest: &[&str]) -> T {
        self.ask_of(QUEUE, command, key, rest)
    }

    pub fn ask_of<T: redis::FromRedisValue>(
        &self,
        queue: &str,
        command: &str,
        key: &str,
        rest: &[&str],
    ) -> T {
        let mut connection = self.raw.get_connection().expect("a connection");
        let mut words = redis::cmd(command);
        words.arg(format!("{}:{queue}:{key}", self.prefix)).arg(rest);
        words.query(&mut connection).expect("an answer")
    }

    /// As [`Place::ask`] with words that are not text.
    pub fn ask_bytes(&self, command: &str, key: &str, rest: &[&[u8]]) {
        let mut connection = self.raw.get_connection().expect("a connection");
        let mut words = redis::cmd(command);
        words.arg(format!("{}:{QUEUE}:{key}", self.prefix)).arg(rest);
        words.query::<()>(&mut connection).expect("an answer");
    }

    /// Tells Redis something that is not about a queue's key.
    pub fn tell<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.raw.get_connection().expect("a connection");
        redis::cmd(words[0]).arg(&words[1..]).query(&mut connection).expect("an answer")
    }

    /// Adds a job and answers its id.
    pub async fn add(&self, data: &str) -> JobId {
        self.queue.add(&job(data)).await.expect("added").id().clone()
    }

    pub fn worker(&self) -> Worker {
        worker(&self.queue, 100)
    }

    /// Takes the next job, with a worker that is gone again when this returns: no lock is renewed.
    pub async fn take_one(&self) -> Assignment {
        let mut worker = worker(&self.queue, 1);
        next(&mut worker).await
    }
}

pub fn job(data: &str) -> NewJob {
    NewJob { id: None, name: "Correction 1".into(), data: data.into(), options: JobOptions::default() }
}

pub fn job_with_id(id: &str, data: &str) -> NewJob {
    NewJob { id: Some(JobId::new(id)), ..job(data) }
}

pub fn worker(queue: &Queue, concurrency: usize) -> Worker {
    let name = "ours".to_owned();
    Worker::start(queue.clone(), WorkerOptions { concurrency, batch: 100, rate: None, name })
}

/// The worker's next job, within reason.
pub async fn next(worker: &mut Worker) -> Assignment {
    within(worker.next()).await.expect("a job")
}

/// Fails a test that would wait for ever.
pub async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), what).await.expect("within two minutes")
}
