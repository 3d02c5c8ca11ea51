//! What a system's engine, Redis and receiver recorded → the history that the checker reads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use deadpool_redis::redis::{self, Connection, FromRedisValue};
use serde_json::Value;

use super::checker::{Crash, Fact, History, Wanted};
use super::work::AGAIN;
use crate::notifier::receiver::{Answer, Receiver};
use crate::support::simulated_engine::SimulatedEngine;

/// The label that tells which run a container is of.
const CORRECTION: &str = "org.correctomatic.correction";
/// More events than any campaign has.
const EVENTS_KEPT: u32 = 10_000_000;

/// Microseconds of Unix time.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// A process that died, and its successor.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// Which component it was: `starter`, `completer`, `notifier`, or `all`.
    pub component: &'static str,
    /// When its death was seen, in microseconds of Unix time.
    pub at: i64,
}

/// A successful delivery as its receiver saw it.
struct Delivery {
    at: i64,
    name: String,
    id: String,
    body: String,
}

/// A receiver that answers with success, but for the first POST of each correction whose name begins
/// with [`AGAIN`], and remembers when what came.
pub struct Deliveries {
    receiver: Receiver,
    seen: Arc<Mutex<Vec<Delivery>>>,
    names: Arc<Mutex<BTreeSet<String>>>,
}

impl Deliveries {
    /// Starts the receiver.
    pub async fn start() -> Self {
        let seen: Arc<Mutex<Vec<Delivery>>> = Arc::default();
        let refused: Mutex<BTreeSet<String>> = Mutex::default();
        let names: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (deliveries, delivered) = (Arc::clone(&seen), Arc::clone(&names));
        let receiver = Receiver::start(move |asked, _| {
            let name = asked.path.trim_start_matches('/').to_owned();
            let mut refused = refused.lock().expect("not poisoned");
            if name.starts_with(AGAIN) && refused.insert(name.clone()) {
                return Answer::status(500);
            }
            delivered.lock().expect("not poisoned").insert(name.clone());
            let (id, body) = (asked.header("webhook-id").to_owned(), asked.body.clone());
            deliveries.lock().expect("not poisoned").push(Delivery { at: now(), name, id, body });
            Answer::status(200)
        });
        Self { receiver: receiver.await, seen, names }
    }

    /// Where the result of a correction is to be sent.
    pub fn url(&self, name: &str) -> String {
        self.receiver.url(&format!("/{name}"))
    }

    /// How many corrections have their result.
    pub fn corrections(&self) -> usize {
        self.names.lock().expect("not poisoned").len()
    }
}

/// Something that a queue's event stream told.
#[derive(Clone, Debug)]
pub struct QueueEvent {
    /// Microseconds of Unix time.
    pub at: i64,
    /// `added`, `active`, `completed`, …
    pub what: String,
    /// The job.
    pub job: String,
}

/// The keys of one system, as any client of Redis sees them.
pub struct Keys(Connection);

impl Keys {
    /// Connects, and has all events of all queues kept.
    pub fn prepare(port: u16) -> Self {
        let client = redis::Client::open(("127.0.0.1", port)).expect("usable settings");
        let mut keys = Self(client.get_connection().expect("Redis answers"));
        for queue in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
            let meta = format!("bull:{queue}:meta");
            keys.ask::<u32>(redis::cmd("HSET").arg(meta).arg("opts.maxLenEvents").arg(EVENTS_KEPT));
        }
        keys
    }

    fn ask<T: FromRedisValue>(&mut self, command: &redis::Cmd) -> T {
        command.query(&mut self.0).expect("Redis answers")
    }

    /// All events of a queue. Proves that none was trimmed.
    pub fn events(&mut self, queue: &str) -> Vec<QueueEvent> {
        let stream = format!("bull:{queue}:events");
        if !self.ask::<bool>(redis::cmd("EXISTS").arg(&stream)) {
            return Vec::new();
        }
        let about: HashMap<String, redis::Value> = self.ask(redis::cmd("XINFO").arg("STREAM").arg(&stream));
        let entries: Vec<(String, HashMap<String, String>)> =
            self.ask(redis::cmd("XRANGE").arg(&stream).arg("-").arg("+"));
        let ever: usize = redis::from_redis_value(about["entries-added"].clone()).expect("a number");
        assert_eq!(ever, entries.len(), "{queue}: events were trimmed");
        let event = |(id, mut fields): (String, HashMap<String, String>)| {
            let at: i64 = id.split('-').next()?.parse().ok()?;
            Some(QueueEvent { at: at * 1000, what: fields.remove("event")?, job: fields.remove("jobId")? })
        };
        entries.into_iter().filter_map(event).collect()
    }

    /// Which correction a finished job is about.
    fn work_ids(&mut self, jobs: impl Iterator<Item = String>) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for job in jobs {
            let key = format!("bull:{FINISHED_QUEUE}:{job}");
            let data: Option<String> = self.ask(redis::cmd("HGET").arg(key).arg("data"));
            let data: Value = data.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or_default();
            let name = data["work_id"].as_str().map_or_else(|| format!("? {job}"), ToOwned::to_owned);
            found.insert(job, name);
        }
        found
    }
}

/// Puts together what all of them recorded.
pub fn history(
    submitted: &[(i64, String, Wanted)],
    failed: &[(i64, String)],
    engine: &SimulatedEngine,
    keys: &mut Keys,
    deliveries: &Deliveries,
    kills: &[Kill],
) -> History {
    let mut facts: Vec<(i64, String, Fact)> =
        submitted.iter().map(|(at, name, wanted)| (*at, name.clone(), Fact::Submitted(*wanted))).collect();
    for one in engine.history() {
        let id = one.container.id.clone();
        let at = i64::try_from(one.time / 1000).unwrap_or_default();
        let fact = match one.action {
            "create" => Fact::Created(id.clone()),
            "start" => Fact::Started(id.clone()),
            "die" => Fact::Died(id.clone()),
            "destroy" => Fact::Removed(id.clone()),
            _ => continue,
        };
        let label = one.container.labels.get("org.correctomatic.work_id");
        let name = label.map_or("? without a label", |label| label.trim_matches('"'));
        if let (Fact::Created(container), Some(run)) = (&fact, one.container.labels.get(CORRECTION)) {
            let (container, run) = (container.clone(), run.clone());
            facts.push((at, name.to_owned(), Fact::OfRun { container, run }));
        }
        let failure = failed.iter().find(|(_, container)| *container == id && one.action == "die");
        facts.extend(failure.map(|(at, container)| (*at, name.to_owned(), Fact::Failed(container.clone()))));
        facts.push((at, name.to_owned(), fact));
    }
    let events = keys.events(FINISHED_QUEUE);
    let names = keys.work_ids(events.iter().map(|event| event.job.clone()));
    for event in events {
        let fact = match event.what.as_str() {
            "added" => Fact::HandedOver(event.job.clone()),
            "completed" => Fact::Settled,
            _ => continue,
        };
        facts.push((event.at, names[&event.job].clone(), fact));
    }
    for one in deliveries.seen.lock().expect("not poisoned").iter() {
        let fact = Fact::Delivered { id: one.id.clone(), body: one.body.clone() };
        facts.push((one.at, one.name.clone(), fact));
    }
    let delivers = |kill: &&Kill| matches!(kill.component, "notifier" | "all");
    let crashes = kills.iter().filter(delivers).map(|kill| Crash { at: kill.at }).collect();
    History { facts, crashes }
}

/// How long it took after each death until the component ended a job again, and until each job that
/// it held was in another process's hands.
pub fn times(kills: &[Kill], keys: &mut Keys) -> (Vec<Duration>, Vec<Duration>) {
    let (mut resumed, mut recovered) = (Vec::new(), Vec::new());
    for (queue, component) in
        [(PENDING_QUEUE, "starter"), (RUNNING_QUEUE, "completer"), (FINISHED_QUEUE, "notifier")]
    {
        let events = keys.events(queue);
        let deaths: Vec<i64> = kills
            .iter()
            .filter(|kill| [component, "all"].contains(&kill.component))
            .map(|kill| kill.at)
            .collect();
        let mut jobs: HashMap<&str, Vec<&QueueEvent>> = HashMap::new();
        for event in &events {
            jobs.entry(&event.job).or_default().push(event);
        }
        for (number, death) in deaths.iter().enumerate() {
            let since = |at: i64| Duration::from_micros((at - death).unsigned_abs());
            let last_death = number.checked_sub(1).map_or(0, |before| deaths[before]);
            let next_death = deaths.get(number + 1).copied().unwrap_or(i64::MAX);
            let ended = events.iter().find(|event| event.what == "completed" && event.at > *death);
            resumed.extend(ended.filter(|event| event.at < next_death).map(|event| since(event.at)));
            for events in jobs.values() {
                let last = events.iter().rev().find(|event| event.at <= *death);
                // What an earlier death left behind is not this one's.
                let held = last.is_some_and(|event| event.what == "active" && event.at > last_death);
                let again = events.iter().find(|event| event.at > *death && event.what == "active");
                recovered.extend(again.filter(|_| held).map(|event| since(event.at)));
            }
        }
    }
    (resumed, recovered)
}
