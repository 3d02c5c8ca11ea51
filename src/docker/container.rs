//! Containers: made, started, looked at, killed and removed.

use super::connect::Engine;
use super::error::EngineError;
use super::types::{ContainerSpec, Inspected, Killed, Listed, Removed};
use crate::identity::{ContainerId, InstanceId};

impl Engine {
    /// Makes a container and does not start it.
    ///
    /// # Errors
    /// `NoSuchImage`, `NameTaken`, `MountMissing`, `BadRequest`, `DiskFull`, and those of every call.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        let _ = spec;
        todo!()
    }

    /// Starts a container. The request is sent at most once.
    ///
    /// # Errors
    /// `CannotRun`, `MountMissing`, `NoSuchContainer`, `BadRequest`, `DiskFull`, and those of every
    /// call. After one that [`EngineError::is_ambiguous`], only inspecting tells whether it runs.
    pub async fn start(&self, container: &ContainerId) -> Result<(), EngineError> {
        let _ = container;
        todo!()
    }

    /// Looks at a container; `None` if there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn inspect(&self, name_or_id: &str) -> Result<Option<Inspected>, EngineError> {
        let _ = name_or_id;
        todo!()
    }

    /// Lists the containers of an installation, whatever they are doing. It is given six times
    /// `DOCKER_TIMEOUT`, since it takes the engine the longer the more containers there are.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list(&self, instance: &InstanceId) -> Result<Vec<Listed>, EngineError> {
        let _ = instance;
        todo!()
    }

    /// Kills a container with SIGKILL.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn kill(&self, container: &ContainerId) -> Result<Killed, EngineError> {
        let _ = container;
        todo!()
    }

    /// Unfreezes a container; one that is not frozen is no error.
    ///
    /// # Errors
    /// `NoSuchContainer`, and those of every call.
    pub async fn unpause(&self, container: &ContainerId) -> Result<(), EngineError> {
        let _ = container;
        todo!()
    }

    /// Removes a container with its anonymous volumes; `force` kills it first.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn remove(&self, container: &ContainerId, force: bool) -> Result<Removed, EngineError> {
        let _ = (container, force);
        todo!()
    }
}
