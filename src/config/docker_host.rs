//! `DOCKER_HOST`, with `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, as the docker command has them.

use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use super::docker_options::{SOCKET, without_brackets};
use super::settings::Endpoint;
use super::ssh::{SshEndpoint, is_ssh_host, is_ssh_socket, is_ssh_user};

/// Ports of Docker's own, without and with encryption.
const PLAIN: u16 = 2375;
const ENCRYPTED: u16 = 2376;

/// Which engine is meant. `verify`: `DOCKER_TLS_VERIFY` is set; `certificates`: the directory with
/// `ca.pem`, `cert.pem` and `key.pem`, each of which is used if it is there.
pub(super) fn parse(text: &str, verify: bool, certificates: Option<&Path>) -> Result<Endpoint, String> {
    let allowed = || {
        String::from(
            "unix:///path, tcp://host:port, http://host:port, https://host:port or ssh://user@host:port/socket (port \
             and socket may be left out)",
        )
    };
    if let Some(path) = text.strip_prefix("unix://") {
        return Ok(Endpoint::Unix(if path.is_empty() { SOCKET.into() } else { path.into() }));
    }
    let with_scheme = if text.contains("//") { text.to_owned() } else { format!("tcp://{text}") };
    let url = Url::parse(&with_scheme).map_err(|_| allowed())?;
    let host = url.host_str().filter(|host| !host.is_empty()).map(without_brackets).ok_or_else(allowed)?;
    // A URL of http or https does not tell a port that is its scheme's own.
    let port = match url.scheme() {
        "http" | "https" => url.port_or_known_default(),
        _ => url.port(),
    };
    if port == Some(0) {
        return Err(allowed());
    }
    match url.scheme() {
        "ssh" => {
            if url.password().is_some() {
                return Err(
                    "ssh://user@host without a password: nobody is asked for one, log in with a key".into()
                );
            }
            ssh_url(&url).map(|ssh| Endpoint::Ssh(Box::new(ssh))).ok_or_else(allowed)
        }
        scheme @ ("tcp" | "http" | "https") => {
            if scheme == "https" || verify || port == Some(ENCRYPTED) {
                let file = |name| certificates.map(|path| path.join(name)).filter(|path| path.exists());
                let identity = file("cert.pem").zip(file("key.pem"));
                Ok(Endpoint::Tls { host, port: port.unwrap_or(ENCRYPTED), ca: file("ca.pem"), identity })
            } else {
                Ok(Endpoint::Tcp { host, port: port.unwrap_or(PLAIN) })
            }
        }
        _ => Err(allowed()),
    }
}

/// The engine behind `ssh://user@host:port/path/of/its/socket`.
pub(super) fn ssh_url(url: &Url) -> Option<SshEndpoint> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
    let host = without_brackets(&decoded(url.host_str()?)?);
    let username = Some(decoded(url.username())?).filter(|user| !user.is_empty());
    let path = decoded(url.path())?;
    let socket = if path.trim_end_matches('/').is_empty() { SOCKET.to_owned() } else { path };
    let sound = is_ssh_host(&host)
        && username.as_deref().is_none_or(is_ssh_user)
        && is_ssh_socket(&socket)
        && url.query().is_none()
        && url.fragment().is_none();
    sound.then(|| SshEndpoint {
        host,
        port: url.port(),
        username,
        socket: socket.into(),
        key: None,
        passphrase: None,
        agent: None,
        config: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tls(host: &str, port: u16) -> Endpoint {
        Endpoint::Tls { host: host.into(), port, ca: None, identity: None }
    }

    fn tcp(host: &str, port: u16) -> Endpoint {
        Endpoint::Tcp { host: host.into(), port }
    }

    #[test]
    fn every_form_of_the_docker_command_is_read() {
        let read = |text| parse(text, false, None).unwrap();
        assert_eq!(read("unix:///run/d.sock"), Endpoint::Unix("/run/d.sock".into()));
        assert_eq!(read("unix://"), Endpoint::Unix(SOCKET.into()));
        assert_eq!(read("tcp://h"), tcp("h", 2375));
        assert_eq!(read("tcp://[::1]:99"), tcp("::1", 99));
        assert_eq!(read("10.0.0.1:99"), tcp("10.0.0.1", 99));
        assert_eq!(read("http://h"), tcp("h", 80));
        assert_eq!(read("tcp://h:2376"), tls("h", 2376));
        assert_eq!(read("https://h"), tls("h", 443));
        assert_eq!(parse("tcp://h", true, None), Ok(tls("h", 2376)));
        assert_eq!(parse("tcp://h:99", true, None), Ok(tls("h", 99)));
    }

    #[test]
    fn the_far_host_of_ssh_may_be_told_with_user_port_and_socket() {
        let read = |text: &str| match parse(text, false, None) {
            Ok(Endpoint::Ssh(ssh)) => (ssh.host, ssh.port, ssh.username, ssh.socket.display().to_string()),
            other => panic!("{text}: {other:?}"),
        };
        let me = || Some(String::from("me"));
        assert_eq!(read("ssh://h"), ("h".into(), None, None, SOCKET.into()));
        assert_eq!(read("ssh://me@h/"), ("h".into(), None, me(), SOCKET.into()));
        assert_eq!(read("ssh://me@[::1]:22"), ("::1".into(), Some(22), me(), SOCKET.into()));
        assert_eq!(
            read("ssh://a%40b@h:9/run/user/1%20/d.sock"),
            ("h".into(), Some(9), Some("a@b".into()), "/run/user/1 /d.sock".into())
        );
        for wrong in [
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://-l@h",
            "ssh://h:0",
            "ssh://h/a?b",
            "ssh://h/a#b",
            "ssh://h/%0a",
            "ssh://h/${HOME}",
        ] {
            assert!(parse(wrong, false, None).is_err(), "{wrong}");
        }
        let told = parse("ssh://me:canary@h", false, None).unwrap_err();
        assert!(told.contains("without a password") && !told.contains("canary"), "{told}");
    }

    #[test]
    fn the_certificates_that_are_in_the_directory_are_used() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        std::fs::write(file("ca.pem"), "").unwrap();
        std::fs::write(file("cert.pem"), "").unwrap();
        let read = || parse("tcp://h", true, Some(directory.path())).unwrap();
        let ca = Some(file("ca.pem"));
        assert_eq!(read(), Endpoint::Tls { host: "h".into(), port: 2376, ca: ca.clone(), identity: None });
        std::fs::write(file("key.pem"), "").unwrap();
        let identity = Some((file("cert.pem"), file("key.pem")));
        assert_eq!(read(), Endpoint::Tls { host: "h".into(), port: 2376, ca, identity });
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["npipe:////./pipe/docker", "fd://3", "tcp://", "tcp://h:x", "tcp://h:0", "//", "tcp://h:99999"]
        {
            let allowed = parse(text, false, None).unwrap_err();
            assert!(allowed.starts_with("unix:///path, tcp://host:port"), "{text}: {allowed}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(unix|tcp|http|https|ssh|.{0,3})?(:?/{0,3})?.{0,9}", verify: bool) {
            let _ = parse(&text, verify, None);
        }
    }
}
