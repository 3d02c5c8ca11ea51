//! The `.env` file, read as Node's `dotenv` package (16 to 18) reads it.
//!
//! A statement is `KEY=value` or `KEY: value`, optionally after `export`. A value in single quotes, double
//! quotes or backticks may span lines; only in double quotes `\n` and `\r` mean line breaks. An unquoted
//! value ends at `#` or at the end of its line. Nothing else is special: no `$` expansion. What is no
//! statement is skipped; of two statements for one key the last one counts.

use std::collections::HashMap;

/// One value of the file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The value, without quotes. It may be a secret.
    pub value: String,
    /// The line (from 1) that the key stands on.
    pub line: usize,
}

/// Reads the whole text of a `.env` file: its values, and the lines (from 1) that are neither a statement nor a
/// remark: they are skipped, and whoever wrote them meant something.
pub(super) fn read(text: &str) -> (HashMap<String, Entry>, Vec<usize>) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut entries, mut skipped) = (HashMap::new(), Vec::new());
    let mut at = after_spaces(&text, 0);
    let mut line = 1 + line_breaks(&text[..at]);
    while at < text.len() {
        let next = match statement(&text, at) {
            None => {
                if !text[at..].starts_with('#') {
                    skipped.push(line);
                }
                end_of_line(&text, at)
            }
            Some(statement) => {
                let line = line + line_breaks(&text[at..statement.key_at]);
                entries.insert(statement.key.to_owned(), Entry { value: statement.value, line });
                end_of_line(&text, statement.end)
            }
        };
        let next = after_spaces(&text, next);
        line += line_breaks(&text[at..next]);
        at = next;
    }
    (entries, skipped)
}

/// A key with its value, and where they are in the text.
struct Statement<'text> {
    key: &'text str,
    key_at: usize,
    value: String,
    end: usize,
}

/// The statement that begins at a place, if one does.
fn statement(text: &str, at: usize) -> Option<Statement<'_>> {
    let exported = text[at..]
        .strip_prefix("export")
        .filter(|rest| rest.starts_with(is_space))
        .and_then(|rest| assignment(text, after_spaces(text, text.len() - rest.len())));
    let (key_at, key, value_at) = exported.or_else(|| assignment(text, at))?;
    let (value, end) = quoted(text, value_at).unwrap_or_else(|| unquoted(text, value_at));
    Some(Statement { key, key_at, value, end })
}

/// A key and where its value begins.
fn assignment(text: &str, at: usize) -> Option<(usize, &str, usize)> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let end = text[at..].find(|c| !is_key(c)).map_or(text.len(), |length| at + length);
    if end == at {
        return None;
    }
    let sign = after_spaces(text, end);
    if text[sign..].starts_with('=') {
        return Some((at, &text[at..end], sign + 1));
    }
    let value = text[end..].strip_prefix(':')?.strip_prefix(is_space)?;
    Some((at, &text[at..end], text.len() - value.len()))
}

/// The value in quotes that begins here or after white space, and where it ends.
///
/// The closing quote is the first that has no backslash before it. Where that one is missing, or
/// something other than a comment follows it, the last one with a backslash before it will do.
fn quoted(text: &str, at: usize) -> Option<(String, usize)> {
    let opening = after_spaces(text, at);
    let quote = text[opening..].chars().next().filter(|c| is_quote(*c))?;
    let content = opening + 1;
    let mut closings = Vec::new();
    for (offset, _) in text[content..].match_indices(quote) {
        closings.push(content + offset);
        if !text[content..content + offset].ends_with('\\') {
            break;
        }
    }
    let ends_a_value = |closing: &usize| {
        let rest = text[closing + 1..].trim_start_matches(|c| is_space(c) && c != '\n');
        rest.is_empty() || rest.starts_with(['\n', '#'])
    };
    let closing = closings.into_iter().rev().find(ends_a_value)?;
    Some((expanded(&text[content..closing], quote), closing + 1))
}

/// The value without quotes, and where it ends. Quotes around the whole of it are taken off all the same.
fn unquoted(text: &str, at: usize) -> (String, usize) {
    let end = text[at..].find(['#', '\n']).map_or(text.len(), |length| at + length);
    let value = text[at..end].trim_matches(is_space);
    let Some(quote) = value.chars().next().filter(|c| is_quote(*c)) else {
        return (value.to_owned(), end);
    };
    let inner = value[1..].strip_suffix(quote).unwrap_or(value);
    (expanded(inner, quote), end)
}

fn expanded(value: &str, quote: char) -> String {
    if quote == '"' { value.replace("\\n", "\n").replace("\\r", "\r") } else { value.to_owned() }
}

fn after_spaces(text: &str, at: usize) -> usize {
    text.len() - text[at..].trim_start_matches(is_space).len()
}

fn end_of_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

fn line_breaks(text: &str) -> usize {
    text.matches('\n').count()
}

fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '"' | '`')
}

/// White space as JavaScript has it: with the byte order mark, without U+0085.
fn is_space(c: char) -> bool {
    (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}'
}

#[cfg(test)]
mod tests;
