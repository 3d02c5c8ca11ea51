//! What is needed to run a correction again: it stands in its container's labels, and in its running job for the
//! case that the container's host is gone.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a pending job asked for, as far as a running one does not tell it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// The grader's image, as the job named it.
    pub image: String,
    /// The submission's path on the Docker host.
    pub file: String,
    /// Environment variables for the grader, each `KEY=value`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<String>,
    /// The job's priority; 0 = none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: u32,
    /// The job's timestamp, in milliseconds of Unix time.
    pub timestamp: u64,
    /// How often the correction was run before this run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub runs: u32,
}

#[derive(Deserialize)]
struct Record {
    runner: Runner,
}

#[derive(Deserialize)]
struct Runner {
    rerun: Rerun,
}

impl Rerun {
    /// Reads it out of the data of a running job; `None` where that does not tell it: it is of an earlier version,
    /// or of the original's starter.
    #[must_use]
    pub fn of_record(data: &str) -> Option<Self> {
        serde_json::from_str::<Record>(data).ok().map(|record| record.runner.rerun)
    }
}

/// What is counted of a running job.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The grader's image, as the pending job named it.
    pub image: String,
    /// The pending job's timestamp, in milliseconds of Unix time.
    pub timestamp: u64,
}

impl Asked {
    /// Reads it out of the data of a running job; `None` where that does not tell it.
    #[must_use]
    pub fn of_record(data: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Record {
            runner: Runner,
        }
        #[derive(Deserialize)]
        struct Runner {
            rerun: Brief,
        }
        #[derive(Deserialize)]
        struct Brief {
            image: String,
            timestamp: u64,
        }
        let Brief { image, timestamp } = serde_json::from_str::<Record>(data).ok()?.runner.rerun;
        Some(Self { image, timestamp })
    }
}

impl fmt::Debug for Rerun {
    /// Without the parameters: there may be passwords in them.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, file, runs, .. } = self;
        formatter.debug_struct("Rerun").field("image", image).field("file", file).field("runs", runs).finish()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
impl Rerun {
    /// Of a first run, of which a test asks nothing further.
    pub(crate) fn of_first_run() -> Self {
        Self {
            image: "grader:1".into(),
            file: "/srv/work".into(),
            params: vec!["A=hush".into()],
            priority: 0,
            timestamp: 5,
            runs: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{ContainerId, CorrectionId, EngineId};
    use crate::job::{Errand, Origin, RunningJob};

    #[test]
    fn it_is_read_back_from_a_running_job_which_is_otherwise_the_same() {
        let origin = Origin {
            correction: CorrectionId::new("x"),
            engine: EngineId::new("e"),
            timeout_ms: 1500,
            sealed: false,
        };
        let errand = Errand { callback: Some("http://h/".into()), ..Errand::default() };
        let job = RunningJob { errand, container: ContainerId::new("c"), origin: Some(origin) };
        for rerun in [Rerun::of_first_run(), Rerun { priority: 3, runs: 1, ..Rerun::of_first_run() }] {
            let data = job.to_data_with(Some(&rerun));
            let asked = Asked { image: rerun.image.clone(), timestamp: rerun.timestamp };
            assert_eq!(Asked::of_record(&data), Some(asked));
            assert_eq!(Rerun::of_record(&data), Some(rerun));
            assert_eq!(RunningJob::parse(&data).expect("own data"), job);
        }
        assert_eq!(Rerun::of_record(&job.to_data()), None);
        assert_eq!(Rerun::of_record("nonsense"), None);
    }

    #[test]
    fn no_parameter_is_printed() {
        assert!(!format!("{:?}", Rerun::of_first_run()).contains("hush"));
    }
}
