//! How a container ended, and the failure told to a teacher where it left no verdict.

mod advice;
mod words;

use std::time::Duration;

use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::usage::{Disk, Memory, Usage};
use crate::verdict::NoVerdict;

use self::words::{in_words, size};

pub use self::words::signal;

/// The exit code of a process that SIGKILL ended.
const SIGKILL: i64 = 137;
/// The same of SIGTERM.
const SIGTERM: i64 = 143;

/// The same of SIGXFSZ: it wrote a file larger than it may.
const SIGXFSZ: i64 = 153;

/// What stands in a failure's text before the last lines of the output.
pub const LAST_LINES: &str = "\nThe last lines of its output:\n";

/// How a container ended. `Ending::default()` knows nothing; set what is known.
#[allow(clippy::struct_excessive_bools, reason = "independent facts that the engine reports one by one")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The exit code, where it is known for certain; 128 + n for a process ended by signal n.
    pub exit_code: Option<i64>,
    /// The kernel killed a process of the container for want of memory: the grader itself, or one that it
    /// had started and outlived.
    pub oom_killed: bool,
    /// We killed the container since it ran longer than this limit.
    pub timed_out: Option<Duration>,
    /// It filled its disk: we killed it for that, or the engine let it write no more.
    pub disk: Option<Disk>,
    /// How many bytes it could write, in all and to one file; the kernel ends who writes a longer file.
    pub disk_limit: Option<u64>,
    /// Somebody else removed the container before its output was read.
    pub removed: bool,
    /// The engine was away when the container ended: neither exit code nor output can be trusted.
    pub engine_outage: bool,
    /// How long the container ran.
    pub elapsed: Option<Duration>,
    /// What it used when it was last looked at, right before we killed it.
    pub usage: Usage,
    /// The container had no network, since graders have none by default.
    pub no_network: bool,
    /// The container's memory limit in bytes.
    pub memory_limit: Option<u64>,
    /// How many processes and threads the container could have.
    pub pids_limit: Option<u64>,
}

/// Tells what happened to a correction without a verdict, and what to do about it.
#[must_use]
pub fn explain(ending: &Ending, problem: &NoVerdict, output: &Output) -> Failure {
    let outcome = ending.outcome(problem);
    let mut text = ending.story(outcome);
    if let Some(memory) = ending.memory_used(outcome) {
        text = format!("{text} {memory}");
    }
    // Where the container was stopped from outside, a missing verdict is no fault of the grader.
    let stopped = matches!(outcome, Outcome::EngineUnavailable | Outcome::Killed);
    if !(stopped || matches!(problem, NoVerdict::Silent) && ending.exit_code.is_none()) {
        text = format!("{text} {problem}");
    }
    text = format!("{text} {}", advice::advice(ending, outcome, problem));
    for hint in advice::hints(ending, outcome, output) {
        text = format!("{text} {hint}");
    }
    let last_lines = output.last_lines();
    if !last_lines.is_empty() {
        text = format!("{text}{LAST_LINES}{last_lines}");
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
        } else if self.disk.is_some() || self.file_too_long().is_some() {
            Outcome::DiskFull
        } else if self.oom_killed {
            Outcome::OutOfMemory
        } else if self.removed || matches!(self.exit_code, Some(SIGKILL | SIGTERM)) {
            Outcome::Killed
        } else if problem.is_of_length() {
            Outcome::OutputLimit
        } else if problem.is_of_a_verdict() {
            Outcome::InvalidVerdict
        } else {
            Outcome::NoVerdict
        }
    }

    /// The longest file that it could write, where it was ended for writing a longer one.
    fn file_too_long(&self) -> Option<u64> {
        self.disk_limit.filter(|_| self.exit_code == Some(SIGXFSZ))
    }

    /// What happened to the container.
    fn story(&self, outcome: Outcome) -> String {
        let after = self.elapsed.map(|elapsed| format!(" after {}", in_words(elapsed))).unwrap_or_default();
        match (outcome, self.timed_out, self.disk) {
            (Outcome::EngineUnavailable, ..) => format!(
                "The Docker engine went away while the grader ran, or lost hold of it, which ended it{after}; this is \
                 no fault of the submission or of the grader."
            ),
            (_, Some(limit), _) => format!(
                "The grader was stopped{after} because it ran longer than the {} that it may take.",
                in_words(limit)
            ),
            (_, _, Some(disk)) if disk.is_exceeded() => format!(
                "The grader was stopped{after} because it wrote {} to its disk, more than the {} that it may use.",
                size(disk.used),
                size(disk.allowed)
            ),
            (_, _, Some(disk)) => format!(
                "The grader {}{after}. It had filled the {} of disk that it may use.",
                self.exit(),
                size(disk.allowed)
            ),
            (Outcome::DiskFull, ..) => format!(
                "The grader was stopped{after} because it wrote a file larger than the {} that it may use (SIGXFSZ, \
                 exit code 153).",
                size(self.disk_limit.unwrap_or_default())
            ),
            (Outcome::OutOfMemory, ..) => self.out_of_memory(&after),
            _ if self.removed => {
                format!("Somebody removed the grader's container{after}, before its result could be read.")
            }
            _ => format!("The grader {}{after}.", self.exit()),
        }
    }

    /// The kernel takes the largest process: the grader, or what it started and then outlived.
    fn out_of_memory(&self, after: &str) -> String {
        let needed = match self.memory_limit {
            Some(limit @ 1..) => format!("more than the {} of memory that", size(limit)),
            _ => "more memory than".to_owned(),
        };
        if self.exit_code.is_none_or(|code| code == SIGKILL) {
            return format!("The grader needed {needed} it may use, and was killed{after}.");
        }
        format!(
            "A process of the grader was killed for want of memory: together they needed {needed} they may use. The \
             grader itself {}{after}.",
            self.exit()
        )
    }

    /// What it used of its memory, where that is known and not the whole story.
    fn memory_used(&self, outcome: Outcome) -> Option<String> {
        let of_limit = match self.memory_limit {
            Some(limit @ 1..) => format!(" of the {} that it may use", size(limit)),
            _ => String::new(),
        };
        match self.usage.memory.filter(|_| outcome != Outcome::OutOfMemory)? {
            Memory::Peak(bytes) => Some(format!("It had used up to {} of memory{of_limit}.", size(bytes))),
            Memory::Now(bytes) => {
                Some(format!("It used {} of memory{of_limit} when it was stopped.", size(bytes)))
            }
        }
    }

    /// How the grader's own process ended.
    fn exit(&self) -> String {
        match self.exit_code {
            None => "ended".to_owned(),
            Some(0) => "ended normally (exit code 0)".to_owned(),
            Some(126) => "could not run its program, which is not executable (exit code 126)".to_owned(),
            Some(127) => "could not find a program that it calls (exit code 127)".to_owned(),
            Some(SIGKILL) => "was killed (SIGKILL, exit code 137)".to_owned(),
            Some(SIGTERM) => "was asked to stop (SIGTERM, exit code 143)".to_owned(),
            Some(code) => match signal(code) {
                Some((name, "")) => format!("was ended by the signal {name} (exit code {code})"),
                Some((name, meaning)) => format!("crashed: {meaning} (signal {name}, exit code {code})"),
                None => format!("ended with an error (exit code {code})"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
