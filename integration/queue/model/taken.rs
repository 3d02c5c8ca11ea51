//! What is done with jobs that are taken, on the real queues and in the model.

use std::time::Duration;

use correction_runner::config::RateLimit;
use correction_runner::identity::{JobId, LockToken};
use correction_runner::queue::{Due, Keep, LineState, RetryCount, Settled, Turns};

use super::lane::{For, OVER_STALLED, RATE_MAX};
use super::operation::How;
use super::world::{FINISHED, Hold, PENDING, RUNNING, World};
use crate::queue::job_with_id;

/// Longer than any test.
pub const HOUR: Duration = Duration::from_secs(3600);

fn keep(gone: bool) -> Keep {
    Keep::Count(if gone { 0 } else { 1000 })
}

impl World<'_> {
    pub async fn take(
        &mut self,
        lane: usize,
        count: usize,
        limited: bool,
        woken: bool,
        lost: bool,
        most: Option<usize>,
    ) {
        if woken {
            self.ask::<Vec<String>>(lane, ["ZPOPMIN", "marker"], &[]);
        }
        let rate =
            limited.then_some(RateLimit { max: u32::try_from(RATE_MAX).expect("few"), duration: HOUR });
        let tokens: Vec<_> = (0..count).map(|_| LockToken::unique()).collect();
        // Only a starter's jobs stand for containers.
        let most = most.filter(|_| lane == PENDING);
        let house = most.map(|most| self.house(most));
        let counted = most.map(Self::real_house);
        let taken = self.queues[lane].take_for(&tokens, "one of several", rate, counted.as_ref()).await;
        let taken = taken.expect("an answer");
        let model = &mut self.lanes[lane];
        let (ids, state) = model.take(count, limited, house.as_ref());
        if house.is_some() {
            self.permits.extend(ids.iter().map(|id| format!("job:{id}")));
        }
        let found: Vec<_> = taken.jobs.iter().map(|job| job.id.as_str()).collect();
        assert_eq!(found, ids, "what was taken");
        assert_eq!(taken.next_delayed.is_some(), !model.later.is_empty(), "the next delayed job");
        match (taken.state, state) {
            (LineState::Limited(time), LineState::Limited(_)) => assert!(time > HOUR / 2, "{time:?}"),
            (found, expected) => assert_eq!(found, expected),
        }
        match taken.state {
            LineState::Limited(_) | LineState::Full => model.muffled |= woken,
            LineState::More | LineState::Empty | LineState::Crowded => {
                model.muffled &= model.concurrency.is_some();
            }
            LineState::Paused => {}
        }
        for job in taken.jobs {
            let known = model.job(job.id.as_str());
            assert_eq!(u64::from(job.attempts_made), known.number("atm"));
            assert_eq!(job.generation, known.number("gen"));
            assert_eq!(u64::from(job.stalled), known.number("stc") + known.number("stalledCounter"));
            assert_eq!(u64::from(job.retries), known.number("retries"));
            assert_eq!(job.deferred_failure, known.fields.remove("defa"));
            assert_eq!((job.lifo, job.timestamp), (known.lifo, known.timestamp));
            assert_eq!(job.cancelled, known.marked);
            known.lock = Some(job.token.as_str().to_owned());
            if lane == PENDING {
                self.corrections.push(Self::labels_of(&job));
            }
            if !lost {
                self.held.push(Hold { lane, job });
            }
        }
    }

    /// Calls what settles a job.
    pub async fn call(&self, hold: &Hold, how: How) -> Settled {
        let (queue, job) = (&self.queues[hold.lane], &hold.job);
        let delay = |delayed| if delayed { HOUR } else { Duration::ZERO };
        let answer = match how {
            How::Complete { gone } => queue.complete(job, "1", keep(gone)).await,
            How::Fail { over_stalled } => {
                queue.fail(job, if over_stalled { OVER_STALLED } else { "why" }, keep(false)).await
            }
            How::RetryAttempt { delayed } => {
                queue.retry_later(job, delay(delayed), "why", RetryCount::Attempt).await
            }
            How::RetryFree { delayed } => {
                queue.retry_later(job, delay(delayed), "why", RetryCount::Free).await
            }
            How::Doubted => queue.retry_start(job, HOUR, "why", true).await,
            How::Aside if hold.lane == PENDING => queue.put_aside(job, &self.aside(), HOUR, true).await,
            How::PutBack { called } if hold.lane == FINISHED => {
                let (turns, due) = (Turns::of(queue.clone()), Due::after(HOUR, &job.id));
                let answer = turns.put_back(job, due.clone()).await;
                if called && matches!(answer, Ok(Settled::Done)) {
                    assert_eq!(turns.call_forth(&[due]).await.expect("an answer"), 1);
                }
                answer
            }
            How::Aside | How::PutBack { .. } => queue.complete(job, "1", keep(false)).await,
            How::HandOver { gone, .. } => match Self::destination(hold, how) {
                None => queue.complete(job, "1", keep(gone)).await,
                Some(to) => {
                    let correction = Self::correction_of(hold);
                    let next = job_with_id(correction.as_str(), "{}");
                    let done = (to == FINISHED).then_some(&correction);
                    queue.hand_over(job, &self.queues[to], &next, done, "1", keep(gone)).await
                }
            },
        };
        answer.expect("an answer")
    }

    pub fn destination(hold: &Hold, how: How) -> Option<usize> {
        match (how, hold.lane) {
            (How::HandOver { straight: false, .. }, PENDING) => Some(RUNNING),
            (How::HandOver { .. }, PENDING | RUNNING) => Some(FINISHED),
            _ => None,
        }
    }

    /// What a call answers whose lock is gone: whether its own take did it before.
    fn expected_late(&self, hold: &Hold, how: How) -> Settled {
        let token = hold.job.token.as_str();
        let left = |lane: usize, id: &str, field: &str| {
            self.lanes[lane].jobs.get(id).and_then(|job| job.fields.get(field)).is_some_and(|by| by == token)
        };
        let mut traced = left(hold.lane, hold.job.id.as_str(), "ended-by");
        if let Some(to) = Self::destination(hold, how) {
            let correction = Self::correction_of(hold);
            traced |= left(to, correction.as_str(), "handed-by");
            traced |= to == FINISHED && self.done.get(correction.as_str()).is_some_and(|done| done == token);
        }
        if traced { Settled::Already } else { Settled::Lost }
    }

    pub async fn settle_late(&mut self, at: usize, how: How) {
        let expected = self.expected_late(&self.stale[at], how);
        assert_eq!(self.call(&self.stale[at], how).await, expected, "late: {how:?}");
    }

    pub async fn settle(&mut self, at: usize, how: How, again: bool) {
        let hold = self.held.remove(at);
        if self.is_refused(&hold, how) {
            return self.settle_in_vain(hold, how).await;
        }
        assert_eq!(self.call(&hold, how).await, Settled::Done, "{how:?}");
        self.note(&hold, how);
        if again {
            let expected = self.expected_late(&hold, how);
            let gone = matches!(how, How::Complete { gone: true } | How::HandOver { gone: true, .. });
            assert!(gone || expected == Settled::Already, "the repeated call is known: {how:?}");
            assert_eq!(self.call(&hold, how).await, expected, "again: {how:?}");
        }
        self.stale.push(hold);
    }

    /// What a settled job is in the model.
    fn note(&mut self, hold: &Hold, how: How) {
        let (id, token) = (hold.job.id.as_str(), hold.job.token.as_str());
        match how {
            How::HandOver { gone, .. } => {
                if let Some(to) = Self::destination(hold, how) {
                    let correction = Self::correction_of(hold).as_str().to_owned();
                    let known = (to == FINISHED && self.done.contains_key(&correction))
                        || self.lanes[to].jobs.contains_key(&correction);
                    if !known {
                        self.arrive(to, &correction, Some(token));
                        if to == RUNNING {
                            self.pass_on(id, &correction);
                        }
                    }
                    if to == RUNNING {
                        self.pass_mark_on(id, &correction);
                    }
                    if to == FINISHED {
                        self.done.entry(correction).or_insert_with(|| token.to_owned());
                    }
                }
                self.give_up(hold.lane, id);
                self.lanes[hold.lane].complete(id, token, gone);
            }
            How::Complete { gone } => {
                self.give_up(hold.lane, id);
                self.lanes[hold.lane].complete(id, token, gone);
            }
            How::PutBack { called } if hold.lane == FINISHED => self.put_back(hold, called),
            How::Aside if hold.lane == PENDING => {
                self.give_up(PENDING, id);
                self.put_aside(id, token, For::Image);
            }
            How::Aside | How::PutBack { .. } => {
                self.give_up(hold.lane, id);
                self.lanes[hold.lane].complete(id, token, false);
            }
            How::Doubted => {
                self.lanes[hold.lane].job(id).count("retries");
                self.note_retry(hold, true);
            }
            How::Fail { over_stalled } => {
                self.give_up(hold.lane, id);
                let lane = &mut self.lanes[hold.lane];
                lane.leave_active(id);
                lane.job(id).set("failedReason", if over_stalled { OVER_STALLED } else { "why" });
                lane.finish(id, "failed", token, false);
                lane.tell("retries-exhausted", id);
            }
            How::RetryAttempt { delayed } => {
                self.give_up_before_retry(hold.lane, id);
                let job = self.lanes[hold.lane].job(id);
                job.count("atm");
                job.set("failedReason", "why");
                self.note_retry(hold, delayed);
            }
            How::RetryFree { delayed } => {
                self.give_up_before_retry(hold.lane, id);
                self.lanes[hold.lane].job(id).count("retries");
                self.note_retry(hold, delayed);
            }
        }
    }

    fn put_back(&mut self, hold: &Hold, called: bool) {
        let (id, lane) = (hold.job.id.as_str(), &mut self.lanes[hold.lane]);
        let taken = lane.job(id).number("ats");
        lane.job(id).set("ats", (taken - 1).to_string());
        lane.forgive_one();
        self.note_retry(hold, true);
        if called {
            let lane = &mut self.lanes[hold.lane];
            lane.later.retain(|later| later != id);
            lane.push_last(id, false);
            lane.tell("waiting", id);
        }
    }

    fn note_retry(&mut self, hold: &Hold, delayed: bool) {
        let (id, lane) = (hold.job.id.as_str(), &mut self.lanes[hold.lane]);
        lane.leave_active(id);
        lane.job(id).set("ended-by", hold.job.token.as_str());
        if delayed {
            lane.push_delayed(id);
        } else {
            lane.push_last(id, hold.job.lifo);
            lane.tell("waiting", id);
        }
    }

    fn tokens(&self, lane: usize) -> Vec<(JobId, LockToken)> {
        let of = |holds: &[Hold]| {
            let own = holds.iter().filter(|hold| hold.lane == lane);
            own.map(|hold| (hold.job.id.clone(), hold.job.token.clone())).collect::<Vec<_>>()
        };
        [of(&self.held), of(&self.stale)].concat()
    }

    pub async fn renew(&mut self, lane: usize) {
        let tokens = self.tokens(lane);
        let held = self.held.iter().filter(|hold| hold.lane == lane).count();
        let locks: Vec<_> = tokens[..held].iter().map(|(id, _)| format!("{id}:lock")).collect();
        for lock in &locks {
            assert_eq!(self.ask::<u32>(lane, ["PEXPIRE", lock], &["9000"]), 1);
        }
        let lost = self.queues[lane].renew(&tokens).await.expect("an answer");
        let expected: Vec<_> = tokens[held..].iter().map(|(_, token)| token.clone()).collect();
        assert_eq!(lost, expected, "the tokens that are not renewed");
        for lock in &locks {
            assert!(self.ask::<i64>(lane, ["PTTL", lock], &[]) > 10_000, "{lock} is renewed");
        }
    }

    pub async fn hand_back(&mut self, lane: usize, count: usize, as_stalled: bool, again: bool) {
        let back: Vec<_> = self.held.iter().filter(|hold| hold.lane == lane).take(count).cloned().collect();
        let mut pairs: Vec<_> =
            back.iter().map(|hold| (hold.job.id.clone(), hold.job.token.clone())).collect();
        // One that is not ours any more may be among them.
        let stale = self.stale.iter().find(|hold| hold.lane == lane);
        pairs.extend(stale.map(|hold| (hold.job.id.clone(), hold.job.token.clone())));
        let queue = &self.queues[lane];
        assert_eq!(queue.release(&pairs, as_stalled).await.expect("an answer"), back.len());
        if again {
            assert_eq!(queue.release(&pairs, as_stalled).await.expect("an answer"), 0);
        }
        for hold in back.iter().rev() {
            let (id, model) = (hold.job.id.as_str(), &mut self.lanes[lane]);
            model.leave_active(id);
            let priority = model.job(id).priority;
            model.push_first(id, priority);
            if as_stalled {
                model.job(id).count("stc");
            }
            model.tell("waiting", id);
            self.forget(&hold.job.id, lane);
        }
    }
}
