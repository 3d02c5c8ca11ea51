//! One key: how it is written, how it is made, how it signs. No secret is ever in a `Debug` or an error.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::Fault;

/// Base 64 as people copy it: with its padding or without.
pub(super) const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How many bytes a symmetric secret has, as the specification wants it.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// How many bytes a new one has.
const NEW_HMAC_BYTES: usize = 32;
/// The bytes of an ed25519 seed, and of a public key.
pub(super) const ED25519_BYTES: usize = 32;

/// The scheme of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HMAC-SHA256 with a secret that both sides have.
    V1,
    /// ed25519 with a private key; receivers have the public one.
    V1a,
}

impl Version {
    /// What stands before the comma.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1a => "v1a",
        }
    }
}

/// A key that signs.
#[derive(Clone, PartialEq)]
pub enum SigningKey {
    /// A secret that sender and receiver share (`whsec_`).
    Hmac(HmacKey),
    /// A private key of which receivers have the public half (`whsk_`, `whpk_`).
    Ed25519(Ed25519Key),
}

impl SigningKey {
    /// One signature, with its version.
    #[must_use]
    pub fn sign(&self, content: &[u8]) -> String {
        match self {
            Self::Hmac(HmacKey { key, .. }) => format!("v1,{}", STANDARD.encode(hmac::sign(key, content))),
            Self::Ed25519(Ed25519Key { pair, .. }) => {
                format!("v1a,{}", STANDARD.encode(pair.sign(content)))
            }
        }
    }
}

impl fmt::Display for SigningKey {
    /// What may be told of it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hmac(_) => formatter.write_str("v1 (a shared secret)"),
            Self::Ed25519(key) => write!(formatter, "v1a ({})", key.public_text()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The system gave no random bytes, so no key was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;

/// Random bytes fit for a key.
pub(super) fn random<const BYTES: usize>() -> Result<Zeroizing<[u8; BYTES]>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A shared secret.
#[derive(Clone)]
pub struct HmacKey {
    secret: Zeroizing<Vec<u8>>,
    key: hmac::Key,
}

impl PartialEq for HmacKey {
    fn eq(&self, other: &Self) -> bool {
        self.secret == other.secret
    }
}

impl HmacKey {
    /// What its text begins with.
    pub const PREFIX: &str = "whsec_";

    /// A new one.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        Ok(Self::of(random::<NEW_HMAC_BYTES>()?.to_vec()))
    }

    /// Reads what follows the prefix.
    pub(super) fn parse(encoded: &str) -> Result<Self, Fault> {
        let secret = TOLERANT.decode(encoded).map_err(|_| Fault::NotBase64)?;
        if HMAC_BYTES.contains(&secret.len()) {
            Ok(Self::of(secret))
        } else {
            Err(Fault::SecretLength { bytes: secret.len() })
        }
    }

    fn of(secret: Vec<u8>) -> Self {
        let secret = Zeroizing::new(secret);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Self { secret, key }
    }

    pub(super) fn into_checking(self) -> hmac::Key {
        self.key
    }

    /// The secret itself, as it goes into a setting.
    #[must_use]
    pub fn secret_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", Self::PREFIX, STANDARD.encode(&self.secret)))
    }
}

/// A private key, with its public half.
#[derive(Clone)]
pub struct Ed25519Key {
    pub(super) seed: Zeroizing<[u8; ED25519_BYTES]>,
    pair: Arc<Ed25519KeyPair>,
}

impl PartialEq for Ed25519Key {
    fn eq(&self, other: &Self) -> bool {
        self.public() == other.public()
    }
}

impl Ed25519Key {
    /// What the text of the private key begins with.
    pub const PREFIX: &str = "whsk_";
    /// What the text of the public half begins with.
    pub const PUBLIC_PREFIX: &str = "whpk_";

    /// A new one.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub fn generate() -> Result<Self, NoRandomness> {
        Self::of_seed(random()?).map_err(|_| NoRandomness)
    }

    /// Reads what follows the prefix: the seed and the public key, or the seed alone.
    pub(super) fn parse(encoded: &str) -> Result<Self, Fault> {
        let bytes = Zeroizing::new(TOLERANT.decode(encoded).map_err(|_| Fault::NotBase64)?);
        let Some((seed, public)) = bytes.split_first_chunk::<ED25519_BYTES>() else {
            return Err(Fault::PrivateKeyLength { bytes: bytes.len() });
        };
        if !matches!(public.len(), 0 | ED25519_BYTES) {
            return Err(Fault::PrivateKeyLength { bytes: bytes.len() });
        }
        let key = Self::of_seed(Zeroizing::new(*seed))?;
        if public.is_empty() || public == key.public() { Ok(key) } else { Err(Fault::HalvesDiffer) }
    }

    pub(super) fn of_seed(seed: Zeroizing<[u8; ED25519_BYTES]>) -> Result<Self, Fault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).map_err(|_| Fault::HalvesDiffer)?;
        Ok(Self { seed, pair: Arc::new(pair) })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// The public half, as receivers are given it.
    #[must_use]
    pub fn public_text(&self) -> String {
        format!("{}{}", Self::PUBLIC_PREFIX, STANDARD.encode(self.public()))
    }

    /// The private key itself, as it goes into a setting.
    #[must_use]
    pub fn secret_text(&self) -> Zeroizing<String> {
        let both = Zeroizing::new([self.seed.as_ref(), self.public()].concat());
        Zeroizing::new(format!("{}{}", Self::PREFIX, STANDARD.encode(both.as_slice())))
    }
}
