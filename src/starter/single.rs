//! One submission started for whoever has no queue: the starter's own steps, one after the other.
//!
//! What the starter tries again for an hour is tried once here: whoever waits is a person.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use crate::config::DockerSettings;
use crate::docker::{ContainerSpec, Engine};
use crate::identity::{ContainerId, JobId};
use crate::job::{PendingJob, Problem};
use crate::labels::Labels;
use crate::outcome::Failure;
use crate::policy::Policy;
use crate::profile::Profile;

use super::compose::composed;
use super::launch::{Launch, Launcher, launch};
use super::place::{self, Place};
use super::refusal::{self, Meaning, Postponed, meaning};

/// An image that is not there just after it was pulled so often is given up.
const PULLS: u32 = 3;

/// What is needed to start submissions one by one.
#[derive(Clone, Debug)]
pub struct Single<'a> {
    /// Which images may run, and what their containers get.
    pub policy: &'a Policy,
    /// How the engine is reached and used.
    pub docker: &'a DockerSettings,
    /// The folders that submissions have to lie in; none = any.
    pub folders: &'a [PathBuf],
    /// Where the engine says that it keeps its files.
    pub root: Option<PathBuf>,
}

/// Why a submission was not started.
#[derive(Clone, Debug, PartialEq)]
pub struct NotStarted {
    /// What its caller is told.
    pub failure: Failure,
    /// Whether a starter would try it again before it tells that.
    pub passing: bool,
}

impl Single<'_> {
    /// Whether a submission may run, and what its container gets then.
    ///
    /// # Errors
    /// It may not: its file lies where none may lie, or its image is not allowed.
    pub async fn admitted(&self, job: &PendingJob) -> Result<Profile, NotStarted> {
        match place::of(&job.file, self.folders, &self.docker.endpoint, self.root.clone()).await {
            Place::Fits => {}
            Place::Refused(misplaced) => {
                return Err(refusal::invalid_job(&Problem::of_file(misplaced.as_str(), &job.file)).into());
            }
            Place::Unknown => return Err(refusal::out_of_sight(&job.file).into()),
        }
        self.policy.profile_of(&job.image).map_err(|not_allowed| refusal::not_allowed(&not_allowed).into())
    }

    /// How the engine is told of an image.
    #[must_use]
    pub fn spelled(&self, image: &str) -> String {
        self.policy.spelled(image)
    }

    /// The container that a submission gets.
    ///
    /// # Errors
    /// Its verdict needs a secret, and there is none to be had.
    pub async fn composed(
        &self,
        job: &PendingJob,
        labels: Labels,
        profile: Profile,
    ) -> Result<ContainerSpec, NotStarted> {
        let image = self.spelled(&job.image);
        composed(job, image, labels, profile, self.docker).await.map_err(NotStarted::from)
    }

    /// Makes and starts the container. `pulling` is called before its image is pulled.
    ///
    /// # Errors
    /// It was not started; a container of the name that was asked for may be there nonetheless.
    pub async fn launched(
        &self,
        engine: &Engine,
        spec: &ContainerSpec,
        job: &JobId,
        pulling: impl Fn() + Send,
    ) -> Result<ContainerId, NotStarted> {
        let never = CancellationToken::new();
        let pull = self.docker.pull;
        let by = Launcher { engine, pull, dont_start: false, job, cancelled: &never };
        let mut pulls = 0;
        loop {
            let missing = match launch(by, spec).await {
                Launch::Started(container) | Launch::Adopted(container) => return Ok(container),
                Launch::Failed { failure, .. } => return Err(failure.into()),
                Launch::Later(postponed) => return Err(postponed.into()),
                Launch::Cancelled => return Err(Failure::cancelled().into()),
                Launch::NoImage(error) => error,
            };
            if pulls == PULLS {
                return Err(meaning(&missing, &spec.image).into());
            }
            pulls += 1;
            pulling();
            if let Err(error) = engine.pull(&spec.image).await {
                return Err(meaning(&error, &spec.image).into());
            }
        }
    }
}

impl From<Failure> for NotStarted {
    fn from(failure: Failure) -> Self {
        Self { failure, passing: false }
    }
}

impl From<Postponed> for NotStarted {
    fn from(postponed: Postponed) -> Self {
        Self { failure: postponed.failure, passing: true }
    }
}

impl From<Meaning> for NotStarted {
    fn from(meaning: Meaning) -> Self {
        match meaning {
            Meaning::Final(failure) => failure.into(),
            Meaning::Passing(postponed) => postponed.into(),
        }
    }
}
