//! The arguments of `logs`.

use clap::Args;

use super::super::{CommonSettings, DockerSettings};
use super::cancel::NamedBy;

/// `logs`: what a running correction prints, and the history of one that has ended.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Logs {
    /// The correction: a `work_id`, or the id of a job or of a container
    #[arg(value_name = "CORRECTION")]
    pub name: String,
    /// What the name is, where it could be more than one thing
    #[arg(long, value_enum)]
    pub by: Option<NamedBy>,
    /// Go on until the correction has ended; one that waits is waited for
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many lines from the end of what was printed before
    #[arg(long, value_name = "LINES")]
    pub tail: Option<u32>,
    /// The history as JSON, with what was printed as far as it is still there
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
    /// Where the queues are; always there once the settings were read.
    #[arg(skip)]
    pub common: Option<CommonSettings>,
    /// Where the engine is; always there once the settings were read.
    #[arg(skip)]
    pub docker: Option<DockerSettings>,
}
