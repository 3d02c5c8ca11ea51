//! Jobs as a person sees them, and putting one back in line for a person.

use std::collections::HashSet;

use deadpool_redis::redis::{FromRedisValue, ParsingError, Value};

use super::operations::LOG_LINES;
use super::options::ReadOptions;
use super::{Queue, QueueError, scripts};
use crate::identity::JobId;

/// How many records one call brings: the data of each may be long.
const PAGE: usize = 100;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// In line.
    Waiting,
    /// In line by priority.
    Prioritized,
    /// Taken by a worker.
    Active,
    /// Waiting for its time.
    Delayed,
    /// Completed.
    Completed,
    /// Failed for good.
    Failed,
}

impl State {
    /// The keys that hold jobs of this state.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Waiting => &["wait", "paused"],
            Self::Prioritized => &["prioritized"],
            Self::Active => &["active"],
            Self::Delayed => &["delayed"],
            Self::Completed => &["completed"],
            Self::Failed => &["failed"],
        }
    }

    fn of_key(key: &str) -> Option<Self> {
        let all =
            [Self::Waiting, Self::Prioritized, Self::Active, Self::Delayed, Self::Completed, Self::Failed];
        all.into_iter().find(|state| state.keys().contains(&key))
    }
}

/// Where a page of records begins; by default with the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageStart {
    /// How many are passed over.
    pub passed: usize,
    /// Of those alone that ended no later than this. So none is left out since others went away between two pages.
    at_most: Option<String>,
    /// Those that ended then and were answered before.
    answered: HashSet<JobId>,
}

/// A job as it stands in Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id.
    pub id: JobId,
    /// Where it stands.
    pub state: State,
    /// When it ended, or when it is due, in milliseconds of Unix time; nothing in the other states.
    pub at: Option<u64>,
    /// Its name.
    pub name: String,
    /// Its data, JSON or not.
    pub data: String,
    /// When it was added, in milliseconds of Unix time; 0 where that cannot be read.
    pub timestamp: u64,
    /// How many attempts were made.
    pub attempts_made: u32,
    /// How many attempts there are in all, at least 1.
    pub attempts: u32,
    /// Why the last attempt failed; empty where none did.
    pub failed_reason: String,
    /// What it returned, as JSON text; empty where it has not completed.
    pub return_value: String,
    /// How often it completed (`gen`, ours).
    pub generation: u64,
    /// When it was last taken, in milliseconds of Unix time.
    pub taken_at: Option<u64>,
}

/// What became of a wish to have a job put back in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// It stood there, and is in line now.
    From(State),
    /// It was in line already, and still is; its data was exchanged.
    Waits,
    /// A worker has it in hand: nothing was changed.
    AtWork,
    /// It is in another state than the wanted one: nothing was changed.
    Elsewhere(State),
    /// Its data is not what was read: nothing was changed.
    Changed,
    /// There is no such job.
    Gone,
}

impl Queue {
    /// Some jobs of a state, the newest first where they have a time: those that ended, or are due, no
    /// sooner than `since` (milliseconds of Unix time; does not count in the other states). `from` is what
    /// an earlier call answered: where the next one is to begin, if there are more.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn records(
        &self,
        state: State,
        since: u64,
        from: &PageStart,
    ) -> Result<(Vec<Record>, Option<PageStart>), QueueError> {
        let mut all = Vec::new();
        let mut next = None;
        let ended = matches!(state, State::Completed | State::Failed);
        let highest = from.at_most.as_deref().unwrap_or("+inf");
        for key in state.keys() {
            let mut call = scripts::RECORDS.key(&*self.base);
            // The scores of delayed jobs have 12 bits below the millisecond.
            let lowest = if state == State::Delayed { since.saturating_mul(0x1000) } else { since };
            call.arg(*key).arg(lowest).arg(highest).arg(from.passed).arg(PAGE);
            let page: Page = self.redis.script("records", &call).await?;
            if page.there == PAGE {
                next = Some(if ended { page.after(from) } else { from.by_rank() });
            }
            let records = page.records.into_iter().map(|raw| raw.read(state));
            all.extend(records.filter(|record| !from.answered.contains(&record.id)));
        }
        Ok((all, next))
    }

    /// One job with the lines of its log; `None` where there is none.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn record(&self, id: &JobId) -> Result<Option<(Record, Vec<String>)>, QueueError> {
        let mut call = scripts::RECORD.key(&*self.base);
        call.arg(id.as_str());
        let found: Option<(String, Raw, Vec<String>)> = match self.redis.script("record", &call).await? {
            Value::Array(parts) if parts.is_empty() => None,
            value => Some(
                FromRedisValue::from_redis_value(value)
                    .map_err(|error| self.redis.bad_reply("record", error.to_string()))?,
            ),
        };
        let Some((key, raw, log)) = found else { return Ok(None) };
        let state = State::of_key(&key).ok_or_else(|| self.redis.bad_reply("record", key))?;
        Ok(Some((raw.read(state), log)))
    }

    /// Puts a job that ended or waits for its time back in line, with all its attempts, under its id and
    /// its time; with `only`, just from that state. `read` is its data as it was seen, `data` what it is to be from now on; `line` goes into its
    /// log.
    ///
    /// # Errors
    /// Redis cannot be asked; it may have been done then.
    pub async fn put_back(
        &self,
        id: &JobId,
        read: &str,
        data: &str,
        line: &str,
        only: Option<State>,
    ) -> Result<PutBack, QueueError> {
        self.put_in_line((id, read), data, line, only, false).await
    }

    /// Puts a failed job back in line; from now on it is another correction, whatever became of it before. One that
    /// another client failed as stalled too often is the same: its container may run, and has no result yet.
    ///
    /// # Errors
    /// As [`Queue::put_back`].
    pub async fn begin_anew(&self, id: &JobId, read: &str, line: &str) -> Result<PutBack, QueueError> {
        self.put_in_line((id, read), read, line, Some(State::Failed), true).await
    }

    async fn put_in_line(
        &self,
        (id, read): (&JobId, &str),
        data: &str,
        line: &str,
        only: Option<State>,
        anew: bool,
    ) -> Result<PutBack, QueueError> {
        let mut call = scripts::REDELIVER.key(&*self.base);
        call.arg(id.as_str()).arg(read).arg(data).arg(line).arg(LOG_LINES);
        call.arg(only.and_then(|state| state.keys().first()).copied().unwrap_or_default());
        call.arg(u8::from(anew));
        // Not repeated: the second time it would find the job in line, or delivered.
        let answer: String = self.redis.script_once("redeliver", &call).await?;
        Ok(match answer.as_str() {
            "failed" => PutBack::From(State::Failed),
            "completed" => PutBack::From(State::Completed),
            "delayed" => PutBack::From(State::Delayed),
            "waiting" => PutBack::Waits,
            "!failed" => PutBack::Elsewhere(State::Failed),
            "!completed" => PutBack::Elsewhere(State::Completed),
            "!delayed" => PutBack::Elsewhere(State::Delayed),
            "!waiting" => PutBack::Elsewhere(State::Waiting),
            "active" => PutBack::AtWork,
            "changed" => PutBack::Changed,
            "gone" => PutBack::Gone,
            other => return Err(self.redis.bad_reply("redeliver", other)),
        })
    }
}

impl PageStart {
    fn by_rank(&self) -> Self {
        Self { passed: self.passed + PAGE, ..Self::default() }
    }
}

/// A page as the script answers it.
struct Page {
    there: usize,
    last: String,
    alike: usize,
    records: Vec<Raw>,
}

impl FromRedisValue for Page {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let there = usize::from_redis_value(next())?;
        let (last, alike) = (String::from_redis_value(next())?, usize::from_redis_value(next())?);
        let records = parts.map(Raw::from_redis_value).collect::<Result<_, _>>()?;
        Ok(Self { there, last, alike, records })
    }
}

impl Page {
    /// Where the next one begins: with those that ended in the same moment as the last of this one, of which some may
    /// be left.
    fn after(&self, start: &PageStart) -> PageStart {
        let of_it = self.records.iter().filter(|record| record.score() == Some(&self.last)).map(Raw::id);
        let mut answered: HashSet<_> = of_it.collect();
        let mut passed = 0;
        if start.at_most.as_ref() == Some(&self.last) {
            answered.extend(start.answered.iter().cloned());
            if self.alike == self.there {
                passed = start.passed + self.there;
            }
        }
        PageStart { passed, at_most: Some(self.last.clone()), answered }
    }
}

/// A record as the scripts answer it: all of it text.
struct Raw(Vec<String>);

impl FromRedisValue for Raw {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        // What is not UTF-8 was not written by a BullMQ client, and is shown as well as it can be.
        let parts = Vec::<Vec<u8>>::from_redis_value(value)?;
        Ok(Self(parts.into_iter().map(|part| String::from_utf8_lossy(&part).into_owned()).collect()))
    }
}

impl Raw {
    fn id(&self) -> JobId {
        JobId::new(self.0.first().map(String::as_str).unwrap_or_default())
    }

    fn score(&self) -> Option<&String> {
        self.0.get(1)
    }

    fn read(self, state: State) -> Record {
        let mut parts = self.0.into_iter();
        let mut next = || parts.next().unwrap_or_default();
        let (id, score, name, data) = (next(), next(), next(), next());
        let (timestamp, made, options, failed_reason, return_value) =
            (next(), next(), next(), next(), next());
        let (generation, taken_at) = (next(), next());
        let score = score.parse::<f64>().ok().filter(|score| *score >= 0.0);
        // A time in milliseconds, far below 2^53.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
        let at = match state {
            State::Completed | State::Failed => score.map(|score| score as u64),
            State::Delayed => score.map(|score| (score / 4096.0) as u64),
            State::Waiting | State::Prioritized | State::Active => None,
        };
        Record {
            id: JobId::new(id),
            state,
            at,
            name,
            data,
            timestamp: timestamp.parse().unwrap_or(0),
            attempts_made: made.parse().unwrap_or(0),
            attempts: ReadOptions::read(&options, |_, _| ()).attempts.max(1),
            failed_reason,
            return_value,
            generation: generation.parse().unwrap_or(0),
            taken_at: taken_at.parse().ok(),
        }
    }
}
