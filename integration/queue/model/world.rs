//! The real queues, the model of them, and what holds between queues.

use std::collections::{BTreeMap, BTreeSet};

use correction_runner::identity::{CorrectionId, InstanceId, JobId};
use correction_runner::job::{Errand, FINISHED_QUEUE};
use correction_runner::labels::Labels;
use correction_runner::queue::{Queue, Redis, Standing, TakenJob};
use deadpool_redis::redis;
use serde_json::{Value, json};

use super::lane::{Job, Lane};
use super::observed::look;
use crate::queue::{NEXT, QUEUE};
use crate::support::node::{Node, Version};
use crate::support::redis::RedisServer;

pub const NAMES: [&str; 3] = [QUEUE, NEXT, FINISHED_QUEUE];
pub const PENDING: usize = 0;
pub const RUNNING: usize = 1;
pub const FINISHED: usize = 2;
const PREFIX: &str = "model";
pub const INSTANCE: &str = "i";

/// A take of a job.
#[derive(Clone, Debug)]
pub struct Hold {
    pub lane: usize,
    pub job: TakenJob,
}

/// Redis, its clients, and the model.
pub struct World<'a> {
    pub redis: Redis,
    pub queues: [Queue; 3],
    pub lanes: [Lane; 3],
    /// Corrections that are remembered as done, with the token that is.
    pub done: BTreeMap<String, String>,
    /// What was taken from pending.
    pub corrections: Vec<Labels>,
    /// How often each correction reached finished.
    pub reached: BTreeMap<String, usize>,
    pub is_settled_in: bool,
    /// The permits of the engine and of a rule that are out.
    pub permits: BTreeSet<String>,
    pub rule: BTreeSet<String>,
    /// Corrections that were cancelled after somebody had taken them.
    pub strays: BTreeSet<String>,
    /// What we hold the lock of.
    pub held: Vec<Hold>,
    /// What we held and do not any more.
    pub stale: Vec<Hold>,
    nodes: &'a [Node; 2],
    pub raw: redis::Connection,
    last_events: [String; 3],
}

impl<'a> World<'a> {
    /// Empty queues; the clients are those of the cases before.
    pub fn empty(server: &RedisServer, redis: &Redis, nodes: &'a [Node; 2]) -> Self {
        let client = redis::Client::open(("127.0.0.1", server.port())).expect("usable settings");
        let mut raw = client.get_connection().expect("a connection");
        redis::cmd("FLUSHALL").exec(&mut raw).expect("flushed");
        Self {
            redis: redis.clone(),
            queues: NAMES.map(|name| redis.queue(name)),
            lanes: Default::default(),
            done: BTreeMap::new(),
            corrections: Vec::new(),
            reached: BTreeMap::new(),
            is_settled_in: false,
            permits: BTreeSet::new(),
            rule: BTreeSet::new(),
            strays: BTreeSet::new(),
            held: Vec::new(),
            stale: Vec::new(),
            nodes,
            raw,
            last_events: std::array::from_fn(|_| "0-0".to_owned()),
        }
    }

    pub fn prefix() -> &'static str {
        PREFIX
    }

    /// Asks Redis about a key of a queue.
    pub fn ask<T: redis::FromRedisValue>(&mut self, lane: usize, words: [&str; 2], rest: &[&str]) -> T {
        let [command, key] = words;
        let mut call = redis::cmd(command);
        call.arg(format!("{PREFIX}:{}:{key}", NAMES[lane])).arg(rest);
        call.query(&mut self.raw).expect("an answer")
    }

    pub fn flush_scripts(&mut self) {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut self.raw).expect("flushed");
    }

    pub async fn node(&self, version: Version, lane: usize, method: &str, more: Value) -> Value {
        let mut request = json!({ "prefix": PREFIX, "queue": NAMES[lane] });
        for (name, value) in more.as_object().expect("an object") {
            request[name] = value.clone();
        }
        self.nodes[usize::from(version == Version::Six)].call(method, request).await
    }

    /// What a job is in the model that was just added; its timestamp is read back.
    pub fn new_job(&mut self, lane: usize, id: &str, priority: u32, lifo: bool) -> Job {
        let timestamp = self.ask(lane, ["HGET", id], &["timestamp"]);
        let mut job = Job { priority, lifo, timestamp, ..Job::default() };
        job.set("data", self.ask::<String>(lane, ["HGET", id], &["data"]));
        job
    }

    /// The result of a correction is in finished, or that of the running job is in running.
    pub fn arrive(&mut self, lane: usize, id: &str, token: Option<&str>) {
        let mut job = self.new_job(lane, id, 0, false);
        if let Some(token) = token {
            job.set("handed-by", token);
        }
        self.lanes[lane].add(id, job, false);
        if lane == FINISHED {
            let times = self.reached.entry(id.to_owned()).or_default();
            *times += 1;
            assert_eq!(*times, 1, "{id} reached finished again");
        }
    }

    /// The correction of a pending job as it was taken.
    pub fn labels_of(job: &TakenJob) -> Labels {
        let instance = InstanceId::new(INSTANCE);
        Labels {
            correction: CorrectionId::derive(&instance, &job.id, job.timestamp, job.generation),
            instance,
            job: job.id.clone(),
            name: job.name.clone(),
            timestamp: job.timestamp,
            generation: job.generation,
            attempt: "t".into(),
            timeout_ms: 0,
            disk: None,
            errand: Errand::default(),
            rerun: None,
            seal: None,
        }
    }

    /// Under which id a held job goes to the next queue.
    pub fn correction_of(hold: &Hold) -> CorrectionId {
        match hold.lane {
            PENDING => Self::labels_of(&hold.job).correction,
            // A container's id, where another's starter made the job.
            _ if hold.job.id.as_str().parse::<u64>().is_ok() => {
                CorrectionId::new(format!("c-{}", hold.job.id))
            }
            _ => CorrectionId::new(hold.job.id.as_str()),
        }
    }

    pub async fn settle_in(&mut self) {
        self.redis.instance(Some(&InstanceId::new(INSTANCE))).await.expect("set");
        self.is_settled_in = true;
    }

    /// Where a correction stands, told from the model alone.
    pub fn standing(&self, labels: &Labels) -> Standing {
        let ended = |lane: usize, id: &str| {
            let lane = &self.lanes[lane];
            lane.completed.contains(id) || (lane.failed.contains(id) && !lane.jobs[id].is_over_stalled())
        };
        let id = labels.correction.as_str();
        if self.done.contains_key(id) {
            return Standing::Done;
        }
        if self.lanes[RUNNING].jobs.contains_key(id) {
            if !ended(RUNNING, id) {
                return Standing::Live;
            }
            if self.lanes[RUNNING].completed.contains(id) {
                return Standing::Done;
            }
        }
        let pending = self.lanes[PENDING].jobs.get(labels.job.as_str()).filter(|job| {
            job.timestamp == labels.timestamp
                && job.number("gen") == labels.generation
                && !ended(PENDING, labels.job.as_str())
        });
        if pending.is_some() { Standing::Live } else { Standing::Orphan }
    }

    /// No lock of this token any more: what is done with it from now on changes nothing.
    pub fn forget(&mut self, id: &JobId, lane: usize) {
        let (gone, held) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|hold| hold.lane == lane && hold.job.id == *id);
        self.held = held;
        self.stale.extend::<Vec<_>>(gone);
    }

    /// Compares all with the model. What Node did tells events of its own kind.
    pub async fn check(&mut self, with_events: bool) {
        for (index, name) in NAMES.into_iter().enumerate() {
            let base = format!("{PREFIX}:{name}:");
            let observed = look(&mut self.raw, &base, &self.last_events[index]);
            observed.compare(name, &self.lanes[index], with_events);
            self.last_events[index].clone_from(&observed.last_event);
            self.lanes[index].events.clear();
        }
        self.check_permits();
        self.check_marks().await;
        let index = self.held.len() % 3;
        let (counts, lane) = (self.queues[index].counts().await.expect("counts"), &self.lanes[index]);
        let counted = [counts.waiting, counts.prioritized, counts.active, counts.delayed];
        let waiting = lane.wait.len() + lane.paused.len();
        let expected =
            [waiting, lane.prioritized.len(), lane.active.len(), lane.due.len() + lane.later.len()];
        assert_eq!(counted, expected.map(|count| count as u64), "{}: counts", NAMES[index]);
        assert_eq!(
            (counts.completed, counts.failed),
            (lane.completed.len() as u64, lane.failed.len() as u64)
        );
    }

    /// What each version's own client counts.
    pub async fn check_counts_of_node(&self) {
        for (index, lane) in self.lanes.iter().enumerate() {
            for version in [Version::Five, Version::Six] {
                let args = ["waiting", "paused", "prioritized", "active", "delayed", "completed", "failed"];
                let request = json!({ "method": "getJobCounts", "args": args });
                let counts = self.node(version, index, "queue", request).await;
                let count = |state: &str| counts[state].as_u64().unwrap_or(0);
                let found = ["prioritized", "active", "delayed", "completed", "failed"].map(count);
                let expected = [
                    lane.prioritized.len(),
                    lane.active.len(),
                    lane.due.len() + lane.later.len(),
                    lane.completed.len(),
                    lane.failed.len(),
                ];
                assert_eq!(found, expected.map(|count| count as u64), "{version:?}: {counts}");
                let line = (lane.wait.len() + lane.paused.len()) as u64;
                assert_eq!(count("waiting") + count("paused"), line, "{version:?}: {counts}");
            }
        }
    }
}
