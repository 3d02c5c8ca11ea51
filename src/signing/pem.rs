//! ed25519 keys in PEM files: PKCS#8 (RFC 5958, RFC 8410), encrypted by PBES2 (RFC 8018), and public keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{Decode, Encode};
use pkcs8::pkcs5::{self, pbes2};
use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::Fault;
use super::key::{ED25519_BYTES, Ed25519Key, NoRandomness, random};

const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Everything of a public key's DER but the key itself, which ends it.
const PUBLIC_START: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The same of a private key, version 1 without its public half, as OpenSSL writes it.
const PRIVATE_START: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// Rounds of PBKDF2-HMAC-SHA256, as OWASP's cheat sheet on password storage recommends them.
const ROUNDS: u32 = 600_000;

/// Why a private key could not be encrypted.
#[derive(Debug, thiserror::Error)]
pub enum CannotEncrypt {
    /// There was nothing to make salt and initial vector of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The encryption itself failed.
    #[error("the private key cannot be encrypted: {0}")]
    Failed(String),
}

pub(super) fn private_key(der: &[u8]) -> Result<Ed25519Key, Fault> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Fault::DamagedPem)?;
    if info.algorithm.oid != ED25519 {
        return Err(Fault::Algorithm(algorithm_name(info.algorithm.oid)));
    }
    // An octet string within the octet string.
    let seed = info.private_key.as_bytes().strip_prefix(&PRIVATE_START[14..]);
    let seed: [u8; ED25519_BYTES] = seed.and_then(|seed| seed.try_into().ok()).ok_or(Fault::DamagedPem)?;
    Ed25519Key::of_seed(Zeroizing::new(seed))
}

pub(super) fn encrypted_private_key(der: &[u8], password: &str) -> Result<Ed25519Key, Fault> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| match AnyRef::from_der(der) {
        Ok(_) => Fault::Cipher,
        Err(_) => Fault::DamagedPem,
    })?;
    let plain = info.encryption_algorithm.decrypt(password, info.encrypted_data.as_bytes());
    let plain = plain.map(Zeroizing::new).map_err(|error| match error {
        pkcs5::Error::DecryptFailed => Fault::WrongPassword,
        _ => Fault::Cipher,
    })?;
    // A wrong password yields well padded bytes now and then.
    private_key(&plain).map_err(|fault| if fault == Fault::DamagedPem { Fault::WrongPassword } else { fault })
}

pub(super) fn public_key(der: &[u8]) -> Result<[u8; ED25519_BYTES], Fault> {
    let key = der.strip_prefix(&PUBLIC_START).and_then(|key| key.try_into().ok());
    key.ok_or_else(|| Fault::Algorithm("another algorithm".into()))
}

/// A private key as the PEM block `ENCRYPTED PRIVATE KEY`, which OpenSSL reads.
///
/// # Errors
/// The system gave no random bytes, or the encryption failed.
pub fn private_key_pem(key: &Ed25519Key, password: &str) -> Result<Zeroizing<String>, CannotEncrypt> {
    let failed = |error: &dyn std::fmt::Display| CannotEncrypt::Failed(error.to_string());
    let plain = Zeroizing::new([PRIVATE_START.as_slice(), key.seed.as_ref()].concat());
    let (salt, vector) = (random::<16>()?, random::<16>()?);
    let scheme = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, salt.as_ref(), *vector)
        .map_err(|error| failed(&error))?;
    let encrypted = scheme.encrypt(password, &plain).map_err(|error| failed(&error))?;
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: scheme.into(),
        encrypted_data: OctetStringRef::new(&encrypted).map_err(|error| failed(&error))?,
    };
    let der = info.to_der().map_err(|error| failed(&error))?;
    Ok(Zeroizing::new(block("ENCRYPTED PRIVATE KEY", &der)))
}

/// A public key as the PEM block `PUBLIC KEY`.
#[must_use]
pub fn public_key_pem(key: &Ed25519Key) -> String {
    block("PUBLIC KEY", &[PUBLIC_START.as_slice(), key.public()].concat())
}

fn block(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut block = format!("-----BEGIN {label}-----\n");
    for (index, character) in encoded.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            block.push('\n');
        }
        block.push(character);
    }
    block + &format!("\n-----END {label}-----\n")
}

fn algorithm_name(oid: ObjectIdentifier) -> String {
    match oid.to_string().as_str() {
        "1.2.840.113549.1.1.1" => "RSA".into(),
        "1.2.840.10045.2.1" => "elliptic curves (ECDSA)".into(),
        "1.3.101.113" => "ed448".into(),
        "1.3.101.110" => "x25519".into(),
        other => format!("the algorithm {other}"),
    }
}
