//! Where the correction of a found container stands, and finishing those that no job knows of.

use super::{Finished, NewJob, QueueError, Redis, Standing};
use crate::labels::Labels;

impl Redis {
    /// Where each of these corrections stands, in the same order.
    ///
    /// # Errors
    /// Redis cannot be asked.
    pub async fn standing(&self, of: &[Labels]) -> Result<Vec<Standing>, QueueError> {
        let _ = of;
        todo!()
    }

    /// Adds `job` to `finished_corrections` under the correction's id and remembers the correction
    /// as done, if it still is an orphan; one script.
    ///
    /// # Errors
    /// Redis cannot be asked. May be called again: a lost reply shows as `Not(Done)`.
    pub async fn finish_orphan(&self, labels: &Labels, job: &NewJob) -> Result<Finished, QueueError> {
        let _ = (labels, job);
        todo!()
    }
}
