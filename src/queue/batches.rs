//! What is done with many jobs at once: take, renew, recover, hand back, revive, count.

use super::{Counts, Queue, QueueError};
use crate::identity::{JobId, LockToken};

impl Queue {
    /// Puts active jobs whose lock is gone back in line, in one pass, and tells which.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn recover(&self) -> Result<Vec<JobId>, QueueError> {
        todo!()
    }

    /// Puts jobs back in line that another client failed as `job stalled more than allowable limit`,
    /// looking at the newest 100 failed ones, and tells which.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn revive_overstalled(&self) -> Result<Vec<JobId>, QueueError> {
        todo!()
    }

    /// Gives up the locks of jobs that were not settled and puts them in front of the line, in the
    /// order in which they stand here (as they were taken: oldest first). Jobs whose lock is not
    /// that token any more are left alone. Answers how many were put back.
    ///
    /// # Errors
    /// Redis cannot be asked; some batches may have been handed back.
    pub async fn hand_back(&self, jobs: &[(JobId, LockToken)]) -> Result<usize, QueueError> {
        let _ = jobs;
        todo!()
    }

    /// How many jobs are in which state.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        todo!()
    }
}
