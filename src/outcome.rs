//! How a correction ended when it was the runner, not the grader, that declared the failure.

mod meaning;

use std::fmt;

pub use meaning::Meaning;

/// The kinds of failure that the runner itself declares (contract, section 6).
///
/// The text of each is what stands in a callback's `outcome` field, in the finished job and in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The container ran longer than its limit and was killed.
    Timeout,
    /// The container's memory limit was reached and the kernel killed a process in it.
    OutOfMemory,
    /// The submission's file is not on the Docker host.
    ExerciseNotFound,
    /// The grader wrote more than is kept, and no verdict was in what was kept.
    OutputLimit,
    /// The grader printed something that is meant to be a verdict and is not valid.
    InvalidVerdict,
    /// The grader ended without printing anything that looks like a verdict.
    NoVerdict,
    /// The container was killed or removed by somebody else.
    Killed,
    /// The grader's image does not exist, here or in its registry.
    ImageNotFound,
    /// The grader's image may not be run here.
    ImageNotAllowed,
    /// The container could not be created or started, and trying again would not help.
    StartFailed,
    /// The job's data is not what the contract says.
    InvalidJob,
    /// The container vanished or cannot be stopped.
    ContainerLost,
    /// The Docker engine was away for longer than starts are retried, or went away mid-run.
    EngineUnavailable,
    /// A person cancelled the correction.
    Cancelled,
    /// The Docker host has no room left.
    DiskFull,
    /// The registry could not be reached or refused the credentials.
    PullFailed,
    /// The image failed so often that its corrections are held back.
    ImageSuspended,
}

impl Outcome {
    /// Every outcome, for documentation and tests.
    pub const ALL: [Self; 17] = [
        Self::Timeout,
        Self::OutOfMemory,
        Self::ExerciseNotFound,
        Self::OutputLimit,
        Self::InvalidVerdict,
        Self::NoVerdict,
        Self::Killed,
        Self::ImageNotFound,
        Self::ImageNotAllowed,
        Self::StartFailed,
        Self::InvalidJob,
        Self::ContainerLost,
        Self::EngineUnavailable,
        Self::Cancelled,
        Self::DiskFull,
        Self::PullFailed,
        Self::ImageSuspended,
    ];

    /// Whether the submission or its grader is at fault, so that the same submission would fail again: that of a
    /// full disk is told by [`Failure::again`].
    #[must_use]
    pub fn is_of_the_submission(self) -> bool {
        match self {
            Self::Timeout
            | Self::OutOfMemory
            | Self::OutputLimit
            | Self::InvalidVerdict
            | Self::NoVerdict
            | Self::DiskFull => true,
            Self::ExerciseNotFound
            | Self::Killed
            | Self::ImageNotFound
            | Self::ImageNotAllowed
            | Self::StartFailed
            | Self::InvalidJob
            | Self::ContainerLost
            | Self::EngineUnavailable
            | Self::Cancelled
            | Self::PullFailed
            | Self::ImageSuspended => false,
        }
    }

    /// The outcome of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// The outcome's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::OutOfMemory => "out_of_memory",
            Self::ExerciseNotFound => "exercise_not_found",
            Self::OutputLimit => "output_limit",
            Self::InvalidVerdict => "invalid_verdict",
            Self::NoVerdict => "no_verdict",
            Self::Killed => "killed",
            Self::ImageNotFound => "image_not_found",
            Self::ImageNotAllowed => "image_not_allowed",
            Self::StartFailed => "start_failed",
            Self::InvalidJob => "invalid_job",
            Self::ContainerLost => "container_lost",
            Self::EngineUnavailable => "engine_unavailable",
            Self::Cancelled => "cancelled",
            Self::DiskFull => "disk_full",
            Self::PullFailed => "pull_failed",
            Self::ImageSuspended => "image_suspended",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A correction that the runner declares failed: the kind, and the text that a teacher reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub outcome: Outcome,
    /// What happened and what to do about it, without secrets.
    pub text: String,
    /// Whether it is the fault of the Docker host or of the runner and not of the grader or the submission, so
    /// that another run may end otherwise.
    pub again: bool,
}

impl Failure {
    /// A failure of the given kind with its text. That another run may end otherwise is said of what only the
    /// host can be the cause of.
    pub fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        let again = matches!(outcome, Outcome::EngineUnavailable | Outcome::ContainerLost);
        Self { outcome, text: text.into(), again }
    }

    /// That a person cancelled it.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(
            Outcome::Cancelled,
            "The correction was cancelled by the administrator of the runner before it had ended. If that was not \
             meant, submit the work again.",
        )
    }

    /// The same, of which it is known whether another run may end otherwise.
    #[must_use]
    pub fn again(self, again: bool) -> Self {
        Self { again, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn what_another_try_may_heal_is_not_the_submissions() {
        let own: Vec<&str> =
            Outcome::ALL.into_iter().filter(|one| one.is_of_the_submission()).map(Outcome::as_str).collect();
        let expected =
            ["timeout", "out_of_memory", "output_limit", "invalid_verdict", "no_verdict", "disk_full"];
        assert_eq!(own, expected);
        assert!(Outcome::ALL.into_iter().all(|one| Outcome::named(one.as_str()) == Some(one)));
        assert_eq!(Outcome::named("verdict"), None);
    }

    #[test]
    fn each_outcome_has_a_name_of_its_own() {
        let names: HashSet<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        assert_eq!(names.len(), Outcome::ALL.len());
    }
}
