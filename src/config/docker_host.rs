//! `DOCKER_HOST`, with `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`, as the docker command has them.

use std::path::Path;

use url::Url;

use super::docker_options::{SOCKET, without_brackets};
use super::settings::Endpoint;

/// Ports of Docker's own, without and with encryption.
const PLAIN: u16 = 2375;
const ENCRYPTED: u16 = 2376;

/// Which engine is meant. `verify`: `DOCKER_TLS_VERIFY` is set; `certificates`: the directory with
/// `ca.pem`, `cert.pem` and `key.pem`, each of which is used if it is there.
pub(super) fn parse(text: &str, verify: bool, certificates: Option<&Path>) -> Result<Endpoint, String> {
    let allowed = || {
        String::from("unix:///path, tcp://host:port, http://host:port, https://host:port or ssh://user@host")
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
            let username = Some(url.username().to_owned()).filter(|user| !user.is_empty());
            Ok(Endpoint::Ssh { host, port: port.unwrap_or(22), username, key: None })
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
        let ssh = Endpoint::Ssh { host: "h".into(), port: 22, username: Some("me".into()), key: None };
        assert_eq!(read("ssh://me@h"), ssh);
        assert_eq!(parse("tcp://h", true, None), Ok(tls("h", 2376)));
        assert_eq!(parse("tcp://h:99", true, None), Ok(tls("h", 99)));
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
