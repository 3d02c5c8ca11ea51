//! The arguments of `man` and `completions`, which tell of the command line itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Where the manual pages go.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Man {
    /// The folder, such as /usr/local/share/man/man1; made where it is missing
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

/// Whose completions are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}
