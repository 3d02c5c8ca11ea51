//! What the event reader leaves for whoever acts on it: notices, coalesced by container.
//!
//! The reader never waits here. What is kept is bounded: past the bound, all of it becomes one `Resync`,
//! which finds by looking what the notices would have told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::event::{Action, Event};
use crate::heartbeat::{Gauge, Vital};
use crate::identity::{ContainerId, InstanceId};

/// How many containers' notices are kept.
const MOST: usize = 20_000;

/// A time in which the event stream was broken, on the daemon's clock. Events of that time may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the stream was last known to work.
    pub from: Timestamp,
    /// When it was open again.
    pub to: Timestamp,
}

/// What the event stream tells.
///
/// A `Broken` is ended by a `Resync` with an outage, and by no other. One that ends before anybody took it
/// is not told: the outage begins where it began.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The stream is open for the first time, or again after a break, or more was waiting than is kept:
    /// or one event was too long to be read: every open correction is to be looked at. Always the first
    /// notice after the stream was opened.
    Resync {
        /// When it was broken; `None` the first time and where nothing broke.
        outage: Option<Outage>,
    },
    /// The stream broke and is not open again yet: what the engine says meanwhile may be of an outage.
    Broken {
        /// When the stream was last known to work, on the daemon's clock.
        from: Timestamp,
    },
    /// A container ended.
    Died {
        /// Which.
        container: ContainerId,
        /// Its exit code, where the event told it.
        exit_code: Option<i64>,
        /// The installation whose container it is; `None` where its labels are not ours or are incomplete.
        instance: Option<InstanceId>,
        /// When, on the daemon's clock.
        at: Timestamp,
    },
    /// The kernel killed a process of a container for want of memory.
    Oom {
        /// Which.
        container: ContainerId,
    },
    /// A container was removed.
    Destroyed {
        /// Which.
        container: ContainerId,
    },
}

/// The box: one reader puts in, one consumer takes out.
#[derive(Debug)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
    gauge: Gauge,
}

impl Default for Inbox {
    fn default() -> Self {
        Self { waiting: Mutex::default(), filled: Notify::default(), gauge: Gauge::of(Vital::Inbox) }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    resync: bool,
    outage: Option<Outage>,
    /// The stream is broken and nobody knows yet. It broke after what `resync` asks for.
    broken: Option<Timestamp>,
    order: VecDeque<ContainerId>,
    of: HashMap<ContainerId, Told>,
}

/// What is waiting about one container, told in the order of these fields.
#[derive(Debug, Default)]
struct Told {
    oom: bool,
    died: Option<Death>,
    destroyed: bool,
}

#[derive(Debug)]
struct Death {
    exit_code: Option<i64>,
    instance: Option<InstanceId>,
    at: Timestamp,
}

impl Inbox {
    /// Leaves an event.
    pub(super) fn put(&self, event: Event) {
        let mut waiting = self.lock();
        if waiting.of.len() >= MOST && !waiting.of.contains_key(&event.container) {
            tracing::warn!(
                containers = MOST,
                "events come faster than they are acted on: looking at all instead"
            );
            waiting.of.clear();
            waiting.order.clear();
            waiting.resync = true;
        }
        let Event { container, action, at } = event;
        if !waiting.of.contains_key(&container) {
            waiting.order.push_back(container.clone());
        }
        let told = waiting.of.entry(container).or_default();
        match action {
            Action::Died { exit_code, instance } => told.died = Some(Death { exit_code, instance, at }),
            Action::Oom => told.oom = true,
            Action::Destroyed => told.destroyed = true,
        }
        self.gauge.set(waiting.of.len());
        drop(waiting);
        self.filled.notify_one();
    }

    /// Tells that the stream broke, until a `resync` with an outage.
    pub(super) fn broke(&self, from: Timestamp) {
        self.lock().broken = Some(from);
        self.filled.notify_one();
    }

    /// Asks for everything to be looked at; an outage ends what was `broke`, and two outages that nobody looked at
    /// yet are one.
    pub(super) fn resync(&self, outage: Option<Outage>) {
        let mut waiting = self.lock();
        waiting.resync = true;
        if outage.is_some() {
            waiting.broken = None;
        }
        waiting.outage = match (waiting.outage, outage) {
            (Some(old), Some(new)) => Some(Outage { from: old.from.min(new.from), to: old.to.max(new.to) }),
            (old, new) => old.or(new),
        };
        drop(waiting);
        self.filled.notify_one();
    }

    /// Waits for a notice and takes it. Cancel-safe.
    pub(super) async fn take(&self) -> Notice {
        loop {
            let filled = self.filled.notified();
            {
                let mut waiting = self.lock();
                let notice = waiting.take();
                self.gauge.set(waiting.of.len());
                if let Some(notice) = notice {
                    return notice;
                }
            }
            filled.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self) -> Option<Notice> {
        if std::mem::take(&mut self.resync) {
            return Some(Notice::Resync { outage: self.outage.take() });
        }
        if let Some(from) = self.broken.take() {
            return Some(Notice::Broken { from });
        }
        while let Some(container) = self.order.front().cloned() {
            let notice = self.of.get_mut(&container).and_then(|told| told.take(&container));
            if notice.is_some() {
                return notice;
            }
            self.order.pop_front();
            self.of.remove(&container);
        }
        // A burst is over: its memory goes back.
        if self.of.capacity() > 1024 {
            self.of.shrink_to_fit();
            self.order.shrink_to_fit();
        }
        None
    }
}

impl Told {
    fn take(&mut self, container: &ContainerId) -> Option<Notice> {
        let container = container.clone();
        if std::mem::take(&mut self.oom) {
            return Some(Notice::Oom { container });
        }
        if let Some(Death { exit_code, instance, at }) = self.died.take() {
            return Some(Notice::Died { container, exit_code, instance, at });
        }
        std::mem::take(&mut self.destroyed).then_some(Notice::Destroyed { container })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;

    fn event(container: &str, action: Action) -> Event {
        Event { container: ContainerId::new(container), action, at: Timestamp::UNIX_EPOCH }
    }

    fn died(code: i64) -> Action {
        Action::Died { exit_code: Some(code), instance: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What is there without waiting, in short.
    fn drained(inbox: &Inbox) -> Vec<String> {
        let notices = std::iter::from_fn(|| inbox.take().now_or_never());
        let short = |notice| match notice {
            Notice::Resync { outage: None } => "resync".to_owned(),
            Notice::Resync { outage: Some(outage) } => {
                format!("resync {}-{}", outage.from.as_second(), outage.to.as_second())
            }
            Notice::Broken { from } => format!("broken {}", from.as_second()),
            Notice::Died { container, exit_code, .. } => format!("{container} died {}", exit_code.unwrap()),
            Notice::Oom { container } => format!("{container} oom"),
            Notice::Destroyed { container } => format!("{container} destroyed"),
        };
        notices.map(short).collect()
    }

    #[test]
    fn what_is_told_of_one_container_comes_together_and_in_its_natural_order() {
        let inbox = Inbox::default();
        for (container, action) in
            [("a", died(1)), ("b", Action::Destroyed), ("a", Action::Oom), ("b", died(2)), ("a", died(3))]
        {
            inbox.put(event(container, action));
        }
        inbox.resync(None);
        assert_eq!(drained(&inbox), ["resync", "a oom", "a died 3", "b died 2", "b destroyed"]);
        inbox.put(event("a", died(4)));
        assert_eq!(drained(&inbox), ["a died 4"]);
    }

    #[test]
    fn outages_that_nobody_looked_at_yet_are_one() {
        let inbox = Inbox::default();
        inbox.resync(Some(Outage { from: at(5), to: at(6) }));
        inbox.resync(None);
        inbox.resync(Some(Outage { from: at(8), to: at(9) }));
        assert_eq!(drained(&inbox), ["resync 5-9"]);
    }

    #[test]
    fn a_break_is_told_at_once_and_before_what_ends_it() {
        let inbox = Inbox::default();
        inbox.put(event("a", died(1)));
        inbox.broke(at(5));
        assert_eq!(drained(&inbox), ["broken 5", "a died 1"]);
        inbox.resync(Some(Outage { from: at(5), to: at(6) }));
        assert_eq!(drained(&inbox), ["resync 5-6"]);
    }

    #[test]
    fn a_break_that_is_over_before_it_is_told_is_only_an_outage() {
        let inbox = Inbox::default();
        inbox.broke(at(5));
        inbox.resync(Some(Outage { from: at(5), to: at(6) }));
        assert_eq!(drained(&inbox), ["resync 5-6"]);
    }

    #[test]
    fn a_break_after_a_resync_that_nobody_took_is_told_after_it() {
        let inbox = Inbox::default();
        inbox.resync(Some(Outage { from: at(5), to: at(6) }));
        inbox.broke(at(8));
        assert_eq!(drained(&inbox), ["resync 5-6", "broken 8"]);
    }

    #[tokio::test]
    async fn a_break_wakes_a_waiting_consumer() {
        let inbox = Inbox::default();
        let (notice, ()) = tokio::join!(inbox.take(), async { inbox.broke(at(5)) });
        assert_eq!(notice, Notice::Broken { from: at(5) });
    }

    proptest! {
        /// A stream that breaks and opens again, or asks for a look meanwhile, and a consumer that takes
        /// some notices after each step.
        #[test]
        fn who_took_all_knows_whether_the_stream_is_broken_and_every_outage(
            steps in prop::collection::vec((prop::bool::ANY, 0..3_usize), 0..20),
        ) {
            let inbox = Inbox::default();
            inbox.resync(None);
            let (mut broken, mut known, mut covered, mut second) = (None, None, Vec::new(), 10);
            let mut take = |most: usize, known: &mut Option<Timestamp>| {
                for notice in std::iter::from_fn(|| inbox.take().now_or_never()).take(most) {
                    match notice {
                        Notice::Broken { from } => {
                            assert_eq!(known.replace(from), None, "it was closed before");
                        }
                        Notice::Resync { outage: Some(outage) } => {
                            assert!(known.take().is_none_or(|from| outage.from <= from));
                            covered.push(outage);
                        }
                        _ => {}
                    }
                }
                covered.clone()
            };
            let mut outages = Vec::new();
            for (change, taken) in steps {
                second += 10;
                match (change, broken) {
                    (true, None) => {
                        broken = Some(at(second));
                        inbox.broke(at(second));
                    }
                    (true, Some(from)) => {
                        let outage = Outage { from, to: at(second) };
                        inbox.resync(Some(outage));
                        outages.push(outage);
                        broken = None;
                    }
                    (false, None) => inbox.resync(None),
                    (false, Some(_)) => {}
                }
                take(taken, &mut known);
            }
            let covered = take(usize::MAX, &mut known);
            prop_assert_eq!(known, broken);
            for outage in outages {
                prop_assert!(covered.iter().any(|told| told.from <= outage.from && outage.to <= told.to));
            }
        }
    }

    #[test]
    fn more_than_is_kept_becomes_one_look_at_everything() {
        let inbox = Inbox::default();
        for number in 0..=MOST {
            inbox.put(event(&number.to_string(), Action::Oom));
        }
        assert_eq!(drained(&inbox), ["resync".to_owned(), format!("{MOST} oom")]);
    }

    #[tokio::test]
    async fn a_waiting_consumer_is_woken() {
        let inbox = std::sync::Arc::new(Inbox::default());
        let consumer = tokio::spawn({
            let inbox = std::sync::Arc::clone(&inbox);
            async move { inbox.take().await }
        });
        tokio::task::yield_now().await;
        inbox.put(event("a", Action::Oom));
        assert_eq!(consumer.await.unwrap(), Notice::Oom { container: ContainerId::new("a") });
    }
}
