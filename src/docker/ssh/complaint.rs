//! What ssh says when it fails (OpenSSH 8.4 to 10), and what to do about it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::super::answer::{says, shortened};
use crate::config::{SshEndpoint, SshKey};

/// How many of its last lines are kept: a host key that changed takes fifteen.
const MOST: usize = 20;

/// The largest file that is taken for a key.
const LARGEST_KEY: u64 = 64 << 10;

/// What it says of a key that it cannot use.
const OF_KEYS: [&str; 3] = ["bad permissions", "load key", "identity file"];

/// The last lines that ssh wrote.
#[derive(Default)]
pub(super) struct Complaints(Mutex<VecDeque<String>>);

impl Complaints {
    pub(super) fn push(&self, line: &str) {
        if line.is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST {
            lines.pop_front();
        }
        lines.push_back(shortened(line));
    }

    /// Why it failed, and the remedy; nothing if it said nothing.
    pub(super) fn told(&self, endpoint: &SshEndpoint) -> Option<String> {
        told(self.0.lock().unwrap_or_else(PoisonError::into_inner).make_contiguous(), endpoint)
    }
}

/// What a look at the engine's socket on the far host found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Missing,
    /// It is there and is no socket.
    Other,
    /// It is there, and this user may not use it.
    Forbidden,
    /// It is there, and this user may use it.
    Usable,
    Unknown,
}

impl Look {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "missing" => Self::Missing,
            "other" => Self::Other,
            "forbidden" => Self::Forbidden,
            "usable" => Self::Usable,
            _ => Self::Unknown,
        }
    }

    /// Why nobody can connect to the socket, and the remedy.
    pub(super) fn told(self, endpoint: &SshEndpoint) -> String {
        let socket = endpoint.socket.display();
        let user = endpoint.username.as_deref().unwrap_or("the user that ssh logs in as");
        let elsewhere = "another socket is told as ssh://user@host/path (DOCKER_HOST) or \"socketPath\"";
        match self {
            Self::Missing => format!(
                "there is no {socket} on the far host, or {user} may not see it: is Docker installed and running \
                 there? ({elsewhere})"
            ),
            Self::Other => format!("{socket} on the far host is no socket ({elsewhere})"),
            Self::Forbidden => {
                format!(
                    "{user} may not use {socket} on the far host: put that user into the group `docker` there"
                )
            }
            Self::Usable => format!(
                "{socket} is on the far host, but cannot be connected to: does Docker run there (systemctl status \
                 docker), and does its sshd allow it (AllowStreamLocalForwarding yes)?"
            ),
            Self::Unknown => format!(
                "{socket} on the far host cannot be connected to: does Docker run there, may {user} use it (group \
                 `docker`), and does sshd allow it (AllowStreamLocalForwarding yes)?"
            ),
        }
    }
}

fn told(lines: &[String], endpoint: &SshEndpoint) -> Option<String> {
    let last = lines.last()?;
    let said = |words: &str| lines.iter().rev().find(|line| says(line, words));
    let host = match endpoint.port {
        Some(port) if port != 22 => format!("[{}]:{port}", endpoint.host),
        _ => endpoint.host.clone(),
    };
    let scan = endpoint.port.map_or_else(String::new, |port| format!("-p {port} "));
    let scan = format!("ssh-keyscan {scan}{}", endpoint.host);
    let remedies: [(&str, String); 15] = [
        (
            "host identification has changed",
            format!(
                "the host key of {host} is not the one that is known: if it was changed on purpose, remove the old one \
                 (ssh-keygen -R '{host}') and add the new one (see `{scan}`) to ~/.ssh/known_hosts of this user or to \
                 /etc/ssh/ssh_known_hosts"
            ),
        ),
        (
            "host key verification failed",
            format!(
                "the host key of {host} is not known here: compare it with the host's own, and add what `{scan}` prints \
                 to ~/.ssh/known_hosts of this user or to /etc/ssh/ssh_known_hosts (or say where it stands by \
                 UserKnownHostsFile in DOCKER_SSH_CONFIG)"
            ),
        ),
        (
            "bad permissions",
            format!("others may read the private key: chmod 600 {}", file_of(endpoint)),
        ),
        ("load key", format!("the private key cannot be read; does it begin with -----BEGIN … PRIVATE KEY-----? ({})", file_of(endpoint))),
        (
            "identity file",
            format!("the private key {} is not there any more", file_of(endpoint)),
        ),
        ("permission denied", refused_login(endpoint)),
        (
            "too many authentication failures",
            "the far host had seen too many keys before the right one: name it (\"sshOptions.privateKey\", or IdentityFile \
             and IdentitiesOnly in DOCKER_SSH_CONFIG)"
                .to_owned(),
        ),
        ("could not resolve", format!("there is no host {} (DOCKER_HOST or DOCKER_OPTIONS)", endpoint.host)),
        ("connection refused", format!("nothing listens there: does sshd run on {host}?")),
        ("timed out", format!("{host} does not answer: is it up, and does a firewall let us through?")),
        ("timeout", format!("{host} does not answer: is it up, and does a firewall let us through?")),
        ("no user exists for uid", "this process runs as a user that /etc/passwd does not have, and ssh insists on one".to_owned()),
        ("bad owner or permissions", "ssh's configuration must be writable by its owner alone (chmod 600)".to_owned()),
        ("bad configuration option", "ssh's configuration cannot be read (DOCKER_SSH_CONFIG, ~/.ssh/config)".to_owned()),
        ("kex_exchange_identification", format!("{host} hung up before the login: is it sshd that listens there, and is it overloaded (MaxStartups)?")),
    ];
    // A key that cannot be used is no harm where another one can.
    let counts = |words| !OF_KEYS.contains(&words) || said("permission denied").is_some();
    let found = remedies
        .into_iter()
        .filter(|(words, _)| counts(*words))
        .find_map(|(words, remedy)| Some((said(words)?, remedy)));
    Some(match found {
        Some((line, remedy)) => format!("{remedy} ({line})"),
        None => last.clone(),
    })
}

fn refused_login(endpoint: &SshEndpoint) -> String {
    let SshEndpoint { username, key, passphrase, agent, .. } = endpoint;
    let user = username.as_deref().unwrap_or("the user");
    match (key, agent) {
        (Some(key), None) if passphrase.is_none() && is_locked(key) => format!(
            "the private key {} is protected by a passphrase: tell it in \"sshOptions.passphrase\" (DOCKER_OPTIONS), or \
             have an ssh-agent hold the key (\"sshOptions.agent\")",
            file_of(endpoint)
        ),
        (Some(_), _) if passphrase.is_some() => format!(
            "the far host does not let {user} in with our key: either \"sshOptions.passphrase\" does not open it, or its \
             public half does not stand in ~/.ssh/authorized_keys there"
        ),
        (Some(_), _) => format!(
            "the far host does not let {user} in with our key: its public half has to stand in ~/.ssh/authorized_keys \
             there, and a key that has a passphrase needs the right one in \"sshOptions.passphrase\""
        ),
        (None, Some(agent)) => format!(
            "the far host does not let {user} in with what the ssh-agent of {socket} (\"sshOptions.agent\") holds: see \
             whether it runs and has the key (SSH_AUTH_SOCK={socket} ssh-add -l), whose public half has to stand in \
             ~/.ssh/authorized_keys there",
            socket = agent.display()
        ),
        (None, None) => format!(
            "the far host does not let {user} in: name the private key (\"sshOptions.privateKey\" in DOCKER_OPTIONS, or \
             IdentityFile in DOCKER_SSH_CONFIG), and let its public half stand in ~/.ssh/authorized_keys there"
        ),
    }
}

/// Whether the key can be used with a passphrase only, as far as a look at it tells.
fn is_locked(key: &SshKey) -> bool {
    let SshKey::File(path) = key else { return key.needs_passphrase() };
    // Whoever reads something else than a file may wait for ever.
    let is_small_file = path.metadata().is_ok_and(|found| found.is_file() && found.len() <= LARGEST_KEY);
    let text = is_small_file.then(|| std::fs::read_to_string(path).ok()).flatten();
    text.is_some_and(|text| SshKey::read(&text).is_ok_and(|key| key.needs_passphrase()))
}

/// Where the key is, for people.
fn file_of(endpoint: &SshEndpoint) -> String {
    match &endpoint.key {
        Some(SshKey::File(path)) => path.display().to_string(),
        Some(SshKey::Text(_)) => String::from("\"sshOptions.privateKey\""),
        None => String::from("~/.ssh"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn endpoint(key: Option<SshKey>) -> SshEndpoint {
        SshEndpoint {
            host: "far.example".into(),
            port: None,
            username: Some("me".into()),
            socket: "/run/docker.sock".into(),
            key,
            passphrase: None,
            agent: None,
            config: None,
        }
    }

    /// What OpenSSH 9.2 wrote; the tests with a real sshd see the others.
    #[test]
    fn what_a_test_as_root_does_not_meet_is_told_with_its_remedy_too() {
        let file = endpoint(Some(SshKey::File("/keys/id".into())));
        let text = endpoint(Some(SshKey::Text(Secret::new("canary"))));
        for (lines, endpoint, remedy) in [
            (
                &[
                    "Permissions 0644 for '/keys/id' are too open.",
                    "Load key \"/keys/id\": bad permissions",
                    "me@far.example: Permission denied (publickey).",
                ][..],
                &file,
                "chmod 600 /keys/id",
            ),
            (
                &[
                    "Load key \"/dev/stdin\": error in libcrypto",
                    "me@far.example: Permission denied (publickey).",
                ],
                &text,
                "the private key cannot be read",
            ),
            (&["me@far.example: Permission denied (publickey)."], &text, "\"sshOptions.passphrase\""),
            (&["me@far.example: Permission denied (publickey)."], &endpoint(None), "name the private key"),
            (
                &["Received disconnect from 127.0.0.1: Too many authentication failures"],
                &file,
                "too many keys",
            ),
            (&["No user exists for uid 4242"], &file, "/etc/passwd"),
            (&["Bad owner or permissions on /home/me/.ssh/config"], &file, "chmod 600"),
            (&["kex_exchange_identification: Connection closed by remote host"], &file, "MaxStartups"),
            (&["ssh: connect to host far.example port 22: Connection timed out"], &file, "firewall"),
            (&["Timeout, server far.example not responding."], &file, "firewall"),
            (
                &[
                    "Warning: Identity file /keys/id not accessible: No such file or directory.",
                    "ssh: connect to host far.example port 22: Connection refused",
                ],
                &file,
                "does sshd run on far.example",
            ),
            (&["something new"], &file, "something new"),
        ] {
            let complaints = Complaints::default();
            for line in lines {
                complaints.push(line);
            }
            let told = complaints.told(endpoint).expect("it said something");
            assert!(told.contains(remedy), "{told}");
            assert!(lines.iter().any(|line| told.contains(line)), "what ssh said is told as well: {told}");
            assert!(!told.contains("canary"), "{told}");
        }
        assert_eq!(Complaints::default().told(&file), None);
    }

    #[test]
    fn who_is_refused_is_told_of_the_passphrase_or_the_agent_where_it_may_be_that() {
        let folder = tempfile::tempdir().expect("a folder");
        let (locked, path) = (folder.path().join("locked"), folder.path().join("link"));
        let key = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\ncanary\n-----END RSA PRIVATE KEY-----\n";
        std::fs::write(&locked, key).expect("a file");
        std::os::unix::fs::symlink(&locked, &path).expect("a link");
        let secret = || Some(Secret::new("canary"));
        let file = || endpoint(Some(SshKey::File(path.clone())));
        let plain = endpoint(Some(SshKey::File("/dev/null".into())));
        let agent = Some(std::path::PathBuf::from("/run/agent"));
        for (endpoint, part) in [
            (file(), format!("the private key {} is protected by a passphrase", path.display())),
            (
                SshEndpoint { passphrase: secret(), ..file() },
                "\"sshOptions.passphrase\" does not open it".into(),
            ),
            (SshEndpoint { agent: agent.clone(), ..file() }, "needs the right one".into()),
            (plain, "needs the right one".into()),
            (SshEndpoint { agent, ..endpoint(None) }, "SSH_AUTH_SOCK=/run/agent ssh-add -l".into()),
        ] {
            let told = told(&["me@far.example: Permission denied (publickey).".to_owned()], &endpoint);
            let told = told.expect("it said something");
            assert!(told.contains(&part) && !told.contains("canary"), "{part}: {told}");
        }
    }

    #[test]
    fn each_state_of_the_far_socket_has_its_remedy() {
        let told = |name: &str| Look::named(name).told(&endpoint(None));
        assert!(told("missing").contains("is Docker installed"));
        assert!(told("other").contains("is no socket"));
        assert!(
            told("forbidden").contains("me may not use /run/docker.sock")
                && told("forbidden").contains("group `docker`")
        );
        assert!(told("usable").contains("systemctl status docker"));
        for name in ["", "This account is not available."] {
            assert!(
                told(name).contains("AllowStreamLocalForwarding yes")
                    && told(name).contains("group `docker`")
            );
        }
    }
}
