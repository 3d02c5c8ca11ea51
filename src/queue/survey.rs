//! What goes on in a queue, as a person asks for it: counts, rates, who holds what. What it costs Redis is
//! bounded, however long the queues are; nothing is changed.

use std::time::Duration;

use deadpool_redis::redis::{FromRedisValue, ParsingError, Value};

use super::operations::now_ms;
use super::options::{ReadOptions, millis};
use super::owner;
use super::{Queue, QueueError, scripts};
use crate::identity::JobId;

/// The spans over which rates are counted.
pub const SPANS: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(5 * 60), Duration::from_secs(15 * 60)];

/// How many ended jobs times are told of.
const SAMPLE: usize = 100;

/// What goes on in a queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// When it was so, in milliseconds of Unix time.
    pub at: u64,
    /// Jobs in line.
    pub waiting: u64,
    /// Of these, jobs in the line of a paused queue.
    pub in_paused_line: u64,
    /// Jobs in line by priority.
    pub prioritized: u64,
    /// Jobs taken by a worker.
    pub active: u64,
    /// Jobs that wait for their time.
    pub delayed: u64,
    /// Completed jobs that are kept.
    pub completed: u64,
    /// Failed jobs that are kept.
    pub failed: u64,
    /// Whether the queue is paused.
    pub is_paused: bool,
    /// How many jobs may be active at once, where the queue has a setting.
    pub concurrency: Option<u64>,
    /// Which client's version set the queue up, in its own words; older ones do not say so.
    pub client: Option<String>,
    /// The job that waits for the longest time, in line or aside, and when it was added.
    pub oldest: Option<(JobId, u64)>,
    /// Completed jobs by time.
    pub completions: Ended,
    /// Failed jobs by time.
    pub failures: Ended,
    /// Of the last completed jobs: how long each waited in line, and how long it was at work.
    pub times: Vec<(Duration, Duration)>,
    /// Jobs at work, those first that are so for the longest time; behind them, where it was asked for, those in line.
    pub jobs: Vec<AtWork>,
    /// How many active jobs have no lock, of how many that were looked at.
    pub without_lock: (u64, u64),
    /// Jobs that wait for their time, the next ones first.
    pub next: Vec<Delayed>,
}

/// Ended jobs by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// When the first one ended that is still kept; 0 = there is none.
    pub first: u64,
    /// How many of those kept ended in each of the [`SPANS`].
    pub within: [u64; 3],
}

/// A job in somebody's hands, or in line.
#[derive(Clone, Debug, PartialEq)]
pub struct AtWork {
    /// Its id.
    pub id: JobId,
    /// Whether it is active, and not in line.
    pub is_active: bool,
    /// Its name.
    pub name: String,
    /// Its data; empty where that is too long to be told.
    pub data: String,
    /// When it was added, in milliseconds of Unix time; 0 where that cannot be read.
    pub timestamp: u64,
    /// When it was last taken.
    pub taken: Option<u64>,
    /// Who has it; `None` = nobody, or whoever had it lost it.
    pub holder: Option<Holder>,
}

/// Who has the lock of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name of the worker, where it has one.
    pub worker: Option<String>,
    /// The process and the machine, where it is one of ours.
    pub process: Option<Process>,
    /// For how long it has the lock unless it renews it.
    pub lock_for: Duration,
}

/// A process of ours somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number where it runs.
    pub pid: u32,
    /// A name of that machine and its current boot.
    pub place: String,
    /// Whether that is here.
    pub is_here: bool,
}

/// A job that waits for its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Delayed {
    /// Its id.
    pub id: JobId,
    /// When it is due, in milliseconds of Unix time.
    pub due: u64,
    /// When it was added.
    pub timestamp: u64,
    /// Its data; empty where that is too long to be told.
    pub data: String,
    /// How many attempts were made, and how many there are in all.
    pub attempts: (u32, u32),
    /// How often its start was tried again.
    pub retries: u32,
    /// Why the last attempt failed; empty where none did.
    pub reason: String,
    /// Whether it waits for a permit, or for an image, and not only for its time.
    pub is_aside: bool,
}

impl Queue {
    /// What goes on, with at most `most` jobs of each kind; `with_line` = also those in line, behind the active ones.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn survey(&self, most: u16, with_line: bool) -> Result<Survey, QueueError> {
        let at = now_ms();
        let mut call = scripts::SURVEY.key(&*self.base);
        call.arg(at).arg(most).arg(if with_line { "wait" } else { "" }).arg(SAMPLE);
        for span in SPANS {
            call.arg(millis(span));
        }
        let raw: Raw = self.redis.script("survey", &call).await?;
        Ok(Survey { at, ..raw.0 })
    }
}

/// A survey as the script answers it.
struct Raw(Survey);

impl FromRedisValue for Raw {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Answer = (
            [u64; 7],
            Vec<Value>,
            Vec<Value>,
            Vec<[String; 3]>,
            Vec<Vec<Text>>,
            (u64, u64),
            Vec<Vec<Text>>,
            (u8, String, String),
        );
        let (counts, oldest, rates, times, jobs, without_lock, next, marks): Answer =
            FromRedisValue::from_redis_value(value)?;
        let [waiting, in_paused_line, prioritized, active, delayed, completed, failed] = counts;
        let mut oldest = oldest.into_iter();
        let oldest = match (oldest.next(), oldest.next()) {
            (Some(id), Some(at)) => {
                Some((JobId::new(Text::from_redis_value(id)?.0), u64::from_redis_value(at)?))
            }
            _ => None,
        };
        let mut rates = rates.into_iter().map(u64::from_redis_value);
        let mut ended = || -> Result<Ended, ParsingError> {
            let mut next = || rates.next().unwrap_or(Ok(0));
            Ok(Ended { first: next()?, within: [next()?, next()?, next()?] })
        };
        let (is_paused, client, concurrency) = marks;
        Ok(Self(Survey {
            at: 0,
            waiting: waiting + in_paused_line,
            in_paused_line,
            prioritized,
            active,
            delayed,
            completed,
            failed,
            is_paused: is_paused > 0,
            concurrency: concurrency.parse().ok(),
            client: Some(client).filter(|client| !client.is_empty()),
            oldest,
            completions: ended()?,
            failures: ended()?,
            times: times.iter().filter_map(times_of).collect(),
            jobs: jobs.into_iter().map(at_work).collect(),
            without_lock,
            next: next.into_iter().map(delayed_job).collect(),
        }))
    }
}

/// A text, whatever its bytes; numbers too.
struct Text(String);

impl FromRedisValue for Text {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Ok(Self(match value {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            other => String::from_redis_value(other)?,
        }))
    }
}

/// How long a job waited, and how long it was at work; clocks of several machines may have told.
fn times_of(fields: &[String; 3]) -> Option<(Duration, Duration)> {
    let mut times = fields.iter().map(|field| field.parse::<u64>());
    let (added, taken, ended) = (times.next()?.ok()?, times.next()?.ok()?, times.next()?.ok()?);
    Some((
        Duration::from_millis(taken.saturating_sub(added)),
        Duration::from_millis(ended.saturating_sub(taken)),
    ))
}

fn at_work(fields: Vec<Text>) -> AtWork {
    let mut fields = fields.into_iter().map(|field| field.0);
    let mut next = || fields.next().unwrap_or_default();
    let (list, id, token, lock_for) = (next(), next(), next(), next());
    let (name, data, timestamp, since, worker) = (next(), next(), next(), next(), next());
    let is_active = list == "active";
    let lock_for = lock_for.parse().ok().map(Duration::from_millis);
    let holder = lock_for.filter(|_| is_active && !token.is_empty()).map(|lock_for| Holder {
        worker: Some(worker).filter(|worker| !worker.is_empty()),
        process: owner::process(&token).map(|(place, pid, is_here)| Process { pid, place, is_here }),
        lock_for,
    });
    AtWork {
        id: JobId::new(id),
        is_active,
        name,
        data,
        timestamp: timestamp.parse().unwrap_or(0),
        taken: since.parse().ok().filter(|_| is_active),
        holder,
    }
}

fn delayed_job(fields: Vec<Text>) -> Delayed {
    let mut fields = fields.into_iter().map(|field| field.0);
    let mut next = || fields.next().unwrap_or_default();
    let (id, due, timestamp, data) = (next(), next(), next(), next());
    let (made, options, reason, retries, aside) = (next(), next(), next(), next(), next());
    Delayed {
        id: JobId::new(id),
        due: due.parse().unwrap_or(0),
        timestamp: timestamp.parse().unwrap_or(0),
        data,
        attempts: (made.parse().unwrap_or(0), ReadOptions::read(&options, |_, _| ()).attempts.max(1)),
        retries: retries.parse().unwrap_or(0),
        reason,
        is_aside: !aside.is_empty(),
    }
}
