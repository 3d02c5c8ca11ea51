//! Taking jobs and keeping their locks: the tasks behind a stage's `next()`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::astray;
use super::fetch::Fetch;
use super::leases::{Leases, Release};
use super::trouble::Trouble;
use super::{Assignment, House, Queue, QueueError};
use crate::config::RateLimit;
use crate::heartbeat;
use crate::identity::JobId;
use crate::job::FINISHED_QUEUE;

/// Three times in the life of a lock, so that one failure costs none.
const RENEW_EVERY: Duration = Duration::from_secs(5);
const RECOVER_EVERY: Duration = Duration::from_secs(5);
/// How often marks are looked for: a person waits for it.
const HEED_EVERY: Duration = Duration::from_secs(1);
/// Most jobs that are given up in one call.
const LARGEST_BATCH: usize = 500;
/// How long a close waits for a task before it goes on without it.
const TASK_END: Duration = Duration::from_secs(1);
/// How long a close waits for Redis.
const HAND_BACK: Duration = Duration::from_millis(2500);
/// How long all of a stage's graceful stop may take; the process has 5 s in all.
pub const CLOSE_WITHIN: Duration = Duration::from_millis(4500);

/// How a worker takes jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerOptions {
    /// How many assignments may be out at once, at least 1.
    pub concurrency: usize,
    /// How many jobs one call takes at most, at least 1.
    pub batch: usize,
    /// At most so many in a time, shared with BullMQ workers that have the same limiter.
    pub rate: Option<RateLimit>,
    /// The worker's name, which dashboards show beside the jobs it has.
    pub name: String,
}

/// Takes jobs of one queue, renews their locks, and puts back what others lost.
#[derive(Debug)]
pub struct Worker {
    name: String,
    queue: Queue,
    jobs: mpsc::UnboundedReceiver<Assignment>,
    leases: Arc<Leases>,
    paused: watch::Sender<bool>,
    house: watch::Sender<Option<House>>,
    stop: CancellationToken,
    end: CancellationToken,
    fetching: AbortOnDropHandle<()>,
    releasing: AbortOnDropHandle<()>,
    _others: [AbortOnDropHandle<()>; 4],
    _ended_when_dropped: (DropGuard, DropGuard),
}

impl Worker {
    /// Starts the worker's tasks.
    #[must_use]
    pub fn start(queue: Queue, options: WorkerOptions) -> Self {
        Self::start_for(queue, options, None, false)
    }

    /// The same; each job that is taken has a permit of an engine. It may begin with a pause.
    #[must_use]
    pub fn start_for(queue: Queue, options: WorkerOptions, house: Option<House>, paused: bool) -> Self {
        let (leases, releases) = Leases::of(queue.name());
        let (given, jobs) = mpsc::unbounded_channel();
        let (paused, is_paused) = watch::channel(paused);
        let (house, counted_at) = watch::channel(house);
        let (stop, end) = (CancellationToken::new(), CancellationToken::new());
        let name = options.name.clone();
        let resumed = Arc::new(AtomicBool::new(false));
        let fetch = Fetch::new(
            queue.clone(),
            options,
            leases.clone(),
            given,
            (is_paused, counted_at),
            stop.clone(),
            resumed.clone(),
        );
        let named = |what: &str| format!("{}: {what}", queue.name());
        // Without one of them the worker would be half alive: its process ends where one dies.
        let fetching = heartbeat::spawn(&named("taking"), &stop, fetch.run());
        let releasing =
            heartbeat::spawn(&named("giving up"), &end, release(queue.clone(), releases, end.clone()));
        let renewing = end.clone().run_until_cancelled_owned(renew(queue.clone(), leases.clone()));
        let renewing = heartbeat::spawn(&named("renewing"), &end, renewing.map(drop));
        let recovering = stop.clone().run_until_cancelled_owned(recover(queue.clone()));
        let recovering = heartbeat::spawn(&named("recovering"), &stop, recovering.map(drop));
        let searching = stop.clone().run_until_cancelled_owned(astray::search(queue.clone(), resumed));
        let searching = heartbeat::spawn(&named("searching"), &stop, searching.map(drop));
        let heeding = end.clone().run_until_cancelled_owned(heed(queue.clone(), leases.clone()));
        let heeding = heartbeat::spawn(&named("heeding marks"), &end, heeding.map(drop));
        let guards = (stop.clone().drop_guard(), end.clone().drop_guard());
        Self {
            name,
            queue,
            jobs,
            leases,
            paused,
            house,
            stop,
            end,
            fetching,
            releasing,
            _others: [renewing, recovering, searching, heeding],
            _ended_when_dropped: guards,
        }
    }

    /// The next job; `None` once stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Assignment> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                self.jobs.close();
                while self.jobs.try_recv().is_ok() {}
                None
            }
            job = self.jobs.recv() => job.map(Assignment::give_out),
        }
    }

    /// Takes no more jobs until [`Worker::resume`]; those taken stay ours.
    pub fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// Another engine has to have room from now on.
    pub fn move_to(&self, house: Option<House>) {
        self.house.send_if_modified(|now| std::mem::replace(now, house) != *now);
    }

    /// Takes jobs again.
    pub fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Takes no more jobs for good, and [`Worker::next`] gives none out any more. All locks are kept
    /// until [`Worker::close`], those of assignments that are dropped unsettled too: that is no stall
    /// from now on.
    pub fn stop(&self) {
        self.leases.stop();
        self.stop.cancel();
    }

    /// A stage's graceful stop: takes no more jobs, lets the work on those that it has end for at most
    /// `grace`, hands the others back, and logs what came of it.
    pub async fn wind_down<T: 'static>(self, mut under_way: JoinSet<T>, grace: Duration) {
        let deadline = Instant::now() + CLOSE_WITHIN;
        self.stop();
        let all = async { while under_way.join_next().await.is_some() {} };
        if timeout(grace, all).await.is_err() {
            tracing::warn!("{}: some work did not end in time; its jobs are handed back", self.name);
        }
        under_way.shutdown().await;
        self.close_and_tell(deadline).await;
    }

    /// As [`Worker::close_by`], and logs what came of it.
    pub async fn close_and_tell(self, deadline: Instant) {
        let name = self.name.clone();
        match self.close_by(deadline).await {
            Ok(handed_back) => tracing::info!(handed_back, "{name}: stopped"),
            Err(error) => tracing::warn!(
                error = format!("{error:#}"),
                "{name}: stopped; what was in flight is recovered when its locks end"
            ),
        }
    }

    /// As [`Worker::close_by`], within 4.5 s.
    ///
    /// # Errors
    /// Redis cannot be asked; the locks run out by themselves then.
    pub async fn close(self) -> Result<usize, QueueError> {
        self.close_by(Instant::now() + CLOSE_WITHIN).await
    }

    /// Stops, hands back all that is neither settled nor lost, whether its assignment still lives or
    /// not, and ends the tasks. What is not done at the deadline is given up. Answers how many jobs
    /// were handed back.
    ///
    /// # Errors
    /// Redis cannot be asked, or does not answer in time; the locks run out by themselves then.
    pub async fn close_by(mut self, deadline: Instant) -> Result<usize, QueueError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        self.stop();
        // A take that is under way brings jobs that have to go back too. Most of a short time is kept
        // for those that are here.
        if timeout(TASK_END.min(left() / 3), &mut self.fetching).await.is_err() {
            self.fetching.abort();
        }
        let leases = self.leases.end_all();
        let limit = HAND_BACK.min(left());
        let handed_back = match timeout(limit, self.queue.hand_back(&leases)).await {
            Ok(handed_back) => handed_back,
            Err(_) => Err(self.queue.redis.no_answer("hand back", limit)),
        };
        self.end.cancel();
        if timeout(TASK_END.min(left()), &mut self.releasing).await.is_err() {
            self.releasing.abort();
        }
        handed_back
    }
}

/// Keeps the locks of all leases alive.
async fn renew(queue: Queue, leases: Arc<Leases>) {
    heartbeat::beats_every(RENEW_EVERY);
    let mut trouble = Trouble::with("locks are not renewed");
    let mut pause = RENEW_EVERY;
    loop {
        sleep(jittered(pause)).await;
        let open = leases.unsettled();
        if open.is_empty() {
            pause = RENEW_EVERY;
            continue;
        }
        pause = match queue.renew(&open).await {
            Ok(tokens) => {
                for id in leases.lose(&tokens) {
                    queue.tally(1, |metrics| &metrics.lock_losses);
                    tracing::warn!(queue = queue.name(), job_id = %id, "the lock of job {id} was lost");
                }
                trouble.is_over();
                RENEW_EVERY
            }
            Err(error) => trouble.met(&error),
        };
    }
}

/// Looks whether jobs that we hold were cancelled. While there is no mark at all that is one small question, and while
/// nothing is held none.
async fn heed(queue: Queue, leases: Arc<Leases>) {
    heartbeat::beats_every(HEED_EVERY);
    let mut trouble = Trouble::with("it is not known which jobs were cancelled");
    loop {
        let open = leases.unmarked();
        let pause = match marked_of(&queue, &open).await {
            Ok(marked) => {
                for number in marked {
                    leases.cancel(number);
                }
                trouble.is_over();
                HEED_EVERY
            }
            Err(error) => trouble.met(&error),
        };
        sleep(jittered(pause)).await;
    }
}

/// Which of these leases' jobs are marked.
async fn marked_of(queue: &Queue, open: &[(u64, JobId)]) -> Result<Vec<u64>, QueueError> {
    // What waits for its delivery is never marked.
    if open.is_empty() || queue.name() == FINISHED_QUEUE || !queue.redis.has_marks().await? {
        return Ok(Vec::new());
    }
    let ids: Vec<JobId> = open.iter().map(|(_, id)| id.clone()).collect();
    let ages = queue.marked(&ids).await?;
    let marked = open.iter().zip(ages).filter(|(_, age)| age.is_some());
    Ok(marked.map(|((number, _), _)| *number).collect())
}

/// Puts back in line what another worker lost, at start and from time to time.
async fn recover(queue: Queue) {
    heartbeat::beats_every(RECOVER_EVERY);
    let mut trouble = Trouble::with("stalled jobs are not recovered");
    loop {
        let pause = match queue.recover().await {
            Ok(recovered) => {
                queue.tally(recovered.len(), |metrics| &metrics.stalled);
                for id in recovered {
                    tracing::warn!(queue = queue.name(), job_id = %id, "job {id} stalled and is back in line");
                }
                trouble.is_over();
                RECOVER_EVERY
            }
            Err(error) => trouble.met(&error),
        };
        sleep(jittered(pause)).await;
    }
}

/// Gives up, in batches, the jobs that were dropped unsettled.
async fn release(queue: Queue, mut releases: mpsc::UnboundedReceiver<Release>, end: CancellationToken) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = releases.recv_many(&mut batch, LARGEST_BATCH) => if count == 0 { return },
            () = end.cancelled() => return,
        }
        batch.sort_by_key(|release| release.number);
        let (stalled, untouched): (Vec<_>, Vec<_>) = batch.drain(..).partition(|release| release.given_out);
        for (releases, as_stalled) in [(stalled, true), (untouched, false)] {
            let jobs: Vec<_> = releases.into_iter().map(|release| (release.id, release.token)).collect();
            if let Err(error) = queue.release(&jobs, as_stalled).await {
                tracing::debug!(%error, count = jobs.len(), "jobs were not given up; their locks run out");
            }
        }
    }
}

/// A little less than a time, by chance, so that processes do not act in step.
pub(super) fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.8 + 0.2 * fastrand::f64())
}
