//! `DOCKER_OPTIONS`: Dockerode's JSON, and which engine it means.
//!
//! Facts of docker-modem 5: `host` beats `socketPath`; without `protocol` it is https where `ca`, `cert`
//! and `key` are all given, else http; without `port` it is the protocol's own (80, 443, 22); `host` may
//! be a URL. No error text shows a value, since a field may hold a password. `ssh` reads what is there of ssh.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use serde_json::{Map, Value};
use url::Url;

use super::docker_host::ssh_url;
use super::settings::Endpoint;

mod ssh;

/// Where Docker's socket is on every Linux machine.
pub(super) const SOCKET: &str = "/var/run/docker.sock";

const KNOWN: &[&str] = &[
    "socketPath",
    "host",
    "port",
    "protocol",
    "ca",
    "cert",
    "key",
    "username",
    "sshOptions",
    "sshOptions.privateKey",
    "sshOptions.passphrase",
    "sshOptions.agent",
];

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub endpoint: Endpoint,
    pub warnings: Vec<String>,
}

/// Reads the JSON text; the error holds everything that is wrong with it.
pub(super) fn parse(text: &str) -> Result<Options, Vec<String>> {
    let value: Value = serde_json::from_str(text).map_err(|error| vec![format!("no valid JSON: {error}")])?;
    let Value::Object(fields) = value else {
        return Err(vec![
            "a JSON object is needed, such as {\"socketPath\": \"/var/run/docker.sock\"}".into(),
        ]);
    };
    let mut reader = Reader { fields, problems: Vec::new(), warnings: Vec::new() };
    let endpoint = reader.endpoint();
    match endpoint {
        Some(endpoint) if reader.problems.is_empty() => Ok(Options { endpoint, warnings: reader.warnings }),
        _ => Err(reader.problems),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http,
    Https,
    Ssh,
}

impl Protocol {
    fn named(name: &str) -> Option<Self> {
        match name.trim_end_matches(':').to_ascii_lowercase().as_str() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            "ssh" => Some(Self::Ssh),
            _ => None,
        }
    }

    /// Its own port, and Docker's.
    fn ports(self) -> (u16, u16) {
        if self == Self::Https { (443, 2376) } else { (80, 2375) }
    }
}

/// A host with what a URL in its place may tell besides.
struct Host {
    name: String,
    port: Option<u16>,
    protocol: Option<Protocol>,
    username: Option<String>,
    socket: Option<PathBuf>,
}

struct Reader {
    fields: Map<String, Value>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Reader {
    fn endpoint(&mut self) -> Option<Endpoint> {
        let unknown = self.fields.keys().filter(|key| !KNOWN.contains(&key.as_str()));
        self.warnings = unknown.map(|key| format!("the field {key:?} is not known and is ignored")).collect();
        let socket = self.text("socketPath");
        let host = self.text("host");
        let port = self.port();
        let protocol = self.protocol();
        let (ca, certificate, key) = (self.path("ca"), self.path("cert"), self.path("key"));
        let ssh = self.ssh_options();
        let host = match host {
            Some(host) => self.host(&host)?,
            None if protocol == Some(Protocol::Ssh) => {
                self.problems.push("\"protocol\": \"ssh\" needs a \"host\"".into());
                return None;
            }
            None => return Some(self.local(socket)),
        };
        let implied = if ca.is_some() && certificate.is_some() && key.is_some() {
            Protocol::Https
        } else {
            Protocol::Http
        };
        let protocol = protocol.or(host.protocol).unwrap_or(implied);
        if protocol == Protocol::Ssh {
            return Some(self.ssh(host, port, socket, ssh));
        }
        if socket.is_some() {
            self.warnings.push("\"host\" is there, so that \"socketPath\" is ignored".into());
        }
        let port = port.or(host.port).unwrap_or_else(|| self.usual_port(protocol));
        let encrypted = protocol == Protocol::Https;
        if !encrypted && (ca.is_some() || certificate.is_some() || key.is_some()) {
            self.warnings.push("\"ca\", \"cert\" and \"key\" count only with \"protocol\": \"https\"".into());
        }
        let host = host.name;
        Some(if encrypted {
            let identity = match (certificate, key) {
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (None, None) => None,
                _ => {
                    self.problems.push("\"cert\" and \"key\" are needed both, or none of them".into());
                    None
                }
            };
            Endpoint::Tls { host, port, ca, identity }
        } else {
            Endpoint::Tcp { host, port }
        })
    }

    fn local(&mut self, socket: Option<String>) -> Endpoint {
        let local = ["host", "socketPath", "protocol"];
        let remote = KNOWN.iter().filter(|field| !local.contains(field));
        let ignored: Vec<_> = remote.filter(|field| self.fields.contains_key(**field)).collect();
        if !ignored.is_empty() {
            self.warnings.push(format!("without \"host\" these fields are ignored: {ignored:?}"));
        }
        let socket = socket.unwrap_or_else(|| SOCKET.into());
        Endpoint::Unix(PathBuf::from(socket.strip_prefix("unix://").unwrap_or(&socket)))
    }

    /// The port where none is given: as docker-modem has it, which is hardly what is meant.
    fn usual_port(&mut self, protocol: Protocol) -> u16 {
        let (port, usual) = protocol.ports();
        self.warnings.push(format!(
            "there is no \"port\", so that it is {port}, as Dockerode has it; Docker's own is {usual}"
        ));
        port
    }

    fn host(&mut self, text: &str) -> Option<Host> {
        let host = if text.contains("://") { url_host(text) } else { plain_host(text) };
        if host.is_none() {
            let what = "\"host\" must be a host name, an address or a http, https, tcp or ssh URL of one; \
                        a port goes to \"port\"";
            self.problems.push(what.into());
        }
        host
    }

    fn text(&mut self, field: &str) -> Option<String> {
        match self.fields.get(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()).filter(|text| !text.is_empty()),
            Some(other) => {
                self.problems.push(format!("{field:?} must be a text, not {}", kind(other)));
                None
            }
        }
    }

    fn path(&mut self, field: &str) -> Option<PathBuf> {
        let path = self.text(field)?;
        if path.contains("-----BEGIN") {
            self.problems.push(format!("{field:?} must be the path of a PEM file, not its content"));
        }
        Some(PathBuf::from(path))
    }

    fn port(&mut self) -> Option<u16> {
        let port = match self.fields.get("port") {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) if text.is_empty() => return None,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Number(number)) => number.as_u64().and_then(|port| u16::try_from(port).ok()),
            Some(_) => None,
        };
        let port = port.filter(|port| *port > 0);
        if port.is_none() {
            self.problems.push("\"port\" must be a whole number from 1 to 65535".into());
        }
        port
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let text = self.text("protocol")?;
        let protocol = Protocol::named(&text);
        if protocol.is_none() {
            self.problems.push("\"protocol\" must be \"http\", \"https\" or \"ssh\"".into());
        }
        protocol
    }
}

/// The host of a URL.
fn url_host(text: &str) -> Option<Host> {
    let url = Url::parse(text).ok()?;
    let protocol = match url.scheme() {
        "tcp" => None,
        scheme => Some(Protocol::named(scheme)?),
    };
    if protocol == Some(Protocol::Ssh) {
        let ssh = ssh_url(&url).filter(|_| url.password().is_none())?;
        let socket = (url.path().len() > 1).then_some(ssh.socket);
        return Some(Host { name: ssh.host, port: ssh.port, protocol, username: ssh.username, socket });
    }
    let name = without_brackets(url.host_str().filter(|host| !host.is_empty())?);
    let username = Some(url.username().to_owned()).filter(|user| !user.is_empty());
    Some(Host { name, port: url.port(), protocol, username, socket: None })
}

/// The host where nothing but the host is given.
fn plain_host(text: &str) -> Option<Host> {
    let name = without_brackets(text);
    is_host(&name).then_some(Host { name, port: None, protocol: None, username: None, socket: None })
}

/// Whether a text can be a host name or an address.
pub(super) fn is_host(text: &str) -> bool {
    let strange = |c: char| c.is_whitespace() || c.is_control() || "/:@?#[]".contains(c);
    !text.is_empty() && (text.parse::<Ipv6Addr>().is_ok() || !text.contains(strange))
}

/// An IPv6 address in URLs stands in brackets.
pub(super) fn without_brackets(host: &str) -> String {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    inner.unwrap_or(host).to_owned()
}

/// What a JSON value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a Boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
