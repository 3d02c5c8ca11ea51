//! The place in a text that a fault is about: its line, with a caret below it.

use std::collections::HashMap;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::output::visible;

/// How many characters of a line are shown.
const WIDEST: usize = 100;

/// A place in a text, as a person sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// The line, from 1.
    pub(super) line: usize,
    /// The character of that line, from 1.
    pub(super) column: usize,
    /// As much of the line as is shown.
    pub(super) text: String,
    /// How many characters of that stand before the place, and how many it takes.
    caret: (usize, usize),
}

impl Spot {
    /// The place of some bytes.
    pub(super) fn of(text: &str, bytes: Range<usize>) -> Self {
        let start = floor(text, bytes.start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, bytes.end).clamp(start, line_end);
        let (before, of, after) = (&text[line_start..start], &text[start..end], &text[end..line_end]);
        let column = before.chars().count() + 1;
        // The place stays in sight where the line is long.
        let before = shown(before);
        let skipped = before.chars().count().saturating_sub(WIDEST / 2);
        let mut kept: String = before.chars().skip(skipped).collect();
        if skipped > 0 {
            kept.replace_range(..kept.chars().next().map_or(0, char::len_utf8), "…");
        }
        let (at, of) = (kept.chars().count(), shown(of));
        let rest = of.clone() + &shown(after);
        let room = WIDEST - at;
        kept.extend(rest.chars().take(room));
        if rest.chars().count() > room {
            kept.push('…');
        }
        let length = of.chars().count().clamp(1, room);
        let line = text[..start].matches('\n').count() + 1;
        Self { line, column, text: kept, caret: (at, length) }
    }

    /// The place that stands at a line and a character of it, both from 1.
    pub(super) fn at(text: &str, line: usize, column: usize) -> Self {
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let inner = &text[start.min(text.len())..];
        let before: usize = inner.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let at = (start + before).min(text.len());
        let letter = text[at..].chars().next().filter(|letter| *letter != '\n').map_or(0, char::len_utf8);
        Self::of(text, at..at + letter)
    }

    /// Its line, and a line with the caret.
    pub(super) fn lines(&self) -> [String; 2] {
        let number = self.line.to_string();
        let (before, length) = self.caret;
        [
            format!("{number} │ {}", self.text),
            format!("{} │ {}{}", " ".repeat(number.len()), " ".repeat(before), "^".repeat(length)),
        ]
    }
}

/// A line of a stranger's text, without what acts on terminals.
fn shown(text: &str) -> String {
    visible(text.trim_end_matches('\r')).replace('\n', " ")
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Where in a JSON text a JSON pointer (RFC 6901) leads. Of what is missing it is the first character of what should
/// hold it.
pub(super) fn place_of(text: &str, pointer: &str) -> Range<usize> {
    let Some(mut found) = serde_json::from_str::<&RawValue>(text.trim_start_matches('\u{feff}').trim()).ok()
    else {
        return 0..0;
    };
    let start = |found: &RawValue| found.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        match inner(found.get(), &part) {
            Some(inner) => found = inner,
            None => return start(found)..start(found) + 1,
        }
    }
    start(found)..start(found) + found.get().len()
}

fn inner<'a>(json: &'a str, part: &str) -> Option<&'a RawValue> {
    if json.starts_with('[') {
        let all: Vec<&RawValue> = serde_json::from_str(json).ok()?;
        all.get(part.parse::<usize>().ok()?).copied()
    } else {
        let all: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        all.get(part).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pointed(text: &str, pointer: &str) -> String {
        Spot::of(text, place_of(text, pointer)).lines().join("\n")
    }

    #[test]
    fn a_pointer_leads_to_its_value_and_to_what_should_hold_what_is_missing() {
        let text = "\n{\n  \"success\": true,\n\t\"é\": {\"a/b\": [1, \"två\"]}, \"grade\": \"ten\"\n}\n";
        for (pointer, expected) in [
            ("/success", "3 │   \"success\": true,\n  │              ^^^^"),
            (
                "/é/a~1b/1",
                "4 │     \"é\": {\"a/b\": [1, \"två\"]}, \"grade\": \"ten\"\n  │                      ^^^^^",
            ),
            (
                "/grade",
                "4 │     \"é\": {\"a/b\": [1, \"två\"]}, \"grade\": \"ten\"\n  │                                        ^^^^^",
            ),
            ("/comments", "2 │ {\n  │ ^"),
            ("", "2 │ {\n  │ ^"),
        ] {
            assert_eq!(pointed(text, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn of_a_long_line_the_place_and_what_is_around_it_is_shown() {
        let text = format!("{{\"comments\":[{}7]}}", "\"x\",".repeat(100));
        let spot = Spot::of(&text, place_of(&text, "/comments/100"));
        assert_eq!(spot.column, 414);
        let [line, caret] = spot.lines();
        let at = caret.chars().position(|letter| letter == '^').expect("a caret");
        assert_eq!(line.chars().nth(at), Some('7'));
        assert!(line.chars().count() < 120 && line.contains("│ …"), "{line}");
        let long = format!("[{}]", "9".repeat(1000));
        let [line, caret] = Spot::of(&long, place_of(&long, "/0")).lines();
        assert!(line.ends_with("9…") && caret.ends_with("^^") && caret.chars().count() < 120, "{line}");
    }

    #[test]
    fn a_line_and_a_column_lead_to_their_character() {
        let spot = Spot::at("Compiling…\nå{]\n", 2, 3);
        assert_eq!(spot.lines(), ["2 │ å{]", "  │   ^"]);
        assert_eq!(Spot::at("{", 1, 2).lines(), ["1 │ {", "  │  ^"]);
    }

    proptest! {
        #[test]
        fn no_text_and_no_place_make_it_panic(text in "\\PC*|.*|(?s:.{0,20})", line in 0_usize..9, column in 0_usize..9, pointer in "(/[a-z0-9~/é]{0,3}){0,3}") {
            let _ = Spot::at(&text, line, column).lines();
            let _ = Spot::of(&text, place_of(&text, &pointer)).lines();
        }

        #[test]
        fn each_member_of_an_object_is_found(names in prop::collection::hash_set("[a-z/~\"\\\\ é]{1,4}", 1..5)) {
            let names: Vec<_> = names.into_iter().collect();
            let object: serde_json::Map<_, _> =
                names.iter().enumerate().map(|(at, name)| (name.clone(), serde_json::json!([at]))).collect();
            let text = format!("{:#}", serde_json::Value::Object(object));
            for (at, name) in names.iter().enumerate() {
                let pointer = format!("/{}/0", name.replace('~', "~0").replace('/', "~1"));
                prop_assert_eq!(&text[place_of(&text, &pointer)], at.to_string());
            }
        }
    }
}
