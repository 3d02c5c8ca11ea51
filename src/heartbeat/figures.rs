//! The metrics of a process: ambient as its heartbeats are, and read together with its vital signs.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{HEARTS, Hearts, Vital};
use crate::metrics::{Label, Metrics, Part, Probe, QueueName};

/// The metrics, and whoever has to be asked before they are read.
#[derive(Debug, Default)]
pub(super) struct Figures {
    metrics: Metrics,
    probes: Mutex<Vec<Weak<dyn Probe>>>,
}

/// The metrics of the process in whose loop this is called; nobody's elsewhere.
#[must_use]
pub fn metrics() -> Metrics {
    HEARTS.try_with(|hearts| hearts.inner.figures.metrics.clone()).unwrap_or_default()
}

/// Has somebody asked each time that the metrics of the process are read, for as long as it lives.
pub fn tell_when_asked(probe: &Arc<impl Probe + 'static>) {
    let probe = Arc::downgrade(probe);
    let _ = HEARTS.try_with(|hearts| {
        let mut probes = hearts.inner.figures.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|known| known.strong_count() > 0);
        probes.push(probe);
    });
}

impl Hearts {
    /// The metrics, with all levels as they are now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let Figures { metrics, probes } = &self.inner.figures;
        let probes = probes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        probes.iter().filter_map(Weak::upgrade).for_each(|probe| probe.tell(metrics));
        self.tell_signs(metrics);
        metrics.clone()
    }

    fn tell_signs(&self, metrics: &Metrics) {
        let of = |vital| self.inner.gauges.sum(vital);
        for queue in QueueName::all() {
            metrics.in_flight.of(*queue).count(of(Vital::Held(Some(*queue))));
        }
        for (part, vital) in [
            (Part::UnderWay, Vital::Effects),
            (Part::Queued, Vital::Queued),
            (Part::Parked, Vital::Parked),
            (Part::Inbox, Vital::Inbox),
            (Part::Removals, Vital::Removals),
        ] {
            metrics.work.of(part).count(of(vital));
        }
        metrics.redis_calls_open.count(of(Vital::RedisCalls));
        metrics.dead_letters.is(of(Vital::DeadLetters));
        metrics.dead_letters_lost.is(of(Vital::DeadLettersLost));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::Gauge;
    use crate::metrics::Resource;

    struct Disk(f64);

    impl Probe for Disk {
        fn tell(&self, metrics: &Metrics) {
            metrics.host_free.of(Resource::Disk).set(self.0);
        }
    }

    #[tokio::test]
    async fn whoever_counts_inside_a_loop_counts_for_its_process_and_who_is_asked_tells_for_as_long_as_it_lives()
     {
        let hearts = Hearts::default();
        let begun = hearts.loop_of("outer", async {
            metrics().reruns.one();
            let disk = Arc::new(Disk(7.0));
            tell_when_asked(&disk);
            (disk, Gauge::of(Vital::Held(Some(QueueName::Running))))
        });
        let (disk, held) = begun.await;
        metrics().reruns.one();
        held.set(3);
        let read = hearts.metrics();
        assert_eq!(read.reruns.count(), 1, "what counts outside counts for nobody");
        assert_eq!(read.host_free.of(Resource::Disk).get(), Some(7.0));
        assert_eq!(read.in_flight.of(QueueName::Running).get(), Some(3.0));
        assert_eq!(read.in_flight.of(QueueName::Pending).get(), Some(0.0));
        drop(disk);
        read.host_free.of(Resource::Disk).forget();
        assert_eq!(hearts.metrics().host_free.of(Resource::Disk).get(), None);
    }
}
