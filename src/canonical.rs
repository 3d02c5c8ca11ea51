//! The canonical form of JSON text (RFC 8785): the bytes that a callback receives.

use serde_json::value::RawValue;

/// How deeply arrays and objects may be nested: as deep as `serde_json` follows.
pub const MAX_DEPTH: usize = 127;

/// Why a JSON text has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// Half of a surrogate pair: no Unicode text holds such a character.
    #[error("a string holds the escape {escape}, which is half of a surrogate pair and no character")]
    LoneSurrogate {
        /// The escape sequence.
        escape: String,
    },
    /// A number beyond what a double can hold.
    #[error("the number {number} is too large")]
    NumberTooLarge {
        /// The number as it was written, shortened.
        number: String,
    },
    /// Arrays and objects nested more deeply than we follow.
    #[error("arrays and objects are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Not JSON at all; a `RawValue` never is.
    #[error("not JSON, from byte {at} on")]
    NotJson {
        /// Offset of the first byte that does not fit.
        at: usize,
    },
}

/// The canonical form of a JSON value: no white space, keys in the order of their UTF-16 code units,
/// of equal keys the last, numbers and strings as ECMAScript prints them.
///
/// # Errors
/// The value holds something that has no canonical form.
pub fn canonical(value: &RawValue) -> Result<String, CanonicalError> {
    let mut canonical = String::with_capacity(value.get().len());
    Writer::new(value.get()).value(&mut canonical, MAX_DEPTH)?;
    Ok(canonical)
}

/// The canonical form of an object that is made of these fields; of equal keys the last counts.
///
/// # Errors
/// A value has no canonical form.
pub fn canonical_object<'a>(
    fields: impl IntoIterator<Item = (&'a str, &'a RawValue)>,
) -> Result<String, CanonicalError> {
    let members = fields.into_iter().map(|(key, value)| Ok((key.to_owned(), canonical(value)?)));
    let mut object = String::new();
    write_object(members.collect::<Result<_, CanonicalError>>()?, &mut object);
    Ok(object)
}

/// Reads a JSON text from left to right and writes its canonical form.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    numbers: ryu_js::Buffer,
}

impl<'a> Writer<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, numbers: ryu_js::Buffer::new() }
    }

    fn value(&mut self, out: &mut String, depth: usize) -> Result<(), CanonicalError> {
        match self.peek() {
            Some(b'{') => self.object(out, depth),
            Some(b'[') => self.array(out, depth),
            Some(b'"') => {
                let string = self.string()?;
                write_string(&string, out);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => self.word(out),
        }
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Result<(), CanonicalError> {
        let depth = depth.checked_sub(1).ok_or(CanonicalError::TooDeep)?;
        let mut members = Vec::new();
        self.at += 1;
        while self.peek() != Some(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            let mut value = String::new();
            self.value(&mut value, depth)?;
            members.push((key, value));
            if self.peek() != Some(b'}') {
                self.expect(b',')?;
            }
        }
        self.at += 1;
        write_object(members, out);
        Ok(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Result<(), CanonicalError> {
        let depth = depth.checked_sub(1).ok_or(CanonicalError::TooDeep)?;
        self.at += 1;
        out.push('[');
        while self.peek() != Some(b']') {
            self.value(out, depth)?;
            if self.peek() != Some(b']') {
                self.expect(b',')?;
                out.push(',');
            }
        }
        self.at += 1;
        out.push(']');
        Ok(())
    }

    fn number(&mut self, out: &mut String) -> Result<(), CanonicalError> {
        let token = self.token(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
        let number: f64 = token.parse().map_err(|_| CanonicalError::NotJson { at: self.at })?;
        if !number.is_finite() {
            return Err(CanonicalError::NumberTooLarge { number: token.chars().take(40).collect() });
        }
        out.push_str(self.numbers.format_finite(number));
        Ok(())
    }

    fn word(&mut self, out: &mut String) -> Result<(), CanonicalError> {
        match self.token(|byte| byte.is_ascii_lowercase()) {
            word @ ("true" | "false" | "null") => out.push_str(word),
            _ => return Err(CanonicalError::NotJson { at: self.at }),
        }
        Ok(())
    }

    fn token(&mut self, of_it: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|byte| !of_it(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The string that begins here, without its escapes.
    fn string(&mut self) -> Result<String, CanonicalError> {
        let not_json = CanonicalError::NotJson { at: self.at };
        if self.peek() != Some(b'"') {
            return Err(not_json);
        }
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
                None => return Err(not_json),
            }
        }
        self.at = end + 1;
        if !escaped {
            return Ok(self.text[start + 1..end].to_owned());
        }
        let quoted = &self.text[start..=end];
        serde_json::from_str(quoted).map_err(|_| match lone_surrogate(quoted) {
            Some(at) => CanonicalError::LoneSurrogate { escape: quoted[at..at + 6].to_owned() },
            None => not_json,
        })
    }

    fn expect(&mut self, byte: u8) -> Result<(), CanonicalError> {
        if self.peek() != Some(byte) {
            return Err(CanonicalError::NotJson { at: self.at });
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }
}

fn write_object(mut members: Vec<(String, String)>, out: &mut String) {
    // Stable: equal keys keep their order, and the last of them is the one that is written.
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    let mut first = true;
    for (place, (key, value)) in members.iter().enumerate() {
        if members.get(place + 1).is_some_and(|(next, _)| next == key) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(key, out);
        out.push(':');
        out.push_str(value);
    }
    out.push('}');
}

/// A string as `JSON.stringify` writes it, which is how RFC 8785 wants it.
fn write_string(string: &str, out: &mut String) {
    out.push('"');
    for character in string.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1f}' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.extend(
                    [character as usize >> 4, character as usize & 15].map(|digit| char::from(DIGITS[digit])),
                );
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// A JSON text in which U+FFFD stands for each half of a surrogate pair, as in every UTF-8 encoder.
#[must_use]
pub fn without_lone_surrogates(json: &str) -> String {
    let mut text = json.to_owned();
    let mut from = 0;
    while let Some(at) = lone_surrogate(&text[from..]) {
        text.replace_range(from + at..from + at + 6, "\\ufffd");
        from += at + 6;
    }
    text
}

/// Where in a JSON text the first escape stands that is half of a surrogate pair without its other half.
fn lone_surrogate(string: &str) -> Option<usize> {
    let unit = |at: usize| -> Option<u16> {
        let escape = string.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(escape, 16).ok()
    };
    let mut at = 0;
    while at < string.len() {
        if string.as_bytes()[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xd800..=0xdbff) if matches!(unit(at + 6), Some(0xdc00..=0xdfff)) => at += 12,
            Some(0xd800..=0xdfff) => return Some(at),
            Some(_) => at += 6,
            None => at += 2,
        }
    }
    None
}

#[cfg(test)]
mod tests;
