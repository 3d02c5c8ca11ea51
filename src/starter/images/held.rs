//! How many images are held up, and by what.

use tokio::time::Instant;

use crate::metrics::ImageState;

use super::{Image, Images};

impl Images {
    /// How many there are of each kind.
    #[must_use]
    pub fn held(&self, now: Instant) -> [(ImageState, u64); 3] {
        let count =
            |is_so: &dyn Fn(&Image) -> bool| self.known.values().filter(|image| is_so(image)).count() as u64;
        let fails = |image: &Image| image.failing.as_ref().is_some_and(|failing| failing.until.is_some());
        [
            (ImageState::Pulling, count(&|image| image.is_pulled)),
            (ImageState::Failing, count(&fails)),
            (ImageState::Hanging, count(&|image| image.is_doubtful(self.patience, now))),
        ]
    }
}
