//! `verify`: checks a callback's signature as its receiver does, for the receiver's tests.

use std::io::{self, Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Answer;
use crate::config::{Secret, Verify};
use crate::signing::{
    Checker, CheckingKey, Claim, Genuine, ID_HEADER, NotGenuine, SIGNATURE_HEADER, TIMESTAMP_HEADER,
    checking_keys,
};

/// The longest request that is read: the runner's own bodies are far shorter.
const LONGEST: u64 = 64 << 20;

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
enum VerifyError {
    #[error("there is no key: give --key or --keys-file, or set NOTIFY_SIGNING_KEYS")]
    NoKey,
    #[error("{source_name}: {problem}")]
    Key { source_name: String, problem: String },
    #[error("{what}: {error}")]
    Unreadable { what: String, error: io::Error },
    #[error("{what} is longer than {} MiB", LONGEST >> 20)]
    TooLong { what: String },
    #[error("the header {0:?} is not of the form \"Name: value\"")]
    Header(String),
    #[error(
        "with --request the standard input has the headers, an empty line, and the body; there is no empty line"
    )]
    NoEmptyLine,
    #[error("the header {0} is there more than once")]
    Twice(&'static str),
}

/// Checks it.
pub(super) fn check(verify: &Verify, out: &mut impl Write) -> io::Result<Answer> {
    match judged(verify) {
        Ok(Ok(genuine)) => {
            writeln!(out, "genuine: {} by key {}", genuine.version.name(), genuine.key)?;
            Ok(Answer::Yes)
        }
        Ok(Err(reason)) => {
            writeln!(out, "not genuine: {reason}")?;
            Ok(Answer::No)
        }
        Err(VerifyError::Unreadable { what, error }) => {
            Err(io::Error::new(error.kind(), format!("{what}: {error}")))
        }
        Err(error) => Ok(Answer::Senseless(error.to_string())),
    }
}

fn judged(verify: &Verify) -> Result<Result<Genuine, NotGenuine>, VerifyError> {
    let checker = Checker::new(keys(verify)?, verify.tolerance);
    let input = match &verify.body {
        Some(path) => {
            let what = path.display().to_string();
            let file = std::fs::File::open(path);
            read(file.map_err(|error| VerifyError::Unreadable { what: what.clone(), error })?, what)?
        }
        None => read(io::stdin().lock(), String::from("the standard input"))?,
    };
    let (head, body) = if verify.request { split(&input)? } else { (String::new(), input.as_slice()) };
    let mut headers = Vec::new();
    // A request's first line, and its other headers, are nothing to us.
    headers.extend(head.lines().filter_map(|line| line.split_once(':')));
    for header in &verify.headers {
        headers.push(header.split_once(':').ok_or_else(|| VerifyError::Header(header.clone()))?);
    }
    let claim = Claim {
        id: value(&headers, ID_HEADER)?,
        timestamp: value(&headers, TIMESTAMP_HEADER)?,
        signature: value(&headers, SIGNATURE_HEADER)?,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(checker.check(claim, body, now))
}

fn keys(verify: &Verify) -> Result<Vec<CheckingKey>, VerifyError> {
    let mut texts: Vec<(String, String)> = Vec::new();
    // In one text, so that a fault's position counts the keys of the line.
    if !verify.keys.is_empty() {
        texts.push(("--key".into(), verify.keys.join("\n")));
    }
    if let Some(path) = &verify.keys_file {
        let what = path.display().to_string();
        let text = std::fs::read_to_string(path);
        texts.push((what.clone(), text.map_err(|error| VerifyError::Unreadable { what, error })?));
    }
    texts.extend(
        verify.settings_keys.iter().map(|(name, text)| ((*name).to_owned(), text.reveal().to_owned())),
    );
    let password = verify.password.as_ref().map(Secret::reveal);
    let mut all = Vec::new();
    for (source_name, text) in texts {
        all.extend(checking_keys(&text, password).map_err(|problems| {
            let problem = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            VerifyError::Key { source_name, problem }
        })?);
    }
    if all.is_empty() { Err(VerifyError::NoKey) } else { Ok(all) }
}

fn read(from: impl Read, what: String) -> Result<Vec<u8>, VerifyError> {
    let mut bytes = Vec::new();
    match from.take(LONGEST + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > LONGEST => Err(VerifyError::TooLong { what }),
        Ok(_) => Ok(bytes),
        Err(error) => Err(VerifyError::Unreadable { what, error }),
    }
}

/// What stands before the first empty line, and the exact bytes after it.
fn split(request: &[u8]) -> Result<(String, &[u8]), VerifyError> {
    let mut start = 0;
    for line in request.split_inclusive(|byte| *byte == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            let head = String::from_utf8_lossy(&request[..start]).into_owned();
            return Ok((head, &request[start + line.len()..]));
        }
        start += line.len();
    }
    Err(VerifyError::NoEmptyLine)
}

/// The value of a header that may be there once.
fn value<'a>(headers: &[(&'a str, &'a str)], name: &'static str) -> Result<Option<&'a str>, VerifyError> {
    let mut all = headers.iter().filter(|(known, _)| known.trim().eq_ignore_ascii_case(name));
    let first = all.next().map(|(_, value)| value.trim());
    if all.next().is_some() { Err(VerifyError::Twice(name)) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_split_at_its_first_empty_line_and_its_body_is_kept_byte_for_byte() {
        for (request, head, body) in [
            ("POST / HTTP/1.1\r\nA: b\r\n\r\nx\r\n\r\ny\n", "POST / HTTP/1.1\r\nA: b\r\n", "x\r\n\r\ny\n"),
            ("A: b\n\n", "A: b\n", ""),
            ("\n{}", "", "{}"),
        ] {
            let (found, rest) = split(request.as_bytes()).expect("an empty line");
            assert_eq!((found.as_str(), rest), (head, body.as_bytes()));
        }
        assert!(split(b"A: b\r\n{}").is_err());
    }

    #[test]
    fn a_header_is_found_in_any_case_and_may_not_be_there_twice() {
        let headers = [("Webhook-ID", " a "), ("x", "y")];
        assert_eq!(value(&headers, "webhook-id").expect("once"), Some("a"));
        assert_eq!(value(&headers, "webhook-signature").expect("never"), None);
        assert!(value(&[("webhook-id", "a"), ("WEBHOOK-ID", "b")], "webhook-id").is_err());
    }
}
