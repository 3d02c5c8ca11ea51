//! The last lines of an output, fit to be shown to a person.

use super::Output;
use super::stream::Stream;
use crate::seal::Seal;

/// How many lines are shown at most.
const LINES: usize = 10;
/// How many characters are shown at most.
const CHARACTERS: usize = 1000;

impl Output {
    /// The last lines that were written, at most ten and 1,000 characters, with control characters
    /// made visible and no terminal escapes. Where both streams were written to, the last lines of
    /// the standard error follow those of the standard output. Empty where nothing was written. A secret is not
    /// among what is shown.
    #[must_use]
    pub fn last_lines(&self) -> String {
        let lines = |stream, count, characters| lines(stream, self.seal(), count, characters);
        let both = [&self.stdout, &self.stderr].map(|stream| lines(stream, LINES, CHARACTERS));
        if both.iter().any(Vec::is_empty) {
            return both.concat().join("\n");
        }
        [&self.stdout, &self.stderr]
            .map(|stream| lines(stream, LINES / 2, CHARACTERS / 2))
            .concat()
            .join("\n")
    }
}

/// What was written to one stream, as it may be shown: without the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// All of it, or its beginning.
    pub head: String,
    /// How many bytes are not shown between the two.
    pub left_out: u64,
    /// Its end, where something is left out.
    pub tail: String,
}

impl Output {
    /// The standard output, of which at most so many bytes are shown.
    #[must_use]
    pub fn stdout_shown(&self, most: usize) -> Shown {
        shown(&self.stdout, self.seal(), most)
    }

    /// The standard error, of which at most so many bytes are shown.
    #[must_use]
    pub fn stderr_shown(&self, most: usize) -> Shown {
        shown(&self.stderr, self.seal(), most)
    }
}

fn shown(stream: &Stream, seal: Option<&Seal>, most: usize) -> Shown {
    let (head, left_out, tail) = stream.ends(most);
    let [head, tail] = [head, tail].map(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        seal.map_or_else(|| text.clone().into_owned(), |seal| seal.redacted_piece(&text))
    });
    Shown { head, left_out: left_out as u64, tail }
}

/// The last lines of a stream that hold anything; the first of them may lack its beginning.
fn lines(stream: &Stream, seal: Option<&Seal>, count: usize, characters: usize) -> Vec<String> {
    // Four bytes are the longest character, and escape sequences take room as well.
    let bytes = stream.last(characters * 8);
    let text = visible(&String::from_utf8_lossy(&bytes));
    let text = seal.map_or(text.clone(), |seal| seal.redacted_piece(&text));
    let mut left = characters;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().rev().map(str::trim_end).filter(|line| !line.is_empty()).take(count) {
        let length = line.chars().count();
        if length > left {
            if left > 1 {
                lines.push(format!("…{}", line.chars().skip(length - left + 1).collect::<String>()));
            }
            break;
        }
        left -= length;
        lines.push(line.to_owned());
    }
    lines.reverse();
    lines
}

/// A stranger's text without terminal escapes, each control character as its visible symbol.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                // A control sequence ends with the first character from @ to ~.
                while characters.next_if(|next| matches!(next, ' '..='?')).is_some() {}
                let _ = characters.next_if(|next| matches!(next, '@'..='~'));
            }
            '\n' => shown.push('\n'),
            '\t' => shown.push_str("    "),
            '\r' if matches!(characters.peek(), None | Some('\n')) => {}
            '\0'..='\u{1f}' => shown.push(char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            // The other controls, and what reverses or hides the text around it.
            '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {
                shown.push('\u{fffd}');
            }
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_both_streams_are_shown() {
        let many = (1..=20).fold(String::new(), |text, number| format!("{text}line {number}\n"));
        assert_eq!(Output::whole(many.clone(), "").last_lines().lines().count(), 10);
        let shown = Output::whole(many, "Traceback\nValueError: x\n\n").last_lines();
        assert_eq!(shown, "line 16\nline 17\nline 18\nline 19\nline 20\nTraceback\nValueError: x");
        assert_eq!(Output::whole("\n \n", "").last_lines(), "");
    }

    #[test]
    fn of_a_long_stream_both_ends_are_shown_and_how_much_lies_between() {
        let whole = Output::whole("0123456789", "é").stdout_shown(10);
        assert_eq!(whole, Shown { head: "0123456789".into(), ..Shown::default() });
        let cut = Output::whole("0123456789", "").stdout_shown(5);
        assert_eq!(cut, Shown { head: "01".into(), left_out: 5, tail: "789".into() });
        let mut capture = crate::output::Capture::new(8);
        capture.stdout(b"0123456789");
        let cut = capture.finish().stdout_shown(100);
        assert_eq!(cut, Shown { head: "0123".into(), left_out: 2, tail: "6789".into() });
    }

    #[test]
    fn of_a_shown_stream_no_part_of_a_secret_is_left() {
        let seal = crate::seal::tests::seal(0x5a);
        for before in 0..200 {
            for most in [10, 100, 150, 1000] {
                let mut capture = crate::output::Capture::sealed(1 << 20, Some(seal.clone()));
                let text = format!("{}{}{}", "x".repeat(before), seal.reveal(), "y".repeat(100));
                capture.stdout(text.as_bytes());
                let Shown { head, tail, .. } = capture.finish().stdout_shown(most);
                let part = &seal.reveal()[..4];
                assert!(!head.contains(part) && !tail.contains(part), "{before} {most}: {head} {tail}");
            }
        }
    }

    #[test]
    fn a_long_line_loses_its_beginning() {
        let shown = Output::whole(format!("{}é", "x".repeat(5000)), "").last_lines();
        assert_eq!(shown.chars().count(), 1000);
        assert!(shown.starts_with("…x") && shown.ends_with("xé"));
    }

    #[test]
    fn a_secret_is_not_shown_whole_or_in_part() {
        let seal = crate::seal::tests::seal(0x5a);
        let line = format!("-----END CORRECTOMATIC RESPONSE {}-----\n", seal.reveal());
        for before in (0..60).map(|count| "x".repeat(count)) {
            for after in [0, 900, 940, 960, 1000, 7_950] {
                let mut capture = crate::output::Capture::sealed(1 << 20, Some(seal.clone()));
                capture.stdout(format!("{before}{line}{}", "\u{1b}[0m.".repeat(after)).as_bytes());
                let shown = capture.finish().last_lines();
                assert!(!shown.contains(&seal.reveal()[..4]), "{} {after}: {shown}", before.len());
            }
        }
    }

    #[test]
    fn a_secret_within_which_a_stream_begins_or_ends_is_not_shown_in_part() {
        let seal = crate::seal::tests::seal(0x5a);
        for at in 4..36 {
            let mut capture = crate::output::Capture::sealed(1 << 20, Some(seal.clone()));
            capture.stdout(format!("out {}", &seal.reveal()[..at]).as_bytes());
            capture.stderr(format!("{} err", &seal.reveal()[at..]).as_bytes());
            let output = capture.finish();
            assert_eq!(output.last_lines(), "out [secret]\n[secret] err", "{at}");
            let (stdout, stderr) = (output.stdout_shown(1000), output.stderr_shown(1000));
            assert_eq!(
                (stdout.head.as_str(), stderr.head.as_str()),
                ("out [secret]", "[secret] err"),
                "{at}"
            );
        }
    }

    #[test]
    fn no_control_character_reaches_a_terminal() {
        assert_eq!(visible("a\u{1b}[1;31mred\u{1b}[0m\r\nb\tc\0\rd\u{7f}"), "ared\nb    c␀␍d␡");
        assert_eq!(
            visible("\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\u{61c}x"),
            "␛]0;title␇\u{fffd}31m\u{fffd}\u{fffd}x"
        );
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        assert!(!visible(&all).chars().any(|character| character.is_control() && character != '\n'));
    }
}
