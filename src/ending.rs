//! How a container ended, and the failure told to a teacher where it left no verdict.

use std::time::Duration;

use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::verdict::{NoVerdict, Place};

/// How a container ended. `Ending::default()` knows nothing; set what is known.
#[allow(clippy::struct_excessive_bools, reason = "independent facts that the engine reports one by one")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The exit code, where it is known for certain; 128 + n for a process ended by signal n.
    pub exit_code: Option<i64>,
    /// The kernel killed a process of the container for want of memory.
    pub oom_killed: bool,
    /// We killed the container since it ran longer than this limit.
    pub timed_out: Option<Duration>,
    /// Somebody else removed the container before its output was read.
    pub removed: bool,
    /// The engine was away when the container ended: neither exit code nor output can be trusted.
    pub engine_outage: bool,
    /// How long the container ran.
    pub elapsed: Option<Duration>,
    /// The container had no network, since graders have none by default.
    pub no_network: bool,
    /// The container's memory limit in bytes.
    pub memory_limit: Option<u64>,
}

/// Tells what happened to a correction without a verdict, and what to do about it.
#[must_use]
pub fn explain(ending: &Ending, problem: &NoVerdict, output: &Output) -> Failure {
    let outcome = ending.outcome(problem);
    let mut text = ending.story(outcome);
    // Where the container was stopped from outside, a missing verdict is no fault of the grader.
    let stopped = matches!(outcome, Outcome::EngineUnavailable | Outcome::Killed);
    if !(stopped || matches!(problem, NoVerdict::Silent) && ending.exit_code.is_none()) {
        text = format!("{text} {problem}");
    }
    text = format!("{text} {}", advice(outcome, problem));
    if ending.no_network && matches!(outcome, Outcome::NoVerdict | Outcome::Timeout) {
        text.push_str(" Graders have no network here by default: one that needs it fails or waits in vain.");
    }
    let last_lines = output.last_lines();
    if !last_lines.is_empty() {
        text = format!("{text}\nThe last lines of its output:\n{last_lines}");
    }
    Failure::new(outcome, text)
}

impl Ending {
    /// The kind of failure: what was done to the container counts before what it printed.
    fn outcome(&self, problem: &NoVerdict) -> Outcome {
        if self.engine_outage {
            Outcome::EngineUnavailable
        } else if self.timed_out.is_some() {
            Outcome::Timeout
        } else if self.oom_killed {
            Outcome::OutOfMemory
        } else if self.removed || matches!(self.exit_code, Some(137 | 143)) {
            Outcome::Killed
        } else if matches!(problem, NoVerdict::TooLong { .. } | NoVerdict::BlockTooLong { .. }) {
            Outcome::OutputLimit
        } else if problem.is_of_a_verdict() {
            Outcome::InvalidVerdict
        } else {
            Outcome::NoVerdict
        }
    }

    /// What happened to the container.
    fn story(&self, outcome: Outcome) -> String {
        let after = self.elapsed.map(|elapsed| format!(" after {}", in_words(elapsed))).unwrap_or_default();
        match (outcome, self.timed_out) {
            (Outcome::EngineUnavailable, _) => format!(
                "The Docker engine went away while the grader ran, or lost hold of it, which ended it{after}; this is \
                 no fault of the submission or of the grader."
            ),
            (_, Some(limit)) => format!(
                "The grader was stopped{after} because it ran longer than the {} that it may take.",
                in_words(limit)
            ),
            (Outcome::OutOfMemory, _) => {
                let needed = match self.memory_limit {
                    Some(limit @ 1..) => format!("more than the {} of memory that", size(limit)),
                    _ => "more memory than".to_owned(),
                };
                format!("The grader needed {needed} it may use, and was killed{after}.")
            }
            _ if self.removed => {
                format!("Somebody removed the grader's container{after}, before its result could be read.")
            }
            _ => format!("The grader {}{after}.", self.exit()),
        }
    }

    /// How the grader's own process ended.
    fn exit(&self) -> String {
        match self.exit_code {
            None => "ended".to_owned(),
            Some(0) => "ended normally (exit code 0)".to_owned(),
            Some(126) => "could not run its program, which is not executable (exit code 126)".to_owned(),
            Some(127) => "could not find a program that it calls (exit code 127)".to_owned(),
            Some(137) => "was killed from outside (SIGKILL, exit code 137)".to_owned(),
            Some(143) => "was asked from outside to stop (SIGTERM, exit code 143)".to_owned(),
            Some(code) => match signal(code) {
                Some((name, "")) => format!("was ended by the signal {name} (exit code {code})"),
                Some((name, meaning)) => format!("crashed: {meaning} (signal {name}, exit code {code})"),
                None => format!("ended with an error (exit code {code})"),
            },
        }
    }
}

/// What the teacher, or the grader's author, is to do next.
fn advice(outcome: Outcome, problem: &NoVerdict) -> &'static str {
    const PRINT: &str =
        "A grader has to print its verdict as JSON, alone or between its two separator lines.";
    match (outcome, problem) {
        (Outcome::EngineUnavailable, _) => "Submit it again.",
        (Outcome::Timeout, _) => {
            "Look for an endless loop in the submission; if it is right, raise the time limit (CONTAINER_TIMEOUT)."
        }
        (Outcome::OutOfMemory, _) => {
            "Look for something that grows without end in the submission; if it is right, raise the memory limit \
             (CONTAINER_MEMORY)."
        }
        (Outcome::Killed, _) => {
            "If nobody did this on purpose, submit it again, and ask the administrator whether the Docker host \
             was short of memory or shut down."
        }
        (Outcome::OutputLimit, NoVerdict::BlockTooLong { .. }) => {
            "Shorten the comments, or raise the limit (CONTAINER_OUTPUT_LIMIT)."
        }
        (Outcome::OutputLimit, _) => {
            "Let the grader print less, or let it print its verdict between its two separator lines, where it is \
             found however much is printed around it."
        }
        (_, NoVerdict::ManyBlocks { .. }) => {
            "Let the grader print one verdict only, and keep what the submission prints out of its output."
        }
        (_, NoVerdict::Unclosed) => {
            "Let the grader print the first separator line, the verdict, and the second separator line, each beginning \
             on a line of its own."
        }
        (_, NoVerdict::Invalid { .. } | NoVerdict::NotJson { place: Place::Block, .. }) => {
            "Correct what the grader prints."
        }
        (_, NoVerdict::Unsealed { .. }) => {
            "Let the grader read the secret from there, as root, and print it in both lines (a verdict that is checked \
             in this way is set for its image with the verdict channel 'secret')."
        }
        _ => PRINT,
    }
}

/// The signal that an exit code tells of, and what it means where a program got it by its own doing.
fn signal(code: i64) -> Option<(&'static str, &'static str)> {
    Some(match code.checked_sub(128)? {
        1 => ("SIGHUP", ""),
        2 => ("SIGINT", ""),
        3 => ("SIGQUIT", ""),
        4 => ("SIGILL", "it ran an instruction that this processor does not know"),
        5 => ("SIGTRAP", ""),
        6 => ("SIGABRT", "it gave up on an error of its own"),
        7 => ("SIGBUS", "it used memory in a way that is not allowed"),
        8 => ("SIGFPE", "a calculation was not possible, such as a division by zero"),
        10 => ("SIGUSR1", ""),
        11 => ("SIGSEGV", "it used memory that is not its own"),
        12 => ("SIGUSR2", ""),
        13 => ("SIGPIPE", ""),
        14 => ("SIGALRM", ""),
        24 => ("SIGXCPU", "it used more processor time than it may"),
        25 => ("SIGXFSZ", "it wrote a file larger than it may"),
        31 => ("SIGSYS", "it made a system call that is not allowed"),
        _ => return None,
    })
}

/// A time span as people say it.
fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => {
            let tenths = span.subsec_millis() / 100;
            if tenths == 0 { format!("{seconds} s") } else { format!("{seconds}.{tenths} s") }
        }
        60..3600 => format!("{} min{}", seconds / 60, rest(seconds % 60, "s")),
        _ => format!("{} h{}", seconds / 3600, rest(seconds % 3600 / 60, "min")),
    }
}

fn rest(count: u64, unit: &str) -> String {
    if count == 0 { String::new() } else { format!(" {count} {unit}") }
}

/// A size as people say it.
fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match bytes {
        _ if bytes.is_multiple_of(1024 * MIB) => format!("{} GiB", bytes / (1024 * MIB)),
        _ if bytes >= MIB => format!("{} MiB", bytes / MIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests;
