//! What each outcome means for people: what happened, whose fault it is, whether it was tried again, what to do. The
//! page on outcomes (docs/reference/outcomes.md) is made of it.

use super::Outcome;

/// What an outcome says to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// What happened.
    pub happened: &'static str,
    /// Whose fault it is, the most likely one first.
    pub fault: &'static str,
    /// Whether, and how often, the runner tried again before it told it.
    pub tried_again: &'static str,
    /// What a teacher or an administrator does about it.
    pub remedy: &'static str,
}

impl Outcome {
    /// What it means; more than one where the same outcome has different causes, which the text of the error tells
    /// apart.
    #[must_use]
    pub fn meanings(self) -> &'static [Meaning] {
        match self {
            Self::Timeout => TIMEOUT,
            Self::OutOfMemory => OUT_OF_MEMORY,
            Self::ExerciseNotFound => EXERCISE_NOT_FOUND,
            Self::OutputLimit => OUTPUT_LIMIT,
            Self::InvalidVerdict => INVALID_VERDICT,
            Self::NoVerdict => NO_VERDICT,
            Self::Killed => KILLED,
            Self::ImageNotFound => IMAGE_NOT_FOUND,
            Self::ImageNotAllowed => IMAGE_NOT_ALLOWED,
            Self::StartFailed => START_FAILED,
            Self::InvalidJob => INVALID_JOB,
            Self::ContainerLost => CONTAINER_LOST,
            Self::EngineUnavailable => ENGINE_UNAVAILABLE,
            Self::Cancelled => CANCELLED,
            Self::DiskFull => DISK_FULL,
            Self::PullFailed => PULL_FAILED,
            Self::ImageSuspended => IMAGE_SUSPENDED,
        }
    }
}

const NO: &str = "no";

const TIMEOUT: &[Meaning] = &[Meaning {
    happened: "the grader ran longer than CONTAINER_TIMEOUT and was killed",
    fault: "submission (or grader)",
    tried_again: NO,
    remedy: "look for an endless loop in the submission or the grader, or raise the limit",
}];

const OUT_OF_MEMORY: &[Meaning] = &[Meaning {
    happened: "the container reached CONTAINER_MEMORY, and the kernel killed the grader or a process of it",
    fault: "submission (or grader)",
    tried_again: NO,
    remedy: "look for what grows without end, or raise the limit",
}];

const EXERCISE_NOT_FOUND: &[Meaning] = &[Meaning {
    happened: "the submission's file is not on the Docker host",
    fault: "infrastructure: who stores submissions",
    tried_again: "until 10 s after the job was made",
    remedy: "check that the API server and the Docker engine see the same upload directory (docs/installing.md)",
}];

const OUTPUT_LIMIT: &[Meaning] = &[Meaning {
    happened: "the grader printed more than CONTAINER_OUTPUT_LIMIT, and no verdict was in what was kept; or its \
               verdict is longer than that",
    fault: "grader (or submission)",
    tried_again: NO,
    remedy: "print less, put the verdict between separators and last, or raise the limit",
}];

const INVALID_VERDICT: &[Meaning] = &[Meaning {
    happened: "the grader printed something that is meant as a verdict and is not valid",
    fault: "grader",
    tried_again: NO,
    remedy: "mend the grader: the text names the field, or the place where the JSON breaks (docs/writing-graders.md)",
}];

const NO_VERDICT: &[Meaning] = &[Meaning {
    happened: "the grader ended without printing anything that looks like a verdict",
    fault: "grader (or submission)",
    tried_again: NO,
    remedy: "mend the grader: the text has its exit code or signal, and its last lines",
}];

const KILLED: &[Meaning] = &[Meaning {
    happened: "the grader was killed, or its container removed while the runner watched it, and not by the runner: by \
               itself, by a person or program on the host, or by the kernel of a host short of memory",
    fault: "not known",
    tried_again: "no, since another run might do the same",
    remedy: "hand in again; look for a job that removes containers (docs/troubleshooting.md)",
}];

const IMAGE_NOT_FOUND: &[Meaning] = &[Meaning {
    happened: "there is no such image, here or in its registry, or its name is none that an image can have",
    fault: "grader: the exercise's settings",
    tried_again: "no (with DOCKER_PULL, after the registry was asked)",
    remedy: "check the exercise's image name, load the image, or set DOCKER_PULL",
}];

const IMAGE_NOT_ALLOWED: &[Meaning] = &[Meaning {
    happened: "the policy file does not let the image run; the text names the file and the rule",
    fault: "the exercise's settings",
    tried_again: NO,
    remedy: "check the exercise's image name, or have the administrator allow it (docs/policy.md)",
}];

const START_FAILED: &[Meaning] = &[Meaning {
    happened: "the container could not be created or started, and trying again would not help",
    fault: "grader",
    tried_again: "no; a start at which the engine itself failed was tried for a minute first",
    remedy: "mend the image: usually its entrypoint or command does not exist",
}];

const INVALID_JOB: &[Meaning] = &[Meaning {
    happened: "the job's data is not what it has to be (docs/queues.md)",
    fault: "the program that adds the jobs",
    tried_again: NO,
    remedy: "mend that program: the text names the field",
}];

const CONTAINER_LOST: &[Meaning] = &[Meaning {
    happened: "the container vanished while the engine was away or nobody watched, or it could not be stopped, its \
               engine did not come back, or its output could not be read",
    fault: "infrastructure",
    tried_again: "run again, CONTAINER_RERUNS times at most (not one that could not be stopped)",
    remedy: "look at the Docker host; hand in again",
}];

const ENGINE_UNAVAILABLE: &[Meaning] = &[Meaning {
    happened: "the Docker engine was away at each start for START_RETRY_FOR in all, or went away while the grader ran",
    fault: "infrastructure",
    tried_again: "started again for START_RETRY_FOR; run again, CONTAINER_RERUNS times at most",
    remedy: "look at the Docker host; hand in again",
}];

const CANCELLED: &[Meaning] = &[Meaning {
    happened: "a person cancelled the correction",
    fault: "nobody",
    tried_again: NO,
    remedy: "hand in again, if it was not meant",
}];

const DISK_FULL: &[Meaning] = &[
    Meaning {
        happened: "the grader wrote more to its disk than CONTAINER_DISK and was killed",
        fault: "submission (or grader)",
        tried_again: NO,
        remedy: "look for what writes without end, or raise the limit",
    },
    Meaning {
        happened: "the Docker host has no room left: the text says so",
        fault: "infrastructure",
        tried_again: "started again for START_RETRY_FOR; run again, CONTAINER_RERUNS times at most",
        remedy: "make room; hand in again",
    },
];

const PULL_FAILED: &[Meaning] = &[Meaning {
    happened: "the registry could not be reached, or refused the credentials",
    fault: "infrastructure",
    tried_again: "for START_RETRY_FOR; not where the credentials were refused",
    remedy: "check the registry and DOCKER_REGISTRY_CREDENTIALS",
}];

const IMAGE_SUSPENDED: &[Meaning] = &[Meaning {
    happened: "other submissions of the image could not be started for START_RETRY_FOR, so that this one was held back \
               and never tried; the text holds their error",
    fault: "grader (or infrastructure)",
    tried_again: "held back, while one of them was tried again and again",
    remedy: "mend the image or the Docker host, as the text says; hand in again",
}];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Failure;

    #[test]
    fn what_an_outcome_means_to_people_agrees_with_what_the_program_does_about_it() {
        for outcome in Outcome::ALL {
            let meanings = outcome.meanings();
            assert!(!meanings.is_empty(), "{outcome}");
            let is_of = |whose: &str| meanings.iter().any(|meaning| meaning.fault.contains(whose));
            if outcome.is_of_the_submission() {
                assert!(is_of("submission") || is_of("grader"), "{outcome}");
                assert!(meanings.iter().any(|meaning| meaning.tried_again == NO), "{outcome}");
            }
            if Failure::new(outcome, "").again {
                assert!(is_of("infrastructure"), "{outcome}");
                assert!(meanings.iter().any(|it| it.tried_again.contains("CONTAINER_RERUNS")), "{outcome}");
            }
        }
    }
}
