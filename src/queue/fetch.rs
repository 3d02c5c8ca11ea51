//! The task that takes jobs: as many as there are permits, whenever there is something to take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::leases::Leases;
use super::operations::now_ms;
use super::taking::{LineState, Taken};
use super::trouble::Trouble;
use super::wakeup::Wakeup;
use super::worker::jittered;
use super::{Assignment, House, Queue, QueueError, WorkerOptions, owner};
use crate::crash_points::{Point, pass};
use crate::heartbeat;
use crate::identity::LockToken;

/// How often a worker looks even if nobody wakes it; BullMQ 5.12 wakes one worker for many jobs.
const FETCH_EVERY: Duration = Duration::from_secs(5);
/// How often it looks while the queue's own concurrency is used up, of whose end nobody tells.
const FULL_RETRY: Duration = Duration::from_secs(1);
/// A limiter is looked at again after this long at the latest, so that delayed jobs join the line.
const LONGEST_LIMIT: Duration = Duration::from_secs(30);
/// Most jobs that one call takes.
const LARGEST_BATCH: usize = 500;

/// Takes jobs until it is stopped.
pub(super) struct Fetch {
    queue: Queue,
    options: WorkerOptions,
    permits: Arc<Semaphore>,
    leases: Arc<Leases>,
    given: mpsc::UnboundedSender<Assignment>,
    paused: watch::Receiver<bool>,
    /// Where the containers are counted that the jobs stand for, if they are.
    house: watch::Receiver<Option<House>>,
    stop: CancellationToken,
    /// Told when the queue, seen paused, is so no more.
    resumed: Arc<AtomicBool>,
    seen_paused: bool,
    /// The tokens of a take of which it is not known whether it was done.
    doubtful: Vec<LockToken>,
}

impl Fetch {
    pub fn new(
        queue: Queue,
        options: WorkerOptions,
        leases: Arc<Leases>,
        given: mpsc::UnboundedSender<Assignment>,
        (paused, house): (watch::Receiver<bool>, watch::Receiver<Option<House>>),
        stop: CancellationToken,
        resumed: Arc<AtomicBool>,
    ) -> Self {
        let permits = Arc::new(Semaphore::new(options.concurrency.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            queue,
            options,
            permits,
            leases,
            given,
            paused,
            house,
            stop,
            resumed,
            seen_paused: false,
            doubtful: Vec::new(),
        }
    }

    pub async fn run(mut self) {
        let stop = self.stop.clone();
        let mut wakeup = Wakeup::of(self.queue.clone());
        let mut trouble = Trouble::with("jobs are not taken");
        // A stop interrupts only waits: a take under way locks jobs, which have to come back.
        while let Some(Some(permits)) = stop.run_until_cancelled(self.ready()).await {
            heartbeat::beats_every(LONGEST_LIMIT);
            let outcome = match self.take(permits).await {
                Ok(taken) => self.wait(&taken, &mut wakeup).await,
                Err(error) => Err(error),
            };
            match outcome {
                Ok(()) => trouble.is_over(),
                Err(error) => {
                    stop.run_until_cancelled(sleep(trouble.met(&error))).await;
                }
            }
            // There may be no room, or a pause, for as long as it takes.
            heartbeat::may_rest();
        }
        if let Err(error) = self.untake().await {
            tracing::debug!(%error, "what a take may have brought comes back when its locks run out");
        }
        if let Err(error) = self.wake_others().await {
            tracing::debug!(%error, "a wake-up may be lost; others look every few seconds");
        }
    }

    /// Waits until there is room for a job; answers all the room there is for one call.
    async fn ready(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            self.paused.wait_for(|paused| !paused).await.ok()?;
            let mut permits = self.permits.clone().acquire_owned().await.ok()?;
            if *self.paused.borrow() {
                continue;
            }
            let most = self.options.batch.clamp(1, LARGEST_BATCH) - 1;
            let more = u32::try_from(self.permits.available_permits().min(most)).unwrap_or(0);
            if let Ok(more) = self.permits.clone().try_acquire_many_owned(more) {
                permits.merge(more);
            }
            return Some(permits);
        }
    }

    async fn take(&mut self, mut permits: OwnedSemaphorePermit) -> Result<Taken, QueueError> {
        self.untake().await?;
        let tokens: Vec<_> = (0..permits.num_permits()).map(|_| owner::token()).collect();
        let house = self.house.borrow().clone();
        let WorkerOptions { name, rate, .. } = &self.options;
        let mut taken = match self.queue.take_for(&tokens, name, *rate, house.as_ref()).await {
            Ok(taken) => taken,
            Err(error) => {
                if error.is_ambiguous() {
                    self.doubtful = tokens;
                }
                return Err(error);
            }
        };
        if !taken.jobs.is_empty() {
            self.queue.tally(taken.jobs.len(), |metrics| &metrics.taken);
            pass(Point::WorkerTook).await;
        }
        for job in taken.jobs.drain(..) {
            // There is one permit for each token that was sent.
            let Some(permit) = permits.split(1) else { break };
            // Nobody listens any more after a stop: the job goes back then.
            let _ = self.given.send(self.leases.begin(job, permit));
        }
        Ok(taken)
    }

    /// Gives back what a take brought whose reply was lost: nobody works on it.
    async fn untake(&mut self) -> Result<(), QueueError> {
        if !self.doubtful.is_empty() {
            let count = self.queue.untake(&self.doubtful).await?;
            if count > 0 {
                tracing::info!(
                    queue = self.queue.name(),
                    count,
                    "the reply to a take was lost: its jobs are back in line"
                );
            }
            self.doubtful.clear();
        }
        Ok(())
    }

    /// Waits for whatever has to happen before the next take can bring anything.
    async fn wait(&mut self, taken: &Taken, wakeup: &mut Wakeup) -> Result<(), QueueError> {
        let stop = self.stop.clone();
        let seen_paused = std::mem::replace(&mut self.seen_paused, taken.state == LineState::Paused);
        if seen_paused && !self.seen_paused {
            self.resumed.store(true, Ordering::Relaxed);
        }
        match taken.state {
            LineState::More => {}
            LineState::Limited(closed_for) => {
                stop.run_until_cancelled(sleep(closed_for.min(LONGEST_LIMIT))).await;
            }
            LineState::Full => {
                let freed = self.leases.freed.notified();
                stop.run_until_cancelled(tokio::time::timeout(jittered(FULL_RETRY), freed)).await;
            }
            LineState::Empty | LineState::Paused | LineState::Crowded => {
                let mut at_most = jittered(FETCH_EVERY);
                if let Some(due) = taken.next_delayed {
                    at_most = at_most.min(Duration::from_millis(due.saturating_sub(now_ms())));
                }
                let mut paused = self.paused.clone();
                let interrupt = async {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = paused.wait_for(|paused| *paused) => {}
                    }
                };
                let marker = self.marker(taken.state);
                wakeup.wait(&marker, at_most, interrupt).await?;
                if *self.paused.borrow() {
                    self.wake_others().await?;
                }
            }
        }
        Ok(())
    }

    /// What tells that another take may bring something.
    fn marker(&self, state: LineState) -> String {
        match &*self.house.borrow() {
            Some(house) if state == LineState::Crowded => self.queue.redis.house_marker(&house.engine),
            _ => format!("{}marker", self.queue.base),
        }
    }

    async fn wake_others(&self) -> Result<(), QueueError> {
        let house = self.house.borrow().clone();
        self.queue.wake_others_of(house.as_ref()).await
    }
}
