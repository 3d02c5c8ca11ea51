//! Which correction a line of the log is about: a span that gives its fields to every line within it.
//!
//! `stage` (starter, completer, notifier); `job_id`, the job of that stage's queue; `correction`, the one identity
//! that is the same in all stages (the later two queues' job id, in the container's name, the webhook id); `work_id`,
//! the caller's name for it; `container_id`. What is not known yet is not there, and comes with
//! [`Concern::work`] and [`Concern::container`].

use tracing::field::Empty;
use tracing::{Span, error_span};

use crate::identity::{ContainerId, CorrectionId, JobId};
use crate::job::{Errand, RunningJob};
use crate::labels::Labels;

/// The correction that a piece of work is about. Clones are the same.
#[derive(Clone, Debug)]
pub struct Concern(Span);

/// What is told of a thing is no part of it: all are equal.
impl PartialEq for Concern {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Concern {
    /// A job that a stage has taken, and the correction that it is.
    #[must_use]
    pub fn of(stage: &'static str, job: &JobId, correction: &CorrectionId) -> Self {
        Self(
            error_span!("correction", stage, job_id = %job, %correction, work_id = Empty, container_id = Empty),
        )
    }

    /// A running job.
    #[must_use]
    pub fn of_running(stage: &'static str, id: &JobId, job: &RunningJob) -> Self {
        let concern = Self::of(stage, id, &job.correction());
        concern.work(&job.errand);
        concern.container(&job.container);
        concern
    }

    /// A container without a job that is known, by its labels.
    #[must_use]
    pub fn of_labelled(stage: &'static str, container: &ContainerId, labels: &Labels) -> Self {
        let concern = Self::of(stage, &labels.correction.job_id(), &labels.correction);
        concern.work(&labels.errand);
        concern.container(container);
        concern
    }

    /// A container of which nothing else is known.
    #[must_use]
    pub fn of_container(stage: &'static str, container: &ContainerId) -> Self {
        Self(error_span!("correction", stage, container_id = %container))
    }

    /// From now on the caller's name for it is known.
    pub fn work(&self, errand: &Errand) {
        if errand.work_id.is_some() {
            self.0.record("work_id", errand.work_id_shown());
        }
    }

    /// From now on its container is known.
    pub fn container(&self, container: &ContainerId) {
        self.0.record("container_id", container.as_str());
    }

    /// That which is being worked on here.
    #[must_use]
    pub fn current() -> Self {
        Self(Span::current())
    }

    /// The span, for what runs in it.
    #[must_use]
    pub fn span(&self) -> Span {
        self.0.clone()
    }

    /// Does something in it.
    pub fn about<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.in_scope(work)
    }
}
