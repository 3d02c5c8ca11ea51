//! What a look at Redis brings: a few scripts, however many corrections there are.

use std::time::Duration;

use crate::config::Status;
use crate::identity::{ContainerId, EngineId, JobId};
use crate::job::{Errand, FINISHED_QUEUE, FinishedJob, PENDING_QUEUE, PendingJob, RUNNING_QUEUE, RunningJob};
use crate::queue::{AtWork, EngineNotes, Holder, QueueError, Redis, Survey};
use crate::rerun::Rerun;

/// How many engines are told of.
const ENGINES: u16 = 50;

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Gathered {
    /// When it was so, in milliseconds of Unix time.
    pub at: u64,
    /// Where Redis is, and the prefix of the keys.
    pub redis: String,
    pub prefix: String,
    /// The installation's id; `None` = no component was ever started.
    pub instance: Option<String>,
    /// Pending, running, finished.
    pub queues: [(&'static str, Survey); 3],
    /// What is at work in each.
    pub corrections: [Vec<Correction>; 3],
    /// How many completed jobs are kept.
    pub kept: u32,
    pub engines: Vec<EngineNotes>,
}

/// A correction that somebody has in hand, or a container that nobody has.
#[derive(Debug)]
pub(super) struct Correction {
    /// The job's id in its queue.
    pub id: JobId,
    pub name: String,
    pub errand: Errand,
    pub image: Option<String>,
    pub container: Option<ContainerId>,
    pub engine: Option<EngineId>,
    /// When it came to where it is now, in milliseconds of Unix time.
    pub since: u64,
    /// How long it may run; `None` = for ever, or that is not known.
    pub timeout: Option<Duration>,
    /// Whether it is in somebody's hands, or waits in line.
    pub is_active: bool,
    pub holder: Option<Holder>,
}

impl Correction {
    /// By when it has to have ended, in milliseconds of Unix time, as far as it is known here: the container's own
    /// clock began a moment before its running job.
    pub fn deadline(&self) -> Option<u64> {
        let timeout = u64::try_from(self.timeout?.as_millis()).ok()?;
        self.since.checked_add(timeout)
    }
}

/// Looks.
pub(super) async fn gather(redis: &Redis, status: &Status) -> Result<Gathered, QueueError> {
    let survey = async |name: &'static str| {
        // What runs is in Redis as a waiting job where no completer holds it.
        redis.queue(name).survey(status.limit, name == RUNNING_QUEUE).await
    };
    let (pending, running, finished) =
        (survey(PENDING_QUEUE).await?, survey(RUNNING_QUEUE).await?, survey(FINISHED_QUEUE).await?);
    let engines = redis.engines(ENGINES).await?;
    let settings = status.redis.as_ref();
    Ok(Gathered {
        at: finished.at,
        redis: settings.map(|it| format!("{}:{}", it.host, it.port)).unwrap_or_default(),
        prefix: settings.map(|it| it.prefix.clone()).unwrap_or_default(),
        instance: redis.known_instance().await?.map(|id| id.to_string()),
        corrections: [
            pending.jobs.iter().map(starting).collect(),
            running.jobs.iter().map(running_one).collect(),
            finished.jobs.iter().map(delivering).collect(),
        ],
        queues: [(PENDING_QUEUE, pending), (RUNNING_QUEUE, running), (FINISHED_QUEUE, finished)],
        kept: status.kept,
        engines,
    })
}

fn of(job: &AtWork, errand: Errand) -> Correction {
    Correction {
        id: job.id.clone(),
        name: job.name.clone(),
        errand,
        image: None,
        container: None,
        engine: None,
        since: job.taken.unwrap_or(job.timestamp),
        timeout: None,
        is_active: job.is_active,
        holder: job.holder.clone(),
    }
}

fn starting(job: &AtWork) -> Correction {
    match PendingJob::parse(&job.data) {
        Ok(parsed) => Correction { image: Some(parsed.image), ..of(job, parsed.errand) },
        Err(invalid) => of(job, invalid.errand),
    }
}

fn running_one(job: &AtWork) -> Correction {
    let parsed = match RunningJob::parse(&job.data) {
        Ok(parsed) => parsed,
        Err(invalid) => return Correction { since: job.timestamp, ..of(job, invalid.errand) },
    };
    let timeout = parsed.origin.as_ref().and_then(crate::job::Origin::timeout);
    Correction {
        image: Rerun::of_record(&job.data).map(|rerun| rerun.image),
        container: Some(parsed.container),
        engine: parsed.origin.map(|origin| origin.engine),
        // It runs since its starter added the job, whoever took it since.
        since: job.timestamp,
        timeout,
        ..of(job, parsed.errand)
    }
}

fn delivering(job: &AtWork) -> Correction {
    match FinishedJob::parse(&job.data) {
        Ok(parsed) => of(job, parsed.errand),
        Err(invalid) => of(job, invalid.errand),
    }
}
