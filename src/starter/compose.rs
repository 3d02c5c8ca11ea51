//! The container that a submission gets, put together from all that is known of it.

use crate::config::DockerSettings;
use crate::docker::ContainerSpec;
use crate::exercise;
use crate::identity::{CorrectionId, InstanceId};
use crate::job::PendingJob;
use crate::labels::Labels;
use crate::profile::{Profile, VerdictChannel};
use crate::queue::TakenJob;
use crate::rerun::Rerun;

use super::place::{self, Place};
use super::refusal::Postponed;
use super::services::Session;
use super::{secret, submission};

/// What the engine is to make for a submission that may run. `image` = how the engine is to be told of the image;
/// `labels` = what the container says about its correction.
///
/// # Errors
/// Its verdict needs a secret, and there is none to be had now.
pub async fn composed(
    job: &PendingJob,
    image: String,
    labels: Labels,
    profile: Profile,
    docker: &DockerSettings,
) -> Result<ContainerSpec, Postponed> {
    let profile = submission::readable(profile, &job.file, docker).await;
    let seal = match profile.verdict {
        VerdictChannel::Output => None,
        VerdictChannel::Secret => Some(secret::draw()?),
    };
    Ok(ContainerSpec {
        name: labels.correction.container_name(),
        image,
        // Without detours: what was looked at is what the engine is told.
        file: exercise::plain(&job.file).to_string_lossy().into_owned(),
        params: job.params.clone(),
        labels: labels.to_map(),
        seal,
        profile,
    })
}

impl Session {
    /// What is known of where a job's file lies.
    pub async fn place_of(&self, file: &str) -> Place {
        let (folders, endpoint) = (&self.settings.exercise_folders, &self.settings.docker.endpoint);
        place::of(file, folders, endpoint, self.host.root()).await
    }

    /// What the engine is to make for a pending job.
    ///
    /// # Errors
    /// Its verdict needs a secret, and there is none to be had now.
    pub async fn spec(
        &self,
        (job, image): (&PendingJob, &str),
        taken: &TakenJob,
        identity: (&InstanceId, &CorrectionId),
        profile: Profile,
    ) -> Result<ContainerSpec, Postponed> {
        let labels = labels(job, taken, identity, &profile);
        composed(job, image.to_owned(), labels, profile, &self.settings.docker).await
    }
}

/// What the container of a pending job says about it.
fn labels(
    job: &PendingJob,
    taken: &TakenJob,
    (instance, correction): (&InstanceId, &CorrectionId),
    profile: &Profile,
) -> Labels {
    Labels {
        instance: instance.clone(),
        correction: correction.clone(),
        job: taken.id.clone(),
        name: taken.name.clone(),
        timestamp: taken.timestamp,
        generation: taken.generation,
        attempt: taken.token.to_string(),
        timeout_ms: profile.timeout_ms(),
        disk: profile.disk,
        errand: job.errand.clone(),
        rerun: Some(Box::new(rerun(job, taken))),
        seal: None,
    }
}

/// What a completer needs to have the correction run again.
pub fn rerun(job: &PendingJob, taken: &TakenJob) -> Rerun {
    Rerun {
        image: job.image.clone(),
        file: job.file.clone(),
        params: job.params.clone(),
        priority: taken.priority,
        timestamp: taken.timestamp,
        runs: job.runs,
    }
}
