//! One pending job from its take to its hand-over: to the running queue, to the finished queue as a
//! failure, or back to wait for better times.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, warn};

use crate::backoff::Backoff;
use crate::concern::Concern;
use crate::crash_points::{Point, pass};
use crate::fields::raw;
use crate::heartbeat::bounded;
use crate::identity::{ContainerId, CorrectionId};
use crate::job::{Errand, FinishedJob, Origin, PendingJob, Problem, RunningJob};
use crate::outcome::{Failure, Outcome};
use crate::profile::Profile;
use crate::queue::{
    Admitted, Aside, Assignment, Conclusion, JobOptions, Keep, NewJob, Queue, QueueError, Settled, TakenJob,
};

use super::compose::rerun;
use super::image_use;
use super::images::Ended;
use super::launch::Launch;
use super::place::Place;
use super::refusal::{self, Postponed};
use super::services::Session;

/// A pending job that so often was found in the hands of a starter that had died is not tried again.
const STALLED_AT_MOST: u32 = 10;
/// The first and the longest wait between two tries to hand a job over while Redis does not answer.
pub const INSIST: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What became of a pending job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// It was handed over, or is somebody else's now.
    Settled,
    /// It waits for a later try.
    Postponed,
    /// It waits for a later try, and so should all others: the engine is away.
    EngineAway,
}

/// A pending job's last step in this starter's hands.
enum Step<'a> {
    /// On to the running queue.
    HandOver { to: &'a Queue, next: &'a NewJob, said: &'a str },
    /// As a failure to the finished queue.
    Refuse { next: &'a NewJob, done: &'a CorrectionId, said: &'a str, heeds_mark: bool },
    /// Back, for a later try; whether the container may run after all.
    RetryLater { delay: Duration, why: &'a str, may_run: bool },
    /// Aside, until somebody calls it back.
    PutAside { aside: &'a Aside, at_most: Duration },
}

impl Session {
    /// Does all that is to be done for one pending job, for as long as that makes headway.
    pub async fn handle(&self, assignment: Assignment) -> Handled {
        let (taken, instance) = (&assignment.job, self.whereabouts.now().0);
        let correction = CorrectionId::derive(&instance, &taken.id, taken.timestamp, taken.generation);
        let concern = Concern::of("starter", &taken.id, &correction);
        let work = async {
            let done = bounded(self.work_on(&assignment)).await;
            done.unwrap_or_else(|stuck| {
                // As after a crash: the job goes back in line, and the next attempt goes on where this one stood.
                error!(error = %stuck, "a start was given up: its submission is taken anew");
                Handled::Settled
            })
        };
        work.instrument(concern.span()).await
    }

    async fn work_on(&self, assignment: &Assignment) -> Handled {
        pass(Point::StarterTaken).await;
        let (taken, begun) = (&assignment.job, Instant::now());
        let (instance, engine) = self.whereabouts.now();
        let correction = CorrectionId::derive(&instance, &taken.id, taken.timestamp, taken.generation);
        let job = match PendingJob::parse(&taken.data) {
            Ok(job) => job,
            Err(invalid) => {
                Concern::current().work(&invalid.errand);
                let failure = refusal::invalid_job(&invalid.problem);
                self.refuse(assignment, &correction, invalid.errand, &failure).await;
                return Handled::Settled;
            }
        };
        Concern::current().work(&job.errand);
        if assignment.cancelled.is_cancelled() {
            return self.cancel(assignment, job, (&instance, &correction), engine).await;
        }
        match self.place_of(&job.file).await {
            Place::Fits => {}
            Place::Refused(misplaced) => {
                let failure = refusal::invalid_job(&Problem::of_file(misplaced.as_str(), &job.file));
                self.refuse(assignment, &correction, job.errand, &failure).await;
                return Handled::Settled;
            }
            Place::Unknown => {
                let postponed = refusal::out_of_sight(&job.file);
                return self.postpone(assignment, &correction, job, &postponed, begun).await;
            }
        }
        let profile = match self.profile_for(taken, &job.image) {
            Ok(profile) => profile,
            Err(failure) => {
                self.refuse(assignment, &correction, job.errand, &failure).await;
                return Handled::Settled;
            }
        };
        let image = self.policy.now().spelled(&job.image);
        let gate = match self.enter(&image, taken, &job) {
            Ok(gate) => gate,
            Err(hold) => return self.hold(assignment, &correction, (job, &image), &hold).await,
        };
        match self.admitted(assignment, &engine, &profile).await {
            Admitted::In => {}
            Admitted::PutAside | Admitted::Lost => return Handled::Postponed,
            Admitted::Cancelled => {
                return self.cancel(assignment, job, (&instance, &correction), engine).await;
            }
        }
        let spec = match self.spec((&job, &image), taken, (&instance, &correction), profile).await {
            Ok(spec) => spec,
            Err(none) => return self.postpone(assignment, &correction, job, &none, begun).await,
        };
        let timeout_ms = spec.profile.timeout_ms();
        let origin =
            |sealed| Origin { correction: correction.clone(), engine: engine.clone(), timeout_ms, sealed };
        match gate.launch(assignment, &spec).await {
            Launch::Started(container) => {
                gate.leave(Ended::Started);
                self.host.accepted();
                self.started(assignment, job, container, origin(spec.seal.is_some())).await;
                Handled::Settled
            }
            // Its own label tells whether its verdict needs a secret.
            Launch::Adopted(container) => {
                gate.leave(Ended::Started);
                self.started(assignment, job, container, origin(true)).await;
                Handled::Settled
            }
            Launch::Cancelled => {
                drop(gate);
                self.cancel(assignment, job, (&instance, &correction), engine).await
            }
            Launch::Failed { failure, container } => {
                drop(gate);
                let refused = self.refuse(assignment, &correction, job.errand, &failure).await;
                if let (true, Some(container)) = (refused, container) {
                    self.remove(&container).await;
                }
                Handled::Settled
            }
            Launch::Later(postponed) => {
                if postponed.suspect {
                    gate.leave(Ended::Failed(taken.id.clone(), postponed.failure.clone()));
                }
                self.postpone(assignment, &correction, job, &postponed, begun).await
            }
            Launch::NoImage(error) => match gate.pull(&error) {
                Ok(hold) => self.hold(assignment, &correction, (job, &image), &hold).await,
                Err(failure) => {
                    self.refuse(assignment, &correction, job.errand, &failure).await;
                    Handled::Settled
                }
            },
        }
    }

    /// What the container gets, if there is to be one.
    fn profile_for(&self, taken: &TakenJob, image: &str) -> Result<Profile, Failure> {
        if taken.stalled >= STALLED_AT_MOST {
            return Err(refusal::stalled_too_often(taken.stalled));
        }
        self.policy.now().profile_of(image).map_err(|not_allowed| refusal::not_allowed(&not_allowed))
    }

    /// Hands a correction over whose container was started.
    pub async fn started(
        &self,
        assignment: &Assignment,
        job: PendingJob,
        container: ContainerId,
        origin: Origin,
    ) {
        let (taken, correction) = (&assignment.job, origin.correction.clone());
        Concern::current().container(&container);
        let asked = rerun(&job, taken);
        let running = RunningJob { errand: job.errand, container, origin: Some(origin) };
        let next = NewJob {
            id: Some(correction.job_id()),
            name: taken.name.clone(),
            data: running.to_data_with(Some(&asked)),
            options: JobOptions::default(),
        };
        let said = format!("Correction started at {:.3}", Timestamp::now());
        let step = Step::HandOver { to: &self.running, next: &next, said: &said };
        let settled = self.insist(assignment, &step).await;
        pass(Point::StarterHandedOver).await;
        if matches!(settled, Some(Settled::Done | Settled::Already)) {
            let done = if self.settings.dont_start {
                "correction prepared: its container waits to be started by hand (DONT_START_CONTAINER)"
            } else {
                "correction started"
            };
            self.count_started(&job.image);
            info!(image = job.image, "{done}");
            image_use::used(self, &self.policy.now().spelled(&job.image)).await;
        }
    }

    /// Hands a submission over to the finished queue as a failure. Tells whether that is done.
    pub async fn refuse(
        &self,
        assignment: &Assignment,
        correction: &CorrectionId,
        errand: Errand,
        failure: &Failure,
    ) -> bool {
        pass(Point::StarterRefusing).await;
        let taken = &assignment.job;
        let next = NewJob {
            id: Some(correction.job_id()),
            name: taken.name.clone(),
            data: FinishedJob::of_failure(errand.clone(), failure).to_data(),
            options: JobOptions::of_delivery(&self.settings.common.deliveries),
        };
        let said = format!("Correction failed at {:.3}: {}", Timestamp::now(), failure.outcome);
        let heeds_mark = failure.outcome == Outcome::Cancelled;
        let step = Step::Refuse { next: &next, done: correction, said: &said, heeds_mark };
        let settled = self.insist(assignment, &step).await;
        if settled == Some(Settled::Cancelled) {
            return Box::pin(self.refuse(assignment, correction, errand, &Failure::cancelled())).await;
        }
        pass(Point::StarterRefused).await;
        let done = matches!(settled, Some(Settled::Done | Settled::Already));
        if done {
            self.count_refused(taken, failure.outcome);
            warn!(outcome = %failure.outcome, error = failure.text, "correction not started");
        }
        done
    }

    async fn postpone(
        &self,
        assignment: &Assignment,
        correction: &CorrectionId,
        job: PendingJob,
        postponed: &Postponed,
        begun: Instant,
    ) -> Handled {
        let taken = &assignment.job;
        let now = Timestamp::now().as_millisecond().unsigned_abs();
        // With the engine away nothing is taken, and so its time is not counted.
        let tried_for = taken.tried_for + begun.elapsed();
        let waited = Duration::from_millis(now.saturating_sub(taken.timestamp));
        // What is run again was submitted some time ago, and its host may just be coming up.
        let waited = if job.runs == 0 { waited } else { Duration::ZERO };
        let over = postponed.patience.is_over(waited, tried_for, self.settings.retry_for);
        if over {
            let done = self.refuse(assignment, correction, job.errand, &postponed.failure).await;
            if let (true, Some(container)) = (done, &postponed.container) {
                self.remove(container).await;
            }
            return if postponed.engine_away { Handled::EngineAway } else { Handled::Settled };
        }
        pass(Point::StarterPostponing).await;
        let delay = postponed.wait(taken.retries);
        // An engine that is gone may have started the container before.
        let step = Step::RetryLater { delay, why: &postponed.why, may_run: postponed.engine_away };
        let settled = self.insist(assignment, &step).await;
        pass(Point::StarterPostponed).await;
        if settled == Some(Settled::Cancelled) {
            let may_run = postponed.engine_away || postponed.container.is_some() || taken.was_tried();
            self.end_cancelled(assignment, &job, correction, may_run).await;
            if let Some(container) = &postponed.container {
                self.remove(container).await;
            }
        }
        if matches!(settled, Some(Settled::Done)) {
            self.metrics.starts_postponed.one();
            warn!(error = postponed.why, delay_ms = delay.as_millis(), "a start is tried again later");
        }
        if postponed.failure.outcome == Outcome::DiskFull {
            self.host.refused(Instant::now());
        }
        if postponed.engine_away { Handled::EngineAway } else { Handled::Postponed }
    }

    /// Puts a submission aside, until it is called back or for so long.
    pub async fn put_aside(
        &self,
        assignment: &Assignment,
        aside: &Aside,
        at_most: Duration,
    ) -> Option<Settled> {
        pass(Point::StarterPostponing).await;
        let settled = self.insist(assignment, &Step::PutAside { aside, at_most }).await;
        pass(Point::StarterPostponed).await;
        settled
    }

    /// Repeats a step until Redis answers or the lock is lost; then the job is recovered by others.
    async fn insist(&self, assignment: &Assignment, step: &Step<'_>) -> Option<Settled> {
        let mut backoff = Backoff::new(INSIST.0, INSIST.1);
        loop {
            match self.take_step(&assignment.job, step).await {
                Ok(settled) => {
                    if settled == Settled::Lost {
                        debug!("another starter owns this submission now");
                    }
                    return Some(settled);
                }
                Err(error) => {
                    warn!(error = format!("{error:#}"), "a submission could not be handed over yet");
                }
            }
            let wait = tokio::time::sleep(backoff.next_delay());
            assignment.lost.run_until_cancelled(wait).await?;
        }
    }

    async fn take_step(&self, taken: &TakenJob, step: &Step<'_>) -> Result<Settled, QueueError> {
        let keep = Keep::Count(self.settings.common.retention.completed);
        match step {
            Step::HandOver { to, next, said } => {
                self.pending.hand_over(taken, to, next, None, raw(*said).get(), keep).await
            }
            Step::Refuse { next, done, said, heeds_mark } => {
                let said = raw(*said);
                let conclusion =
                    Conclusion { heeds_mark: *heeds_mark, ..Conclusion::of(done, said.get(), keep) };
                self.pending.conclude(taken, &self.finished, next, &conclusion).await
            }
            Step::RetryLater { delay, why, may_run } => {
                self.pending.retry_start(taken, *delay, why, *may_run).await
            }
            Step::PutAside { aside, at_most } => self.pending.put_aside(taken, aside, *at_most, true).await,
        }
    }

    /// Removes a container that never ran.
    async fn remove(&self, container: &ContainerId) {
        if let Err(error) = self.engine.remove(container, false).await {
            Concern::current().container(container);
            warn!(
                error = format!("{error:#}"),
                "a container that could not be started could not be removed; a sweep removes it"
            );
        }
        pass(Point::StarterCleaned).await;
    }
}
