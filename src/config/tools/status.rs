//! The arguments of `status`.

use clap::Args;

use super::super::RedisSettings;

/// `status`: the queues, what runs, and what holds it up.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Status {
    /// As JSON; with --watch one document a line
    #[arg(long)]
    pub json: bool,
    /// Again every two seconds, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// At most so many corrections of each kind
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// Where the queues are; always there once the settings were read.
    #[arg(skip)]
    pub redis: Option<RedisSettings>,
    /// How many completed jobs stay in Redis.
    #[arg(skip)]
    pub kept: u32,
}
