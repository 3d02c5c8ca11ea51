//! Emptying the three queues, for a person who asked for it.

use super::{QueueError, Redis};

/// How many keys a reset deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Of `pending_corrections`.
    pub pending: u64,
    /// Of `running_corrections`.
    pub running: u64,
    /// Of `finished_corrections`.
    pub finished: u64,
    /// Our own: the installation's id, the memory of what is done.
    pub own: u64,
}

impl Redis {
    /// Deletes every key of the three queues and all of our own under the prefix. Nothing else is
    /// touched. The installation gets a new id at the next start.
    ///
    /// # Errors
    /// Redis cannot be asked; some keys may be deleted then.
    pub async fn reset(&self) -> Result<Removed, QueueError> {
        todo!()
    }
}
