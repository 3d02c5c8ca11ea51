//! The commands that are no components: each does one thing for a person and ends. They may use adapters
//! and vocabulary, and never a stage.

mod policy;

use std::io::{self, Write};

use crate::config::Tool;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As hoped for: exit code 0.
    Yes,
    /// It works, and the answer is no: exit code 1.
    No,
}

/// Does what a command asks for, and writes the answer.
///
/// # Errors
/// The answer cannot be written.
pub fn run(tool: Tool, out: &mut impl Write) -> io::Result<Answer> {
    match tool {
        Tool::PolicyCheck(check) => policy::check(&check, out),
    }
}
