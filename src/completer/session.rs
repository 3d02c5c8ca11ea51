//! What every part of the completer shares: the services, the settings and the outages seen so far.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::{Timestamp, ToSpan};

use crate::config::CompleterSettings;
use crate::docker::{Engine, Outage};
use crate::identity::{CorrectionId, EngineId, InstanceId, Whereabouts};
use crate::job::{FINISHED_QUEUE, FinishedJob, PENDING_QUEUE, RUNNING_QUEUE};
use crate::queue::{JobOptions, NewJob, Queue, Redis};

/// How many outages of the event stream are remembered.
const OUTAGES_KEPT: usize = 32;

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
    /// Which installation we are, and which engine we watch.
    pub whereabouts: Whereabouts,
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
            whereabouts: Whereabouts::new(instance, engine_id),
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

    /// The job in `finished_corrections` that a result becomes.
    #[must_use]
    pub fn finished_job(&self, correction: &CorrectionId, name: &str, result: &FinishedJob) -> NewJob {
        NewJob {
            id: Some(correction.job_id()),
            name: name.to_owned(),
            data: result.to_data(),
            options: JobOptions::of_delivery(self.settings.common.deliveries),
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
}

impl Outages {
    /// The stream broke; the engine may answer other calls before it is open again.
    pub fn begin(&self, from: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).away_since = Some(from);
    }

    /// The stream is open again after an outage.
    pub fn end(&self, outage: Outage) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.away_since = None;
        if seen.over.len() == OUTAGES_KEPT {
            seen.over.pop_front();
        }
        seen.over.push_back(outage);
    }

    /// Whether something happened during one of them, or within a second of it.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        let before = |from: Timestamp| from.saturating_sub(1.second()).unwrap_or(from) <= at;
        let after = |to: Timestamp| at <= to.saturating_add(1.second()).unwrap_or(to);
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.away_since.is_some_and(before)
            || seen.over.iter().any(|outage| before(outage.from) && after(outage.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_covers_what_happened_within_it_and_a_second_around() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let outages = Outages::default();
        assert!(!outages.covers(at(10)));
        outages.end(Outage { from: at(10), to: at(20) });
        for (second, covered) in [(8, false), (9, true), (15, true), (21, true), (22, false)] {
            assert_eq!(outages.covers(at(second)), covered, "{second}");
        }
    }

    #[test]
    fn while_the_stream_is_away_all_that_happens_since_is_in_its_outage() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let outages = Outages::default();
        outages.begin(at(10));
        assert!(!outages.covers(at(8)) && outages.covers(at(9)) && outages.covers(at(1000)));
        outages.end(Outage { from: at(10), to: at(20) });
        assert!(outages.covers(at(15)) && !outages.covers(at(1000)));
    }

    #[test]
    fn only_the_latest_outages_are_remembered() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let outages = Outages::default();
        for number in 0..=32_i64 {
            outages.end(Outage { from: at(number * 10), to: at(number * 10 + 1) });
        }
        assert!(!outages.covers(at(0)) && outages.covers(at(320)));
    }
}
