//! What a trial says of the grader.

use crate::outcome::{Failure, Outcome};
use crate::verdict::Verdict;

/// What a verdict, or a failure in its place, says of the grader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Its verdict is success.
    Pass,
    /// Its verdict is a failure.
    Fail,
    /// It gave no verdict, and that is its own fault or the submission's.
    Broken,
    /// What was asked for cannot be tried.
    Senseless,
    /// The engine, its host or a registry failed.
    Infrastructure,
}

impl Finding {
    /// Its name for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Broken => "broken_grader",
            Self::Senseless => "not_tried",
            Self::Infrastructure => "infrastructure",
        }
    }

    pub(super) fn of(told: &Result<Verdict, Failure>, passing: bool) -> Self {
        let failure = match told {
            Ok(verdict) if verdict.success => return Self::Pass,
            Ok(_) => return Self::Fail,
            Err(failure) => failure,
        };
        match failure.outcome {
            // Its host's, where another run, or a later start, may end otherwise.
            _ if failure.again => Self::Infrastructure,
            Outcome::StartFailed | Outcome::DiskFull if passing => Self::Infrastructure,
            Outcome::Timeout
            | Outcome::OutOfMemory
            | Outcome::OutputLimit
            | Outcome::InvalidVerdict
            | Outcome::NoVerdict
            | Outcome::DiskFull
            | Outcome::Killed
            | Outcome::StartFailed => Self::Broken,
            Outcome::ExerciseNotFound
            | Outcome::ImageNotFound
            | Outcome::ImageNotAllowed
            | Outcome::InvalidJob => Self::Senseless,
            Outcome::ContainerLost
            | Outcome::EngineUnavailable
            | Outcome::Cancelled
            | Outcome::PullFailed
            | Outcome::ImageSuspended => Self::Infrastructure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Output;
    use crate::verdict;

    #[test]
    fn pass_fail_a_broken_grader_and_what_says_nothing_of_it_are_told_apart() {
        let finding = |outcome, again, passing| {
            Finding::of(&Err(Failure::new(outcome, "").again(again)), passing).name()
        };
        let of = |name: &str| -> Vec<&str> {
            let all = Outcome::ALL.into_iter().filter(|outcome| finding(*outcome, false, false) == name);
            all.map(Outcome::as_str).collect()
        };
        assert_eq!(
            of("broken_grader"),
            [
                "timeout",
                "out_of_memory",
                "output_limit",
                "invalid_verdict",
                "no_verdict",
                "killed",
                "start_failed",
                "disk_full"
            ]
        );
        assert_eq!(
            of("not_tried"),
            ["exercise_not_found", "image_not_found", "image_not_allowed", "invalid_job"]
        );
        assert_eq!(finding(Outcome::DiskFull, true, false), "infrastructure");
        assert_eq!(finding(Outcome::StartFailed, false, true), "infrastructure");
        let verdict = |text: &str| {
            Finding::of(
                &verdict::read(&Output::whole(text, "")).map_err(|_| Failure::new(Outcome::NoVerdict, "")),
                false,
            )
        };
        assert_eq!(verdict(r#"{"success": true, "grade": 0}"#), Finding::Pass);
        assert_eq!(verdict(r#"{"success": false, "error": ""}"#), Finding::Fail);
    }
}
