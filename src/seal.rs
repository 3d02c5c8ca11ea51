//! The secret of one correction, which only its grader can put into the separators of its verdict.
//!
//! It stands in a label of the container, where any completer finds it, and in a file in the container that
//! root alone can read. Whatever a submission prints as another user, it does not know the secret.

mod redactor;

use std::borrow::Cow;
use std::fmt;

pub use redactor::Redactor;

/// The folder of the secret's file in the container: a volume of its own, so that the root may be read-only.
pub const SEAL_FOLDER: &str = "/run/correctomatic";
/// The name of the file in that folder.
pub const SEAL_FILE: &str = "secret";

/// How many random bytes a secret is made of: 160 bits.
const BYTES: usize = 20;
/// What stands in its place in texts.
const REDACTED: &str = "[secret]";
/// Of a secret that was cut, fewer letters than these tell nothing.
const TELLING: usize = 4;

/// The secret of one correction: 40 letters from `a` to `p`.
///
/// Letters only, so that it may stand in a shell's double quotes and in JSON, and is no number there. `Debug`
/// shows stars, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Seal(String);

impl Seal {
    /// The secret that so many random bytes make.
    #[must_use]
    pub fn of_random(bytes: [u8; BYTES]) -> Self {
        let letter = |nibble: u8| char::from(b'a' + nibble);
        Self(bytes.iter().flat_map(|byte| [letter(byte >> 4), letter(byte & 15)]).collect())
    }

    /// Reads the secret of a label; `None` where it is none of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let legal = text.len() == 2 * BYTES && text.bytes().all(|byte| (b'a'..=b'p').contains(&byte));
        legal.then(|| Self(text.to_owned()))
    }

    /// The secret itself: for the container's label, for its file, and for the search of its separators.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// A text without the secret.
    #[must_use]
    pub fn redacted<'text>(&self, text: &'text str) -> Cow<'text, str> {
        if text.contains(&self.0) { Cow::Owned(text.replace(&self.0, REDACTED)) } else { Cow::Borrowed(text) }
    }

    /// A piece of a longer text without the secret: the piece may begin, or end, within it.
    #[must_use]
    pub fn redacted_piece(&self, text: &str) -> String {
        let mut redactor = Redactor::new(Some(self.clone()));
        let mut passed = redactor.push(text.as_bytes());
        passed.extend(redactor.end());
        // Letters of ASCII were taken out of a text: what is left is one.
        String::from_utf8_lossy(&passed).into_owned()
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("********")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The secret of a test.
    pub(crate) fn seal(byte: u8) -> Seal {
        Seal::of_random([byte; BYTES])
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is_a_secret() {
        let all: [u8; BYTES] = std::array::from_fn(|index| u8::try_from(index * 13).unwrap_or(255));
        let seal = Seal::of_random(all);
        assert_eq!(Seal::parse(seal.reveal()), Some(seal.clone()));
        assert_eq!(seal.reveal().len(), 40);
        for bad in
            ["", "a", &seal.reveal()[1..], &format!("{}a", seal.reveal()), &"q".repeat(40), &"-".repeat(40)]
        {
            assert_eq!(Seal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_bit_of_the_random_bytes_is_lost() {
        let mut seen = std::collections::HashSet::new();
        for byte in 0..BYTES {
            for value in 0..=255 {
                let mut bytes = [0; BYTES];
                bytes[byte] = value;
                seen.insert(Seal::of_random(bytes).reveal().to_owned());
            }
        }
        assert_eq!(seen.len(), BYTES * 255 + 1);
    }

    #[test]
    fn a_debug_text_and_a_redacted_text_do_not_tell_it() {
        let seal = seal(0x5a);
        let text = format!("x {0} y {0}", seal.reveal());
        assert_eq!(seal.redacted(&text), "x [secret] y [secret]");
        assert_eq!(seal.redacted("nothing"), "nothing");
        assert!(!format!("{seal:?} {:?}", Some(&seal)).contains(&seal.reveal()[..4]));
    }

    #[test]
    fn the_end_of_a_secret_at_the_beginning_of_a_piece_is_not_told_either_nor_its_beginning_at_the_end() {
        let seal = Seal::of_random(std::array::from_fn(|index| u8::try_from(index).unwrap_or_default()));
        for kept in TELLING..40 {
            let (start, end) = (&seal.reveal()[..kept], &seal.reveal()[40 - kept..]);
            assert_eq!(seal.redacted_piece(&format!("{end}-----\nlast")), "[secret]-----\nlast", "{kept}");
            assert_eq!(seal.redacted_piece(&format!("é {start}")), "é [secret]", "{kept}");
        }
        assert_eq!(seal.redacted_piece(&format!("a {}", seal.reveal())), "a [secret]");
    }
}
