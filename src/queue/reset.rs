//! Emptying the three queues, for a person who asked for it.

use deadpool_redis::redis;

use super::redis::INSTANCE;
use super::{QueueError, Redis};
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};

/// How many keys a reset deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Of `pending_corrections`.
    pub pending: u64,
    /// Of `running_corrections`.
    pub running: u64,
    /// Of `finished_corrections`.
    pub finished: u64,
    /// Our own: the installation's id, the memory of what is done, of what is to be removed, of images, permits, marks.
    pub own: u64,
}

impl Redis {
    /// Deletes every key of the three queues and all of our own under the prefix. Nothing else is
    /// touched. The installation gets a new id at the next start, or from whichever component still
    /// runs.
    ///
    /// The id goes first: from then on [`Redis::finish_orphan`] refuses corrections that have it, so
    /// that no sweep of a running completer puts one into a queue that was just emptied.
    ///
    /// # Errors
    /// Redis cannot be asked; some keys may be deleted then.
    pub async fn reset(&self) -> Result<Removed, QueueError> {
        let instance: u64 = self.command("unlink", redis::cmd("UNLINK").arg(self.own_key(INSTANCE))).await?;
        Ok(Removed {
            pending: self.delete_all(&self.base_key(PENDING_QUEUE)).await?,
            running: self.delete_all(&self.base_key(RUNNING_QUEUE)).await?,
            finished: self.delete_all(&self.base_key(FINISHED_QUEUE)).await?,
            // A new id that somebody made meanwhile stays: containers may have it by now.
            own: instance
                + self.delete_all(&self.done_keys()).await?
                + self.delete_all(&self.removals_keys()).await?
                + self.delete_all(&self.permits_keys()).await?
                + self.delete_all(&self.exercises_keys()).await?
                + self.delete_all(&self.images_keys()).await?
                + self.delete_all(&self.engines_keys()).await?
                + self.delete_all(&self.cancels_key()).await?
                + self.delete_all(&self.strays_key()).await?
                + self.command::<u64>("unlink", redis::cmd("UNLINK").arg(self.engine_list_key())).await?,
        })
    }

    /// Deletes all keys that start so.
    async fn delete_all(&self, beginning: &str) -> Result<u64, QueueError> {
        let pattern = pattern(beginning);
        let (mut cursor, mut deleted) = (0_u64, 0);
        loop {
            let scan =
                redis::cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000).clone();
            let (next, keys): (u64, Vec<Vec<u8>>) = self.command("scan", &scan).await?;
            if !keys.is_empty() {
                deleted += self.command::<u64>("unlink", redis::cmd("UNLINK").arg(&keys)).await?;
            }
            if next == 0 {
                return Ok(deleted);
            }
            cursor = next;
        }
    }
}

/// The pattern of all keys that start so.
pub(super) fn pattern(beginning: &str) -> String {
    format!("{}*", escaped(beginning))
}

/// A text as a pattern that matches nothing else.
fn escaped(text: &str) -> String {
    let special = |character| matches!(character, '*' | '?' | '[' | ']' | '^' | '\\');
    text.chars()
        .flat_map(|character| special(character).then_some('\\').into_iter().chain([character]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_with_special_characters_matches_only_itself() {
        assert_eq!(escaped("bull:q*[a]?\\:"), "bull:q\\*\\[a\\]\\?\\\\:");
    }
}
