//! The container that a submission gets, put together from all that is known of it.

use crate::config::DockerSettings;
use crate::docker::ContainerSpec;
use crate::exercise;
use crate::job::PendingJob;
use crate::labels::Labels;
use crate::profile::{Profile, VerdictChannel};

use super::refusal::Postponed;
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
