//! What every part of the completer shares: the services, the settings and the outages seen so far.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::config::CompleterSettings;
use crate::docker::{Engine, Outage};
use crate::exercise;
use crate::heartbeat;
use crate::identity::{CorrectionId, EngineId, InstanceId, Whereabouts};
use crate::job::{FINISHED_QUEUE, FinishedJob, PENDING_QUEUE, RUNNING_QUEUE};
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::queue::{JobOptions, NewJob, Queue, Redis, UsedFile};
use crate::rerun::Rerun;

use super::scene::Scene;
use super::witness::Witness;

/// How many outages of the event stream are remembered.
const OUTAGES_KEPT: usize = 32;
/// How long an engine may take from when it begins to go down, and ends its containers, to when the
/// stream breaks: it waits 15 s for them, or longer where it was told to; systemd kills it after 90 s.
const GOING_DOWN: SignedDuration = SignedDuration::from_secs(90);
/// An engine that was killed ends the containers that lived on before it answers anybody, but clocks
/// differ by a second or so, and other engines may be less strict.
const COMING_UP: SignedDuration = SignedDuration::from_secs(10);

/// The services and settings of one completer.
pub struct Session {
    /// Redis.
    pub redis: Redis,
    /// `pending_corrections`.
    pub pending: Queue,
    /// `running_corrections`.
    pub running: Queue,
    /// `finished_corrections`.
    pub finished: Queue,
    /// The Docker engine.
    pub engine: Engine,
    /// The settings.
    pub settings: CompleterSettings,
    /// When the event stream was away.
    pub outages: Outages,
    /// What was seen of containers while they ran.
    pub witness: Witness,
    /// Which installation we are, and which engine we watch.
    pub whereabouts: Whereabouts,
    /// What is counted.
    pub metrics: Metrics,
}

impl Session {
    /// Gathers what is shared.
    #[must_use]
    pub fn new(
        redis: Redis,
        engine: Engine,
        engine_id: EngineId,
        instance: InstanceId,
        settings: CompleterSettings,
    ) -> Self {
        Self {
            pending: redis.queue(PENDING_QUEUE),
            running: redis.queue(RUNNING_QUEUE),
            finished: redis.queue(FINISHED_QUEUE),
            redis,
            engine,
            settings,
            outages: Outages::default(),
            witness: Witness::default(),
            whereabouts: Whereabouts::new(instance, engine_id),
            metrics: heartbeat::metrics(),
        }
    }

    /// Whose containers are ours.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.whereabouts.now().0
    }

    /// Which engine we watch.
    #[must_use]
    pub fn engine_id(&self) -> EngineId {
        self.whereabouts.now().1
    }

    /// What is needed to watch containers to their ends and to read them.
    #[must_use]
    pub fn scene(&self) -> Scene<'_> {
        let Self { engine, outages, witness, whereabouts, settings, .. } = self;
        Scene { engine, output_limit: settings.output_limit, outages, witness, whereabouts }
    }

    /// The file of a submission that is to be deleted once its result is safe, where that is wanted. What the
    /// host failed, or a person ended, leaves it for another try.
    #[must_use]
    pub fn used_file(&self, asked: &Rerun, result: &FinishedJob) -> Option<UsedFile> {
        let path = exercise::plain(&asked.file);
        let folders = &self.settings.remove_exercises_in;
        let is_wanted = !folders.is_empty() && exercise::check(&path, folders, &[]).is_ok();
        let outcome = result.outcome.as_deref();
        let is_used_up =
            outcome.is_none_or(|name| Outcome::named(name).is_some_and(Outcome::is_of_the_submission));
        (is_wanted && is_used_up && !result.again).then(|| UsedFile {
            engine: self.engine_id(),
            path: path.to_string_lossy().into_owned(),
            submitted: asked.timestamp,
        })
    }

    /// The job in `finished_corrections` that a result becomes.
    #[must_use]
    pub fn finished_job(&self, correction: &CorrectionId, name: &str, result: &FinishedJob) -> NewJob {
        NewJob {
            id: Some(correction.job_id()),
            name: name.to_owned(),
            data: result.to_data(),
            options: JobOptions::of_delivery(&self.settings.common.deliveries),
        }
    }
}

/// When the event stream was away, by the daemon's clock.
#[derive(Debug, Default)]
pub struct Outages(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    over: VecDeque<Outage>,
    /// Since when it is away now.
    away_since: Option<Timestamp>,
    /// When it was open for the first time.
    watched_since: Option<Timestamp>,
}

impl Outages {
    /// The stream is open; only the first time counts.
    pub fn watching(&self, since: Timestamp) {
        self.seen().watched_since.get_or_insert(since);
    }

    /// The stream broke; the engine may answer other calls before it is open again.
    pub fn begin(&self, from: Timestamp) {
        self.seen().away_since = Some(from);
    }

    /// The stream is open again after an outage.
    pub fn end(&self, outage: Outage) {
        let mut seen = self.seen();
        seen.away_since = None;
        if seen.over.len() == OUTAGES_KEPT {
            seen.over.pop_front();
        }
        seen.over.push_back(outage);
    }

    /// Whether a container that ended then, unseen, may have ended in one of them, or when the engine
    /// went down: then its end was seen, but not understood before all was over.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        self.seen().is_within(at, GOING_DOWN, SignedDuration::from_secs(1))
    }

    /// Whether a container that was stopped then may have been stopped by the engine itself, which was
    /// going down or coming up.
    #[must_use]
    pub fn may_have_stopped(&self, at: Timestamp) -> bool {
        self.seen().is_within(at, GOING_DOWN, COMING_UP)
    }

    /// Whether nobody here had watched yet: the machine may have been started anew since.
    #[must_use]
    pub fn unwatched(&self, at: Timestamp) -> bool {
        self.seen().watched_since.is_none_or(|since| at < since)
    }

    /// Whether the stream was open from then until now without a break, so that whatever befell a container was told.
    #[must_use]
    pub fn is_watched_from(&self, at: Timestamp) -> bool {
        let seen = self.seen();
        let before = seen.watched_since.is_some_and(|since| since <= at);
        before && seen.away_since.is_none() && seen.over.iter().all(|outage| outage.to < at)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn is_within(&self, at: Timestamp, before: SignedDuration, after: SignedDuration) -> bool {
        let begun = |from: Timestamp| from.saturating_sub(before).unwrap_or(from) <= at;
        let ended = |to: Timestamp| to.saturating_add(after).unwrap_or(to) < at;
        self.away_since.is_some_and(begun)
            || self.over.iter().any(|outage| begun(outage.from) && !ended(outage.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn an_outage_covers_what_ended_within_it_and_while_the_engine_went_down() {
        let outages = Outages::default();
        assert!(!outages.covers(at(1000)));
        outages.end(Outage { from: at(1000), to: at(1010) });
        for (second, covered) in [(909, false), (910, true), (1005, true), (1011, true), (1012, false)] {
            assert_eq!(outages.covers(at(second)), covered, "{second}");
        }
    }

    #[test]
    fn what_was_stopped_soon_after_an_outage_may_have_been_stopped_by_the_engine() {
        let outages = Outages::default();
        outages.end(Outage { from: at(1000), to: at(1010) });
        for (second, stopped) in [(909, false), (910, true), (1020, true), (1021, false)] {
            assert_eq!(outages.may_have_stopped(at(second)), stopped, "{second}");
        }
    }

    #[test]
    fn while_the_stream_is_away_all_that_happens_since_is_in_its_outage() {
        let outages = Outages::default();
        outages.begin(at(1000));
        assert!(!outages.covers(at(909)) && outages.covers(at(910)) && outages.covers(at(9000)));
        outages.end(Outage { from: at(1000), to: at(1010) });
        assert!(outages.covers(at(1005)) && !outages.covers(at(9000)));
    }

    #[test]
    fn only_the_latest_outages_are_remembered() {
        let outages = Outages::default();
        for number in 1..=33_i64 {
            outages.end(Outage { from: at(number * 1000), to: at(number * 1000 + 1) });
        }
        assert!(!outages.covers(at(1000)) && outages.covers(at(2000)) && outages.covers(at(33_000)));
    }

    #[test]
    fn what_was_there_before_an_outage_or_before_the_first_stream_was_not_watched_all_the_time() {
        let outages = Outages::default();
        assert!(!outages.is_watched_from(at(10)));
        outages.watching(at(10));
        assert!(outages.is_watched_from(at(10)) && !outages.is_watched_from(at(9)));
        outages.begin(at(20));
        assert!(!outages.is_watched_from(at(15)) && !outages.is_watched_from(at(25)));
        outages.end(Outage { from: at(20), to: at(30) });
        assert!(outages.is_watched_from(at(31)) && !outages.is_watched_from(at(29)));
    }

    #[test]
    fn what_was_before_the_first_stream_was_watched_by_nobody() {
        let outages = Outages::default();
        assert!(outages.unwatched(at(5)));
        outages.watching(at(10));
        outages.watching(at(20));
        assert!(outages.unwatched(at(9)) && !outages.unwatched(at(10)));
    }
}
