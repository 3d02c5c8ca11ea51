//! Vital signs: a few numbers about the whole process, each written by whoever knows it and read now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::HEARTS;
use crate::metrics::QueueName;

/// A number about the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vital {
    /// Jobs of a queue (of one that is none of ours) whose locks this process keeps alive.
    Held(Option<QueueName>),
    /// What the completer has under way.
    Effects,
    /// What the completer has to do and has not begun.
    Queued,
    /// Deaths that wait for their record.
    Parked,
    /// Containers of which the event reader has told something that nobody took yet.
    Inbox,
    /// Containers that wait for their removal.
    Removals,
    /// Calls to Redis that are under way.
    RedisCalls,
    /// Deliveries that this process gave up.
    DeadLetters,
    /// Dead letters that there are in Redis, whoever gave them up and when.
    DeadLettersKept,
    /// Deliveries that were given up and are no longer kept, as far as this process saw to that.
    DeadLettersLost,
}

/// All gauges of a process that are still in somebody's hands.
#[derive(Debug, Default)]
pub(super) struct Gauges(Mutex<Vec<(Vital, Weak<AtomicU64>)>>);

impl Gauges {
    /// The sum of all gauges of a kind.
    pub fn sum(&self, vital: Vital) -> u64 {
        self.sum_of(|known| known == vital)
    }

    /// The sum of all gauges of some kinds.
    pub fn sum_of(&self, is_wanted: impl Fn(Vital) -> bool) -> u64 {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.retain(|(_, gauge)| gauge.strong_count() > 0);
        let alike = gauges.iter().filter(|(known, _)| is_wanted(*known));
        alike.filter_map(|(_, gauge)| gauge.upgrade()).map(|gauge| gauge.load(Ordering::Relaxed)).sum()
    }
}

/// One part of a vital sign. It counts for as long as it lives.
#[derive(Debug)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// A gauge of the process in whose loop this is called; of nobody's elsewhere.
    #[must_use]
    pub fn of(vital: Vital) -> Self {
        let gauge = Arc::new(AtomicU64::new(0));
        let _ = HEARTS.try_with(|hearts| {
            let mut gauges = hearts.inner.gauges.0.lock().unwrap_or_else(PoisonError::into_inner);
            gauges.push((vital, Arc::downgrade(&gauge)));
        });
        Self(gauge)
    }

    /// It is so many now.
    pub fn set(&self, number: usize) {
        self.0.store(number as u64, Ordering::Relaxed);
    }

    /// So many more, for good.
    pub fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// One more, for as long as what this gives back lives.
    #[must_use]
    pub fn one_more(&self) -> impl Drop + use<> {
        self.0.fetch_add(1, Ordering::Relaxed);
        OneMore(Arc::clone(&self.0))
    }
}

struct OneMore(Arc<AtomicU64>);

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
