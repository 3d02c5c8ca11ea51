//! What our own starter writes into a running job beside the original's fields.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::identity::{CorrectionId, EngineId};

/// What our own starter writes into a running job beside the original's fields (field `runner`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The correction's identity.
    pub correction: CorrectionId,
    /// The Docker engine that runs the container.
    pub engine: EngineId,
    /// How long the container may run, in milliseconds; 0 = no limit.
    pub timeout_ms: u64,
    /// Whether the verdict may need a secret, which then stands in the container's label. Where it is not so
    /// the label need not be looked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
}

impl Origin {
    /// How long the container may run; `None` = no limit.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms))
    }
}
