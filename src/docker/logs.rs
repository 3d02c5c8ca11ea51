//! What a container wrote.

use super::connect::Engine;
use super::error::EngineError;
use crate::identity::ContainerId;
use crate::output::Output;

impl Engine {
    /// Reads what a container wrote so far, keeping about `limit` bytes; `None` if there is no such
    /// container. The first byte has `DOCKER_TIMEOUT`, each silence too, and all of it has a minute.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn output(&self, container: &ContainerId, limit: u64) -> Result<Option<Output>, EngineError> {
        let _ = (container, limit);
        todo!()
    }
}
