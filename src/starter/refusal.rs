//! Why a submission was not started: what heals with time, what does not, and the words for it.

use std::time::Duration;

use crate::docker::{Call, EngineError};
use crate::identity::ContainerId;
use crate::job::Problem;
use crate::outcome::{Failure, Outcome};
use crate::policy::NotAllowed;

/// The caller queues a job before its file is in place; only after this time is it missing.
pub const FILE_GRACE: Duration = Duration::from_secs(10);
/// A start that the engine itself failed at, without a reason that is known to pass: most often the
/// image or the host's set-up is at fault, so that it is told soon.
pub const START_GRACE: Duration = Duration::from_secs(60);
/// The waits between two tries to start: the first, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long a start is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as the setting says, from the first try on.
    AsSet,
    /// This long from the moment on at which the job was submitted.
    SinceSubmission(Duration),
    /// This long from the first try on, or as the setting says where that is shorter.
    SinceFirstTry(Duration),
}

impl Patience {
    /// Whether it is over, given how long ago the job was submitted and first tried.
    #[must_use]
    pub fn is_over(self, submitted: Duration, tried_for: Duration, setting: Duration) -> bool {
        match self {
            Self::AsSet => tried_for >= setting,
            Self::SinceSubmission(limit) => submitted.max(tried_for) >= limit,
            Self::SinceFirstTry(limit) => tried_for >= limit.min(setting),
        }
    }
}

/// A start that is tried again later.
#[derive(Clone, Debug, PartialEq)]
pub struct Postponed {
    /// Why, for the log.
    pub why: String,
    /// What is told when the time for trying is over.
    pub failure: Failure,
    /// How long to try.
    pub patience: Patience,
    /// Whether the engine is away, so that no other start would work either.
    pub engine_away: bool,
    /// Whether the image may be at fault, so that other starts of it would fail too.
    pub suspect: bool,
    /// What was created meanwhile.
    pub container: Option<ContainerId>,
}

impl Postponed {
    /// The wait before the next try, given how many there were: doubling, with jitter.
    #[must_use]
    pub fn wait(&self, retries: u32) -> Duration {
        if matches!(self.patience, Patience::SinceSubmission(_)) {
            return WAITS.0;
        }
        let longest = (WAITS.0 * 2_u32.pow(retries.min(5))).min(WAITS.1);
        longest.mul_f64(0.5 + 0.5 * fastrand::f64())
    }
}

/// What an error of the engine means for a start.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// It will not heal.
    Final(Failure),
    /// It may heal.
    Passing(Postponed),
}

/// Reads an error that came before the container was started.
#[must_use]
pub fn meaning(error: &EngineError, image: &str) -> Meaning {
    let why = format!("{error:#}");
    let (outcome, text) = match error {
        EngineError::NoSuchImage { .. } => (Outcome::ImageNotFound, no_image(image, &why)),
        EngineError::MountMissing { path } => (Outcome::ExerciseNotFound, no_file(path)),
        EngineError::PullDenied { .. } => (Outcome::PullFailed, denied(&why)),
        EngineError::PullFailed { .. } => (
            Outcome::PullFailed,
            format!(
                "The grader's image {image} could not be fetched from its registry ({why}). The submission was \
             not looked at; submit the work again once the registry works."
            ),
        ),
        EngineError::DiskFull { .. } => (
            Outcome::DiskFull,
            format!(
                "The Docker host has no room left ({why}). Its administrator has to make room; the submission \
             was not looked at and can be submitted again."
            ),
        ),
        error if error.is_away() => (
            Outcome::EngineUnavailable,
            format!(
                "The Docker engine that runs the graders was away for too long ({why}). The submission was not \
             looked at; submit the work again."
            ),
        ),
        EngineError::CannotRun { .. } | EngineError::UnusableImage { .. } => {
            (Outcome::StartFailed, bad_image(image, &why))
        }
        _ => (Outcome::StartFailed, bad_host(&why)),
    };
    let failure = Failure::new(outcome, text);
    let missing_file = outcome == Outcome::ExerciseNotFound;
    if error.may_heal() || missing_file {
        let patience = if missing_file { Patience::SinceSubmission(FILE_GRACE) } else { Patience::AsSet };
        let (engine_away, suspect) = (error.is_away(), may_be_of_image(error));
        Meaning::Passing(Postponed { why, failure, patience, engine_away, suspect, container: None })
    } else {
        Meaning::Final(failure)
    }
}

/// Whether another image might have been started. An engine that is gone answers nobody; one that hangs or
/// fails while it makes or starts a container may do so for this image only.
fn may_be_of_image(error: &EngineError) -> bool {
    match error {
        EngineError::Timeout { call, .. } => matches!(call, Call::Create | Call::Start),
        EngineError::Server { call, status, .. } => {
            matches!(call, Call::Create | Call::Start) && *status != 429
        }
        _ => false,
    }
}

/// Whether the engine itself failed at a start for a reason of which it is not known that it passes. What the host or
/// the engine's own parts are short of, or still coming up with, passes without anybody mending an image.
#[must_use]
pub fn is_of_unknown_cause(error: &EngineError) -> bool {
    const PASSING: [&str; 8] = [
        "cannot allocate memory",
        "resource temporarily unavailable",
        "too many open files",
        "device or resource busy",
        "context deadline exceeded",
        "containerd.sock",
        "ttrpc: closed",
        "transport is closing",
    ];
    match error {
        EngineError::Server { message, .. } => {
            let message = message.to_lowercase();
            !PASSING.iter().any(|words| message.contains(words))
        }
        _ => false,
    }
}

/// A failure for a submission that was never tried, since others of its image failed all the time.
#[must_use]
pub fn suspended(image: &str, others: &Failure) -> Failure {
    Failure::new(
        Outcome::ImageSuspended,
        format!(
            "The correction was not started: the containers of the grader's image {image} could not be started \
             for a long time, so that its corrections were held back. Of another submission it was said: {}",
            others.text
        ),
    )
}

/// A failure for a name that is taken.
#[must_use]
pub fn name_taken(name: &str) -> Failure {
    Failure::new(
        Outcome::StartFailed,
        bad_host(&format!("the container name {name} is taken by a container of another origin")),
    )
}

/// A failure for a job whose data cannot be used.
#[must_use]
pub fn invalid_job(invalid: &Problem) -> Failure {
    Failure::new(
        Outcome::InvalidJob,
        format!(
            "The correction was asked for in a way that cannot be carried out: {invalid}. The program that submits the work has to be mended."
        ),
    )
}

/// A start whose submission cannot be looked at now.
#[must_use]
pub fn out_of_sight(file: &str) -> Postponed {
    let why = format!("the file system of the submission {file} does not answer");
    let failure = Failure::new(Outcome::StartFailed, bad_host(&why));
    Postponed { why, failure, patience: Patience::AsSet, engine_away: false, suspect: false, container: None }
}

/// A failure for an image that the policy does not let run.
#[must_use]
pub fn not_allowed(not_allowed: &NotAllowed) -> Failure {
    let NotAllowed { image, why } = not_allowed;
    Failure::new(
        Outcome::ImageNotAllowed,
        format!(
            "The grader's image {image} may not run here: {why}. Check its name in the exercise, or ask the \
             administrator of the runner to allow it; the submission was not looked at."
        ),
    )
}

/// A failure for a submission whose starters die.
#[must_use]
pub fn stalled_too_often(times: u32) -> Failure {
    Failure::new(
        Outcome::StartFailed,
        format!(
            "The correction could not be started: {times} times the program that starts containers stopped \
             while it was at it. The administrator of the runner has to look at its log; the work can be \
             submitted again."
        ),
    )
}

fn no_image(image: &str, why: &str) -> String {
    format!(
        "The grader's image {image} does not exist ({why}). Check its name in the exercise, or ask the \
         administrator to load it on the Docker host or to allow that images are fetched (DOCKER_PULL)."
    )
}

fn no_file(path: &str) -> String {
    format!(
        "The submission's file {path} is not on the Docker host. The program that submits the work has to \
         store it there, under a path that the Docker engine sees, before the correction starts."
    )
}

fn denied(why: &str) -> String {
    format!(
        "The grader's image could not be fetched: {why}. The administrator has to check the registry's \
         credentials (DOCKER_REGISTRY_CREDENTIALS); the submission was not looked at."
    )
}

fn bad_image(image: &str, why: &str) -> String {
    format!(
        "The grader's container could not be started: {why}. The grader's image {image} has to be mended \
         (its entrypoint or command); the submission was not looked at."
    )
}

fn bad_host(why: &str) -> String {
    format!(
        "The grader's container could not be started: {why}. The administrator of the runner has to look at \
         its settings and at the Docker host; the submission was not looked at and can be submitted again."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure_of(meaning: Meaning) -> (Outcome, bool) {
        match meaning {
            Meaning::Final(failure) => (failure.outcome, false),
            Meaning::Passing(postponed) => (postponed.failure.outcome, true),
        }
    }

    #[test]
    fn each_error_has_its_outcome_and_heals_or_not() {
        let message = String::from("m");
        let timeout = EngineError::Timeout { call: Call::Create, after: Duration::from_secs(5) };
        let server = EngineError::Server { call: Call::Create, status: 500, message: message.clone() };
        let refused = EngineError::BadRequest { call: Call::Create, message: message.clone() };
        for (error, outcome, heals) in [
            (
                EngineError::NoSuchImage { image: "i".into(), hint: String::new() },
                Outcome::ImageNotFound,
                false,
            ),
            (EngineError::MountMissing { path: "/f".into() }, Outcome::ExerciseNotFound, true),
            (
                EngineError::PullFailed { image: "i".into(), message: message.clone() },
                Outcome::PullFailed,
                true,
            ),
            (EngineError::DiskFull { message }, Outcome::DiskFull, true),
            (timeout, Outcome::EngineUnavailable, true),
            (server, Outcome::StartFailed, true),
            (refused, Outcome::StartFailed, false),
        ] {
            assert_eq!(failure_of(meaning(&error, "i")), (outcome, heals), "{error:?}");
        }
    }

    #[test]
    fn what_the_host_is_short_of_is_tried_for_longer_than_what_may_be_the_images_fault() {
        let failed = |message: &str| {
            let message = message.to_owned();
            is_of_unknown_cause(&EngineError::Server { call: Call::Start, status: 500, message })
        };
        for passing in [
            "OCI runtime create failed: runc create failed: fork/exec /proc/self/exe: resource temporarily unavailable",
            "failed to create shim task: OCI runtime create failed: unable to apply cgroup configuration: cannot allocate memory",
            "connection error: desc = \"transport: error while dialing dial unix:///run/containerd/containerd.sock: timeout\"",
            "ttrpc: closed: unknown",
            "Context deadline exceeded",
            "open /proc/self/fd: Too many open files",
        ] {
            assert!(!failed(passing), "{passing}");
        }
        assert!(failed(
            "OCI runtime create failed: container_linux.go: starting container process caused: nobody knows"
        ));
        assert!(!is_of_unknown_cause(&EngineError::DiskFull { message: String::new() }));
    }

    #[test]
    fn each_patience_ends_when_it_should() {
        let seconds = Duration::from_secs;
        for (patience, submitted, tried_for, over) in [
            (Patience::AsSet, 9999, 3599, false),
            (Patience::AsSet, 0, 3600, true),
            (Patience::SinceSubmission(seconds(10)), 9, 0, false),
            (Patience::SinceSubmission(seconds(10)), 10, 0, true),
            (Patience::SinceSubmission(seconds(10)), 0, 10, true),
            (Patience::SinceFirstTry(seconds(60)), 9999, 59, false),
            (Patience::SinceFirstTry(seconds(60)), 0, 60, true),
        ] {
            let is_over = patience.is_over(seconds(submitted), seconds(tried_for), seconds(3600));
            assert_eq!(is_over, over, "{patience:?} {submitted} {tried_for}");
        }
        assert!(Patience::SinceFirstTry(seconds(60)).is_over(seconds(0), seconds(5), seconds(5)));
    }

    #[test]
    fn waits_grow_up_to_their_limit() {
        let error = EngineError::DiskFull { message: String::new() };
        let Meaning::Passing(postponed) = meaning(&error, "i") else { panic!("passing") };
        for retries in 0..40 {
            let wait = postponed.wait(retries);
            let longest = WAITS.1.min(WAITS.0 * 2_u32.pow(retries.min(5)));
            assert!(wait >= longest / 2 && wait <= longest, "{retries}: {wait:?}");
        }
    }
}
