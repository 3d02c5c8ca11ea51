//! The arguments of `health`.

use std::net::SocketAddr;

use clap::Args;

/// Which answer is wanted, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Health {
    /// Ask whether it takes work (/readyz), and not only whether it is alive (/healthz)
    #[arg(long)]
    pub ready: bool,
    /// Where `HTTP_LISTEN` is not set there is nothing to ask, and the answer is yes; for a check in an image
    #[arg(long)]
    pub if_set: bool,
    /// Where it listens.
    #[arg(skip)]
    pub listens_at: Option<SocketAddr>,
}
