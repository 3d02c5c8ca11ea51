//! Where the correction of a found container stands, and finishing those that no job knows of.

use std::borrow::Borrow;

use deadpool_redis::redis::{self, ScriptInvocation};

use super::leftovers::{UsedFile, note_arguments};
use super::operations::{DONE_FOR, job_arguments, now_ms};
use super::options::millis;
use super::redis::INSTANCE;
use super::{Finished, NewJob, QueueError, Redis, Standing, scripts};
use crate::identity::{CorrectionId, LockToken};
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use crate::labels::Labels;

/// Corrections in one call.
const BATCH: usize = 500;

impl Redis {
    /// Where each of these corrections stands, in the same order. That one is done is remembered for
    /// another 7 days from a look at its container on.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn standing(&self, of: &[impl Borrow<Labels> + Sync]) -> Result<Vec<Standing>, QueueError> {
        let mut all = Vec::with_capacity(of.len());
        for batch in of.chunks(BATCH) {
            let mut call = scripts::STANDING.prepare_invoke();
            self.places(&mut call);
            call.arg(millis(DONE_FOR));
            for labels in batch {
                identity(&mut call, labels.borrow());
            }
            let found: Vec<String> = self.script("standing", &call).await?;
            if found.len() != batch.len() {
                return Err(self.bad_reply("standing", format!("{} for {}", found.len(), batch.len())));
            }
            for word in found {
                all.push(standing(&word).ok_or_else(|| self.bad_reply("standing", word))?);
            }
        }
        Ok(all)
    }

    /// Whether a correction is remembered as done.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn is_done(&self, correction: &CorrectionId) -> Result<bool, QueueError> {
        self.command("is it done", redis::cmd("EXISTS").arg(self.done_key(correction))).await
    }

    /// Adds `job` to `finished_corrections` under the correction's id, whatever its own, and remembers
    /// the correction as done, if it still is an orphan; one script. Where the labels' instance is not
    /// the one in Redis (any more), the correction is not ours to finish: `Not(Live)`.
    ///
    /// # Errors
    /// Redis cannot be asked. May be called again: a lost reply shows as `Not(Done)`.
    pub async fn finish_orphan(&self, labels: &Labels, job: &NewJob) -> Result<Finished, QueueError> {
        let job = NewJob { id: Some(labels.correction.job_id()), ..job.clone() };
        self.end_orphan(labels, FINISHED_QUEUE, &job, None).await
    }

    /// The same with a job of any queue: `pending_corrections` where the correction is run again. Notes the
    /// submission's file where one is given.
    ///
    /// # Errors
    /// As [`Redis::finish_orphan`].
    pub async fn end_orphan(
        &self,
        labels: &Labels,
        queue: &'static str,
        job: &NewJob,
        file: Option<&UsedFile>,
    ) -> Result<Finished, QueueError> {
        let mut call = scripts::FINISH_ORPHAN.prepare_invoke();
        self.places(&mut call);
        call.key(self.base_key(queue)).key(self.own_key(INSTANCE));
        call.key(file.map_or_else(String::new, |file| self.exercises_key(&file.engine)));
        identity(&mut call, labels);
        call.arg(labels.instance.as_str());
        call.arg(now_ms()).arg(LockToken::unique().as_str()).arg(millis(DONE_FOR));
        job_arguments(&mut call, job);
        note_arguments(&mut call, file);
        let word: String = self.script("finish an orphan", &call).await?;
        match (word.as_str(), standing(&word)) {
            ("added", _) => Ok(Finished::Added),
            (_, Some(standing)) => Ok(Finished::Not(standing)),
            _ => Err(self.bad_reply("finish an orphan", word)),
        }
    }

    fn places(&self, call: &mut ScriptInvocation<'_>) {
        call.key(self.done_keys()).key(self.base_key(PENDING_QUEUE)).key(self.base_key(RUNNING_QUEUE));
    }
}

fn identity(call: &mut ScriptInvocation<'_>, labels: &Labels) {
    call.arg(labels.correction.as_str())
        .arg(labels.job.as_str())
        .arg(labels.timestamp)
        .arg(labels.generation);
}

fn standing(word: &str) -> Option<Standing> {
    match word {
        "done" => Some(Standing::Done),
        "live" => Some(Standing::Live),
        "orphan" => Some(Standing::Orphan),
        _ => None,
    }
}
