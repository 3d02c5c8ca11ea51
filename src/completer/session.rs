//! What every part of the completer shares: the services, the settings and the outages seen so far.

use std::collections::VecDeque;
use std::sync::Mutex;

use jiff::{Timestamp, ToSpan};

use crate::config::CompleterSettings;
use crate::docker::{Engine, Outage};
use crate::identity::{CorrectionId, EngineId, InstanceId};
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
    /// Which engine that is.
    pub engine_id: EngineId,
    /// The settings.
    pub settings: CompleterSettings,
    /// When the event stream was away.
    pub outages: Outages,
    instance: Mutex<InstanceId>,
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
            engine_id,
            settings,
            outages: Outages::default(),
            instance: Mutex::new(instance),
        }
    }

    /// Whose containers are ours.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.instance.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Takes note that the installation has another id now: its queues were reset.
    pub fn set_instance(&self, instance: InstanceId) {
        *self.instance.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = instance;
    }

    /// The job in `finished_corrections` that a result becomes.
    #[must_use]
    pub fn finished_job(&self, correction: &CorrectionId, name: &str, result: &FinishedJob) -> NewJob {
        let deliveries = self.settings.common.deliveries;
        NewJob {
            id: Some(correction.job_id()),
            name: name.to_owned(),
            data: result.to_data(),
            options: JobOptions {
                attempts: Some(deliveries.attempts),
                backoff: Some(deliveries.backoff),
                ..JobOptions::default()
            },
        }
    }
}

/// When the event stream was away, by the daemon's clock.
#[derive(Debug, Default)]
pub struct Outages(Mutex<VecDeque<Outage>>);

impl Outages {
    /// Takes note of one.
    pub fn note(&self, outage: Outage) {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.len() == OUTAGES_KEPT {
            seen.pop_front();
        }
        seen.push_back(outage);
    }

    /// Whether something happened during one of them, or within a second of it.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        let seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.iter().any(|outage| {
            let from = outage.from.saturating_sub(1.second()).unwrap_or(outage.from);
            let to = outage.to.saturating_add(1.second()).unwrap_or(outage.to);
            from <= at && at <= to
        })
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
        outages.note(Outage { from: at(10), to: at(20) });
        for (second, covered) in [(8, false), (9, true), (15, true), (21, true), (22, false)] {
            assert_eq!(outages.covers(at(second)), covered, "{second}");
        }
    }

    #[test]
    fn only_the_latest_outages_are_remembered() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let outages = Outages::default();
        for number in 0..=32_i64 {
            outages.note(Outage { from: at(number * 10), to: at(number * 10 + 1) });
        }
        assert!(!outages.covers(at(0)) && outages.covers(at(320)));
    }
}
