//! Completer: container ended → result in `finished_corrections`.
//!
//! Two tasks: the engine's event stream is read by [`crate::docker::Watch`], and the loop here acts on it.
//! The loop owns the pure state machine ([`inflight`]), feeds it with what happened and carries out
//! what it answers as tasks of their own, so that it never waits for Redis or Docker itself.

mod cancelling;
mod cause;
mod clearing;
mod collect;
mod conclude;
mod disks;
mod effects;
mod elsewhere;
mod exercises;
mod images;
mod inflight;
mod losses;
mod orphans;
mod pacing;
mod parked;
mod removal;
mod reports;
mod reruns;
mod run_time;
mod scene;
mod sealing;
mod session;
pub mod single;
mod sweep;
mod tally;
mod tries;
mod witness;
mod work;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::concern::Concern;
use crate::config::CompleterSettings;
use crate::crash_points::{Point, pass};
use crate::docker::{Engine, Notice, Watch};
use crate::heartbeat::{self, Gauge, Vital};
use crate::job::{RUNNING_QUEUE, RunningJob};
use crate::queue::{Assignment, CLOSE_WITHIN, Redis, Worker, WorkerOptions};
use crate::rerun::Rerun;
use crate::startup::wait_for;

use self::clearing::Clearing;
use self::collect::Ended;
use self::conclude::Held;
use self::disks::Disks;
use self::inflight::{Action, Inflight, Ticket};
use self::orphans::Orphans;
use self::pacing::{Freshness, SweepTimer};
use self::removal::Removals;
use self::session::Session;
use self::tally::Course;
use self::tries::Tries;
use self::work::{Doing, Work};

/// Its name in the log.
const STAGE: &str = "completer";
/// How many running corrections one completer holds at most.
const HELD_AT_MOST: usize = 20_000;
/// How long effects that are under way may take when we are asked to stop.
const EFFECTS_GRACE: Duration = Duration::from_secs(2);
/// How often locks that were lost are looked for: so often at least the loop goes round.
const LOOK_FOR_LOST: Duration = Duration::from_secs(1);

/// Runs the completer until it is asked to stop, and then hands back what is in flight.
///
/// # Errors
/// Redis or Docker cannot be reached in the time that the settings give, or a setting is unusable.
pub async fn run(settings: CompleterSettings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let redis = Redis::new(&settings.common.redis).context("Redis cannot be used")?;
    let engine = Engine::new(&settings.docker).context("Docker cannot be used")?;
    let patience = settings.common.connect_wait;
    wait_for("Redis", patience, &shutdown, || redis.ready()).await?;
    let about = wait_for("Docker", patience, &shutdown, || engine.about()).await?;
    let instance =
        wait_for("Redis", patience, &shutdown, || redis.instance(settings.common.instance.as_ref())).await?;
    info!(%instance, engine = %about.id, "completer: watching containers");
    let session = Arc::new(Session::new(redis, engine, about.id, instance, settings));
    Loop::new(session, about.cpus).run(&shutdown).await
}

struct Loop {
    session: Arc<Session>,
    inflight: Inflight,
    held: HashMap<Ticket, Arc<Held>>,
    next_ticket: u64,
    waiting: VecDeque<Action>,
    /// Jobs whose container is on another engine, to be passed on.
    foreign: VecDeque<(Assignment, RunningJob)>,
    work: Work,
    tries: HashMap<Ticket, Tries>,
    orphans: Orphans,
    removals: Removals,
    _clearing: Option<Clearing>,
    disks: Disks,
    sweep: SweepTimer,
    freshness: Freshness,
    gauges: [Gauge; 2],
}

impl Loop {
    fn new(session: Arc<Session>, cpus: u32) -> Self {
        Self {
            inflight: Inflight::default(),
            held: HashMap::new(),
            next_ticket: 0,
            waiting: VecDeque::new(),
            foreign: VecDeque::new(),
            work: Work::default(),
            tries: HashMap::new(),
            orphans: Orphans::default(),
            removals: Removals::start(Arc::clone(&session), cpus),
            _clearing: Clearing::start(&session),
            disks: Disks::start(Arc::clone(&session)),
            sweep: SweepTimer::new(session.settings.sweep_interval),
            freshness: Freshness::default(),
            gauges: [Gauge::of(Vital::Queued), Gauge::of(Vital::Parked)],
            session,
        }
    }

    async fn run(mut self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let stop_watching = CancellationToken::new();
        let watch = Watch::start(&self.session.engine, &stop_watching)
            .context("the engine's events cannot be followed")?;
        // Subscribe first, then look, then take jobs: what dies from here on is told of.
        match shutdown.run_until_cancelled(watch.next()).await {
            Some(notice) => self.noticed(notice),
            None => return Ok(()),
        }
        let options =
            WorkerOptions { concurrency: HELD_AT_MOST, batch: 100, rate: None, name: "completer".to_owned() };
        let mut worker = Worker::start(self.session.redis.queue(RUNNING_QUEUE), options);
        let mut locks = interval(LOOK_FOR_LOST);
        locks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat::beats_every(LOOK_FOR_LOST);
        heartbeat::takes_work();
        loop {
            self.start_effects();
            let timer = self.inflight.next_timer().unwrap_or_else(far_away);
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(done) = self.work.next() => self.done(done),
                notice = watch.next() => self.noticed(notice),
                assignment = worker.next() => match assignment {
                    Some(assignment) => {
                        pass(Point::CompleterTaken).await;
                        self.taken(assignment);
                    }
                    None => break,
                },
                () = sleep_until(timer) => {
                    let actions = self.inflight.tick(Instant::now());
                    self.enqueue(actions);
                }
                () = sleep_until(self.sweep.due()) => self.start_sweep(),
                _ = locks.tick() => {
                    self.drop_lost();
                    self.heed_marks();
                }
            }
        }
        let deadline = Instant::now() + CLOSE_WITHIN;
        worker.stop();
        self.finish_effects().await;
        stop_watching.cancel();
        watch.close().await;
        self.held.clear();
        worker.close_and_tell(deadline).await;
        self.removals.close(deadline).await;
        Ok(())
    }

    fn noticed(&mut self, notice: Notice) {
        let now = Instant::now();
        let actions = match notice {
            Notice::Resync { outage } => {
                self.session.outages.watching(self.session.engine.now());
                // One that comes of an event that was left out ends no outage.
                if let Some(outage) = outage {
                    self.session.outages.end(outage);
                }
                self.work.begin(effects::identify(Arc::clone(&self.session)));
                self.freshness.resynced(now);
                self.sweep.soon(now);
                Vec::new()
            }
            Notice::Broken { from } => {
                self.session.outages.begin(from);
                Vec::new()
            }
            Notice::Died { container, exit_code, instance, .. } => {
                let ours = instance.is_some_and(|instance| instance == self.session.instance());
                self.inflight.died(&container, exit_code, ours, now)
            }
            Notice::Oom { container } => {
                let holder = self.inflight.ticket_of(&container).and_then(|ticket| self.held.get(&ticket));
                let concern = holder
                    .map_or_else(|| Concern::of_container(STAGE, &container), |held| held.concern.clone());
                concern.about(|| debug!("a process of the container was killed for want of memory"));
                self.session.witness.saw_oom(&container);
                Vec::new()
            }
            Notice::Destroyed { container } => self.inflight.destroyed(&container),
        };
        self.enqueue(actions);
    }

    fn taken(&mut self, assignment: Assignment) {
        let now = Instant::now();
        let session = Arc::clone(&self.session);
        let job = match RunningJob::parse(&assignment.job.data) {
            Ok(job) => job,
            Err(invalid) => {
                let concern = conclude::concern_of_refused(&session, &assignment.job, &invalid);
                concern.about(|| self.work.begin(effects::dispose(session, assignment, invalid)));
                return;
            }
        };
        let elsewhere = job.origin.as_ref().is_some_and(|origin| origin.engine != session.engine_id());
        if elsewhere {
            self.foreign.push_back((assignment, job));
            return;
        }
        self.hold(assignment, job, now);
    }

    fn hold(&mut self, mut assignment: Assignment, job: RunningJob, now: Instant) {
        let course = Course::of_record(&assignment.job.data, &self.session.metrics);
        let remembered = !self.session.settings.remove_exercises_in.is_empty();
        let asked = remembered.then(|| Rerun::of_record(&assignment.job.data)).flatten();
        let asked = asked.map(|asked| Box::new(Rerun { params: Vec::new(), ..asked }));
        assignment.job.data = String::new();
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let look = self.freshness.is_doubtful(&assignment.job, &job, now);
        let timeout = job.origin.as_ref().and_then(crate::job::Origin::timeout);
        let container = job.container.clone();
        let concern = Concern::of_running(STAGE, &assignment.job.id, &job);
        concern.about(|| {
            debug!("running correction taken");
            // What the original's starter made has no limit.
            if job.origin.is_some() {
                self.disks.watch(&container);
            }
        });
        let cancelled = assignment.cancelled.is_cancelled();
        self.held.insert(ticket, Arc::new(Held { assignment, job, asked, concern, course }));
        let mut actions = self.inflight.taken(ticket, &container, timeout, look, now);
        if cancelled {
            actions.extend(self.inflight.cancelled(ticket));
        }
        self.enqueue(actions);
    }

    fn enqueue(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Forget(ticket) => {
                    if let Some(held) = self.held.remove(&ticket) {
                        self.disks.forget(&held.job.container);
                    }
                    self.tries.remove(&ticket);
                }
                other => self.waiting.push_back(other),
            }
        }
    }

    fn start_effects(&mut self) {
        while !self.work.is_full() {
            let Some(action) = self.waiting.pop_front() else { break };
            let session = Arc::clone(&self.session);
            match action {
                Action::Inspect(ticket, container) => {
                    let Some(held) = self.held.get(&ticket).cloned() else { continue };
                    let concern = held.concern.clone();
                    let effect = effects::inspect(session, ticket, held, container);
                    concern.about(|| self.work.begin_for(ticket, Doing::Inspect, effect));
                }
                Action::Kill(ticket, container) => {
                    let Some(held) = self.held.get(&ticket) else { continue };
                    let effect = effects::stop(session, ticket, container);
                    held.concern.about(|| self.work.begin_for(ticket, Doing::Kill, effect));
                }
                Action::Finish { ticket, container, end, timed_out } => {
                    let Some(held) = self.held.get(&ticket).cloned() else { continue };
                    let tries = self.tries.get(&ticket).copied().unwrap_or_default();
                    held.course.has_ended();
                    let timeout = held.job.origin.as_ref().and_then(crate::job::Origin::timeout);
                    let ended = Ended { container, end, timed_out, timeout, tries };
                    let concern = held.concern.clone();
                    let effect = effects::finish(session, ticket, held, ended);
                    concern.about(|| self.work.begin_for(ticket, Doing::Finish, effect));
                }
                Action::Forget(_) => {}
            }
        }
        // The live go first.
        while !self.work.is_full() {
            let Some((container, labels, tries)) = self.orphans.next() else { break };
            let session = Arc::clone(&self.session);
            let concern = Concern::of_labelled(STAGE, &container, &labels);
            concern.about(|| self.work.begin(effects::finish_orphan(session, container, labels, tries)));
        }
        while self.work.may_pass_on() {
            let Some((assignment, job)) = self.foreign.pop_front() else { break };
            if !assignment.lost.is_cancelled() {
                let concern = Concern::of_running(STAGE, &assignment.job.id, &job);
                let effect = elsewhere::pass_on(Arc::clone(&self.session), assignment, job);
                concern.about(|| self.work.pass_on(effect));
            }
        }
        let [queued, parked] = &self.gauges;
        queued.set(self.waiting.len());
        parked.set(self.inflight.parked());
    }

    /// Ends the containers of corrections that were cancelled.
    fn heed_marks(&mut self) {
        let marked = self.held.iter().filter(|(_, held)| held.assignment.cancelled.is_cancelled());
        let marked: Vec<Ticket> = marked.map(|(ticket, _)| *ticket).collect();
        for ticket in marked {
            let actions = self.inflight.cancelled(ticket);
            self.enqueue(actions);
        }
    }

    /// Drops the records whose lock was lost: somebody else completes them.
    fn drop_lost(&mut self) {
        let lost: Vec<Ticket> = self
            .held
            .iter()
            .filter(|(_, held)| held.assignment.lost.is_cancelled())
            .map(|(ticket, _)| *ticket)
            .collect();
        for ticket in lost {
            let actions = self.inflight.lock_lost(ticket);
            self.enqueue(actions);
        }
    }

    /// Lets the effects that are under way end, so that what is as good as done is handed over by us.
    async fn finish_effects(&mut self) {
        self.waiting.clear();
        self.foreign.clear();
        let all = async {
            while let Some(done) = self.work.next().await {
                self.done(done);
            }
        };
        if timeout(EFFECTS_GRACE, all).await.is_err() {
            warn!("some effects did not end in time; their corrections are handed back");
        }
        self.work.abort().await;
    }
}

fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
