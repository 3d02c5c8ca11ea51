//! The arguments of `submit`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::CommonSettings;
use super::super::formats::{self, Unit};

/// `submit`: puts a correction into the queue as the API does, waits for its result and prints it.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Submit {
    /// The grader's image
    pub image: String,
    /// The submission. A job names an absolute path on the Docker host: a relative one is completed here
    pub file: PathBuf,
    /// A variable for the grader, as KEY=VALUE; may be given more than once
    #[arg(long = "param", value_name = "KEY=VALUE")]
    pub params: Vec<String>,
    /// The caller's own name for the submission: JSON, or else a text. Without it one is made up
    #[arg(long, value_name = "WORK_ID")]
    pub work_id: Option<String>,
    /// Where the result is POSTed to. Without it the result is only printed here
    #[arg(long, value_name = "URL")]
    pub callback: Option<String>,
    /// Which comes first: 1 is the most urgent. Those without a priority come before all that have one
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=2_097_152))]
    pub priority: Option<u32>,
    /// Wait for the result: so it is anyway
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Do not wait for the result; --callback is needed then
    #[arg(long)]
    pub no_wait: bool,
    /// Wait so long at most; the correction goes on then
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = span)]
    pub timeout: Duration,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Where the queues are, and what is written into jobs; always there once the settings were read.
    #[arg(skip)]
    pub common: Option<CommonSettings>,
}

/// A span of time.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    formats::duration(text, Unit::Seconds)
}
