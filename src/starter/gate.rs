//! Each start passes the gate of its image: it goes on, waits aside, or waits for a pull.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::docker::{ContainerSpec, EngineError};
use crate::identity::{CorrectionId, EngineId};
use crate::job::PendingJob;
use crate::outcome::Failure;
use crate::profile::Profile;
use crate::queue::{Admitted, Assignment, Bound, Settled, TakenJob};

use super::chores::Chore;
use super::images::{Call, Ended, Entry, Hold, Pull, SLOW, Ticket};
use super::launch::{Launch, Launcher, launch};
use super::refusal::{Meaning, meaning, suspended};
use super::services::Session;
use super::session::{Handled, INSIST};

/// How often it is looked whether a slow start gives its room to another.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long what was put aside waits beyond its time, and how much longer at the most, if nobody calls it back: who
/// put it there may be gone.
const UNCALLED: Duration = Duration::from_secs(30);
/// The shortest time aside.
const LEAST: Duration = Duration::from_secs(1);

/// A start on its way. Dropped, it ended in a way that says nothing about its image.
pub struct Gate<'a> {
    session: &'a Session,
    image: String,
    ticket: Option<Ticket>,
}

impl Session {
    /// Asks whether a submission may be started now.
    ///
    /// # Errors
    /// It has to wait.
    pub fn enter(&self, image: &str, taken: &TakenJob, job: &PendingJob) -> Result<Gate<'_>, Hold> {
        self.count_taken(taken, job);
        let is_over = taken.tried_for >= self.settings.retry_for;
        match self.images().enter(image, is_over, Instant::now()) {
            Entry::Go(ticket) => Ok(Gate { session: self, image: image.to_owned(), ticket: Some(ticket) }),
            Entry::Wait(hold) => {
                if hold.call != Call::Nobody {
                    self.do_beside(Chore::CallBack(image.to_owned(), hold.call));
                }
                Err(hold)
            }
        }
    }

    /// Puts a submission aside whose image has to be waited for; refuses it once its time is over.
    pub async fn hold(
        &self,
        assignment: &Assignment,
        correction: &CorrectionId,
        (job, image): (PendingJob, &str),
        hold: &Hold,
    ) -> Handled {
        let (taken, retry_for) = (&assignment.job, self.settings.retry_for);
        let mut at_most = match hold.until {
            Some(until) => {
                until.saturating_duration_since(Instant::now()) + UNCALLED.mul_f64(1.0 + fastrand::f64())
            }
            None => self.settings.docker.timeout.max(self.settings.docker.pull_timeout) + UNCALLED,
        };
        if let Some((failure, of_pull)) = &hold.failure {
            if taken.tried_for >= retry_for {
                // A pull is tried for all who wait for it; a start is another submission's own.
                let own = *of_pull || taken.retries > 0;
                let failure = if own { failure.clone() } else { suspended(image, failure) };
                self.refuse(assignment, correction, job.errand, &failure).await;
                return Handled::Settled;
            }
            at_most = at_most.min(retry_for.saturating_sub(taken.tried_for).max(LEAST));
        }
        debug!(image, "a submission is put aside: {}", hold.why);
        let aside = self.redis.aside_for_image(&self.whereabouts.now().1, image);
        if self.put_aside(assignment, &aside, at_most).await == Some(Settled::Cancelled) {
            let (instance, engine) = self.whereabouts.now();
            return self.cancel(assignment, job, (&instance, correction), engine).await;
        }
        let call = self.images().stood_aside(image, Instant::now());
        if call != Call::Nobody {
            self.do_beside(Chore::CallBack(image.to_owned(), call));
        }
        Handled::Postponed
    }
}

impl Session {
    /// Whether there is a permit left of the rule that an image's profile comes from; where there is none, the
    /// submission is put aside until there is one.
    pub async fn admitted(&self, assignment: &Assignment, engine: &EngineId, profile: &Profile) -> Admitted {
        let Some(most) = profile.most_running.filter(|_| !self.settings.dont_start) else {
            return Admitted::In;
        };
        let rule = profile.rule.as_str().to_owned();
        self.comparing.note_rule(&rule);
        let bound = Bound { engine: engine.clone(), rule, most };
        let at_most = UNCALLED.mul_f64(1.0 + fastrand::f64());
        let mut backoff = Backoff::new(INSIST.0, INSIST.1);
        loop {
            match self.pending.admit(&assignment.job, &bound, at_most).await {
                Ok(admitted) => {
                    if admitted == Admitted::PutAside {
                        debug!(
                            rule = bound.rule,
                            most, "a submission is put aside: as many of its rule run as may"
                        );
                    }
                    return admitted;
                }
                Err(error) => {
                    warn!(
                        error = format!("{error:#}"),
                        "it cannot be asked yet whether a submission may run"
                    );
                }
            }
            let wait = sleep(backoff.next_delay());
            if assignment.lost.run_until_cancelled(wait).await.is_none() {
                return Admitted::Lost;
            }
        }
    }
}

impl Gate<'_> {
    /// Starts the container. A start that hangs gives its room to others where all of its image hang.
    pub async fn launch(&self, assignment: &Assignment, spec: &ContainerSpec) -> Launch {
        let Session { engine, settings, .. } = self.session;
        let (pull, dont_start, job) = (settings.docker.pull, settings.dont_start, &assignment.job.id);
        let cancelled = &assignment.cancelled;
        let mut launched = Box::pin(launch(Launcher { engine, pull, dont_start, job, cancelled }, spec));
        let mut patience = SLOW;
        loop {
            tokio::select! {
                launch = &mut launched => return launch,
                () = sleep(patience) => {}
            }
            patience = LOOK_EVERY;
            let mut images = self.session.images();
            // So many more may be under way as there is room for at once.
            if images.rooms_made() < self.session.settings.concurrency
                && let Some(ticket) = self.ticket
                && images.makes_room(&self.image, ticket, Instant::now())
            {
                assignment.make_room();
            }
        }
    }

    /// Tells what came of the start.
    pub fn leave(mut self, ended: Ended) {
        self.end(ended);
    }

    /// The image is not there: has it pulled. Gives what the submission waits for.
    ///
    /// # Errors
    /// It is refused, since another pull would not help.
    pub fn pull(self, error: &EngineError) -> Result<Hold, Failure> {
        let pull = self.session.images().missing(&self.image, Instant::now());
        match pull {
            Pull::Begin(hold) => {
                self.session.do_beside(Chore::Pull(self.image.clone()));
                Ok(hold)
            }
            Pull::UnderWay(hold) => Ok(hold),
            Pull::Refused(failure) => Err(failure),
            Pull::Vain => Err(match meaning(error, &self.image) {
                Meaning::Final(failure) => failure,
                Meaning::Passing(postponed) => postponed.failure,
            }),
        }
    }

    fn end(&mut self, ended: Ended) {
        if let Some(ticket) = self.ticket.take() {
            let call = self.session.images().leave(&self.image, ticket, ended, Instant::now());
            if call != Call::Nobody {
                self.session.do_beside(Chore::CallBack(self.image.clone(), call));
            }
        }
    }
}

impl Drop for Gate<'_> {
    fn drop(&mut self) {
        self.end(Ended::Otherwise);
    }
}
