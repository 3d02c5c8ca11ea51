//! Jobs that fail for good and that a person has to see: they are not pushed out by their number alone.

use std::time::Duration;

use super::operations::{json_string, keep_arguments, now_ms};
use super::options::{Retained, millis};
use super::{Keep, Queue, QueueError, Settled, TakenJob, scripts};
use crate::identity::JobId;

/// How long failed jobs stay whatever their number, and how many at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// For so long each stays, however many there are.
    pub young: Duration,
    /// Yet more than these never stay: Redis holds them in its memory.
    pub most: u32,
}

/// A failed job that is no longer kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its id.
    pub id: JobId,
    /// Its data, as it stood in Redis.
    pub data: String,
}

impl Queue {
    /// As [`Queue::fail`], and tells which failed jobs are no longer kept because of it; with a grace, young
    /// ones stay beyond what `keep` says. The job's own options win over `keep`; with a grace they say of this job only
    /// whether it is kept, and never that others go.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn fail_within(
        &self,
        job: &TakenJob,
        reason: &str,
        keep: Keep,
        grace: Option<Grace>,
    ) -> Result<(Settled, Vec<Gone>), QueueError> {
        let own = job.retention.on_fail;
        let of_this_one = |own: &Retained| own.count == Some(0) || *own == Retained::default();
        let own = if grace.is_some() { own.filter(of_this_one) } else { own };
        let mut call = scripts::FAIL.key(&*self.base);
        call.arg(job.id.as_str()).arg(job.token.as_str()).arg(now_ms());
        call.arg(reason).arg(json_string(reason)).arg(job.attempts);
        keep_arguments(&mut call, own, keep);
        match grace.filter(|_| own.is_none()) {
            Some(Grace { young, most }) => call.arg(millis(young)).arg(most),
            None => call.arg("").arg(""),
        };
        let answer: Vec<String> = self.redis.script("fail", &call).await?;
        let (first, gone) = answer.split_first().ok_or_else(|| self.redis.bad_reply("fail", "nothing"))?;
        let settled = self.settled("fail", job, first)?;
        let (pairs, _) = gone.as_chunks::<2>();
        let gone = pairs.iter().map(|[id, data]| Gone { id: JobId::new(id), data: data.clone() });
        Ok((settled, gone.collect()))
    }
}
