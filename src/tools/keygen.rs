//! `keygen`: makes a key that signs callbacks, and writes it where nobody else can read it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Answer;
use crate::config::{KeyKind, Keygen};
use crate::signing::{Ed25519Key, HmacKey, private_key_pem, public_key_pem};

/// A key's file: its name, its content, and whether that is secret.
struct Part {
    name: &'static str,
    content: Zeroizing<String>,
    secret: bool,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
enum KeygenError {
    #[error("a PEM key is encrypted: set PRIVATE_KEY_PASSWORD to the password that it is to have")]
    NoPassword,
    #[error("--pem is for ed25519: a shared secret has no PEM form")]
    NoPemForm,
    #[error("{} is there already, and is left as it is", .0.display())]
    Exists(PathBuf),
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{0}")]
    Key(String),
}

/// Makes it.
pub(super) fn make(keygen: &Keygen, out: &mut impl Write) -> io::Result<Answer> {
    let made = parts(keygen).and_then(|parts| match &keygen.out {
        Some(directory) => write_all(directory, parts),
        None => Ok(parts.into_iter().map(|part| part.content).collect()),
    });
    match made {
        Ok(lines) => {
            lines.iter().try_for_each(|line| writeln!(out, "{}", line.trim_end()))?;
            Ok(Answer::Yes)
        }
        Err(error @ (KeygenError::NoPassword | KeygenError::NoPemForm | KeygenError::Exists(_))) => {
            Ok(Answer::Senseless(error.to_string()))
        }
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

fn parts(keygen: &Keygen) -> Result<Vec<Part>, KeygenError> {
    let line = |text: &str| Zeroizing::new(format!("{text}\n"));
    let failed = |error: &dyn std::fmt::Display| KeygenError::Key(error.to_string());
    match (keygen.kind, keygen.pem) {
        (KeyKind::Hmac, true) => Err(KeygenError::NoPemForm),
        (KeyKind::Hmac, false) => {
            let key = HmacKey::generate().map_err(|error| failed(&error))?;
            Ok(vec![Part { name: "hmac.key", content: line(&key.secret_text()), secret: true }])
        }
        (KeyKind::Ed25519, false) => {
            let key = Ed25519Key::generate().map_err(|error| failed(&error))?;
            Ok(vec![
                Part { name: "ed25519.key", content: line(&key.secret_text()), secret: true },
                Part { name: "ed25519.pub", content: line(&key.public_text()), secret: false },
            ])
        }
        (KeyKind::Ed25519, true) => {
            let password = keygen.password.as_ref().ok_or(KeygenError::NoPassword)?;
            let key = Ed25519Key::generate().map_err(|error| failed(&error))?;
            let pem = private_key_pem(&key, password.reveal()).map_err(|error| failed(&error))?;
            Ok(vec![
                Part { name: "privateKey.pem", content: pem, secret: true },
                Part { name: "publicKey.pem", content: Zeroizing::new(public_key_pem(&key)), secret: false },
            ])
        }
    }
}

/// Writes all files or none, since half a key is of no use, and tells what they are.
fn write_all(directory: &Path, parts: Vec<Part>) -> Result<Vec<Zeroizing<String>>, KeygenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| KeygenError::File { path: directory.to_owned(), error })?;
    let paths: Vec<_> = parts.iter().map(|part| directory.join(part.name)).collect();
    // Looked at first, so that nothing is written where one of them is there.
    if let Some(path) = paths.iter().find(|path| path.symlink_metadata().is_ok()) {
        return Err(KeygenError::Exists(path.clone()));
    }
    for (index, (path, part)) in paths.iter().zip(&parts).enumerate() {
        if let Err(error) = write_new(path, &part.content) {
            for written in &paths[..index] {
                let _ = std::fs::remove_file(written);
            }
            return Err(match error.kind() {
                io::ErrorKind::AlreadyExists => KeygenError::Exists(path.clone()),
                _ => KeygenError::File { path: path.clone(), error },
            });
        }
    }
    let told = paths.iter().zip(parts).map(|(path, part)| {
        let what = if part.secret { "secret: for NOTIFY_SIGNING_KEYS_FILE" } else { "public: for receivers" };
        Zeroizing::new(format!("{} ({what})", path.display()))
    });
    Ok(told.collect())
}

/// Writes a file that was not there; a part of it does not stay.
fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = write_to(&mut file, content);
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

fn write_to(file: &mut File, content: &str) -> io::Result<()> {
    file.write_all(content.as_bytes())?;
    file.sync_all()
}
