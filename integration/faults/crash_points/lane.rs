//! One system whose processes die where they are told to, and are started again at once, while
//! corrections of all kinds go through it.

use std::time::{Duration, Instant};

use correction_runner::crash_points::Point;
use correction_runner::identity::JobId;
use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use correction_runner::queue::{JobOptions, NewJob};
use std::os::unix::process::ExitStatusExt;

use super::checker::{Totals, Wanted, check};
use super::recording::{Deliveries, Keys, Kill, history, now, times};
use super::shots::{Chain, Shot};
use super::work::{IMAGE, Kind, TIME_LIMIT};
use crate::faults::campaign::Campaign;
use crate::support::simulated_engine::{Options, Present, SimulatedEngine, Status};
use crate::support::system::System;

const SIGKILL: i32 = 9;
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a process works before it is asked to stop, where its death is to come of that.
const BEFORE_STOP: Duration = Duration::from_millis(1500);
/// How long all deaths of a chain may take to come about, and after them all results.
const CHAIN_PATIENCE: Duration = Duration::from_secs(900);
const RESULTS_PATIENCE: Duration = Duration::from_secs(120);
/// How often the containers are looked at for one that is to be paused, or failed.
const LOOK_AT_CONTAINERS_EVERY: Duration = Duration::from_millis(200);

/// A component's process, and the deaths that its successors have before them.
struct Doomed {
    component: &'static str,
    /// Where it is to die itself.
    next: Option<Shot>,
    chain: Chain,
    since: Instant,
    asked_to_stop: bool,
}

/// What a lane proved and measured.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the checker counted.
    pub totals: Totals,
    /// Where processes died by SIGKILL.
    pub deaths: Vec<(&'static str, Shot)>,
    /// From a death until the component ended a job again.
    pub resumed: Vec<Duration>,
    /// From a death until a job that died with its owner was in another's hands.
    pub recovered: Vec<Duration>,
}

/// A system under test.
pub struct Lane {
    /// The system.
    pub system: System,
    /// Its engine.
    pub engine: SimulatedEngine,
    deliveries: Deliveries,
    keys: Keys,
    submitted: Vec<(i64, String, Wanted)>,
    to_pause: Vec<String>,
    to_fail: Vec<String>,
    /// When which containers were failed.
    failed: Vec<(i64, String)>,
    looked_at: Instant,
    doomed: Vec<Doomed>,
    kills: Vec<Kill>,
    deaths: Vec<(&'static str, Shot)>,
}

impl Lane {
    /// Starts Redis, engine and receiver, and nothing of the runner yet. `verdict` = the channel that verdicts
    /// come through.
    pub async fn prepare(verdict: &str) -> Self {
        let engine = SimulatedEngine::start(options()).await;
        let mut system = System::prepare_on(&engine).await;
        let time_limit = format!("{}s", TIME_LIMIT.as_secs());
        system.set(&[
            ("DOCKER_PULL", "yes"),
            ("CONTAINER_TIMEOUT", &time_limit),
            ("SWEEP_INTERVAL", "2s"),
            // There is no such file: what is noted is looked for and forgotten.
            ("REMOVE_EXERCISE", "yes"),
            ("EXERCISE_FOLDERS", "/srv,/tmp"),
            ("KEEP_COMPLETED", "1000000"),
            ("KEEP_FAILED", "1000000"),
            ("LOG_LEVEL", "info"),
            ("CONTAINER_VERDICT", verdict),
        ]);
        let keys = Keys::prepare(system.server.port());
        Self {
            system,
            engine,
            deliveries: Deliveries::start().await,
            keys,
            submitted: Vec::new(),
            to_pause: Vec::new(),
            to_fail: Vec::new(),
            failed: Vec::new(),
            looked_at: Instant::now(),
            doomed: Vec::new(),
            kills: Vec::new(),
            deaths: Vec::new(),
        }
    }

    /// Starts a component whose processes die as a chain says.
    pub fn doom(&mut self, component: &'static str, mut chain: Chain) {
        let next = chain.pop_front();
        self.spawn(component, next);
        let since = Instant::now();
        self.doomed.push(Doomed { component, next, chain, since, asked_to_stop: false });
    }

    fn spawn(&mut self, component: &str, shot: Option<Shot>) {
        let trap = shot.map(|shot| format!("{}=kill:{}", shot.point.name(), shot.pass));
        self.system.set(&[("CRASH_POINTS", &trap.unwrap_or_default())]);
        self.system.spawn(component);
    }

    /// Submits corrections of all kinds.
    pub async fn submit(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.submitted.len() as u64 + 1;
            self.submit_one(Kind::of(number), Duration::from_millis(100 + fastrand::u64(..700))).await;
        }
    }

    /// Submits a correction of a kind that runs for a time.
    pub async fn submit_one(&mut self, kind: Kind, run_time: Duration) {
        let number = self.submitted.len() as u64 + 1;
        let name = kind.name(number);
        let data = kind.data(number, &self.deliveries.url(&name), run_time, &self.engine);
        self.submitted.push((now(), name.clone(), kind.wanted(number)));
        if kind == Kind::Paused {
            self.to_pause.push(format!("\"{name}\""));
        }
        if kind == Kind::HostFails {
            self.to_fail.push(format!("\"{name}\""));
        }
        let queue = if kind == Kind::Garbage { RUNNING_QUEUE } else { PENDING_QUEUE };
        let queue = self.system.redis.queue(queue);
        let (id, options) = (Some(JobId::new(format!("submitted-{number}"))), JobOptions::default());
        let job = NewJob { id, name: "Correction".into(), data: data.to_string(), options };
        // A machine that is busy enough lets even Redis be late; with an id, adding twice is adding once.
        self.system.until("a correction is submitted", async || queue.add(&job).await.ok()).await;
    }

    /// Submits, so many at a time that no more than `open` have no result yet, until there are at
    /// least `total` and all deaths have come about.
    pub async fn feed(&mut self, total: usize, open: usize) {
        let begun = Instant::now();
        loop {
            self.look().await;
            let waiting = self.doomed.iter().any(|one| one.next.is_some());
            if !waiting && self.submitted.len() >= total {
                return;
            }
            let room = open.saturating_sub(self.submitted.len() - self.deliveries.corrections());
            self.submit(room.min(5)).await;
            let left = || self.doomed.iter().map(|one| (one.component, one.next)).collect::<Vec<_>>();
            assert!(
                begun.elapsed() < CHAIN_PATIENCE,
                "no death yet: {:?}; logs:\n{}",
                left(),
                self.system.logs()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until all deaths have come about.
    pub async fn until_all_died(&mut self) {
        self.feed(0, 0).await;
    }

    /// Sees to the processes that died, and to what else a person does.
    async fn look(&mut self) {
        for index in 0..self.doomed.len() {
            let Doomed { component, next, since, asked_to_stop, .. } = self.doomed[index];
            let Some(shot) = next else { continue };
            if let Some(status) = self.system.ended(component) {
                let killed = status.signal() == Some(SIGKILL);
                // With nothing in its hands, a stop gives nothing back: once more then.
                let once_more = asked_to_stop && status.success();
                assert!(
                    killed || once_more,
                    "{component} ended with {status}; logs:\n{}",
                    self.system.logs()
                );
                let mut successor = next;
                if killed {
                    self.kills.push(Kill { component, at: now() });
                    self.deaths.push((component, shot));
                    successor = self.doomed[index].chain.pop_front();
                }
                self.spawn(component, successor);
                let one = &mut self.doomed[index];
                (one.next, one.since, one.asked_to_stop) = (successor, Instant::now(), false);
            } else if shot.point == Point::WorkerReleased && !asked_to_stop && since.elapsed() > BEFORE_STOP {
                self.doomed[index].asked_to_stop = true;
                self.system.signal(component, "TERM").await;
            }
        }
        let busy = !(self.to_pause.is_empty() && self.to_fail.is_empty());
        if busy && self.looked_at.elapsed() > LOOK_AT_CONTAINERS_EVERY {
            self.looked_at = Instant::now();
            self.befall_containers();
        }
    }

    /// Pauses what is to be paused, and fails what is to be failed, once it runs.
    fn befall_containers(&mut self) {
        for container in self.engine.containers() {
            if container.status != Status::Running {
                continue;
            }
            let name = container.labels.get("org.correctomatic.work_id");
            if let Some(wanted) = self.to_pause.iter().position(|one| Some(one) == name) {
                self.engine.pause(&container.id);
                self.to_pause.swap_remove(wanted);
            }
            if let Some(wanted) = self.to_fail.iter().position(|one| Some(one) == name)
                && self.engine.lose(&container.id)
            {
                self.failed.push((now(), container.id.clone()));
                self.to_fail.swap_remove(wanted);
            }
        }
    }

    /// Waits for the end of everything, and proves the total from what was recorded.
    pub async fn prove(mut self) -> Outcome {
        let begun = Instant::now();
        while self.deliveries.corrections() < self.submitted.len() && begun.elapsed() < RESULTS_PATIENCE {
            self.look().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        for name in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
            let queue = self.system.redis.queue(name);
            let settled = async || {
                let counts = queue.counts().await.ok()?;
                (counts.waiting + counts.active + counts.delayed == 0).then_some(())
            };
            self.system.until(&format!("{name} has nothing left to do"), settled).await;
        }
        self.system.until_clean().await;
        let history = history(
            &self.submitted,
            &self.failed,
            &self.engine,
            &mut self.keys,
            &self.deliveries,
            &self.kills,
        );
        let totals =
            check(&history).unwrap_or_else(|refuted| panic!("{refuted}\nlogs:\n{}", self.system.logs()));
        assert_eq!(totals.corrections, self.submitted.len());
        let stats = self.engine.stats();
        assert!(stats.max_starts_of_one <= 1, "a start was asked for twice");
        assert_eq!(stats.started_without_secret, 0, "a container was started without its secret");
        let (resumed, recovered) = times(&self.kills, &mut self.keys);
        Campaign::of(self.system).prove().await;
        Outcome { totals, deaths: self.deaths, resumed, recovered }
    }
}

/// How the engines of these systems are.
pub fn options() -> Options {
    Options { images: Present::Only(vec![IMAGE.to_owned()]), record_history: true, ..Options::default() }
}
