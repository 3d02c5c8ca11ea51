//! Deliveries that are given up: they stay for a person, who is told of each.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::callback::shown;
use crate::heartbeat::{Gauge, Vital};
use crate::job::{Errand, FinishedJob};
use crate::queue::{Gone, Grace, Keep, Queue, QueueError, Settled, TakenJob};

/// How long each dead letter stays, however many there are: a grade is in it, and somebody has to act.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many there may be even so; they take about 2 KiB of Redis's memory each.
const MOST: u32 = 100_000;

/// How often whoever reads the log is told that there are some.
const REMINDED: Duration = Duration::from_secs(60);

/// Counts the dead letters at once and every minute, whoever gave them up, and says so while there are any.
pub(super) async fn remind(queue: &Queue, shutdown: &CancellationToken) {
    let kept = Gauge::of(Vital::DeadLettersKept);
    loop {
        match shutdown.run_until_cancelled(queue.counts()).await {
            Some(Ok(counts)) => tell(counts.failed, &kept),
            // Where Redis is away others say so.
            Some(Err(_)) => {}
            None => return,
        }
        if shutdown.run_until_cancelled(sleep(REMINDED)).await.is_none() {
            return;
        }
    }
}

fn tell(dead_letters: u64, kept: &Gauge) {
    kept.set(usize::try_from(dead_letters).unwrap_or(usize::MAX));
    if dead_letters > 0 {
        warn!(
            dead_letters,
            "there are results that nobody took: correction-runner deliveries lists them and redelivers them"
        );
    }
}

/// Where results go that nobody takes.
pub(super) struct DeadLetters {
    queue: Queue,
    /// How many stay beyond their time.
    keep: u32,
    given_up: Gauge,
    lost: Gauge,
}

impl DeadLetters {
    pub fn new(queue: Queue, keep: u32) -> Self {
        let (given_up, lost) = (Gauge::of(Vital::DeadLetters), Gauge::of(Vital::DeadLettersLost));
        Self { queue, keep, given_up, lost }
    }

    /// Fails a job for good. It is in the log, and so is each older one that had to go for it.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn bury(&self, taken: &TakenJob, why: &str) -> Result<Settled, QueueError> {
        let grace = Grace { young: KEPT_FOR, most: MOST.max(self.keep) };
        let (settled, gone) = self.queue.fail_within(taken, why, Keep::Count(self.keep), Some(grace)).await?;
        if settled == Settled::Lost {
            return Ok(settled);
        }
        self.given_up.add(1);
        let (_, receiver) = told(&taken.data);
        error!(
            receiver,
            error = why,
            "a result was not delivered and is given up: a dead letter (correction-runner deliveries)"
        );
        self.lost.add(gone.len());
        for Gone { id, data } in &gone {
            let (work_id, receiver) = told(data);
            // Another one than that which is worked on here.
            error!(parent: None, stage = "notifier", job_id = %id, work_id, receiver, "a dead letter is no longer kept: its result is lost");
        }
        Ok(settled)
    }
}

/// Whose result it is, and where it was to go.
fn told(data: &str) -> (String, String) {
    let errand: Errand = match FinishedJob::parse(data) {
        Ok(job) => job.errand,
        Err(invalid) => invalid.errand,
    };
    let receiver = errand.callback.as_deref().map_or_else(|| "unknown".to_owned(), shown);
    (errand.work_id_shown(), receiver)
}
