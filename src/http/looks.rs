//! Looks at what the process depends on, again and again: Redis, Docker, the executor, the queues.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::readiness::{Known, Observed};
use crate::docker::Engine;
use crate::metrics::{JobState, Label, Metrics, QueueName};
use crate::queue::{QueueError, Redis};

/// How often it is looked, and how long a look at Redis may take.
const EVERY: Duration = Duration::from_secs(2);
const AT_MOST: Duration = Duration::from_secs(2);
/// How much longer than one of its calls a look at the engine may take, which tells more of it then.
const LONGER: Duration = Duration::from_secs(1);
/// How often the queues are looked at.
const QUEUES_EVERY: Duration = Duration::from_secs(10);
/// How long the executor may run no task before that is told. Its watchdog goes round every second.
const BLOCKED: Duration = Duration::from_secs(5);

/// Looks, for ever.
pub(super) async fn look(observed: &Arc<Observed>) {
    tokio::join!(look_at_redis(observed), look_at_docker(observed), look_at_executor(observed));
}

async fn look_at_redis(observed: &Observed) {
    let Some(settings) = &observed.watched.redis else { return };
    let redis = match Redis::quiet(settings) {
        Ok(redis) => redis,
        Err(error) => return observed.seen().redis = Err(error.to_string()),
    };
    let mut ticks = every(EVERY);
    let mut queues_due = Instant::now();
    loop {
        ticks.tick().await;
        let known = within(AT_MOST, redis.ping()).await;
        let is_there = known.is_ok();
        observed.seen().redis = known;
        if Instant::now() >= queues_due {
            queues_due = Instant::now() + QUEUES_EVERY;
            let metrics = observed.hearts.metrics();
            for queue in QueueName::all() {
                let known =
                    if is_there { timeout(AT_MOST, Depths::of(&redis, *queue)).await } else { Ok(Err(())) };
                Depths::tell(known.unwrap_or(Err(())).ok().as_ref(), *queue, &metrics);
            }
        }
    }
}

async fn look_at_docker(observed: &Observed) {
    let Some(settings) = &observed.watched.docker else { return };
    let engine = match Engine::new(settings) {
        Ok(engine) => engine,
        Err(error) => return observed.seen().docker = Err(error.to_string()),
    };
    let mut ticks = every(EVERY);
    loop {
        ticks.tick().await;
        // As slow as its calls may be, it works.
        let known = within(settings.timeout + LONGER, engine.ping()).await;
        observed.seen().docker = known;
    }
}

async fn look_at_executor(observed: &Observed) {
    let mut ticks = every(EVERY);
    let (mut rounds, mut since) = (0, Instant::now());
    loop {
        ticks.tick().await;
        let now = observed.hearts.rounds();
        // Before the first round nobody goes round yet.
        if now != rounds || now == 0 {
            (rounds, since) = (now, Instant::now());
        }
        observed.seen().blocked = Some(since.elapsed()).filter(|time| *time > BLOCKED);
    }
}

/// Ticks that are not made up for.
fn every(time: Duration) -> tokio::time::Interval {
    let mut ticks = interval(time);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn within<E: std::fmt::Display>(at_most: Duration, look: impl Future<Output = Result<(), E>>) -> Known {
    match timeout(at_most, look).await {
        Ok(known) => known.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("no answer within {} s", at_most.as_secs())),
    }
}

/// How much waits in a queue.
struct Depths {
    jobs: [(JobState, u64); 4],
    /// How old the oldest job is that waits.
    oldest: Duration,
}

impl Depths {
    async fn of(redis: &Redis, queue: QueueName) -> Result<Self, ()> {
        let told = |error: QueueError| tracing::debug!(%error, "a queue cannot be looked at now");
        let queue = redis.queue(queue.text());
        let counts = queue.counts().await.map_err(told)?;
        let oldest = queue.oldest_waiting().await.map_err(told)?;
        let now = Timestamp::now().as_millisecond().unsigned_abs();
        let oldest = oldest.map_or(0, |added| now.saturating_sub(added));
        let jobs = [
            (JobState::Waiting, counts.waiting + counts.prioritized),
            (JobState::Active, counts.active),
            (JobState::Delayed, counts.delayed),
            (JobState::Failed, counts.failed),
        ];
        Ok(Self { jobs, oldest: Duration::from_millis(oldest) })
    }

    /// What is not known is not told: an old number would look as if it was one of now.
    fn tell(known: Option<&Self>, queue: QueueName, metrics: &Metrics) {
        let (levels, oldest) = (metrics.queue_jobs.of(queue), metrics.oldest_waiting.of(queue));
        let Some(Self { jobs, oldest: age }) = known else {
            for state in JobState::all() {
                levels.of(*state).forget();
            }
            return oldest.forget();
        };
        for (state, number) in jobs {
            levels.of(*state).count(*number);
        }
        oldest.set(age.as_secs_f64());
    }
}
