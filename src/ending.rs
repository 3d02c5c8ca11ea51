//! How a container ended, and the failure told to a teacher where it left no verdict.

use std::time::Duration;

use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::verdict::NoVerdict;

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
    let _ = (ending, output);
    Failure::new(Outcome::NoVerdict, problem.to_string())
}
