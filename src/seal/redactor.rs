//! Takes the secret out of what a container wrote, whatever pieces it comes in and wherever it is cut.

use std::fmt;

use super::{REDACTED, Seal, TELLING};

/// Takes the secret out of one stream that comes in pieces.
///
/// What may become the secret with the next piece is held back until then: less than one secret, and nothing of
/// what ends with a line break. So what comes out is the same however the stream was split. Each stream needs
/// one of its own: between two pieces of the one may stand a piece of the other.
///
/// The engine may have lost the beginning of the stream, and whoever wrote it may have been killed: an end of
/// the secret with which the stream begins, and a beginning of it with which the stream ends, are not told either.
pub struct Redactor {
    seal: Option<Seal>,
    held: Vec<u8>,
    /// Whether something came already that is no part of the secret, or was taken out.
    begun: bool,
}

impl fmt::Debug for Redactor {
    /// What is held may be most of the secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redactor").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl Redactor {
    /// At the start of a stream; without a secret everything passes.
    #[must_use]
    pub fn new(seal: Option<Seal>) -> Self {
        Self { seal, held: Vec::new(), begun: false }
    }

    /// Takes the next bytes, and gives what may be shown of all that came.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let Some(seal) = &self.seal else { return std::mem::take(&mut self.held) };
        let secret = seal.reveal().as_bytes();
        let mut passed = Vec::new();
        if !self.begun {
            if holds(secret, &self.held) {
                return passed;
            }
            self.begun = true;
            let cut = (TELLING..=secret.len()).rev().map(|length| &secret[secret.len() - length..]);
            if let Some(cut) = cut.into_iter().find(|cut| self.held.starts_with(cut)) {
                self.held.drain(..cut.len());
                passed.extend_from_slice(REDACTED.as_bytes());
            }
        }
        let mut rest = self.held.as_slice();
        while let Some(at) = rest.windows(secret.len()).position(|window| window == secret) {
            passed.extend_from_slice(&rest[..at]);
            passed.extend_from_slice(REDACTED.as_bytes());
            rest = &rest[at + secret.len()..];
        }
        let most = rest.len().min(secret.len() - 1);
        let kept = (0..=most).rev().find(|length| rest.ends_with(&secret[..*length])).unwrap_or(0);
        let (sure, kept) = rest.split_at(rest.len() - kept);
        passed.extend_from_slice(sure);
        self.held = kept.to_vec();
        passed
    }

    /// The stream has ended: gives what may be shown of what was held back.
    #[must_use]
    pub fn end(&mut self) -> Vec<u8> {
        self.begun = true;
        match std::mem::take(&mut self.held) {
            part if part.len() < TELLING => part,
            _ => REDACTED.into(),
        }
    }
}

/// Whether these bytes, at least one, may be a part of the secret; all of it is more than that.
fn holds(secret: &[u8], part: &[u8]) -> bool {
    part.is_empty() || part.len() < secret.len() && secret.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// No part of four letters of it stands in it twice, nor is one of those of `other`.
    fn seal() -> Seal {
        Seal::parse("abcdefghijklmnopacegikmobdfhjlnpaeimcgko").expect("legal")
    }

    fn passed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
        let mut redactor = Redactor::new(Some(seal()));
        let mut passed: Vec<u8> = pieces.into_iter().flat_map(|piece| redactor.push(piece)).collect();
        passed.extend(redactor.end());
        String::from_utf8(passed).expect("text")
    }

    fn tells(text: &str) -> bool {
        seal()
            .reveal()
            .as_bytes()
            .windows(TELLING)
            .any(|part| text.contains(std::str::from_utf8(part).unwrap()))
    }

    #[test]
    fn a_secret_is_taken_out_wherever_it_is_split_in_two_or_three() {
        let text = format!("--BEGIN {0}--\n{0}{0}\n--END {0}", seal().reveal());
        let bytes = text.as_bytes();
        let expected = "--BEGIN [secret]--\n[secret][secret]\n--END [secret]";
        for first in 0..=bytes.len() {
            for second in (first..=bytes.len()).step_by(7).chain([first, bytes.len()]) {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(passed(pieces), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn of_a_stream_that_was_cut_at_both_ends_no_part_of_the_secret_is_told() {
        let secret = seal().reveal().to_owned();
        for at in 0..=secret.len() {
            let text = format!("{}--\nit is {}", &secret[at..], &secret[..at]);
            for size in [1, 3, 1000] {
                let passed = passed(text.as_bytes().chunks(size));
                assert!(!tells(&passed) && passed.contains("--\nit is "), "{at} {size}: {passed}");
            }
            for end in at..=secret.len() {
                assert!(!tells(&passed([&secret.as_bytes()[at..end]])), "{at} {end}");
            }
        }
    }

    #[test]
    fn what_is_no_part_of_the_secret_passes_at_once() {
        let mut redactor = Redactor::new(Some(seal()));
        for (piece, now) in [("hello", "hello"), (" abc", " "), ("x\n", "abcx\n"), ("bcdef\n", "bcdef\n")] {
            assert_eq!(redactor.push(piece.as_bytes()), now.as_bytes(), "{piece}");
        }
        let mut none = Redactor::new(None);
        assert_eq!(none.push(seal().reveal().as_bytes()), seal().reveal().as_bytes());
        assert_eq!(none.end(), b"");
    }

    #[test]
    fn a_secret_that_repeats_itself_is_not_told_either() {
        let seal = crate::seal::tests::seal(0x5a);
        for before in ["", "x", "fk", "k"] {
            for size in [1, 2, 39, 40, 41, 100] {
                let mut redactor = Redactor::new(Some(seal.clone()));
                let text = format!("{before}{}y", seal.reveal());
                let mut passed: Vec<u8> =
                    text.as_bytes().chunks(size).flat_map(|piece| redactor.push(piece)).collect();
                passed.extend(redactor.end());
                let passed = String::from_utf8(passed).expect("text");
                assert!(!passed.contains("fkfk") && passed.ends_with('y'), "{before} {size}: {passed}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_part_of_the_secret_passes_and_nothing_else_is_lost(
            texts in prop::collection::vec(prop_oneof![
                3 => "[ q-z\n]{0,30}",
                2 => Just(seal().reveal().to_owned()),
                // Too short to tell anything, and not to be mistaken for more.
                1 => Just("abc".to_owned()), 1 => Just("gko".to_owned()),
            ], 0..8),
            sizes in prop::collection::vec(1_usize..60, 1..20),
        ) {
            // Letters that are no secret's stand between all of them.
            let text = format!("z{}z", texts.join("z"));
            let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
            for size in sizes.iter().cycle() {
                if rest.is_empty() { break }
                let (piece, others) = rest.split_at(rest.len().min(*size));
                pieces.push(piece);
                rest = others;
            }
            prop_assert_eq!(passed(pieces), text.replace(seal().reveal(), REDACTED));
        }

        #[test]
        fn how_a_stream_is_split_makes_no_difference(
            at in 0_usize..40, length in 0_usize..40, text in "[a-d\n]{0,9}", size in 1_usize..50, repeated: bool,
        ) {
            let seal = if repeated { crate::seal::tests::seal(0x5a) } else { seal() };
            let part = &seal.reveal()[at..(at + length).min(40)];
            let text = format!("{part}{text}{}{part}", seal.reveal());
            let whole = |size| {
                let mut redactor = Redactor::new(Some(seal.clone()));
                let mut all: Vec<u8> = text.as_bytes().chunks(size).flat_map(|piece| redactor.push(piece)).collect();
                all.extend(redactor.end());
                all
            };
            prop_assert_eq!(whole(size), whole(1000));
        }
    }
}
