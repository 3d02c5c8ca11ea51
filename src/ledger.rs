//! The account of attempts to deliver a result: one line for each in the log of its job, which dashboards show.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// How much of what was said a line keeps, in bytes.
const LONGEST: usize = 1024;

/// What an entry's own words begin with where the attempt failed, as the original has it.
const FAILED: &str = "Error sending notification: ";

/// One attempt. Its `Display` is the line, [`Entry::parse`] reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it began.
    pub at: Timestamp,
    /// Which one it was, from 1.
    pub attempt: u32,
    /// How many there are in all.
    pub attempts: u32,
    /// How long it took.
    pub took: Duration,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// Why it failed, or what the receiver said that took it.
    pub said: Said,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The receiver has it; the first line of its answer.
    Delivered(String),
    /// Why it failed.
    Failed(String),
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, attempt, attempts, took, status, said } = self;
        write!(formatter, "{at:.3} Attempt {attempt} of {attempts}, {} ms", took.as_millis())?;
        if let Some(status) = status {
            write!(formatter, ", status {status}")?;
        }
        match said {
            Said::Delivered(answer) => write!(formatter, ": {}", one_line(answer)),
            Said::Failed(why) => write!(formatter, ": {FAILED}{}", one_line(why)),
        }
    }
}

impl Entry {
    /// Reads a line; `None` where it is none of ours.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (at, rest) = line.split_once(' ')?;
        let (attempt, rest) = rest.strip_prefix("Attempt ")?.split_once(" of ")?;
        let (attempts, rest) = rest.split_once(", ")?;
        let (took, rest) = rest.split_once(" ms")?;
        let (status, said) = match rest.strip_prefix(", status ") {
            Some(rest) => {
                let (status, said) = rest.split_once(": ")?;
                (Some(status.parse().ok()?), said)
            }
            None => (None, rest.strip_prefix(": ")?),
        };
        Some(Self {
            at: at.parse().ok()?,
            attempt: attempt.parse().ok()?,
            attempts: attempts.parse().ok()?,
            took: Duration::from_millis(took.parse().ok()?),
            status,
            said: match said.strip_prefix(FAILED) {
                // A receiver may say anything in what it took.
                Some(why) if !status.is_some_and(|status| (200..300).contains(&status)) => {
                    Said::Failed(why.to_owned())
                }
                _ => Said::Delivered(said.to_owned()),
            },
        })
    }
}

/// Text on one line and not too long.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
            line.truncate(end);
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(status: Option<u16>, said: Said) -> Entry {
        let at = "2026-11-23T12:00:00.125Z".parse().expect("a time");
        Entry { at, attempt: 3, attempts: 10, took: Duration::from_millis(12), status, said }
    }

    #[test]
    fn a_line_tells_number_time_duration_status_and_what_was_said() {
        let failed = entry(Some(500), Said::Failed("the receiver answered with\nstatus 500".into()));
        assert_eq!(
            failed.to_string(),
            "2026-11-23T12:00:00.125Z Attempt 3 of 10, 12 ms, status 500: Error sending notification: the receiver \
             answered with status 500"
        );
        let silent = entry(None, Said::Failed("no answer".into())).to_string();
        assert!(silent.ends_with(", 12 ms: Error sending notification: no answer"), "{silent}");
        let done = entry(Some(204), Said::Delivered(String::new())).to_string();
        assert!(done.ends_with(", 12 ms, status 204: "), "{done}");
        assert_eq!(Entry::parse("2026-11-23T12:00:00.125Z Error sending notification: x"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_one_bounded_line_and_is_read_back(status in proptest::option::of(100_u16..600), said in "(Error sending notification: )?\\PC{0,20}|.{0,2000}") {
            let failed = !status.is_some_and(|status| (200..300).contains(&status));
            let said = one_line(&said);
            let said = if failed { Said::Failed(said) } else { Said::Delivered(said) };
            let entry = entry(status, said);
            let line = entry.to_string();
            prop_assert!(!line.contains('\n') && line.len() < LONGEST + 200, "{}", line);
            prop_assert_eq!(Entry::parse(&line), Some(entry));
        }

        #[test]
        fn no_line_makes_reading_panic(line in "(.*|Attempt |[0-9]{1,30}| of |, | ms|: |2026-11-23T12:00:00Z ){0,9}") {
            let _ = Entry::parse(&line);
        }
    }
}
