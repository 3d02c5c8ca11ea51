//! The keys that sign callbacks, from `NOTIFY_SIGNING_KEYS` and its file. No error shows any part of a key.

use std::os::unix::fs::MetadataExt;

use super::connections::{content, unusable};
use super::inputs::Inputs;
use super::settings::Secret;
use crate::signing::{MOST_KEYS, SigningKeys, signing_keys};

const WORDS: &str = "NOTIFY_SIGNING_KEYS";
const FILE: &str = "NOTIFY_SIGNING_KEYS_FILE";

/// The keys as they are written, with the setting that each text is of.
pub(super) fn texts(inputs: &mut Inputs) -> Vec<(&'static str, Secret)> {
    let mut texts = Vec::new();
    for setting in [WORDS, FILE] {
        let Some(found) = inputs.find(setting) else { continue };
        if setting == FILE {
            warn_if_others_read(inputs, &found.text);
        }
        let text = if setting == FILE { content(inputs, setting, &found) } else { Some(found.text) };
        texts.extend(text.map(|text| (setting, Secret::new(text))));
    }
    texts
}

/// Whoever reads the keys can forge results.
fn warn_if_others_read(inputs: &mut Inputs, path: &str) {
    if std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o004 != 0) {
        inputs.warn(format!("{FILE} can be read by everybody on this machine (chmod o-r {path})"));
    }
}

/// All keys, those of the variable first.
pub(super) fn keys(inputs: &mut Inputs) -> SigningKeys {
    let password = inputs.find("PRIVATE_KEY_PASSWORD").map(|found| found.text);
    let texts = texts(inputs);
    if password.is_some() && !texts.iter().any(|(_, text)| text.reveal().contains("ENCRYPTED PRIVATE KEY")) {
        inputs.warn("PRIVATE_KEY_PASSWORD is set, but no signing key is encrypted with it");
    }
    let (mut all, mut last) = (Vec::new(), WORDS);
    for (setting, text) in texts {
        last = setting;
        match signing_keys(text.reveal(), password.as_deref()) {
            Ok(keys) if keys.is_empty() => report(inputs, setting, "there is no key in it"),
            Ok(keys) => all.extend(keys),
            Err(problems) => {
                for problem in problems {
                    report(inputs, setting, &problem.to_string());
                }
            }
        }
    }
    let keys = SigningKeys::new(all);
    if keys.len() > MOST_KEYS {
        report(inputs, last, &format!("there are more than {MOST_KEYS} keys in all"));
    }
    keys
}

fn report(inputs: &mut Inputs, setting: &'static str, what: &str) {
    if let Some(found) = inputs.find(setting) {
        unusable(inputs, setting, &found, what.to_owned());
    }
}
