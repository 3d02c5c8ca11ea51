//! How an engine is reached through the `ssh` program.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::settings::Secret;

/// The engine of another machine, through the `ssh` program of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshEndpoint {
    /// Host name or address, or a `Host` of ssh's own configuration. It does not begin with a dash.
    pub host: String,
    /// TCP port; `None` = as ssh decides.
    pub port: Option<u16>,
    /// User to log in as; `None` = as ssh decides.
    pub username: Option<String>,
    /// The engine's socket on that machine, an absolute path.
    pub socket: PathBuf,
    /// The private key; `None` = as ssh decides.
    pub key: Option<SshKey>,
    /// What opens that key.
    pub passphrase: Option<Secret>,
    /// The socket of the `ssh-agent` to be asked; `None` = as ssh decides.
    pub agent: Option<PathBuf>,
    /// ssh's configuration file, in place of the user's and the machine's.
    pub config: Option<PathBuf>,
}

/// A private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// The file that holds it.
    File(PathBuf),
    /// The key itself.
    Text(Secret),
}

impl SshKey {
    /// Whether a text is a key and not the path of one.
    ///
    /// # Errors
    /// It is neither; the words say why, and hold nothing of it.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.starts_with("PuTTY-User-Key-File-") {
            return Err(
                "is in PuTTY's form; turn it into OpenSSH's with `puttygen KEY -O private-openssh -o FILE`",
            );
        }
        if !text.contains("-----BEGIN") {
            return if text.contains(['\n', '\r', '\0']) {
                Err("is neither a path nor a key: a key begins with a line -----BEGIN … PRIVATE KEY-----")
            } else {
                Ok(Self::File(PathBuf::from(text)))
            };
        }
        // Written into JSON within a shell's quotes, line ends are easily escaped twice.
        let text =
            if text.contains('\n') { text.to_owned() } else { text.replace("\\r", "").replace("\\n", "\n") };
        let text = text.replace('\r', "");
        let begin = text.lines().next().unwrap_or_default();
        if !begin.contains("PRIVATE KEY-----") {
            return Err("is not a private key: one begins with a line -----BEGIN … PRIVATE KEY-----");
        }
        if !text.contains('\n') || !text.contains("-----END") {
            return Err(
                "is a key without its last line (-----END … PRIVATE KEY-----) or without line ends (\\n)",
            );
        }
        Ok(Self::Text(Secret::new(text.trim_end().to_owned() + "\n")))
    }

    /// Whether it is known that this key can be used with a passphrase only. Looks into no file.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        let Self::Text(text) = self else { return false };
        let text = text.reveal();
        text.contains("ENCRYPTED") || cipher(text).is_some_and(|cipher| cipher != b"none")
    }
}

/// The cipher of a key in OpenSSH's own form
/// (<https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key>).
fn cipher(text: &str) -> Option<Vec<u8>> {
    const MAGIC: &[u8] = b"openssh-key-v1\0";
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let bytes = STANDARD.decode(body).ok()?;
    let (length, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?).map(<[u8]>::to_vec)
}

/// Whether ssh can be told this host: what begins with a dash it would take for an option.
pub(super) fn is_ssh_host(host: &str) -> bool {
    super::docker_options::is_host(host) && !host.starts_with('-')
}

/// Whether ssh can be told this user.
pub(super) fn is_ssh_user(user: &str) -> bool {
    let strange =
        |letter: char| letter.is_whitespace() || letter.is_control() || "'`\";&<>|(){}$\\".contains(letter);
    !user.is_empty() && !user.starts_with('-') && !user.contains(strange)
}

/// Whether ssh can be told this socket of the far host. It expands `${…}`, which cannot be escaped.
pub(super) fn is_ssh_socket(path: &str) -> bool {
    path.starts_with('/') && !path.contains("${") && !path.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What stands before everything else in a key of OpenSSH's form.
    fn key(cipher: &str) -> String {
        let length = u32::try_from(cipher.len()).expect("short");
        let bytes = [b"openssh-key-v1\0", &length.to_be_bytes()[..], cipher.as_bytes(), &[7; 40]].concat();
        let body = STANDARD.encode(bytes);
        let (first, second) = body.split_at(20);
        format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{first}\n{second}\n-----END OPENSSH PRIVATE KEY-----")
    }

    fn text(key: &str) -> String {
        match SshKey::read(key) {
            Ok(SshKey::Text(text)) => text.reveal().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_told_from_the_path_of_one() {
        assert_eq!(SshKey::read("/keys/id_ed25519"), Ok(SshKey::File("/keys/id_ed25519".into())));
        let plain = key("none");
        let whole = format!("{plain}\n");
        for written in [plain.clone(), whole.clone(), whole.replace('\n', "\r\n"), plain.replace('\n', "\\n")]
        {
            assert_eq!(text(&written), whole, "{written:?}");
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_and_not_shown() {
        let public = "-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----";
        let plain = key("none");
        let cut = plain.split("-----END").next().expect("a part");
        for wrong in [public, cut, &plain.replace('\n', ""), "PuTTY-User-Key-File-3: canary", "a\ncanary"] {
            let error = SshKey::read(wrong).expect_err(wrong);
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_key_that_needs_a_passphrase_is_known() {
        let needs = |key: &str| SshKey::read(key).expect("a key").needs_passphrase();
        assert!(needs(&key("aes256-ctr")));
        assert!(!needs(&key("none")));
        let head = "-----BEGIN RSA PRIVATE KEY-----\n";
        assert!(needs(&format!("{head}Proc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----")));
        assert!(needs("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"));
        assert!(!needs(&format!("{head}AAAA\n-----END RSA PRIVATE KEY-----")));
    }

    #[test]
    fn what_ssh_would_take_for_something_else_is_refused() {
        assert!(is_ssh_host("far.example") && is_ssh_host("::1") && !is_ssh_host("-oProxyCommand=x"));
        assert!(
            is_ssh_user("DOMAIN.me-1") && !is_ssh_user("-x") && !is_ssh_user("a b") && !is_ssh_user("a;b")
        );
        assert!(is_ssh_socket("/run/user/1000/docker.sock"));
        assert!(!is_ssh_socket("docker.sock") && !is_ssh_socket("/a/${HOME}") && !is_ssh_socket("/a\nb"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(-----BEGIN )?.{0,9}(PRIVATE KEY-----)?[A-Za-z0-9\n\\\\ +/=]{0,40}(-----END)?.{0,9}") {
            if let Ok(key) = SshKey::read(&text) {
                let _ = key.needs_passphrase();
            }
        }
    }
}
