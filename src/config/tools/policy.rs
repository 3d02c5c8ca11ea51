//! The arguments of `policy`.

use clap::{Args, Subcommand};

use crate::policy::Policy;

/// What can be asked of the policy.
#[derive(Clone, Debug, Subcommand)]
pub(in super::super) enum PolicyLine {
    /// Checks `POLICY_FILE`, and says which rule applies to an image and what its container would get
    Check(CheckLine),
}

/// What is to be checked.
#[derive(Clone, Debug, Args)]
pub(in super::super) struct CheckLine {
    /// The image, as a job would name it; without one only the file is checked
    pub image: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What `policy check` is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyCheck {
    /// The image; without one only the file is checked.
    pub image: Option<String>,
    /// Whether the answer is to be JSON.
    pub json: bool,
    /// The policy in force with these settings.
    pub policy: Policy,
}
