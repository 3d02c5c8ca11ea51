//! What a starter counts: how long submissions waited, those that it could not start, images that are held.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::job::PendingJob;
use crate::metrics::{Ending, ImageLabel, Metrics, Probe, Stage};
use crate::outcome::Outcome;
use crate::queue::TakenJob;

use super::services::Session;

impl Session {
    /// A submission was taken; only the first time counts, however often it is put aside.
    pub fn count_taken(&self, taken: &TakenJob, job: &PendingJob) {
        let is_first = is_first_take(taken) && job.runs == 0;
        if let Some(age) = age(taken).filter(|_| is_first) {
            self.metrics.stages.of(Stage::Queued).took(age);
        }
    }

    /// A container of an image was started.
    pub fn count_started(&self, image: &str) {
        // Such an image gets a name of its own sooner than one that nobody can run.
        let _ = self.metrics.corrections.label(image, true);
    }

    /// A submission ended as a failure before its container ran.
    pub fn count_refused(&self, taken: &TakenJob, outcome: Outcome) {
        let corrections = &self.metrics.corrections;
        let image = PendingJob::parse(&taken.data).ok();
        let image = image.map_or(ImageLabel::Unknown, |job| corrections.label(&job.image, false));
        corrections.ended(image, Ending(Some(outcome)));
        if let Some(age) = age(taken) {
            self.metrics.correction_time.took(age);
        }
    }
}

fn is_first_take(taken: &TakenJob) -> bool {
    // Clients of other versions may not count their takes.
    taken.takes_before == 0 && !taken.was_tried() && taken.attempts_made == 0
}

/// How long ago a job was added, by our clock; nothing where that cannot be told.
fn age(taken: &TakenJob) -> Option<Duration> {
    let now = Timestamp::now().as_millisecond().unsigned_abs();
    (taken.timestamp > 0).then(|| Duration::from_millis(now.saturating_sub(taken.timestamp)))
}

impl Probe for Session {
    fn tell(&self, metrics: &Metrics) {
        // Where somebody holds them just now the numbers stay as they were.
        let Some(held) = self.images_if_free().map(|images| images.held(Instant::now())) else { return };
        for (state, number) in held {
            metrics.images.of(state).count(number);
        }
    }
}
