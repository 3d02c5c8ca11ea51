//! Checking a callback as its receiver does, with a reason for each refusal.

use std::time::Duration;

use base64::Engine as _;
use ring::hmac;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::key::TOLERANT;
use super::{ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, Version, signed_content};

/// A key that a receiver has.
#[derive(Clone, Debug)]
pub enum CheckingKey {
    /// The secret that it shares with the sender.
    Hmac(hmac::Key),
    /// The sender's public key.
    Ed25519(Vec<u8>),
}

impl CheckingKey {
    fn version(&self) -> Version {
        match self {
            Self::Hmac(_) => Version::V1,
            Self::Ed25519(_) => Version::V1a,
        }
    }

    /// Takes the same time wherever two signatures differ.
    fn accepts(&self, content: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, content, signature).is_ok(),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(content, signature).is_ok(),
        }
    }
}

/// What the headers of a callback claim; `None` where one is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// A callback that is what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// Which key says so, from 1.
    pub key: usize,
    /// By which scheme.
    pub version: Version,
}

/// Why a callback is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGenuine {
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The time is no number of seconds.
    #[error("the header {TIMESTAMP_HEADER} is not a whole number of seconds since 1970")]
    Timestamp,
    /// It was sent too long ago: somebody may be sending a recorded one again.
    #[error("it was sent {age} s ago, which is more than the {tolerance} s that are tolerated")]
    TooOld {
        /// How long ago it was sent, in seconds.
        age: u64,
        /// How long ago is tolerated, in seconds.
        tolerance: u64,
    },
    /// It comes from the future: one of the two clocks is wrong.
    #[error("it was sent {ahead} s in the future, which is more than the {tolerance} s that are tolerated")]
    TooNew {
        /// How far in the future, in seconds.
        ahead: u64,
        /// How far is tolerated, in seconds.
        tolerance: u64,
    },
    /// No signature is of a scheme for which there is a key.
    #[error("the header {SIGNATURE_HEADER} has no signature of the kind that the keys are for ({wanted})")]
    NoSuchVersion {
        /// The versions for which there are keys.
        wanted: String,
    },
    /// No signature fits any key.
    #[error("no signature fits: another key, or another body, id or time than was signed{hint}")]
    Mismatch {
        /// What makes it fit, where we found that.
        hint: &'static str,
    },
}

/// Checks callbacks with a receiver's keys.
#[derive(Clone, Debug)]
pub struct Checker {
    keys: Vec<CheckingKey>,
    tolerance: Duration,
}

impl Checker {
    /// Believes these keys (any of them), and callbacks that were sent so long ago at most.
    #[must_use]
    pub fn new(keys: Vec<CheckingKey>, tolerance: Duration) -> Self {
        Self { keys, tolerance }
    }

    /// Checks one callback; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// It is not to be believed.
    pub fn check(&self, claim: Claim<'_>, body: &[u8], now: u64) -> Result<Genuine, NotGenuine> {
        let id = claim.id.ok_or(NotGenuine::Missing(ID_HEADER))?;
        let timestamp = claim.timestamp.ok_or(NotGenuine::Missing(TIMESTAMP_HEADER))?;
        let signature = claim.signature.ok_or(NotGenuine::Missing(SIGNATURE_HEADER))?;
        self.check_time(timestamp, now)?;
        let offered: Vec<_> = signature.split_whitespace().filter_map(|one| one.split_once(',')).collect();
        let known = |version: &str| self.keys.iter().any(|key| key.version().name() == version);
        if !offered.iter().any(|(version, _)| known(version)) {
            let mut wanted: Vec<_> = self.keys.iter().map(|key| key.version().name()).collect();
            wanted.sort_unstable();
            wanted.dedup();
            return Err(NotGenuine::NoSuchVersion { wanted: wanted.join(", ") });
        }
        let accepted = |body: &[u8]| self.accepting(&offered, &signed_content(id, timestamp, body));
        accepted(body).ok_or_else(|| {
            let without_end = body.strip_suffix(b"\n").map(|body| body.strip_suffix(b"\r").unwrap_or(body));
            let hint = match without_end.and_then(accepted) {
                Some(_) => " (without the line break at the end of the body it fits)",
                None => "",
            };
            NotGenuine::Mismatch { hint }
        })
    }

    fn check_time(&self, timestamp: &str, now: u64) -> Result<(), NotGenuine> {
        let digits = !timestamp.is_empty() && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        let sent: u64 = timestamp.parse().ok().filter(|_| digits).ok_or(NotGenuine::Timestamp)?;
        let tolerance = self.tolerance.as_secs();
        if let Some(age) = now.checked_sub(sent)
            && age > tolerance
        {
            return Err(NotGenuine::TooOld { age, tolerance });
        }
        if let Some(ahead) = sent.checked_sub(now)
            && ahead > tolerance
        {
            return Err(NotGenuine::TooNew { ahead, tolerance });
        }
        Ok(())
    }

    fn accepting(&self, offered: &[(&str, &str)], content: &[u8]) -> Option<Genuine> {
        offered.iter().find_map(|(version, encoded)| {
            let signature = TOLERANT.decode(encoded).ok()?;
            let fits =
                |key: &&CheckingKey| key.version().name() == *version && key.accepts(content, &signature);
            let at = self.keys.iter().position(|key| fits(&key))?;
            Some(Genuine { key: at + 1, version: self.keys[at].version() })
        })
    }
}
