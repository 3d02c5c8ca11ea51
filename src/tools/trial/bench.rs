//! What a trial is made with, and what comes of it.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::super::Answer;
use super::finding::Finding;
use super::{TrialError, place, remedies};
use crate::callback::Body;
use crate::completer::single::Known;
use crate::config::Trial;
use crate::docker::{About, Engine, Inspected, State};
use crate::fields::raw;
use crate::job::{Errand, FinishedJob, PendingJob, WorkId};
use crate::outcome::Failure;
use crate::output::Output;
use crate::profile::Profile;
use crate::starter::single::{NotStarted, Single};
use crate::usage::Memory;
use crate::verdict::{self, Tried, Verdict};

/// Where the callback would go: nowhere, since nobody is told.
const NOWHERE: &str = "http://try.invalid/";

/// What a trial is made with.
pub(super) struct Bench<'a> {
    pub(super) trial: &'a Trial,
    pub(super) engine: &'a Engine,
    pub(super) about: &'a About,
    /// The submission's absolute path.
    pub(super) file: &'a str,
}

/// What came of a trial.
#[derive(Debug)]
pub(super) struct Course {
    /// The submission's absolute path.
    pub(super) file: String,
    /// What the container got; `None` = it may not run.
    pub(super) profile: Option<Profile>,
    /// The id of the image, where it is here.
    pub(super) image_id: Option<String>,
    /// Its verdict, or what is told in its place.
    pub(super) told: Result<Verdict, Failure>,
    /// Whether a starter would have tried it again for a while before it told that.
    pub(super) passing: bool,
    /// Each candidate for a verdict that was looked at.
    pub(super) tried: Vec<Tried>,
    /// What it wrote, where that was read.
    pub(super) output: Option<Output>,
    /// What is known of its run, where it was started.
    pub(super) ran: Option<Ran>,
    /// What the callback's body would be.
    pub(super) body: Bytes,
    /// What helps, beyond what the failure says.
    pub(super) remedies: Vec<String>,
}

/// What is known of the run of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ran {
    /// Its exit code, where it ended.
    pub(super) exit_code: Option<i64>,
    /// Whether a process of it was killed for want of memory.
    pub(super) oom_killed: bool,
    /// When it was started, on the engine's clock.
    pub(super) started_at: Option<Timestamp>,
    /// For how long it ran.
    pub(super) took: Option<Duration>,
    /// The most memory that it was seen to use.
    pub(super) memory: Option<Memory>,
}

impl Course {
    /// What it says of the grader.
    pub(super) fn finding(&self) -> Finding {
        Finding::of(&self.told, self.passing)
    }

    /// The answer, which becomes the exit code.
    pub(super) fn answer(&self) -> Answer {
        let outcome = self.told.as_ref().err().map_or("", |failure| failure.outcome.as_str());
        let text = || format!("nothing is known of the grader by this: {outcome}");
        match self.finding() {
            Finding::Pass => Answer::Yes,
            Finding::Fail => Answer::No,
            Finding::Broken => Answer::Broken,
            Finding::Senseless => Answer::Senseless(text()),
            Finding::Infrastructure => Answer::Unreachable(text()),
        }
    }
}

impl Bench<'_> {
    pub(super) fn starter(&self) -> Single<'_> {
        let Trial { policy, docker, folders, .. } = self.trial;
        Single { policy, docker, folders, root: self.about.root.clone() }
    }

    /// The job, as the starter reads it from its queue.
    pub(super) fn job(&self) -> Result<PendingJob, TrialError> {
        let Trial { image, params, work_id, .. } = self.trial;
        let asked = PendingJob {
            errand: Errand {
                work_id: work_id.as_ref().map(|work_id| WorkId(raw(work_id))),
                callback: Some(NOWHERE.to_owned()),
                ..Errand::default()
            },
            image: image.clone(),
            file: self.file.to_owned(),
            params: params.clone(),
            runs: 0,
        };
        let read = PendingJob::parse(&asked.to_data());
        read.map_err(|invalid| TrialError::Senseless(format!("no job can be like that: {invalid}")))
    }

    pub(super) fn not_started(
        &self,
        job: &PendingJob,
        profile: Option<Profile>,
        image_id: Option<String>,
        none: NotStarted,
    ) -> Course {
        let course = self.course(job, profile, image_id, none.failure.into(), None);
        Course { passing: none.passing, ..course }
    }

    pub(super) fn course(
        &self,
        job: &PendingJob,
        profile: Option<Profile>,
        image_id: Option<String>,
        known: Known,
        ran: Option<Ran>,
    ) -> Course {
        let Known { told, output, .. } = known;
        let finished = match &told {
            Ok(verdict) => FinishedJob::of_verdict(job.errand.clone(), verdict.json.clone()),
            Err(failure) => FinishedJob::of_failure(job.errand.clone(), failure),
        };
        let mut course = Course {
            file: job.file.clone(),
            profile,
            image_id,
            passing: false,
            tried: output.as_ref().map(|output| verdict::tell(output).1).unwrap_or_default(),
            body: Body::of(&finished).bytes,
            told,
            output,
            ran,
            remedies: Vec::new(),
        };
        course.remedies = remedies::of(&course, self.trial, place::is_here(&self.trial.docker.endpoint));
        course
    }
}

impl Ran {
    pub(super) fn of(inspected: &Inspected) -> Self {
        let took = inspected.started_at.zip(inspected.finished_at);
        Self {
            exit_code: matches!(inspected.state, State::Exited | State::Dead).then_some(inspected.exit_code),
            oom_killed: inspected.oom_killed,
            started_at: inspected.started_at,
            took: took.and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok()),
            memory: None,
        }
    }
}
