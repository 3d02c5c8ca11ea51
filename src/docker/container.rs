//! Containers: made, started, listed, killed and removed.

use std::collections::HashMap;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, RemoveContainerOptions, StartContainerOptions,
};
use serde::Deserialize;

use super::connect::Engine;
use super::error::{Call, EngineError};
use super::sealed::sealed;
use super::spec;
use super::types::{ContainerSpec, Killed, Listed, Removed, State};
use crate::identity::{ContainerId, InstanceId};
use crate::labels::{INSTANCE_LABEL, Labels};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer {
    id: String,
    state: String,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

impl Engine {
    /// Makes a container and does not start it.
    ///
    /// # Errors
    /// `NoSuchImage`, `NameTaken`, `MountMissing`, `CannotRun`, `BadRequest`, `DiskFull`, and those of
    /// every call.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.within(Call::Create, self.timeout(), async {
            let spoken = self.spoken().await?;
            let options =
                CreateContainerOptions { name: Some(spec.name.clone()), ..CreateContainerOptions::default() };
            loop {
                let means = spoken.means(self.learned(), &spec.profile);
                let mut body = spec::body(spec, means);
                if let Some(seal) = &spec.seal {
                    body = sealed(body, seal);
                }
                let error = match spoken.docker.create_container(Some(options.clone()), body).await {
                    Ok(made) => return Ok(ContainerId::new(made.id)),
                    Err(error) => error,
                };
                let refusal = self.refused(Call::Create, error)?;
                // It made nothing: the same without what it cannot do is another request, sent once.
                let of_quota = means.disk_quota && refusal.says("storage-opt");
                if !(of_quota && self.learned().refused_quota(&refusal.message)) {
                    return Err(refusal.of_create(spec));
                }
            }
        })
        .await
    }

    /// Starts a container. The request is sent at most once. One that runs already is no error.
    ///
    /// # Errors
    /// `CannotRun`, `MountMissing`, `NoSuchContainer`, `BadRequest`, `DiskFull`, and those of every
    /// call. After one that [`EngineError::is_ambiguous`], only inspecting tells whether it runs.
    pub async fn start(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.within(Call::Start, self.timeout(), async {
            let spoken = self.spoken().await?;
            match spoken.docker.start_container(container.as_str(), None::<StartContainerOptions>).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refused(Call::Start, error)?.of_start(container)),
            }
        })
        .await
    }

    /// Lists the containers of an installation, whatever they are doing. Each is shown to `keep` as soon as it
    /// was read, and only what that makes of it is held: there may be ten thousand. The call is given six
    /// times `DOCKER_TIMEOUT`, since it takes the engine the longer the more containers there are. One of
    /// which the engine says too much (4 MiB) is left out, with a warning.
    ///
    /// # Errors
    /// Those of every call; then some containers may have been shown.
    pub async fn list<T: Send>(
        &self,
        instance: &InstanceId,
        mut keep: impl FnMut(Listed) -> Option<T> + Send,
    ) -> Result<Vec<T>, EngineError> {
        let filters = serde_json::json!({ "label": [format!("{INSTANCE_LABEL}={instance}")] });
        self.each_container(&filters, |answer: ListAnswer| keep(answer.into())).await
    }

    /// Kills a container with SIGKILL.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn kill(&self, container: &ContainerId) -> Result<Killed, EngineError> {
        self.within(Call::Kill, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
            let Err(error) = docker.kill_container(container.as_str(), Some(options)).await else {
                return Ok(Killed::Sent);
            };
            let refusal = self.refused(Call::Kill, error)?;
            match refusal.status {
                404 => Ok(Killed::Gone),
                409 => Ok(Killed::NotRunning),
                _ if refusal.says("is not running") => Ok(Killed::NotRunning),
                _ => Err(refusal.error(Call::Kill)),
            }
        })
        .await
    }

    /// Unfreezes a container; one that is not frozen is no error.
    ///
    /// # Errors
    /// `NoSuchContainer`, and those of every call.
    pub async fn unpause(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.within(Call::Unpause, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let Err(error) = docker.unpause_container(container.as_str()).await else { return Ok(()) };
            let refusal = self.refused(Call::Unpause, error)?;
            if refusal.says("is not paused") {
                Ok(())
            } else if refusal.is_of_missing_container() {
                Err(EngineError::NoSuchContainer { container: container.to_string() })
            } else {
                Err(refusal.error(Call::Unpause))
            }
        })
        .await
    }

    /// Has the engine write an ended container's file anew, with nothing changed: where its disk is full,
    /// that fails, and what the container printed last was not kept either.
    ///
    /// # Errors
    /// `DiskFull`, and those of every call.
    pub async fn has_room(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.within(Call::Update, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let nothing = ContainerUpdateBody::default();
            match docker.update_container(container.as_str(), nothing).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refused(Call::Update, error)?.error(Call::Update)),
            }
        })
        .await
    }

    /// Removes a container with its anonymous volumes; `force` kills it first.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn remove(&self, container: &ContainerId, force: bool) -> Result<Removed, EngineError> {
        self.within(Call::Remove, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let options = RemoveContainerOptions { v: true, force, link: false };
            let Err(error) = docker.remove_container(container.as_str(), Some(options)).await else {
                return Ok(Removed::Done);
            };
            let refusal = self.refused(Call::Remove, error)?;
            match refusal.status {
                404 => Ok(Removed::Gone),
                _ if refusal.says("already in progress") => Ok(Removed::InProgress),
                _ if refusal.says("cannot remove") && !force => Ok(Removed::Running),
                _ => Err(refusal.error(Call::Remove)),
            }
        })
        .await
    }
}

impl From<ListAnswer> for Listed {
    fn from(answer: ListAnswer) -> Self {
        let ListAnswer { id, state, created, labels } = answer;
        let (id, state) = (ContainerId::new(id), State::read(&state));
        let labels = labels.as_ref().and_then(Labels::from_map).map(Box::new);
        Self { id, state, created, labels }
    }
}
