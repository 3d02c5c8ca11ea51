//! One candidate for a verdict: is this text JSON, can it be passed on, is it valid?

use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::schema::Fault;
use super::{NoVerdict, Place, Verdict, schema};
use crate::canonical::{CanonicalError, canonical};
use crate::fields::Fields;

/// The verdict that a text is, white space around it aside.
pub(super) fn check(text: &str, place: Place) -> Result<Verdict, NoVerdict> {
    let json = text.trim_matches(is_white_space);
    if json.is_empty() && place == Place::Output {
        return Err(NoVerdict::Silent);
    }
    let raw: &RawValue = serde_json::from_str(json).map_err(|error| not_json(text, json, place, &error))?;
    examined(raw).map(|(success, json)| Verdict { json, success }).map_err(|faults| NoVerdict::Invalid {
        place,
        problems: faults.into_iter().map(|fault| fault.problem).collect(),
    })
}

/// What is wrong with a JSON text as a verdict, each with its place in it; nothing where it is no JSON.
#[must_use]
pub fn faults(text: &str) -> Vec<Fault> {
    let raw = serde_json::from_str::<&RawValue>(text.trim_matches(is_white_space));
    raw.ok().and_then(|raw| examined(raw).err()).unwrap_or_default()
}

/// Whether a JSON value is a verdict that can be passed on: its `success`, and its text.
fn examined(raw: &RawValue) -> Result<(bool, Box<RawValue>), Vec<Fault>> {
    let raw = passable(raw).map_err(|fault| vec![fault])?;
    let value: Value = serde_json::from_str(raw.get())
        .map_err(|_| vec![Fault { problem: CanonicalError::TooDeep.to_string(), pointer: String::new() }])?;
    schema::check(value).map(|success| (success, raw))
}

/// What JavaScript's `trim` takes for white space.
fn is_white_space(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

/// The value as it can be handed on and delivered: everything in it has a canonical form. A number
/// that is too large for a double becomes `null`, as the original makes it, unless the schema names
/// its field.
fn passable(raw: &RawValue) -> Result<Box<RawValue>, Fault> {
    let Ok(fields) = Fields::parse(raw.get()) else {
        let whole = |error: CanonicalError| Fault { problem: error.to_string(), pointer: String::new() };
        return canonical(raw).map(|_| raw.to_owned()).map_err(whole);
    };
    let mut too_large = false;
    for (name, value) in fields.iter() {
        match canonical(value) {
            Ok(_) => {}
            Err(CanonicalError::NumberTooLarge { .. }) if !schema::NAMED.contains(&name) => too_large = true,
            Err(error) => {
                let problem = format!("the field \"{}\" cannot be passed on: {error}", shown(name));
                return Err(Fault { problem, pointer: format!("/{}", escaped(name)) });
            }
        }
    }
    if !too_large {
        return Ok(raw.to_owned());
    }
    // Again, since behind the first such number there may be something else that cannot be passed on.
    let without = without_large_numbers(raw);
    if without.get() == raw.get() { Ok(without) } else { passable(&without) }
}

/// A field's name as a JSON pointer has it.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The same JSON text with `null` in the place of each number that is too large for a double.
fn without_large_numbers(raw: &RawValue) -> Box<RawValue> {
    let text = raw.get();
    let mut kept = String::with_capacity(text.len());
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = text.as_bytes().get(at) {
        let length = match byte {
            b'\\' if in_string => 2,
            b'-' | b'0'..=b'9' if !in_string => {
                let numeric = |byte: u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let rest = &text[at..];
                rest.bytes().position(|byte| !numeric(byte)).unwrap_or(rest.len())
            }
            b'"' => {
                in_string = !in_string;
                1
            }
            _ => text[at..].chars().next().map_or(1, char::len_utf8),
        };
        let piece = text.get(at..at + length).unwrap_or_default();
        let too_large = !in_string && piece.parse::<f64>().is_ok_and(f64::is_infinite);
        kept.push_str(if too_large { "null" } else { piece });
        at += length;
    }
    RawValue::from_string(kept).unwrap_or_else(|_| raw.to_owned())
}

/// Tells where a text stops being JSON, and why, to somebody who writes graders.
fn not_json(text: &str, json: &str, place: Place, error: &serde_json::Error) -> NoVerdict {
    let line_start: usize =
        json.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let start = text.len() - text.trim_start_matches(is_white_space).len();
    let mut at = start + (line_start + error.column().saturating_sub(1)).min(json.len());
    if error.classify() == Category::Eof {
        at = start + json.len();
    }
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let reason = match message {
        _ if json.is_empty() => "there is nothing",
        _ if error.classify() == Category::Eof => "the text ends too early",
        "key must be a string" | "expected value" if text[at..].starts_with(['}', ']']) => {
            "there is a comma too many"
        }
        "expected value" | "expected ident" => "this is no JSON value",
        "trailing characters" => "there is more text after the JSON value",
        "key must be a string" => "the name of a field must stand in double quotes",
        message if message.starts_with("control character") => {
            "a line break or control character inside a string must be written as an escape such as \\n"
        }
        message => message,
    };
    let meant = json.starts_with('{') || json.contains("\"success\"");
    NoVerdict::NotJson { place, line, column, reason: reason.to_owned(), meant }
}

/// A stranger's text, shortened and without control characters, for an error's text.
pub(super) fn shown(text: &str) -> String {
    const CHARACTERS: usize = 60;
    let mut shown: String = text.chars().take(CHARACTERS).flat_map(char::escape_debug).collect();
    // Quotes and accents stay as they are.
    shown = shown.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}
