//! Whether the verdict of an ended container needs a secret, and which: its label tells.

use tokio::time::Instant;

use crate::docker::{EngineError, Inspected};
use crate::job::RunningJob;
use crate::labels::{INSTANCE_LABEL, Labels, SECRET_LABEL};
use crate::outcome::{Failure, Outcome};
use crate::seal::Seal;

use super::collect::Ended;
use super::scene::Scene;
use super::tries::Reached;

/// What is known of it before the container is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sealing {
    /// Its secret, or that it needs none.
    Known(Option<Seal>),
    /// It may need one: the label has to be read.
    InLabel,
    /// No record of ours tells of it: the label has to be read where the container has ours.
    IfLabelled,
}

/// What reading the label came to.
#[derive(Debug, PartialEq)]
pub enum Read {
    /// The secret, or that none is needed.
    Seal(Option<Seal>),
    /// The container is not there any more.
    Gone,
    /// It cannot be known, so that nothing that was printed may count.
    Unknown(Failure),
}

impl Sealing {
    /// What the record of a correction tells. Containers of the original's starter have no secret, but that one wrote
    /// the record is not known: it may have been lost and written anew.
    #[must_use]
    pub fn of_job(job: &RunningJob) -> Self {
        match &job.origin {
            Some(origin) if origin.sealed => Self::InLabel,
            Some(_) => Self::Known(None),
            None => Self::IfLabelled,
        }
    }

    /// Reads the label where it has to be read.
    ///
    /// # Errors
    /// The engine gave no answer: to be tried again.
    pub async fn read(
        &self,
        scene: Scene<'_>,
        ended: &Ended,
        reached: &mut Reached,
    ) -> Result<Read, EngineError> {
        if let Self::Known(seal) = self {
            return Ok(Read::Seal(seal.clone()));
        }
        match scene.engine.inspect(ended.container.as_str()).await {
            Ok(Some(inspected)) if *self == Self::IfLabelled && !is_labelled(&inspected) => {
                Ok(Read::Seal(None))
            }
            Ok(Some(inspected)) => Ok(of_label(&inspected)),
            Ok(None) => Ok(Read::Gone),
            Err(error) => {
                *reached = Reached::NoInspection { away: error.is_away() };
                if error.is_away() || !ended.tries.inspection.are_enough(&error, Instant::now()) {
                    return Err(error);
                }
                Ok(Read::Unknown(unknown(&format!("{error:#}"))))
            }
        }
    }
}

/// Whether it has a label of ours by which its verdict may need a secret.
fn is_labelled(inspected: &Inspected) -> bool {
    [INSTANCE_LABEL, SECRET_LABEL].iter().any(|name| inspected.labels.contains_key(*name))
}

fn of_label(inspected: &Inspected) -> Read {
    match Labels::from_map(&inspected.labels) {
        Some(labels) => Read::Seal(labels.seal),
        None => Read::Unknown(unknown("its labels are not those that the runner gave it")),
    }
}

fn unknown(why: &str) -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        format!(
            "The correction ended, but Docker does not tell by which secret its verdict is known ({why}), so that \
             nothing that was printed can count. The administrator of the Docker host has to look at it; the work \
             can be submitted again."
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::docker::State;
    use crate::identity::{ContainerId, CorrectionId, EngineId};
    use crate::job::{Errand, Origin};
    use crate::seal::tests::seal;

    fn job(sealed: Option<bool>) -> RunningJob {
        let (correction, engine) = (CorrectionId::new("x"), EngineId::new("e"));
        let origin = sealed.map(|sealed| Origin { correction, engine, timeout_ms: 0, sealed });
        RunningJob { errand: Errand::default(), container: ContainerId::new("c"), origin }
    }

    fn found(secret: Option<&str>) -> Read {
        let mut labels = Labels::of_correction("x").to_map();
        labels.extend(secret.map(|secret| (SECRET_LABEL.to_owned(), secret.to_owned())));
        of_label(&inspected(labels))
    }

    fn inspected(labels: HashMap<String, String>) -> Inspected {
        Inspected { labels, ..Inspected::of(State::Exited, 0) }
    }

    #[test]
    fn of_a_record_that_is_not_ours_the_container_tells_whether_it_is() {
        assert!(!is_labelled(&inspected(HashMap::new())));
        assert!(is_labelled(&inspected(Labels::of_correction("x").to_map())));
        assert!(is_labelled(&inspected(HashMap::from([(SECRET_LABEL.to_owned(), String::new())]))));
    }

    #[test]
    fn only_what_our_starter_notes_as_started_without_a_secret_is_read_without_a_look_at_its_label() {
        assert_eq!(Sealing::of_job(&job(None)), Sealing::IfLabelled);
        assert_eq!(Sealing::of_job(&job(Some(false))), Sealing::Known(None));
        assert_eq!(Sealing::of_job(&job(Some(true))), Sealing::InLabel);
    }

    #[test]
    fn the_label_decides_and_one_that_cannot_be_read_lets_nothing_count() {
        assert_eq!(found(None), Read::Seal(None));
        assert_eq!(found(Some(seal(1).reveal())), Read::Seal(Some(seal(1))));
        let Read::Unknown(failure) = found(Some("broken")) else { panic!("unknown") };
        assert_eq!(failure.outcome, Outcome::ContainerLost);
        assert!(!failure.text.contains("broken"));
    }
}
