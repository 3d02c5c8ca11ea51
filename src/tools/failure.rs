//! Why a command gave no answer, as a JSON document for a program that asked for one.

use std::io;

use serde::Serialize;

use super::terminal::Terminal;

/// What a program is to do about a failure. Each kind has one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A setting or an argument makes no sense, or what was asked for does not.
    Settings,
    /// Redis or Docker was not there, or refused.
    Unreachable,
    /// The system, or this program itself.
    Internal,
}

impl Kind {
    /// The exit code, that of sysexits.h.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Settings => 64,
            Self::Unreachable => 69,
            Self::Internal => 70,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    error: Failure<'a>,
}

#[derive(Serialize)]
struct Failure<'a> {
    kind: Kind,
    message: &'a str,
    exit_code: u8,
}

/// Writes the document: `{"error": {"kind", "message", "exit_code"}}`. Where a document was written before, that is the
/// answer, and a second one would make both unreadable. `why` is the text that a person is shown.
///
/// # Errors
/// It cannot be written.
pub fn write(kind: Kind, why: &str, out: &mut Terminal<'_>) -> io::Result<()> {
    if !out.is_untouched() {
        return Ok(());
    }
    let message = why.trim().trim_start_matches("error: ");
    out.document(&Document { error: Failure { kind, message, exit_code: kind.exit_code() } })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(before: &str, why: &str) -> String {
        let mut bytes = Vec::new();
        {
            let mut out = Terminal::plain(&mut bytes);
            if !before.is_empty() {
                out.document(&before).expect("written");
            }
            write(Kind::Unreachable, why, &mut out).expect("written");
        }
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn a_failure_is_told_once_and_only_where_no_answer_was_written() {
        let document: Value = serde_json::from_str(&written("", "error: gone\n  for good\n")).expect("JSON");
        let expected = json!({ "kind": "unreachable", "message": "gone\n  for good", "exit_code": 69 });
        assert_eq!(document, json!({ "error": expected }));
        assert_eq!(written("the answer", "gone"), "\"the answer\"\n");
    }
}
