//! Why there is no connection to a receiver.

use std::io;
use std::net::SocketAddr;

use super::tunnel::TunnelError;
use crate::egress::{Proxy, Refusal};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// No callback goes there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No callback goes to any of the addresses that its name has now; it may have others later.
    #[error("its name leads to where no callback goes, at least now: {0}")]
    RefusedNow(Refusal),
    /// Its name has no address now.
    #[error("the address of {host} cannot be found: {source}")]
    Unknown { host: String, source: io::Error },
    /// None of its addresses took the connection; the last one's reason.
    #[error("cannot connect to {address}: {source}")]
    Failed { address: SocketAddr, source: io::Error },
    /// None of its addresses answered in time.
    #[error("no address of {host} took the connection in time")]
    TooSlow { host: String },
    /// There is no way to the proxy.
    #[error("the proxy {proxy} cannot be reached: {why}")]
    NoWayToProxy { proxy: Proxy, why: Box<DialError> },
    /// The proxy gave no connection.
    #[error("the proxy {proxy} {problem}")]
    NoTunnel { proxy: Proxy, problem: TunnelError },
    /// The proxy took the connection and did not answer in time, maybe since the receiver did not.
    #[error("the proxy {proxy} did not connect to {address} in time")]
    SlowProxy { proxy: Proxy, address: SocketAddr },
}

impl DialError {
    /// Whether another address by the same proxy would not be worth a try: there is no way to it, or it does not take who we
    /// are. Who is asked for credentials again and again may lock out whom they are of.
    pub fn is_of_all_by_proxy(&self) -> bool {
        match self {
            Self::NoWayToProxy { .. } => true,
            Self::NoTunnel { problem: TunnelError::Declined { declined, .. }, .. } => {
                declined.is_about_credentials()
            }
            _ => false,
        }
    }

    /// Whether it is about the way to the receiver and not about the receiver.
    pub fn is_of_proxy(&self) -> bool {
        matches!(self, Self::NoWayToProxy { .. } | Self::NoTunnel { .. } | Self::SlowProxy { .. })
    }
}

/// Why there is no connection; nothing where there was one, and it broke.
pub(super) fn undialled<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a DialError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(undialled) = error.downcast_ref::<DialError>() {
            return Some(undialled);
        }
        cause = error.source();
    }
    None
}
