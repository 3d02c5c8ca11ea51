//! Where callbacks may go: the decision, without any I/O.
//!
//! In this order: what is [never](Reach::Never) reached; our own services; `CALLBACK_DENY`; `CALLBACK_ALLOW`;
//! `CALLBACK_POLICY`. A host's name is checked once; each of its addresses is checked where it is dialled.

mod addresses;
mod proxies;
mod rules;

use std::net::IpAddr;

pub use addresses::{Reach, meant, reach};
pub use proxies::{Proxies, Proxy, exceptions};
pub use rules::{FORMS, Rule, parse_all};

/// Names under which clouds have their metadata services, whatever they resolve to.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.oraclecloud.com",
    "instance-data",
    "instance-data.ec2.internal",
    "rancher-metadata",
];

/// Ports at which nobody but Redis and Docker listens: no callback goes there within a network of one's own, be it
/// our Redis or another one's. (By <https://www.iana.org/assignments/service-names-port-numbers>.)
const PORTS_OF_SERVICES: &[(u16, &str)] = &[(6379, "Redis"), (2375, "Docker"), (2376, "Docker")];

/// Whom callbacks may reach that no rule names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Openness {
    /// Private networks and the internet.
    #[default]
    Private,
    /// The internet only.
    Public,
    /// Nobody.
    Listed,
}

impl Openness {
    /// The one of that name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_lowercase().as_str() {
            "private" => Some(Self::Private),
            "public" => Some(Self::Public),
            "listed" => Some(Self::Listed),
            _ => None,
        }
    }
}

/// A service of our own, which no callback may reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnService {
    /// What it is.
    pub name: &'static str,
    /// Its host's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Where callbacks may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Egress {
    /// Whom they may reach that no rule names.
    pub openness: Openness,
    /// Whether plain `http` is refused.
    pub https_only: bool,
    /// Who may be reached although the openness says no.
    pub allow: Vec<Rule>,
    /// Who may not be reached although it is allowed.
    pub deny: Vec<Rule>,
    /// What of our own may not be reached.
    pub own: Vec<OwnService>,
    /// By which way they go; it changes nothing about whom they may reach.
    pub proxies: Proxies,
}

/// Why no callback goes somewhere. It will not heal by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not encrypted.
    #[error("it is plain http, and only https is allowed (CALLBACK_HTTPS_ONLY)")]
    NotHttps,
    /// There is no such port.
    #[error("port 0 is nobody's")]
    NoPort,
    /// A cloud's metadata service, by its name.
    #[error("{host} is the name of a cloud's metadata service")]
    MetadataName {
        /// The name.
        host: String,
    },
    /// A rule says so.
    #[error("{whom} is denied by CALLBACK_DENY ({rule})")]
    Denied {
        /// The host, or its address.
        whom: String,
        /// The rule.
        rule: String,
    },
    /// No callback may reach such an address.
    #[error("{} is {kind}, which no callback may reach", Dialled(.address, .host))]
    Never {
        /// The address.
        address: IpAddr,
        /// The host that has it.
        host: String,
        /// What it is.
        kind: &'static str,
    },
    /// A service of ours, or of somebody's on our network.
    #[error("port {port} of {} is {name}", Dialled(.address, .host))]
    Service {
        /// The address.
        address: IpAddr,
        /// The host that has it.
        host: String,
        /// The port.
        port: u16,
        /// What it is.
        name: String,
    },
    /// An address of a private network.
    #[error(
        "{} is {kind}, which CALLBACK_POLICY=public refuses (CALLBACK_ALLOW can name it)", Dialled(.address, .host)
    )]
    Private {
        /// The address.
        address: IpAddr,
        /// The host that has it.
        host: String,
        /// What it is.
        kind: &'static str,
    },
    /// Nobody allowed it.
    #[error("{} is not in CALLBACK_ALLOW, and CALLBACK_POLICY is listed", Dialled(.address, .host))]
    NotListed {
        /// The address.
        address: IpAddr,
        /// The host that has it.
        host: String,
    },
}

/// An address, with the name of which it is one.
struct Dialled<'a>(&'a IpAddr, &'a String);

impl std::fmt::Display for Dialled<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(address, host) = self;
        if host.trim_matches(['[', ']']).parse() == Ok(**address) {
            write!(formatter, "{address}")
        } else {
            write!(formatter, "{address} (of {host})")
        }
    }
}

impl Egress {
    /// What can be said before a host's addresses are known.
    ///
    /// # Errors
    /// No callback goes there.
    pub fn check_host(&self, is_https: bool, host: &str, port: u16) -> Result<(), Refusal> {
        if self.https_only && !is_https {
            return Err(Refusal::NotHttps);
        }
        if port == 0 {
            return Err(Refusal::NoPort);
        }
        let name = canonical(host);
        if METADATA_NAMES.contains(&name.as_str()) {
            return Err(Refusal::MetadataName { host: name });
        }
        match self.deny.iter().find(|rule| rule.names(&name, port)) {
            Some(rule) => Err(Refusal::Denied { whom: name, rule: rule.to_string() }),
            None => Ok(()),
        }
    }

    /// What can be said of one of a host's addresses.
    ///
    /// # Errors
    /// No callback goes there.
    pub fn check_address(&self, host: &str, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let name = canonical(host);
        let reach = reach(address);
        if let Reach::Never(kind) = reach {
            return Err(Refusal::Never { address, host: name, kind });
        }
        let service = PORTS_OF_SERVICES.iter().find(|(own, _)| *own == port && reach != Reach::Public);
        if let Some((_, service)) = service {
            let service = format!("{service}'s");
            return Err(Refusal::Service { address, host: name, port, name: service });
        }
        if let Some(rule) = self.deny.iter().find(|rule| rule.covers(address, port)) {
            return Err(Refusal::Denied {
                whom: Dialled(&address, &name).to_string(),
                rule: rule.to_string(),
            });
        }
        if self.allow.iter().any(|rule| rule.names(&name, port) || rule.covers(address, port)) {
            return Ok(());
        }
        match (self.openness, reach) {
            (Openness::Public, Reach::Private(kind)) => Err(Refusal::Private { address, host: name, kind }),
            (Openness::Listed, _) => Err(Refusal::NotListed { address, host: name }),
            _ => Ok(()),
        }
    }

    /// The services of our own that have this port.
    pub fn own_at(&self, port: u16) -> impl Iterator<Item = &OwnService> {
        self.own.iter().filter(move |service| service.port == port)
    }
}

/// A name in lower case, without the dots at its end that say that it is a whole one.
fn canonical(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
