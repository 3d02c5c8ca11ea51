//! How the engine is reached.

use jiff::Timestamp;

use super::error::EngineError;
use super::types::About;
use crate::config::DockerSettings;

/// A Docker engine. Clones share its connections.
#[derive(Clone)]
pub struct Engine {}

impl Engine {
    /// Reads the certificates and prepares the connections; sends nothing.
    ///
    /// # Errors
    /// A certificate or key cannot be read, or the endpoint is of a kind that is not supported.
    pub fn new(settings: &DockerSettings) -> Result<Self, EngineError> {
        let _ = settings;
        todo!()
    }

    /// Asks whether the engine is there.
    ///
    /// # Errors
    /// It is not, or it is no engine that we can work with.
    pub async fn ping(&self) -> Result<(), EngineError> {
        todo!()
    }

    /// Asks which engine it is.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn about(&self) -> Result<About, EngineError> {
        todo!()
    }

    /// The time on the daemon's clock, as well as its `Date` headers tell it (to about a second).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        todo!()
    }
}
