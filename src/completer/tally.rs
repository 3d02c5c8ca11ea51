//! What a completer counts: corrections that it ended, how long they took, what its sweeps found.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::job::FinishedJob;
use crate::labels::Labels;
use crate::metrics::{CameOf, Ending, Find, ImageLabel, Metrics, Stage};
use crate::rerun::Asked;

/// What is remembered of a held correction in order to count it in the end.
#[derive(Debug, Default)]
pub struct Course {
    image: ImageLabel,
    /// When it was submitted, in milliseconds of Unix time.
    submitted: Option<u64>,
    /// When it was first known here that its container ended.
    ended: OnceLock<Instant>,
}

impl Course {
    /// That of a running job, from its data.
    #[must_use]
    pub fn of_record(data: &str, metrics: &Metrics) -> Self {
        match Asked::of_record(data) {
            Some(Asked { image, timestamp }) => Self {
                image: metrics.corrections.label(&image, true),
                submitted: Some(timestamp),
                ended: OnceLock::new(),
            },
            None => Self::default(),
        }
    }

    /// That of a container without a record, from its labels.
    #[must_use]
    pub fn of_labels(labels: &Labels, metrics: &Metrics) -> Self {
        let image = labels.rerun.as_ref().map(|asked| metrics.corrections.label(&asked.image, true));
        let submitted = Some(labels.timestamp).filter(|timestamp| *timestamp > 0);
        Self { image: image.unwrap_or_default(), submitted, ended: OnceLock::new() }
    }

    /// Its container ended; only the first time counts.
    pub fn has_ended(&self) {
        self.ended.get_or_init(Instant::now);
    }

    /// It is over: its result was handed over, or (without one) it is run again. `recorded_for` = for how long it has
    /// had a record.
    pub fn over(&self, result: Option<&FinishedJob>, recorded_for: Option<Duration>, metrics: &Metrics) {
        let Some(result) = result else { return metrics.reruns.one() };
        metrics.corrections.ended(self.image, Ending::named(result.outcome.as_deref()));
        let now = Timestamp::now().as_millisecond().unsigned_abs();
        if let Some(submitted) = self.submitted {
            metrics.correction_time.took(Duration::from_millis(now.saturating_sub(submitted)));
        }
        let Some(collected_for) = self.ended.get().map(Instant::elapsed) else { return };
        metrics.stages.of(Stage::Collect).took(collected_for);
        if let Some(recorded_for) = recorded_for {
            metrics.stages.of(Stage::Run).took(recorded_for.saturating_sub(collected_for));
        }
    }
}

/// A sweep was done, and found so many orphans that none before it had found.
pub fn swept(new_orphans: usize, metrics: &Metrics) {
    metrics.sweep_finds.of(Find::Orphan).add(new_orphans as u64);
    metrics.sweeps.of(CameOf::Done).one();
    #[allow(clippy::cast_precision_loss, reason = "a time of this century")]
    metrics.last_sweep.set(Timestamp::now().as_millisecond() as f64 / 1e3);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Errand;
    use crate::metrics::Label;
    use crate::outcome::{Failure, Outcome};

    #[test]
    fn a_correction_is_counted_by_its_image_and_outcome_and_with_its_times_once_its_end_was_seen() {
        let metrics = Metrics::default();
        let data = r#"{"runner":{"rerun":{"image":"quiz:1","file":"/f","timestamp":1}}}"#;
        let course = Course::of_record(data, &metrics);
        let failure = Failure::new(Outcome::Timeout, "It took too long.");
        let result = FinishedJob::of_failure(Errand::default(), &failure);
        course.over(Some(&result), Some(Duration::from_secs(7)), &metrics);
        let page = metrics.page(crate::metrics::Format::Prometheus);
        let counted = "correction_runner_corrections_total{image=\"quiz:1\",outcome=\"timeout\"} 1\n";
        assert!(page.contains(counted), "{page}");
        assert_eq!((metrics.correction_time.count(), metrics.stages.of(Stage::Run).count()), (1, 0));
        course.has_ended();
        course.over(Some(&result), Some(Duration::from_secs(7)), &metrics);
        assert_eq!(
            (metrics.stages.of(Stage::Run).count(), metrics.stages.of(Stage::Collect).count()),
            (1, 1)
        );
        let stages = Stage::all().iter().map(|stage| metrics.stages.of(*stage).count()).sum::<u64>();
        assert_eq!(stages, 2);
    }
}
