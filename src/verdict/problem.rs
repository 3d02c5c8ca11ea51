//! Why an output holds no verdict, in words for the people who write and use graders.

use std::fmt;

use crate::seal::{SEAL_FILE, SEAL_FOLDER};

/// Where in an output a candidate stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It was all of the output.
    Output,
    /// It stood between the two separator lines.
    Block,
}

/// Why an output holds no verdict. The `Display` text is one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoVerdict {
    /// Nothing was written, or white space alone.
    Silent,
    /// It is not JSON.
    NotJson {
        /// Where it stood.
        place: Place,
        /// Line of the fault, from 1, within the output or within the block.
        line: usize,
        /// Character of that line, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
        /// Whether it looks as if it were meant as a verdict.
        meant: bool,
    },
    /// It is JSON, and not as a verdict has to be.
    Invalid {
        /// Where it stood.
        place: Place,
        /// What is wrong, each with the field that it is about.
        problems: Vec<String>,
    },
    /// There is more than one block.
    ManyBlocks {
        /// How many there are.
        count: usize,
    },
    /// A block was begun and never ended.
    Unclosed,
    /// No block has the secret of the correction, without which nothing counts.
    Unsealed {
        /// Nothing was written at all.
        silent: bool,
        /// There is a verdict without the secret.
        plain: bool,
    },
    /// The block is larger than what is kept.
    BlockTooLong {
        /// Bytes kept at most.
        limit: u64,
    },
    /// All that was written looks like one verdict, which is larger than what is kept.
    VerdictTooLong {
        /// Bytes written.
        total: u64,
        /// Bytes kept at most.
        limit: u64,
    },
    /// More was written than is kept, and no verdict was found in it.
    TooLong {
        /// Bytes written, or at least so many: of a long log the engine keeps the end.
        total: u64,
        /// Bytes kept at most.
        limit: u64,
    },
}

impl NoVerdict {
    /// Whether the grader printed something that is meant as a verdict.
    #[must_use]
    pub fn is_of_a_verdict(&self) -> bool {
        self.likelihood() > 1
    }

    /// Whether all that is wrong is that there was more than is kept.
    #[must_use]
    pub fn is_of_length(&self) -> bool {
        matches!(self, Self::BlockTooLong { .. } | Self::VerdictTooLong { .. } | Self::TooLong { .. })
    }

    /// How likely it is that this is the candidate that the grader's author had in mind.
    pub(super) fn likelihood(&self) -> u8 {
        match self {
            Self::Silent => 0,
            Self::TooLong { .. }
            | Self::Unsealed { .. }
            | Self::NotJson { place: Place::Output, meant: false, .. } => 1,
            Self::NotJson { place: Place::Output, .. }
            | Self::Invalid { place: Place::Output, .. }
            | Self::VerdictTooLong { .. } => 2,
            Self::NotJson { place: Place::Block, .. }
            | Self::Invalid { place: Place::Block, .. }
            | Self::Unclosed
            | Self::BlockTooLong { .. } => 3,
            Self::ManyBlocks { .. } => 4,
        }
    }
}

impl std::error::Error for NoVerdict {}

impl fmt::Display for NoVerdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => write!(formatter, "It printed nothing."),
            Self::NotJson { place: Place::Output, line, column, reason, .. } => {
                write!(formatter, "Its output is not JSON (line {line}, column {column}: {reason}).")
            }
            Self::NotJson { place: Place::Block, line, column, reason, .. } => write!(
                formatter,
                "What stands between the two separator lines is not JSON (line {line} of it, column {column}: {reason})."
            ),
            Self::Invalid { place, problems } => {
                let place = match place {
                    Place::Output => "The JSON that it printed",
                    Place::Block => "The JSON between the two separator lines",
                };
                write!(formatter, "{place} is not a valid verdict: {}.", problems.join("; "))
            }
            Self::ManyBlocks { count } => write!(
                formatter,
                "It printed {count} verdicts between separator lines, and it is not clear which of them counts."
            ),
            Self::Unclosed => write!(
                formatter,
                "It printed the first separator line (\"-----BEGIN CORRECTOMATIC RESPONSE-----\"), but not the second \
                 one (\"-----END CORRECTOMATIC RESPONSE-----\") with a verdict between the two."
            ),
            Self::Unsealed { silent, plain } => {
                let found = match (silent, plain) {
                    (true, _) => "It printed nothing",
                    (_, true) => {
                        "It printed a verdict without the secret, which does not count, and none with it"
                    }
                    _ => "It printed no verdict with the secret",
                };
                write!(
                    formatter,
                    "{found}. The verdict of this grader counts only between the lines \"-----BEGIN CORRECTOMATIC \
                     RESPONSE <secret>-----\" and \"-----END CORRECTOMATIC RESPONSE <secret>-----\", where <secret> is \
                     what stands in the file {SEAL_FOLDER}/{SEAL_FILE} of its container."
                )
            }
            Self::BlockTooLong { limit } => {
                write!(formatter, "Its verdict is longer than the {limit} bytes of output that are kept.")
            }
            Self::VerdictTooLong { total, limit } => write!(
                formatter,
                "Its verdict is longer ({total} bytes) than the {limit} bytes of output that are kept."
            ),
            Self::TooLong { total, limit } => write!(
                formatter,
                "It printed at least {total} bytes, of which {limit} are kept, and no verdict was found in them."
            ),
        }
    }
}
