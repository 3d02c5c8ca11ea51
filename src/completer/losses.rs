//! What is told of a container that did not start, vanished, would not end or cannot be read.

use crate::docker::EngineError;
use crate::outcome::{Failure, Outcome};

/// What is told of one that the engine could not start.
pub fn not_started(error: &str) -> Failure {
    Failure::new(
        Outcome::StartFailed,
        format!(
            "The grader's container could not be started: {error}. The grader's image has to be \
             mended (its entrypoint or command); the submission was not looked at."
        ),
    )
}

/// What is told of a container that vanished while nobody watched.
pub fn vanished() -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        "The container of this correction vanished while the Docker engine was away, or while nobody watched it. The \
         administrator of the Docker host has to look at it; the work can be submitted again.",
    )
}

/// What is told of a container that was removed while a record of its correction was open.
pub fn removed() -> Failure {
    Failure::new(
        Outcome::Killed,
        "The container of this correction was removed before its result could be read. Somebody or \
         something on the Docker host removed it; submit the work again.",
    )
}

/// What is told of one that was killed and would not end.
pub fn unstoppable() -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        "The correction ran out of time, and its container could not be stopped. The administrator of \
         the Docker host has to look at it; the work can be submitted again.",
    )
    // It was endless once, and may run still.
    .again(false)
}

/// What is told where reading it failed each time by a fault of ours.
pub fn faulty() -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        "The correction ended, but the correction runner failed each time that it read what the grader wrote: an \
         internal error, which its log tells more of. The runner has to be mended; submit the work again then.",
    )
    // What another run writes would most likely be the same.
    .again(false)
}

/// What is told of one whose output could not be kept.
pub fn no_room(error: &EngineError) -> Failure {
    Failure::new(
        Outcome::DiskFull,
        format!(
            "The Docker host has no room left, so that what the grader printed could not be kept ({error:#}). Its \
             administrator has to make room; the work can be submitted again."
        ),
    )
    .again(true)
}

/// What is told of one whose output the engine would not hand out.
pub fn unreadable(error: &EngineError) -> Failure {
    Failure::new(
        Outcome::ContainerLost,
        format!(
            "The correction ended, but Docker would not hand out its output ({error:#}). The \
             administrator of the Docker host has to look at it; the work can be submitted again."
        ),
    )
}
