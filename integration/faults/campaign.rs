//! A row of the campaign: corrections with a result of their own each, and the proof at the end that every one
//! got just that, and that nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use correction_runner::queue::{JobOptions, NewJob};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::simulated_engine::{Stats, script};
use crate::support::system::{PATIENCE, System};

/// Stands before what must not happen however slow the machine is: `scripts/run_tests` gives a test that says so no
/// second try.
pub const BROKEN_PROMISE: &str = "BROKEN PROMISE";

const QUEUES: [&str; 3] = [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE];

/// What the one result of a correction has to be.
#[derive(Clone, Debug)]
pub enum Expected {
    /// A success with this grade.
    Grade(u64),
    /// A failure with this outcome.
    Outcome(&'static str),
    /// A success with the grade, or a failure with one of the outcomes: the fault decides which.
    Either(u64, &'static [&'static str]),
}

impl Expected {
    fn is_met_by(&self, body: &Value) -> bool {
        let grade = |wanted: u64| body["success"] == true && body["grade"] == wanted;
        let outcome = |wanted: &str| body["success"] == false && body["outcome"] == wanted;
        match self {
            Self::Grade(wanted) => grade(*wanted),
            Self::Outcome(wanted) => outcome(wanted),
            Self::Either(wanted, outcomes) => grade(*wanted) || outcomes.iter().any(|one| outcome(one)),
        }
    }
}

/// A system and what was submitted to it.
pub struct Campaign {
    /// The system.
    pub system: System,
    expected: BTreeMap<String, Expected>,
    /// How often a result may be POSTed (always with the same id and body) where a crash fell between
    /// the receiver's answer and our record of it.
    repeats_allowed: bool,
    /// Whose submission Redis may have lost after it had said that it has it: no result is asked for.
    may_be_lost: BTreeSet<String>,
}

/// What the proof counted.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Results that arrived, each of another correction.
    pub results: usize,
    /// POSTs beyond the first of a result, with the same id and body.
    pub repeats: usize,
    /// Submissions that Redis lost, as it may.
    pub lost: usize,
    /// What the processes said, for a check that fails after it.
    pub logs: String,
}

impl Proof {
    /// Each of so many submissions had one container, which was started once.
    pub fn nothing_ran_twice(&self, stats: &Stats, submitted: usize) {
        let seen = (stats.started, stats.max_starts_of_one);
        let logs = &self.logs;
        assert_eq!(seen, (submitted as u64, 1), "{BROKEN_PROMISE}: {stats:?}; logs:\n{logs}");
    }
}

impl Campaign {
    /// Nothing is submitted yet.
    pub fn of(system: System) -> Self {
        Self { system, expected: BTreeMap::new(), repeats_allowed: false, may_be_lost: BTreeSet::new() }
    }

    /// A notifier may be killed between a receiver's answer and its own note of it: only then may a
    /// result come again, with the same id.
    pub fn allow_repeats(&mut self) {
        self.repeats_allowed = true;
    }

    /// Submits corrections that run for a time and end with a grade of their own each, on whichever
    /// engine.
    pub async fn submit(&mut self, count: usize, run_time: Duration) {
        let receiver = self.system.receiver.url("");
        self.submit_to(|name| format!("{receiver}{name}"), count, run_time).await;
    }

    /// The same with callbacks at another place, which hands on to the receiver what it takes. Gives the
    /// corrections' names.
    pub async fn submit_to(
        &mut self,
        callback: impl Fn(&str) -> String,
        count: usize,
        run_time: Duration,
    ) -> Vec<String> {
        let mut names = Vec::new();
        for _ in 0..count {
            let (name, mut data, expected) = self.next(run_time);
            data["callback"] = json!(callback(&name));
            self.submit_one(&name, &data, expected).await;
            names.push(name);
        }
        names
    }

    /// Submits the same one after another in a task of its own, each tried until Redis says that it has
    /// it: such a submission is never lost by an answer that is lost. The task ends with the last.
    pub fn submit_steadily(&mut self, count: usize, run_time: Duration, every: Duration) -> JoinHandle<()> {
        let mut jobs = Vec::new();
        for _ in 0..count {
            let (name, data, expected) = self.next(run_time);
            self.expected.insert(name.clone(), expected);
            jobs.push(NewJob {
                id: Some(JobId::new(format!("api-{name}"))),
                name: "Correction test".to_owned(),
                data: data.to_string(),
                options: JobOptions::default(),
            });
        }
        let queue = self.system.redis.queue(PENDING_QUEUE);
        tokio::spawn(async move {
            for job in jobs {
                while queue.add(&job).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                tokio::time::sleep(every).await;
            }
        })
    }

    /// Submits the same as the API does, under the queue's own numbers, until Redis fails once. The task
    /// answers what Redis said that it has, and when.
    pub fn submit_until_refused(
        &mut self,
        count: usize,
        run_time: Duration,
        every: Duration,
    ) -> JoinHandle<BTreeMap<String, std::time::Instant>> {
        let mut jobs = Vec::new();
        for _ in 0..count {
            let (name, data, expected) = self.next(run_time);
            self.expected.insert(name.clone(), expected);
            let (data, options) = (data.to_string(), JobOptions::default());
            jobs.push((name, NewJob { id: None, name: "Correction test".to_owned(), data, options }));
        }
        let queue = self.system.redis.queue(PENDING_QUEUE);
        tokio::spawn(async move {
            let mut answered = BTreeMap::new();
            for (name, job) in jobs {
                if queue.add(&job).await.is_err() {
                    break;
                }
                answered.insert(name, std::time::Instant::now());
                tokio::time::sleep(every).await;
            }
            answered
        })
    }

    /// The next correction of [`Campaign::submit`]: its name, its data, what it is to end with.
    fn next(&self, run_time: Duration) -> (String, Value, Expected) {
        let number = self.expected.len() as u64 + 1;
        let verdict = format!(r#"{{"success":true,"grade":{number}}}"#);
        let script = format!("sleep {}; echo '{verdict}'", run_time.as_secs_f64());
        let name = format!("c{number}");
        let mut data = self.system.job(&name, &script);
        data["params"] = json!([
            format!("{}={}", script::RUN_MS, run_time.as_millis()),
            format!("{}={verdict}", script::STDOUT),
        ]);
        (name, data, Expected::Grade(number))
    }

    /// Redis may have lost the submission itself: a result of it is welcome, and not asked for.
    pub fn may_be_lost(&mut self, name: &str) {
        assert!(self.expected.contains_key(name), "{name} was not submitted");
        self.may_be_lost.insert(name.to_owned());
    }

    /// Submits a correction of any kind, whose callback is `system.receiver.url(name)`.
    pub async fn submit_one(&mut self, name: &str, data: &Value, expected: Expected) {
        self.expect_result(name, expected);
        self.system.submit(data).await;
    }

    /// A correction whose callback is `system.receiver.url(name)` is submitted in a way of the row's own.
    pub fn expect_result(&mut self, name: &str, expected: Expected) {
        let before = self.expected.insert(name.to_owned(), expected);
        assert!(before.is_none(), "{name} was submitted before");
    }

    /// What else a correction may end with, since a fault fell on it.
    pub fn expect(&mut self, name: &str, expected: Expected) {
        assert!(self.expected.insert(name.to_owned(), expected).is_some(), "{name} was not submitted");
    }

    /// How many were submitted.
    pub fn submitted(&self) -> usize {
        self.expected.len()
    }

    /// Waits until so many POSTs have come.
    pub async fn until_delivered(&self, count: usize) {
        let come = self.system.receiver.until_count(count, PATIENCE).await;
        assert!(come, "only {} results; logs:\n{}", self.system.receiver.all().len(), self.system.logs());
    }

    /// Waits for the end of everything, and proves the total: exactly one result each, the right one,
    /// and no container, open job, lock, half of a job or process that will not end is left.
    pub async fn prove(mut self) -> Proof {
        self.until_each_is_delivered().await;
        self.until_settled().await;
        self.system.until_clean().await;
        // A container without a record becomes a result first, which has to be delivered too.
        self.until_settled().await;
        self.system.stop_all().await;
        let proof = self.check_results();
        for queue in QUEUES {
            self.check_keys(queue).await;
        }
        proof
    }

    /// The submissions of which no result has come yet, and whose result has to come.
    pub fn outstanding(&self) -> BTreeSet<String> {
        let mut open: BTreeSet<_> = self.expected.keys().cloned().collect();
        for one in self.system.receiver.all() {
            open.remove(one.path.trim_start_matches('/'));
        }
        &open - &self.may_be_lost
    }

    async fn until_each_is_delivered(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = self.outstanding();
            if open.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "no result of {open:?}; logs:\n{}", self.system.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Until no queue holds anything that is still to be done.
    async fn until_settled(&self) {
        for name in QUEUES {
            let queue = self.system.redis.queue(name);
            let settled = async || {
                // While Redis is away, nothing is settled.
                let counts = queue.counts().await.ok()?;
                let open = counts.waiting + counts.prioritized + counts.active + counts.delayed;
                (open == 0).then_some(())
            };
            self.system.until(&format!("{name} has nothing left to do"), settled).await;
        }
    }

    fn check_results(&self) -> Proof {
        let mut seen: BTreeMap<String, (usize, String, String)> = BTreeMap::new();
        for one in self.system.receiver.all() {
            let name = one.path.trim_start_matches('/').to_owned();
            let Some(expected) = self.expected.get(&name) else { panic!("{name} was never submitted") };
            let body = one.json();
            assert!(
                expected.is_met_by(&body),
                "{name}: {body} is not {expected:?}; logs:\n{}",
                self.system.logs()
            );
            let entry = seen.entry(name.clone()).or_insert((0, one.webhook_id.clone(), one.body.clone()));
            entry.0 += 1;
            let logs = || self.system.logs();
            assert!(
                self.repeats_allowed || entry.0 == 1,
                "{BROKEN_PROMISE}: {name} came twice; logs:\n{}",
                logs()
            );
            assert!(
                (&entry.1, &entry.2) == (&one.webhook_id, &one.body),
                "{BROKEN_PROMISE}: {name} came again, otherwise: {entry:?}, {one:?}; logs:\n{}",
                logs()
            );
        }
        let lost: Vec<_> = self
            .expected
            .keys()
            .filter(|name| !seen.contains_key(*name) && !self.may_be_lost.contains(*name))
            .collect();
        assert!(lost.is_empty(), "{BROKEN_PROMISE}: lost: {lost:?}; logs:\n{}", self.system.logs());
        let ids: BTreeSet<_> = seen.values().map(|(_, id, _)| id).collect();
        assert_eq!(ids.len(), seen.len(), "{BROKEN_PROMISE}: two corrections have one id");
        let posts: usize = seen.values().map(|(times, ..)| times).sum();
        Proof {
            results: seen.len(),
            repeats: posts - seen.len(),
            lost: self.expected.len() - seen.len(),
            logs: self.system.logs(),
        }
    }

    /// No lock is left, nothing counts as stalled, and each job that is there is whole and in just one
    /// of the two places of ended jobs.
    async fn check_keys(&self, queue: &str) {
        let start = format!("bull:{queue}:");
        let lines = |text: String| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
        let keys = lines(self.system.ask(&["--scan", "--pattern", &format!("{start}*")]).await);
        let locks: Vec<_> = keys.iter().filter(|key| key.ends_with(":lock")).collect();
        assert!(locks.is_empty(), "{queue}: locks are left: {locks:?}");
        let ended = async |kind: &str| {
            lines(self.system.ask(&["ZRANGE", &format!("{start}{kind}"), "0", "-1"]).await)
        };
        let (completed, failed) = (ended("completed").await, ended("failed").await);
        let both: Vec<_> = completed.intersection(&failed).collect();
        assert!(both.is_empty(), "{queue}: both completed and failed: {both:?}");
        for id in completed.union(&failed) {
            assert!(keys.contains(&format!("{start}{id}")), "{queue}: the ended job {id} has no content");
        }
        let of_the_queue = [
            "meta",
            "id",
            "events",
            "wait",
            "paused",
            "active",
            "completed",
            "failed",
            "delayed",
            "marker",
            "pc",
            "prioritized",
            "priority",
            "stalled",
            "stalled-check",
            "limiter",
            "waiting-children",
            "repeat",
        ];
        for key in &keys {
            let rest = &key[start.len()..];
            let id = rest.split(':').next().unwrap_or_default();
            let known = of_the_queue.contains(&rest) || completed.contains(id) || failed.contains(id);
            assert!(known, "{queue}: {key} is the half of a job; logs:\n{}", self.system.logs());
        }
        for list in ["active", "stalled"] {
            let kind = self.system.ask(&["TYPE", &format!("{start}{list}")]).await;
            let left = match kind.as_str() {
                "list" => self.system.ask(&["LRANGE", &format!("{start}{list}"), "0", "-1"]).await,
                "set" => self.system.ask(&["SMEMBERS", &format!("{start}{list}")]).await,
                _ => String::new(),
            };
            assert!(left.is_empty(), "{queue}: {list} still holds {left}");
        }
    }
}
