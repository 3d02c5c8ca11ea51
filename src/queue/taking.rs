//! Taking jobs: the call, and the reading of what it answers.

use std::time::Duration;

use deadpool_redis::redis::Value;
use tokio::time::Instant;

use super::operations::now_ms;
use super::options::{ReadOptions, millis};
use super::{House, JobRetention, Queue, QueueError, Settlement, TakenJob, scripts};
use crate::config::RateLimit;
use crate::identity::{JobId, LockToken};

/// How long a lock lasts unless it is renewed.
pub(super) const LOCK: Duration = Duration::from_secs(15);

/// Among so many of the newest active jobs those of a take are looked for.
const NEWEST: usize = 2000;

/// What a take brought, and what it learnt about the queue.
#[derive(Debug)]
pub struct Taken {
    /// The jobs, in the order of the line.
    pub jobs: Vec<TakenJob>,
    /// Why there are no more.
    pub state: LineState,
    /// When the next delayed job is due, in milliseconds of Unix time.
    pub next_delayed: Option<u64>,
}

/// Why a take brought no more than it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineState {
    /// There may be more, even where it brought none: ids without a job were cleared away.
    More,
    /// There are no more.
    Empty,
    /// The queue is paused.
    Paused,
    /// The limiter is closed for so long.
    Limited(Duration),
    /// The queue's own concurrency is used up.
    Full,
    /// As many containers run on the engine as may.
    Crowded,
}

impl Queue {
    /// Takes up to as many jobs as there are tokens, at least 1, each with its own. Nothing keeps their
    /// locks alive: a [`Worker`](super::Worker) does.
    ///
    /// # Errors
    /// Redis cannot be asked. After an ambiguous error jobs may be locked that nobody has: [`Queue::untake`].
    pub async fn take(
        &self,
        tokens: &[LockToken],
        worker: &str,
        rate: Option<RateLimit>,
    ) -> Result<Taken, QueueError> {
        self.take_for(tokens, worker, rate, None).await
    }

    /// The same, with a permit of an engine for each job that is taken, and no more than there are.
    ///
    /// # Errors
    /// As [`Queue::take`].
    pub async fn take_for(
        &self,
        tokens: &[LockToken],
        worker: &str,
        rate: Option<RateLimit>,
        house: Option<&House>,
    ) -> Result<Taken, QueueError> {
        let mut call = scripts::TAKE.key(&*self.base);
        if let Some(house) = house {
            call.key(self.redis.house_key(&house.engine));
        }
        call.arg(now_ms()).arg(millis(LOCK)).arg(worker);
        match rate {
            Some(rate) => call.arg(rate.max).arg(millis(rate.duration)),
            None => call.arg("").arg(""),
        };
        call.arg(house.map_or(0, |house| house.most));
        for token in tokens {
            call.arg(token.as_str());
        }
        let reply: Vec<Value> = self.redis.script_once("take", &call).await?;
        self.read(reply, tokens).ok_or_else(|| self.redis.bad_reply("take", "another shape"))
    }

    /// Puts back in line what a take with these tokens made active, if its reply was lost. What it does
    /// not find, because that take is carried out only later, comes back when its lock runs out.
    pub(super) async fn untake(&self, tokens: &[LockToken]) -> Result<usize, QueueError> {
        let mut call = scripts::HELD.key(&*self.base);
        call.arg(NEWEST);
        for token in tokens {
            call.arg(token.as_str());
        }
        let held: Vec<(String, String)> = self.redis.script("find what was taken", &call).await?;
        if held.is_empty() {
            return Ok(0);
        }
        // They come newest first.
        let jobs: Vec<_> =
            held.into_iter().rev().map(|(id, token)| (JobId::new(id), LockToken::new(token))).collect();
        self.hand_back(&jobs).await
    }

    fn read(&self, reply: Vec<Value>, tokens: &[LockToken]) -> Option<Taken> {
        let mut parts = reply.into_iter();
        let (Value::Int(closed_for), Value::Int(next_at)) = (parts.next()?, parts.next()?) else {
            return None;
        };
        let closed_for = u64::try_from(closed_for).ok()?;
        let state = match text(parts.next()?)?.as_str() {
            "more" => LineState::More,
            "empty" => LineState::Empty,
            "full" => LineState::Full,
            "crowded" => LineState::Crowded,
            "closed" if closed_for > 0 => LineState::Limited(Duration::from_millis(closed_for)),
            "closed" => LineState::Paused,
            _ => return None,
        };
        let jobs = parts
            .zip(tokens)
            .map(|(part, token)| self.read_job(part, token.clone()))
            .collect::<Option<_>>()?;
        Some(Taken { jobs, state, next_delayed: u64::try_from(next_at).ok().filter(|at| *at > 0) })
    }

    /// The fields stand in the order of `FIELDS` in `take.lua`.
    fn read_job(&self, part: Value, token: LockToken) -> Option<TakenJob> {
        let Value::Array(fields) = part else { return None };
        let mut fields = fields.into_iter().map(text);
        let mut field = || fields.next().flatten();
        let id = JobId::new(field()?);
        let (name, data, options) = (field(), field(), field());
        let options = ReadOptions::read(options.as_deref().unwrap_or_default(), |option, found| {
            tracing::warn!(
                queue = self.name,
                job_id = %id,
                option,
                found = found.chars().take(80).collect::<String>(),
                "an option of job {id} cannot be read and is left out"
            );
        });
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
        let timestamp = number(field()).unwrap_or_default();
        let attempts_made = small(number(field()));
        let generation = number(field()).unwrap_or_default();
        let stalled = small(number(field())).saturating_add(small(number(field())));
        Some(TakenJob {
            name: name.unwrap_or_default(),
            data: data.unwrap_or_default(),
            timestamp,
            attempts_made,
            attempts: options.attempts,
            backoff: options.backoff,
            generation,
            stalled,
            deferred_failure: field(),
            tried_for: Duration::from_millis(number(field()).unwrap_or_default()),
            taken_at: Instant::now(),
            retries: small(number(field())),
            cancelled: field().is_some(),
            takes_before: small(number(field())),
            token,
            retention: JobRetention { on_complete: options.on_complete, on_fail: options.on_fail },
            lifo: options.lifo,
            priority: options.priority,
            settlement: Settlement::default(),
            id,
        })
    }
}

/// A field's text. What is not UTF-8 is made so: the job's data is JSON, which must be.
fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        Value::SimpleString(text) => Some(text),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

fn small(number: Option<u64>) -> u32 {
    u32::try_from(number.unwrap_or_default()).unwrap_or(u32::MAX)
}
