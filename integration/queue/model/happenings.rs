//! What else happens to the queues: producers, people, Node's clients, time, sweeps, a reset.

use std::collections::BTreeSet;

use correction_runner::identity::JobId;
use correction_runner::queue::{Added, Finished, JobOptions, NewJob, Standing};
use proptest::sample::Index;
use serde_json::json;

use super::lane::{For, OVER_STALLED};
use super::operation::{Kind, Operation};
use super::taken::HOUR;
use super::world::{FINISHED, NAMES, PENDING, World};
use crate::queue::job;
use crate::support::node::Version;

/// One of them by chance.
pub fn pick_of<T: Clone>(pick: Index, all: impl IntoIterator<Item = T>) -> Option<T> {
    let all: Vec<_> = all.into_iter().collect();
    (!all.is_empty()).then(|| pick.get(&all).clone())
}

impl World<'_> {
    /// Does it, on the real queues and in the model. Answers whether the model knows all events of it.
    pub async fn happen(&mut self, operation: Operation) -> bool {
        use Operation as Op;
        match operation {
            Op::Add { lane, id, kind, again } => self.add(lane, id, kind, again).await,
            Op::Take { lane, count, limited, woken, lost, most } => {
                self.take(lane, count, limited, woken, lost, most).await;
            }
            Op::Admit { pick, most, again } => self.admit(pick, most, again).await,
            Op::CallBack { count } => {
                let aside = self.aside();
                let called = self.queues[PENDING].call_back(&aside, count).await.expect("an answer");
                assert_eq!(called, self.lanes[PENDING].call_back(For::Image, count), "called back");
            }
            Op::Settle { pick, how, again } if !self.held.is_empty() => {
                self.settle(pick.index(self.held.len()), how, again).await;
            }
            Op::Late { pick, how } if !self.stale.is_empty() => {
                self.settle_late(pick.index(self.stale.len()), how).await;
            }
            Op::Renew { lane } => self.renew(lane).await,
            Op::Expire { pick } => self.expire(pick),
            Op::Recover { lane } => self.recover(lane).await,
            Op::HandBack { lane, count, as_stalled, again } => {
                self.hand_back(lane, count, as_stalled, again).await;
            }
            Op::Log { lane, pick } => self.log(lane, pick).await,
            Op::Stalled { lane, pick, six } => self.stalled(lane, pick, six),
            Op::Revive { lane } => self.revive(lane).await,
            Op::Due { lane, pick } => {
                if let Some(id) = pick_of(pick, self.lanes[lane].later.clone()) {
                    self.make_due(lane, &id);
                }
            }
            Op::Concurrency { lane, most } => {
                match most {
                    Some(most) => {
                        self.ask::<u32>(lane, ["HSET", "meta"], &["concurrency", &most.to_string()])
                    }
                    None => self.ask::<u32>(lane, ["HDEL", "meta"], &["concurrency"]),
                };
                self.lanes[lane].concurrency = most;
                self.lanes[lane].muffled = true;
            }
            Op::LeftOver { lane } => self.leave_over(lane),
            Op::OpenLimiter { lane } => {
                self.ask::<u32>(lane, ["DEL", "limiter"], &[]);
                self.lanes[lane].limiter = 0;
            }
            Op::Wake { lane } => {
                self.queues[lane].wake_others().await.expect("an answer");
                let model = &mut self.lanes[lane];
                model.muffled &= model.is_paused || model.concurrency.is_some();
            }
            Op::BringBack { lane } => self.bring_back(lane).await,
            Op::Standing => {
                let found = self.redis.standing(&self.corrections).await.expect("an answer");
                let expected: Vec<_> = self.corrections.iter().map(|labels| self.standing(labels)).collect();
                assert_eq!(found, expected);
                for (labels, _) in
                    self.corrections.iter().zip(found).filter(|(_, found)| *found == Standing::Done)
                {
                    self.done.entry(labels.correction.to_string()).or_insert_with(|| "seen".to_owned());
                }
            }
            Op::FinishOrphan { pick, again } => self.finish_orphan(pick, again).await,
            Op::Cancel { pick, again, forget } => self.cancel(pick, again, forget).await,
            Op::Mark { pick, again } => self.mark(pick, again).await,
            Op::SettleIn => self.settle_in().await,
            Op::ScriptFlush => self.flush_scripts(),
            Op::Settle { .. } | Op::Late { .. } => {}
            by_another => {
                self.happen_by_another(by_another).await;
                return false;
            }
        }
        true
    }

    /// What a person or Node does.
    async fn happen_by_another(&mut self, operation: Operation) {
        match operation {
            Operation::NodeAdd { lane, version } => {
                let id = self.node(version, lane, "add", json!({ "data": {} })).await;
                let id = id.as_str().expect("an id").to_owned();
                let job = self.new_job(lane, &id, 0, false);
                let model = &mut self.lanes[lane];
                model.jobs.insert(id.clone(), job);
                let five = version == Version::Five && model.is_paused;
                if five { &mut model.paused } else { &mut model.wait }.insert(0, id);
            }
            Operation::Retry { lane, pick, version } => self.retry(lane, pick, version).await,
            Operation::Pause { lane, version } => {
                self.node(version, lane, "queue", json!({ "method": "pause" })).await;
                match version {
                    Version::Five => self.lanes[lane].pause_by_five(),
                    Version::Six => self.lanes[lane].is_paused = true,
                }
            }
            Operation::Resume { lane, version } => {
                self.node(version, lane, "queue", json!({ "method": "resume" })).await;
                match version {
                    Version::Five => self.lanes[lane].resume_by_five(),
                    Version::Six => self.lanes[lane].resume_by_six(),
                }
            }
            Operation::Reset => {
                self.redis.reset().await.expect("reset");
                self.lanes = Default::default();
                self.done.clear();
                self.reached.clear();
                self.permits.clear();
                self.rule.clear();
                self.strays.clear();
                self.is_settled_in = false;
                self.stale.append(&mut self.held);
            }
            other => unreachable!("{other:?}"),
        }
    }

    async fn add(&mut self, lane: usize, id: Option<u8>, kind: Kind, again: bool) {
        let mut options = JobOptions::default();
        match kind {
            Kind::Plain => {}
            Kind::Priority(priority) => options.priority = priority,
            Kind::Delayed => options.delay = HOUR,
            Kind::Lifo => options.lifo = true,
        }
        let new = NewJob {
            id: id.map(|id| JobId::new(format!("j-{id}"))),
            options: options.clone(),
            ..job(r#"{"n":1}"#)
        };
        for time in 0..=u32::from(again && id.is_some()) {
            let added = self.queues[lane].add(&new).await.expect("an answer");
            let id = added.id().as_str().to_owned();
            let known = self.lanes[lane].jobs.contains_key(&id);
            assert_eq!(matches!(added, Added::Duplicate(_)), known, "time {time}");
            if known {
                self.lanes[lane].tell("duplicated", &id);
            } else {
                let job = self.new_job(lane, &id, options.priority, options.lifo);
                self.lanes[lane].add(&id, job, !options.delay.is_zero());
                let marker: Vec<String> = self.ask(lane, ["ZRANGE", "marker"], &["0", "-1"]);
                let is_told = marker.iter().any(|member| member == "1");
                assert!(is_told || options.delay.is_zero(), "nobody is told when {id} is due");
            }
        }
    }

    fn expire(&mut self, pick: Index) {
        if let Some((lane, id)) = pick_of(pick, self.locked()) {
            self.expire_this(lane, &id);
        }
    }

    /// `false` where no lock is left.
    pub fn expire_one(&mut self) -> bool {
        let Some((lane, id)) = self.locked().pop() else { return false };
        self.expire_this(lane, &id);
        true
    }

    fn locked(&self) -> Vec<(usize, String)> {
        let locked = self.lanes.iter().enumerate().flat_map(|(lane, model)| {
            let locked = model.active.iter().filter(|id| model.jobs[*id].lock.is_some());
            locked.map(move |id| (lane, id.clone())).collect::<Vec<_>>()
        });
        locked.collect()
    }

    fn expire_this(&mut self, lane: usize, id: &str) {
        assert_eq!(self.ask::<u32>(lane, ["DEL", &format!("{id}:lock")], &[]), 1);
        self.lanes[lane].job(id).lock = None;
        self.forget(&JobId::new(id), lane);
    }

    pub async fn recover(&mut self, lane: usize) {
        let found = self.queues[lane].recover().await.expect("an answer");
        let expected: Vec<_> = self.lanes[lane].recover().into_iter().map(JobId::new).collect();
        assert_eq!(found, expected, "recovered");
    }

    async fn log(&mut self, lane: usize, pick: Index) {
        let Some(id) = pick_of(pick, self.lanes[lane].jobs.keys().cloned()) else { return };
        let key = format!("{id}:logs");
        let before: u32 = self.ask(lane, ["LLEN", &key], &[]);
        self.queues[lane].log(&JobId::new(id), "a line").await.expect("logged");
        assert_eq!(self.ask::<u32>(lane, ["LLEN", &key], &[]), before + 1);
        // A job that is gone gets no line, and no key.
        self.queues[lane].log(&JobId::new("gone"), "a line").await.expect("answered");
        assert_eq!(self.ask::<u32>(lane, ["EXISTS", "gone:logs"], &[]), 0);
    }

    fn stalled(&mut self, lane: usize, pick: Index, six: bool) {
        let waiting = [&self.lanes[lane].paused[..], &self.lanes[lane].wait[..]].concat();
        let Some(id) = pick_of(pick, waiting) else { return };
        let field = if six { "stc" } else { "stalledCounter" };
        self.ask::<u32>(lane, ["HINCRBY", &id], &[field, "1"]);
        self.lanes[lane].job(&id).count(field);
        if six {
            self.ask::<u32>(lane, ["HSET", &id], &["defa", OVER_STALLED]);
            self.lanes[lane].job(&id).set("defa", OVER_STALLED);
        }
    }

    fn leave_over(&mut self, lane: usize) {
        let model = &mut self.lanes[lane];
        if model.is_paused || model.wait.is_empty() || !model.paused.is_empty() {
            return;
        }
        std::mem::swap(&mut model.wait, &mut model.paused);
        let paused = format!("{}:{}:paused", Self::prefix(), NAMES[lane]);
        self.ask::<String>(lane, ["RENAME", "wait"], &[&paused]);
    }

    async fn revive(&mut self, lane: usize) {
        let found = self.queues[lane].revive_overstalled().await.expect("an answer");
        let model = &mut self.lanes[lane];
        let over_stalled = model.failed.iter().filter(|id| model.jobs[*id].is_over_stalled());
        let expected: BTreeSet<_> = over_stalled.map(|id| JobId::new(id.clone())).collect();
        assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), expected);
        for id in &found {
            let (id, priority) = (id.as_str(), model.job(id.as_str()).priority);
            model.failed.remove(id);
            model.job(id).fields.remove("failedReason");
            model.job(id).fields.remove("defa");
            model.push_first(id, priority);
            model.tell("waiting", id);
        }
    }

    pub fn make_due(&mut self, lane: usize, id: &str) {
        let model = &mut self.lanes[lane];
        model.later.retain(|later| later != id);
        model.due.push(id.to_owned());
        let score = model.due.len().to_string();
        self.ask::<u32>(lane, ["ZADD", "delayed"], &["XX", &score, id]);
    }

    async fn retry(&mut self, lane: usize, pick: Index, version: Version) {
        let ended = self.lanes[lane].completed.union(&self.lanes[lane].failed).cloned();
        let Some(id) = pick_of(pick, ended.collect::<Vec<_>>()) else { return };
        let failed = self.lanes[lane].failed.contains(&id);
        let state = if failed { "failed" } else { "completed" };
        let request = json!({ "id": id, "method": "retry", "args": [state] });
        self.node(version, lane, "jobCall", request).await;
        let model = &mut self.lanes[lane];
        if failed {
            model.failed.remove(&id);
            model.job(&id).fields.remove("failedReason");
        } else {
            model.completed.remove(&id);
        }
        let (lifo, priority) = (model.job(&id).lifo, model.job(&id).priority);
        if version == Version::Six && priority > 0 {
            model.push_last(&id, false);
            return;
        }
        // 6.x keeps to `wait`, 5.12 forgets the priority.
        let five = version == Version::Five && model.is_paused;
        let list = if five { &mut model.paused } else { &mut model.wait };
        list.insert(if lifo { list.len() } else { 0 }, id);
    }

    pub async fn bring_back(&mut self, lane: usize) {
        let found = self.queues[lane].astray().await.expect("an answer");
        let set: BTreeSet<_> = found.iter().map(|id| id.as_str().to_owned()).collect();
        assert_eq!(set, self.lanes[lane].astray, "jobs in no list");
        let back = self.queues[lane].bring_back(&found).await.expect("an answer");
        assert_eq!(back, found);
        assert_eq!(self.queues[lane].bring_back(&found).await.expect("an answer"), []);
        let model = &mut self.lanes[lane];
        model.astray.clear();
        for id in found.iter().map(JobId::as_str) {
            let priority = model.job(id).priority;
            model.push_first(id, priority);
            model.tell("waiting", id);
        }
    }

    async fn finish_orphan(&mut self, pick: Index, again: bool) {
        let Some(labels) = pick_of(pick, self.corrections.clone()) else { return };
        let standing = self.standing(&labels);
        let expected = match standing {
            _ if !self.is_settled_in => Finished::Not(Standing::Live),
            Standing::Orphan => Finished::Added,
            other => Finished::Not(other),
        };
        let result = job("{}");
        assert_eq!(self.redis.finish_orphan(&labels, &result).await.expect("an answer"), expected);
        if expected != Finished::Added {
            return;
        }
        let id = labels.correction.as_str().to_owned();
        if !self.lanes[FINISHED].jobs.contains_key(&id) {
            self.arrive(FINISHED, &id, None);
        }
        self.done.insert(id, "the sweep".to_owned());
        if again {
            let repeated = self.redis.finish_orphan(&labels, &result).await.expect("an answer");
            assert_eq!(repeated, Finished::Not(Standing::Done));
        }
    }
}
