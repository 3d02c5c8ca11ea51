//! The jobs that a worker holds: their locks are kept alive until they are settled, lost or given up.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Settlement, TakenJob};
use crate::heartbeat::{Gauge, Vital};
use crate::identity::{JobId, LockToken};
use crate::metrics::QueueName;

/// A job that is ours to work on, for as long as this lives.
///
/// Settle it with one of the queue's operations, then drop it. Dropped unsettled (a panic), it goes
/// back in line at once and counts as stalled once more; after [`stop`](super::Worker::stop) that is
/// no stall, and it goes back with all others when the worker is closed.
#[derive(Debug)]
pub struct Assignment {
    /// The job.
    pub job: TakenJob,
    /// Cancelled once the lock is lost or handed back: somebody else may have the job by now.
    pub lost: CancellationToken,
    /// Cancelled once the job is known to be marked: a person wants it to end.
    pub cancelled: CancellationToken,
    hold: Hold,
}

/// All leases of a worker, in the order in which they were taken.
#[derive(Debug)]
pub(super) struct Leases {
    held: Mutex<Held>,
    released: mpsc::UnboundedSender<Release>,
    /// Told each time an assignment ends.
    pub freed: Notify,
    /// How many there are.
    gauge: Gauge,
}

#[derive(Debug, Default)]
struct Held {
    leases: BTreeMap<u64, Lease>,
    next: u64,
    /// What is dropped unsettled stays here, to be handed back in its turn by [`Leases::end_all`].
    stopping: bool,
}

#[derive(Debug)]
struct Lease {
    id: JobId,
    token: LockToken,
    settlement: Settlement,
    lost: CancellationToken,
    cancelled: CancellationToken,
}

/// A job that was given up unsettled.
#[derive(Debug)]
pub(super) struct Release {
    pub number: u64,
    pub id: JobId,
    pub token: LockToken,
    /// Whether a stage had it: then it counts as stalled.
    pub given_out: bool,
}

/// Ends a lease when it is dropped.
#[derive(Debug)]
struct Hold {
    number: u64,
    leases: Arc<Leases>,
    given_out: bool,
    /// The room that it takes up in its worker; `None` = it was left to others.
    room: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Leases {
    pub fn of(queue: &str) -> (Arc<Self>, mpsc::UnboundedReceiver<Release>) {
        let (sender, releases) = mpsc::unbounded_channel();
        (
            Arc::new(Self {
                held: Mutex::default(),
                released: sender,
                freed: Notify::new(),
                gauge: Gauge::of(Vital::Held(QueueName::named(queue))),
            }),
            releases,
        )
    }

    /// Begins a lease on a job that was just taken.
    pub fn begin(self: &Arc<Self>, job: TakenJob, permit: OwnedSemaphorePermit) -> Assignment {
        let (lost, cancelled) = (CancellationToken::new(), CancellationToken::new());
        if job.cancelled {
            cancelled.cancel();
        }
        let lease = Lease {
            id: job.id.clone(),
            token: job.token.clone(),
            settlement: job.settlement.clone(),
            lost: lost.clone(),
            cancelled: cancelled.clone(),
        };
        let mut held = self.lock();
        let number = held.next;
        held.next += 1;
        held.leases.insert(number, lease);
        self.gauge.set(held.leases.len());
        let leases = Arc::clone(self);
        Assignment {
            job,
            lost,
            cancelled,
            hold: Hold { number, leases, given_out: false, room: Mutex::new(Some(permit)) },
        }
    }

    /// What has to be renewed now.
    pub fn unsettled(&self) -> Vec<(JobId, LockToken)> {
        let held = self.lock();
        let open = held.leases.values().filter(|lease| !lease.settlement.is_settled());
        open.map(|lease| (lease.id.clone(), lease.token.clone())).collect()
    }

    /// The jobs of which it is not known that they are marked.
    pub fn unmarked(&self) -> Vec<(u64, JobId)> {
        let held = self.lock();
        let open = held
            .leases
            .iter()
            .filter(|(_, lease)| !lease.settlement.is_settled() && !lease.cancelled.is_cancelled());
        open.map(|(number, lease)| (*number, lease.id.clone())).collect()
    }

    /// The job of a lease is marked.
    pub fn cancel(&self, number: u64) {
        if let Some(lease) = self.lock().leases.get(&number) {
            lease.cancelled.cancel();
        }
    }

    /// Ends leases whose lock Redis says is not ours; answers which jobs were lost unsettled.
    pub fn lose(&self, tokens: &[LockToken]) -> Vec<JobId> {
        let tokens: HashSet<_> = tokens.iter().collect();
        let gone = |lease: &Lease| tokens.contains(&lease.token) && !lease.settlement.is_settled();
        let mut held = self.lock();
        let numbers: Vec<_> =
            held.leases.iter().filter(|(_, lease)| gone(lease)).map(|(number, _)| *number).collect();
        let lost: Vec<_> = numbers.iter().filter_map(|number| held.leases.remove(number)).collect();
        self.gauge.set(held.leases.len());
        lost.into_iter()
            .map(|lease| {
                lease.settlement.settle();
                lease.lost.cancel();
                lease.id
            })
            .collect()
    }

    /// From now on what is dropped unsettled keeps its lease and its lock until [`Leases::end_all`]:
    /// a stop drops everything at once, and one by one it would come back out of order, as stalled,
    /// and slower than locks run out.
    pub fn stop(&self) {
        self.lock().stopping = true;
    }

    /// Ends the lease of a dropped assignment; answers it where the job has to be given up now.
    fn end(&self, number: u64) -> Option<Lease> {
        let mut held = self.lock();
        if held.stopping && held.leases.get(&number).is_some_and(|lease| !lease.settlement.is_settled()) {
            return None;
        }
        let ended = held.leases.remove(&number);
        self.gauge.set(held.leases.len());
        ended.filter(|lease| !lease.settlement.is_settled())
    }

    /// Ends all leases; answers those that were not settled, oldest first.
    pub fn end_all(&self) -> Vec<(JobId, LockToken)> {
        let leases = std::mem::take(&mut self.lock().leases);
        self.gauge.set(0);
        leases
            .into_values()
            .filter(|lease| !lease.settlement.is_settled())
            .map(|lease| {
                lease.lost.cancel();
                (lease.id, lease.token)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it is held; and if it did, the map would still be whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Assignment {
    /// From now on a stage has it.
    pub(super) fn give_out(mut self) -> Self {
        self.hold.given_out = true;
        self
    }

    /// Lets the worker take another job beside this one, which goes on and keeps its lock: it counts no
    /// more among those that may be out at once.
    pub fn make_room(&self) {
        drop(self.hold.room.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.hold.leases.freed.notify_one();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(Lease { id, token, .. }) = self.leases.end(self.number) {
            // Nobody listens any more once the worker was closed; the lock runs out by itself then.
            let release = Release { number: self.number, id, token, given_out: self.given_out };
            let _ = self.leases.released.send(release);
        }
        self.leases.freed.notify_one();
    }
}
