//! The candidates for a verdict, as they are told to people who write graders.

use std::fmt;

use super::NoVerdict;

/// Which part of an output may be the verdict, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// All of the standard output.
    Stdout,
    /// The one block in the standard output.
    BlockInStdout,
    /// The standard output followed by the standard error.
    Both,
    /// The one block in both.
    BlockInBoth,
}

/// A candidate that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which.
    pub candidate: Candidate,
    /// Its text, without the secret that there may be in it; `None` where there is no such text, or more than one.
    pub text: Option<String>,
    /// What is wrong with it; `None` = it is the verdict.
    pub problem: Option<NoVerdict>,
}

impl Candidate {
    /// Its name for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::BlockInStdout => "block_in_stdout",
            Self::Both => "stdout_and_stderr",
            Self::BlockInBoth => "block_in_stdout_and_stderr",
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stdout => "the whole standard output",
            Self::BlockInStdout => "what stands between the separator lines in the standard output",
            Self::Both => "the standard output followed by the standard error",
            Self::BlockInBoth => "what stands between the separator lines in both streams",
        })
    }
}
