//! The arguments of `cancel`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::CommonSettings;
use super::submit::span;

/// By what a correction is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NamedBy {
    /// The caller's name for the submission
    WorkId,
    /// The id of its job in any of the three queues
    JobId,
    /// The id or the name of its container
    Container,
}

/// `cancel`: ends corrections that wait or run; their callbacks say `cancelled`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Cancel {
    /// The correction: a `work_id`, or the id of a job or of a container
    #[arg(value_name = "CORRECTION")]
    pub name: String,
    /// What the name is, where it could be more than one thing
    #[arg(long, value_enum)]
    pub by: Option<NamedBy>,
    /// All open corrections of that name, where a `work_id` was submitted more than once
    #[arg(long)]
    pub all: bool,
    /// Do not wait until a correction has ended that somebody works on
    #[arg(long)]
    pub no_wait: bool,
    /// Wait so long at most
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = span)]
    pub timeout: Duration,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Where the queues are, and what is written into jobs; always there once the settings were read.
    #[arg(skip)]
    pub common: Option<CommonSettings>,
}
