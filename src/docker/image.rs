//! Pulling images: one pull in flight per image, shared by all who wait for it.

use super::connect::Engine;
use super::error::EngineError;

impl Engine {
    /// Pulls an image from its registry, with the credentials that are set for that registry. All who
    /// ask for the same image while it is being pulled share one pull, which goes on even if the first
    /// of them no longer waits.
    ///
    /// # Errors
    /// `NoSuchImage`, `PullDenied`, `UnusableImage`, `PullFailed`, `DiskFull`, and those of every call.
    pub async fn pull(&self, image: &str) -> Result<(), EngineError> {
        let _ = image;
        todo!()
    }
}
