//! What is needed to watch a container to its end and to read it, and nothing of Redis.

use crate::docker::{Engine, EngineError};
use crate::identity::Whereabouts;

use super::session::Outages;
use super::witness::Witness;

/// The engine, and what was seen there so far.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The Docker engine.
    pub engine: &'a Engine,
    /// Bytes of a container's output that are kept.
    pub output_limit: u64,
    /// When the event stream was away.
    pub outages: &'a Outages,
    /// What was seen of containers while they ran.
    pub witness: &'a Witness,
    /// Which engine is watched.
    pub whereabouts: &'a Whereabouts,
}

impl Scene<'_> {
    /// Asks whether the engine still takes new connections. One that goes down takes none, and ends its
    /// containers only then; over the connections that it has it answers all the while.
    ///
    /// # Errors
    /// It does not.
    pub async fn engine_stays(&self) -> Result<(), EngineError> {
        self.engine.afresh().ping().await
    }
}
