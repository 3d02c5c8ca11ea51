//! What the teacher, or the grader's author, is to do next.

use std::time::Duration;

use super::Ending;
use super::words::size;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::verdict::{NoVerdict, Place};

/// Docker 20.10 hears of memory that ran out only once it has begun to listen, some time after the start. (Of one
/// that ended so soon it notes the end as before the start: how long it ran is not known.)
const FIRST_MOMENTS: Duration = Duration::from_secs(2);
/// What programs print that cannot make another process or thread.
const NO_MORE_PROCESSES: [&str; 5] = [
    "can't fork",
    "cannot fork",
    "Resource temporarily unavailable",
    "unable to create native thread",
    "can't start new thread",
];

/// What is to be done about an ending without a verdict.
pub(super) fn advice(ending: &Ending, outcome: Outcome, problem: &NoVerdict) -> String {
    const PRINT: &str =
        "A grader has to print its verdict as JSON, alone or between its two separator lines.";
    match (outcome, problem) {
        (Outcome::EngineUnavailable, _) => "Submit it again.".to_owned(),
        (Outcome::Timeout, _) => {
            "Look for an endless loop in the submission; if it is right, raise the time limit (CONTAINER_TIMEOUT)."
                .to_owned()
        }
        (Outcome::OutOfMemory, _) => {
            "Look for something that grows without end in the submission; if it is right, raise the memory limit \
             (CONTAINER_MEMORY)."
                .to_owned()
        }
        (Outcome::DiskFull, _) => {
            "Look for something that writes without end in the submission; if it is right, raise the disk limit \
             (CONTAINER_DISK)."
                .to_owned()
        }
        (Outcome::Killed, _) => killed(ending),
        (Outcome::OutputLimit, NoVerdict::BlockTooLong { .. } | NoVerdict::VerdictTooLong { .. }) => {
            "Shorten the comments, or raise the limit (CONTAINER_OUTPUT_LIMIT).".to_owned()
        }
        (Outcome::OutputLimit, _) => {
            "Let the grader print less, or let it print its verdict last and between its two separator lines, where \
             it is found however much is printed before it."
                .to_owned()
        }
        (_, NoVerdict::ManyBlocks { .. }) => {
            "Let the grader print one verdict only, and keep what the submission prints out of its output.".to_owned()
        }
        (_, NoVerdict::Unclosed) => {
            "Let the grader print the first separator line, the verdict, and the second separator line, each beginning \
             on a line of its own."
                .to_owned()
        }
        (_, NoVerdict::Invalid { .. } | NoVerdict::NotJson { place: Place::Block, .. }) => {
            "Correct what the grader prints.".to_owned()
        }
        (_, NoVerdict::Unsealed { .. }) => {
            "Let the grader read the secret from there, as root, and print it in both lines (for its image the verdict \
             channel 'secret' is set)."
                .to_owned()
        }
        _ => PRINT.to_owned(),
    }
}

fn killed(ending: &Ending) -> String {
    let ask = "ask the administrator whether the Docker host was short of memory or shut down.";
    let early = ending.exit_code == Some(137) && ending.elapsed.is_none_or(|elapsed| elapsed < FIRST_MOMENTS);
    match ending.memory_limit.filter(|limit| early && *limit > 0) {
        // It may have been our limit: to tell that it was would be a guess.
        Some(limit) => format!(
            "It ended so soon that Docker may not have noticed why: perhaps it needed more than the {} of memory that \
             it may use (CONTAINER_MEMORY), or killed itself. If neither is so, submit it again, and {ask}",
            size(limit)
        ),
        None => format!(
            "If neither the submission nor anybody else did this on purpose, submit it again, and {ask}"
        ),
    }
}

/// What may have been in the grader's way without being why it ended.
pub(super) fn hints(ending: &Ending, outcome: Outcome, output: &Output) -> Vec<String> {
    let mut hints = Vec::new();
    let by_itself = matches!(outcome, Outcome::NoVerdict | Outcome::Timeout | Outcome::InvalidVerdict);
    let full = ending.usage.pids.filter(crate::usage::Pids::are_used_up).map(|pids| pids.limit);
    if let Some(limit) = full {
        hints.push(format!("It had as many processes and threads as it may have: {limit} (CONTAINER_PIDS)."));
    } else if let Some(limit) = ending.pids_limit.filter(|_| by_itself && complains_of_processes(output)) {
        hints.push(format!(
            "It seems to have needed more than the {limit} processes and threads that it may have (CONTAINER_PIDS)."
        ));
    }
    if by_itself && complains_of_rights(output) {
        hints.push(
            "It was denied something (\"permission denied\"): root has no special powers in a grader's container by \
             default, so that what it reads, runs or writes has to be its own or open to all (chmod a+rX in the image)."
                .to_owned(),
        );
    }
    if ending.no_network && matches!(outcome, Outcome::NoVerdict | Outcome::Timeout) {
        hints.push(
            "Graders have no network here by default: one that needs it fails or waits in vain.".to_owned(),
        );
    }
    hints
}

fn complains_of_rights(output: &Output) -> bool {
    output.last_lines().to_lowercase().contains("permission denied")
}

fn complains_of_processes(output: &Output) -> bool {
    let last_lines = output.last_lines();
    NO_MORE_PROCESSES.iter().any(|words| last_lines.contains(words))
}
