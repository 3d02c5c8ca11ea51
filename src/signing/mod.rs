//! Signatures of callbacks, as Standard Webhooks has them: keys, what they sign, how a receiver checks it.
//!
//! ```text
//! settings, files ─▶ keyring (words, PEM) ─▶ SigningKeys ── sign ─▶ webhook-signature: v1,… v1a,…
//!                                      └──▶ Checker ── check ─▶ genuine, or why not
//! ```
//!
//! Specification: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

mod check;
mod key;
mod keyring;
mod pem;

use std::fmt;
use std::sync::Arc;

pub use check::{Checker, CheckingKey, Claim, Genuine, NotGenuine};
pub use key::{Ed25519Key, HmacKey, NoRandomness, SigningKey, Version};
pub use keyring::{Fault, KeyProblem, checking_keys, signing_keys};
pub use pem::{CannotEncrypt, private_key_pem, public_key_pem};

/// The header with a result's name, the same for each attempt at its delivery.
pub const ID_HEADER: &str = "webhook-id";
/// The header with the time of an attempt, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The header with one signature per key, with a space between them.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How many keys may sign at once: receivers bound the size of a request's headers.
pub const MOST_KEYS: usize = 20;

/// The keys that sign each callback; none = nothing is signed. Cheap to clone; no secret is in its `Debug`.
#[derive(Clone, Default, PartialEq)]
pub struct SigningKeys(Arc<[SigningKey]>);

impl SigningKeys {
    /// Takes these keys, each once, in their order.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = SigningKey>) -> Self {
        let mut all: Vec<SigningKey> = Vec::new();
        for key in keys {
            if !all.contains(&key) {
                all.push(key);
            }
        }
        Self(all.into())
    }

    /// Whether nothing is signed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys sign.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of `webhook-signature`: all signatures over the exact bytes of a body; `None` without
    /// keys. `timestamp` is the attempt's, in seconds since 1970, as `webhook-timestamp` has it.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let content = signed_content(id, &timestamp.to_string(), body);
        let signatures: Vec<String> = self.0.iter().map(|key| key.sign(&content)).collect();
        Some(signatures.join(" "))
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.0.iter()).finish()
    }
}

impl fmt::Display for SigningKeys {
    /// What may be told of the keys: their kinds, and the public halves.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            write!(formatter, "{}{key}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The bytes that are signed.
fn signed_content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), timestamp.as_bytes(), body].join(&b'.')
}

#[cfg(test)]
mod tests;
