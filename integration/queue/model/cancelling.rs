//! Cancelling jobs, on the real queues and in the model: who waits ends at once, who is worked on is marked.

use std::collections::BTreeSet;

use correction_runner::identity::{CorrectionId, InstanceId, JobId, LockToken};
use correction_runner::queue::{Cancelled, Cancelling, HeldBy, Keep, Settled};
use deadpool_redis::redis;
use proptest::sample::Index;

use super::happenings::pick_of;
use super::operation::How;
use super::world::{FINISHED, Hold, NAMES, PENDING, RUNNING, World};
use crate::queue::job_with_id;

impl World<'_> {
    /// A person cancels a pending job, as it was read a moment before.
    pub async fn cancel(&mut self, pick: Index, again: bool, forget: bool) {
        let Some(id) = pick_of(pick, self.lanes[PENDING].jobs.keys().cloned()) else { return };
        let job = &self.lanes[PENDING].jobs[&id];
        let (timestamp, generation) = (job.timestamp, job.number("gen"));
        let instance = InstanceId::new(super::world::INSTANCE);
        let correction = CorrectionId::derive(&instance, &JobId::new(&id), timestamp, generation);
        let cancelling =
            Cancelling { job: JobId::new(&id), timestamp, generation, correction: correction.clone() };
        let result = job_with_id(correction.as_str(), "{}");
        let (token, result) = (LockToken::unique(), (!forget).then_some(&result));
        let expected = self.expected_of_cancel(&id, &correction);
        let (pending, to) = (self.queues[PENDING].clone(), self.queues[FINISHED].clone());
        for time in 0..=u32::from(again) {
            let found = pending.cancel(&cancelling, (&to, result), &token, "1", Keep::Count(1000)).await;
            assert_eq!(found.expect("an answer"), expected, "time {time}");
        }
        self.note_cancel(&id, correction.as_str(), &token, forget);
        // What was read is not so any more.
        let other = Cancelling { timestamp: timestamp + 1, ..cancelling };
        let found = pending.cancel(&other, (&to, result), &LockToken::unique(), "1", Keep::Count(1000)).await;
        assert_eq!(found.expect("an answer"), Cancelled::Changed);
    }

    fn has_ended(&self, lane: usize, id: &str) -> bool {
        let lane = &self.lanes[lane];
        lane.completed.contains(id) || (lane.failed.contains(id) && !lane.jobs[id].is_over_stalled())
    }

    fn expected_of_cancel(&self, id: &str, correction: &CorrectionId) -> Cancelled {
        match &self.lanes[PENDING].jobs[id].lock {
            _ if self.has_ended(PENDING, id) => Cancelled::Ended,
            Some(_) => Cancelled::Marked(HeldBy::Ours),
            None if self.done.contains_key(correction.as_str()) => Cancelled::Ended,
            None => Cancelled::Now,
        }
    }

    /// What a cancelled job is in the model.
    fn note_cancel(&mut self, id: &str, correction: &str, token: &LockToken, forget: bool) {
        if self.has_ended(PENDING, id) {
            return;
        }
        if self.lanes[PENDING].jobs[id].lock.is_some() {
            self.lanes[PENDING].job(id).marked = true;
            return;
        }
        if !self.done.contains_key(correction) {
            if !forget && !self.lanes[FINISHED].jobs.contains_key(correction) {
                self.arrive(FINISHED, correction, None);
            }
            self.done.insert(correction.to_owned(), token.as_str().to_owned());
        }
        let lane = &mut self.lanes[PENDING];
        lane.leave_line(id);
        lane.leave_sets(id);
        if lane.job(id).number("ats") > 0 {
            self.strays.insert(correction.to_owned());
        }
        self.give_up(PENDING, id);
        let lane = &mut self.lanes[PENDING];
        let job = lane.job(id);
        job.aside = None;
        for field in ["failedReason", "defa", "retries"] {
            job.fields.remove(field);
        }
        job.count("gen");
        lane.finish(id, "completed", token.as_str(), false);
    }

    /// A person cancels a running job.
    pub async fn mark(&mut self, pick: Index, again: bool) {
        let Some(id) = pick_of(pick, self.lanes[RUNNING].jobs.keys().cloned()) else { return };
        let expected = if self.has_ended(RUNNING, &id) {
            Cancelled::Ended
        } else {
            let job = self.lanes[RUNNING].job(&id);
            job.marked = true;
            // Tokens of tests are those of processes of ours.
            Cancelled::Marked(if job.lock.is_some() { HeldBy::Ours } else { HeldBy::Nobody })
        };
        for _ in 0..=u32::from(again) {
            let found = self.queues[RUNNING].mark(&JobId::new(&id)).await;
            assert_eq!(found.expect("an answer"), expected);
        }
        let gone = self.queues[RUNNING].mark(&JobId::new("gone")).await.expect("an answer");
        assert_eq!(gone, Cancelled::Gone);
    }

    /// Whether a step is refused, since it knows nothing of the mark.
    pub fn is_refused(&self, hold: &Hold, how: How) -> bool {
        let is_marked = self.lanes[hold.lane].jobs.get(hold.job.id.as_str()).is_some_and(|job| job.marked);
        let ends = match how {
            How::Doubted => true,
            How::Aside => hold.lane == PENDING,
            How::HandOver { .. } => Self::destination(hold, how) == Some(FINISHED),
            _ => false,
        };
        is_marked && ends
    }

    /// A step that is refused changes nothing.
    pub async fn settle_in_vain(&mut self, hold: Hold, how: How) {
        assert_eq!(self.call(&hold, how).await, Settled::Cancelled, "{how:?}");
        assert!(!hold.job.settlement.is_settled(), "it is still to be ended");
        self.held.push(hold);
    }

    /// The running job is marked as the pending one was.
    pub fn pass_mark_on(&mut self, id: &str, correction: &str) {
        let is_marked = self.lanes[PENDING].jobs.get(id).is_some_and(|job| job.marked);
        let ended = self.lanes[RUNNING].completed.contains(correction)
            || self.lanes[RUNNING].failed.contains(correction);
        if is_marked && !ended {
            self.lanes[RUNNING].job(correction).marked = true;
        }
    }

    /// The sets of marks and of strays, and what is asked about single jobs.
    pub async fn check_marks(&mut self) {
        let mut expected = BTreeSet::new();
        for lane in [PENDING, RUNNING] {
            let jobs = self.lanes[lane].jobs.iter();
            let (ids, marked): (Vec<_>, Vec<_>) = jobs.map(|(id, job)| (JobId::new(id), job.marked)).unzip();
            let found = self.queues[lane].marked(&ids).await.expect("an answer");
            let found: Vec<_> = found.iter().map(Option::is_some).collect();
            assert_eq!(found, marked, "the marks of {}: {ids:?}", NAMES[lane]);
            let of_it = ids.iter().zip(marked).filter(|(_, marked)| *marked);
            expected.extend(of_it.map(|(id, _)| format!("{}:{}:{id}", Self::prefix(), NAMES[lane])));
        }
        let found: BTreeSet<String> = redis::cmd("ZRANGE")
            .arg(format!("{}:correction-runner:cancels", Self::prefix()))
            .arg(&["0", "-1"])
            .query(&mut self.raw)
            .expect("an answer");
        assert_eq!(found, expected, "the set of marks");
        assert_eq!(self.redis.has_marks().await.expect("an answer"), !expected.is_empty());
        let strays = self.redis.strays().await.expect("an answer");
        let strays: BTreeSet<_> = strays.iter().map(ToString::to_string).collect();
        assert_eq!(strays, self.strays, "corrections whose container may run");
    }
}
