//! Keys as people write them down: words between white space, and PEM blocks, with `#` before remarks.

use base64::Engine as _;
use zeroize::Zeroizing;

use super::check::CheckingKey;
use super::key::{ED25519_BYTES, Ed25519Key, HmacKey, SigningKey, TOLERANT};
use super::{MOST_KEYS, pem};

/// What is wrong with one key. Its text never holds any part of the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key {position} (line {line}): {fault}")]
pub struct KeyProblem {
    /// Which key it is, from 1.
    pub position: usize,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing tells what kind of key it is.
    #[error("it begins with none of whsec_ and whsk_, nor is it a PEM block")]
    UnknownKind,
    /// What follows the prefix, or stands in the PEM block, cannot be decoded.
    #[error("what follows its prefix is not base 64")]
    NotBase64,
    /// A shared secret is too short to be one, or too long.
    #[error("it decodes to {bytes} bytes; a shared secret has 24 to 64")]
    SecretLength {
        /// How many it has.
        bytes: usize,
    },
    /// An ed25519 private key is cut, or is none.
    #[error("it decodes to {bytes} bytes; a whsk_ key has 64 (the seed, then the public key), or 32")]
    PrivateKeyLength {
        /// How many it has.
        bytes: usize,
    },
    /// An ed25519 public key is cut, or is none.
    #[error("it decodes to {bytes} bytes; a whpk_ key has 32")]
    PublicKeyLength {
        /// How many it has.
        bytes: usize,
    },
    /// The two halves of a `whsk_` key do not belong together.
    #[error("its two halves do not belong together")]
    HalvesDiffer,
    /// A public key was given where the private one is needed.
    #[error("it is a public key; to sign takes the private one (whsk_, or a PEM block PRIVATE KEY)")]
    Public,
    /// A PEM block has no end.
    #[error("the PEM block has no line -----END …-----")]
    Unfinished,
    /// A PEM block is of a kind that is no key of ours.
    #[error(
        "it is a PEM block of another kind; needed is ENCRYPTED PRIVATE KEY, PRIVATE KEY or PUBLIC KEY (PKCS#8, ed25519)"
    )]
    OtherPem,
    /// A PEM block's content is damaged.
    #[error("the PEM block is damaged")]
    DamagedPem,
    /// It is a key of another algorithm.
    #[error("it is a key for {0}; needed is one for ed25519 (openssl genpkey -algorithm ed25519)")]
    Algorithm(String),
    /// It is encrypted and there is no password.
    #[error("it is encrypted, and PRIVATE_KEY_PASSWORD is not set")]
    NoPassword,
    /// It is encrypted with another password.
    #[error("PRIVATE_KEY_PASSWORD is not its password")]
    WrongPassword,
    /// It is encrypted in a way that we cannot undo.
    #[error("it is encrypted in an outdated way; openssl pkcs8 -topk8 -v2 aes-256-cbc writes it anew")]
    Cipher,
    /// There are too many keys.
    #[error("more than {MOST_KEYS} keys")]
    TooMany,
}

/// A key of either kind.
enum AnyKey {
    Signing(SigningKey),
    Public([u8; ED25519_BYTES]),
}

/// Where a key stands, and its text.
struct Entry<'a> {
    line: usize,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Word(&'a str),
    Pem { label: &'a str, content: Zeroizing<String> },
    UnfinishedPem,
}

/// Reads keys to sign with, in their order; `password` is that of encrypted PEM blocks.
///
/// # Errors
/// Any key is faulty: all that are.
pub fn signing_keys(text: &str, password: Option<&str>) -> Result<Vec<SigningKey>, Vec<KeyProblem>> {
    read(text, password, |key| match key {
        AnyKey::Signing(key) => Ok(key),
        AnyKey::Public(_) => Err(Fault::Public),
    })
}

/// Reads keys to check with: shared secrets, public keys, and private ones for their public half.
///
/// # Errors
/// Any key is faulty: all that are.
pub fn checking_keys(text: &str, password: Option<&str>) -> Result<Vec<CheckingKey>, Vec<KeyProblem>> {
    read(text, password, |key| {
        Ok(match key {
            AnyKey::Signing(SigningKey::Hmac(key)) => CheckingKey::Hmac(key.into_checking()),
            AnyKey::Signing(SigningKey::Ed25519(key)) => CheckingKey::Ed25519(key.public().to_vec()),
            AnyKey::Public(key) => CheckingKey::Ed25519(key.to_vec()),
        })
    })
}

fn read<T>(
    text: &str,
    password: Option<&str>,
    mut accept: impl FnMut(AnyKey) -> Result<T, Fault>,
) -> Result<Vec<T>, Vec<KeyProblem>> {
    let (mut keys, mut problems) = (Vec::new(), Vec::new());
    for (index, Entry { line, kind }) in entries(text).into_iter().enumerate() {
        let key = if index < MOST_KEYS { key_of(&kind, password) } else { Err(Fault::TooMany) };
        match key.and_then(&mut accept) {
            Ok(key) => keys.push(key),
            Err(fault) => problems.push(KeyProblem { position: index + 1, line, fault }),
        }
        if index == MOST_KEYS {
            break;
        }
    }
    if problems.is_empty() { Ok(keys) } else { Err(problems) }
}

fn entries(text: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, content)) = lines.next() {
        let (line, content) = (index + 1, content.trim());
        if let Some(label) = content.strip_prefix("-----BEGIN ") {
            let mut block = Zeroizing::new(String::new());
            let ended = lines.by_ref().map(|(_, line)| line.trim()).any(|line| {
                let end = line.starts_with("-----END ");
                if !end {
                    block.push_str(line);
                }
                end
            });
            let label = label.trim_end_matches('-');
            let kind = if ended { Kind::Pem { label, content: block } } else { Kind::UnfinishedPem };
            entries.push(Entry { line, kind });
        } else {
            let words = content.split_whitespace().take_while(|word| !word.starts_with('#'));
            entries.extend(words.map(|word| Entry { line, kind: Kind::Word(word) }));
        }
    }
    entries
}

fn key_of(kind: &Kind<'_>, password: Option<&str>) -> Result<AnyKey, Fault> {
    match kind {
        Kind::Word(word) => word_key(word),
        Kind::UnfinishedPem => Err(Fault::Unfinished),
        Kind::Pem { label, content } => {
            let bytes =
                || TOLERANT.decode(content.as_bytes()).map(Zeroizing::new).map_err(|_| Fault::DamagedPem);
            match *label {
                "PRIVATE KEY" => pem::private_key(&bytes()?).map(own),
                "ENCRYPTED PRIVATE KEY" => {
                    let password = password.ok_or(Fault::NoPassword)?;
                    pem::encrypted_private_key(&bytes()?, password).map(own)
                }
                "PUBLIC KEY" => pem::public_key(&bytes()?).map(AnyKey::Public),
                _ => Err(Fault::OtherPem),
            }
        }
    }
}

fn own(key: Ed25519Key) -> AnyKey {
    AnyKey::Signing(SigningKey::Ed25519(key))
}

fn word_key(word: &str) -> Result<AnyKey, Fault> {
    if let Some(encoded) = word.strip_prefix(HmacKey::PREFIX) {
        HmacKey::parse(encoded).map(|key| AnyKey::Signing(SigningKey::Hmac(key)))
    } else if let Some(encoded) = word.strip_prefix(Ed25519Key::PREFIX) {
        Ed25519Key::parse(encoded).map(own)
    } else if let Some(encoded) = word.strip_prefix(Ed25519Key::PUBLIC_PREFIX) {
        let bytes = TOLERANT.decode(encoded).map_err(|_| Fault::NotBase64)?;
        let key = <[u8; ED25519_BYTES]>::try_from(bytes.as_slice());
        key.map(AnyKey::Public).map_err(|_| Fault::PublicKeyLength { bytes: bytes.len() })
    } else {
        Err(Fault::UnknownKind)
    }
}
