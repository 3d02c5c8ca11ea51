//! The arguments of `keygen` and `verify`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::Secret;
use super::super::formats::{self, Unit};

/// What kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// A secret that sender and receiver share (v1)
    Hmac,
    /// A private key, and a public one for receivers (v1a)
    Ed25519,
}

/// `keygen`: a new key, to the standard output or into files that only their owner may read.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Keygen {
    /// The kind of key
    pub kind: KeyKind,
    /// Write into this directory, never over a file that is there, instead of printing the secret
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// ed25519 as privateKey.pem, encrypted with `PRIVATE_KEY_PASSWORD`, and publicKey.pem
    #[arg(long)]
    pub pem: bool,
    /// `PRIVATE_KEY_PASSWORD`.
    #[arg(skip)]
    pub password: Option<Secret>,
}

/// `verify`: exit code 0 where a callback is genuine, 1 where it is not.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Verify {
    /// A key of the receiver: whsec_…, or the public whpk_…; may be given more than once. Others can see
    /// a process's flags: better keep secrets in a file
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// A file of keys, as `NOTIFY_SIGNING_KEYS_FILE` has them, or with a public PEM key. Without --key and
    /// this, the keys are those of the notifier's settings
    #[arg(long, value_name = "PATH")]
    pub keys_file: Option<PathBuf>,
    /// A header of the callback, as "Name: value"; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    pub headers: Vec<String>,
    /// The file with the body's exact bytes; without it they come from the standard input
    #[arg(long, value_name = "PATH", conflicts_with = "request")]
    pub body: Option<PathBuf>,
    /// The standard input has the headers too: the whole request as it came, an empty line before the body
    #[arg(long)]
    pub request: bool,
    /// How old a callback may be, and how far ahead of this machine's clock
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = tolerance)]
    pub tolerance: Duration,
    /// The keys of the notifier's settings, as text, each with the setting's name.
    #[arg(skip)]
    pub settings_keys: Vec<(&'static str, Secret)>,
    /// `PRIVATE_KEY_PASSWORD`.
    #[arg(skip)]
    pub password: Option<Secret>,
}

fn tolerance(text: &str) -> Result<Duration, String> {
    formats::duration(text, Unit::Seconds)
}
