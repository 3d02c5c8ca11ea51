//! What can go wrong with the engine, sorted by what one can do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::metrics::{Fault, Stage};

/// The calls that are made to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Is it there?
    Ping,
    /// Which API versions does it speak?
    Version,
    /// Which engine is it?
    About,
    /// Make a container.
    Create,
    /// Put the verdict's secret into a container.
    PutSecret,
    /// Start a container.
    Start,
    /// Look at one container.
    Inspect,
    /// Look at what a container uses.
    Stats,
    /// Add up what was written to a container's disk.
    Size,
    /// List an installation's containers.
    List,
    /// Read a container's output.
    Logs,
    /// Kill a container.
    Kill,
    /// Unfreeze a container.
    Unpause,
    /// Change nothing of a container, and note that on the engine's disk.
    Update,
    /// Remove a container.
    Remove,
    /// Pull an image.
    Pull,
    /// Look at one image.
    InspectImage,
    /// Remove an image.
    RemoveImage,
    /// Look at one network.
    InspectNetwork,
    /// Follow the events.
    Events,
}

/// An answer of the engine that is not what was asked for, or no answer.
///
/// Texts never hold credentials. Cloned where several wait for one pull.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// A setting of the connection cannot be used; found before anything is sent.
    #[error("DOCKER_OPTIONS: {field}: {}: {reason}", file.display())]
    BadFile {
        /// The field of `DOCKER_OPTIONS`.
        field: &'static str,
        /// The file that it names.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A setting of the connection cannot be used; found before anything is sent.
    #[error("DOCKER_OPTIONS or DOCKER_HOST: {0}")]
    BadEndpoint(String),
    /// No connection could be made: nothing was sent.
    #[error("the Docker engine at {endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// Where it should be.
        endpoint: String,
        /// Why not.
        reason: String,
    },
    /// The connection broke after the request may have been read: it may have been carried out.
    #[error("the Docker engine broke off the connection during '{call}': {reason}")]
    NoAnswer {
        /// The call.
        call: Call,
        /// How it broke.
        reason: String,
    },
    /// No (complete) answer in time: the call may have been carried out.
    #[error("the Docker engine did not answer '{call}' within {} ms", after.as_millis())]
    Timeout {
        /// The call.
        call: Call,
        /// How long was waited.
        after: Duration,
    },
    /// An answer that is not in Docker's language, or is far too long.
    #[error("the answer to '{call}' cannot be understood; is it a Docker engine? {reason}")]
    Garbled {
        /// The call.
        call: Call,
        /// What is wrong with it.
        reason: String,
    },
    /// We and the engine have no API version in common.
    #[error("this Docker engine speaks API versions {least} to {most}; this runner speaks {ours}")]
    Incompatible {
        /// The engine's oldest version.
        least: String,
        /// The engine's newest version.
        most: String,
        /// Our range.
        ours: &'static str,
    },
    /// The image is not on the engine (create), or not in its registry (pull).
    #[error("there is no image {image}{hint}")]
    NoSuchImage {
        /// The image.
        image: String,
        /// More about it, with a leading separator; may be empty.
        hint: String,
    },
    /// There is no such container.
    #[error("there is no such container: {container}")]
    NoSuchContainer {
        /// The container's id or name.
        container: String,
    },
    /// A container of this name exists.
    #[error("the container name {name} is taken")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The submission is not on the Docker host.
    #[error("the file {path} is not on the Docker host")]
    MountMissing {
        /// The submission's path.
        path: String,
    },
    /// The image's command cannot be run: missing, not executable, of another architecture.
    #[error("the image's command cannot be run: {message}")]
    CannotRun {
        /// The engine's words.
        message: String,
    },
    /// The engine may not let a container open so many files, since it may not itself.
    #[error("the Docker engine cannot allow that many open files: {message}")]
    TooManyFiles {
        /// The engine's words.
        message: String,
    },
    /// The engine refuses the request, and would refuse it again.
    #[error("the Docker engine refuses '{call}': {message}")]
    BadRequest {
        /// The call.
        call: Call,
        /// The engine's words.
        message: String,
    },
    /// The Docker host has no room left.
    #[error("the Docker host has no room left: {message}")]
    DiskFull {
        /// The engine's words.
        message: String,
    },
    /// The registry refuses us the image.
    #[error("{registry} refuses {image}: {hint} ({message})")]
    PullDenied {
        /// The image.
        image: String,
        /// Its registry.
        registry: String,
        /// What to do about it.
        hint: &'static str,
        /// The engine's words.
        message: String,
    },
    /// The image cannot be pulled and would not be if it was tried again, as it is not for this
    /// machine or the registry is not one that the engine trusts.
    #[error("the image {image} cannot be used: {message}")]
    UnusableImage {
        /// The image.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// The pull failed for a reason that may pass.
    #[error("the image {image} could not be pulled: {message}")]
    PullFailed {
        /// The image.
        image: String,
        /// The engine's words.
        message: String,
    },
    /// Another engine answers at the address than the one that is meant.
    #[error("the Docker engine that answers is {found} and not {expected}")]
    Exchanged {
        /// The id of the one that answers.
        found: String,
        /// The id of the one that is meant.
        expected: String,
    },
    /// The container had ended, and runs again: somebody started it.
    #[error("the container was started again after it had ended")]
    RunsAgain,
    /// The engine failed in a way that is none of the above.
    #[error("the Docker engine failed at '{call}' ({status}): {message}")]
    Server {
        /// The call.
        call: Call,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
}

impl EngineError {
    /// Whether the same call may succeed later without a person doing something about the job or the
    /// settings.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Timeout { .. }
            | Self::Garbled { .. }
            | Self::DiskFull { .. }
            | Self::PullFailed { .. } => true,
            Self::Server { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }

    /// Whether a call that changes something may have been carried out although this error came back:
    /// only inspecting the container tells.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        match self {
            Self::NoAnswer { call, .. } | Self::Timeout { call, .. } | Self::Garbled { call, .. } => {
                call.changes_something()
            }
            // Not Docker's own: what a proxy says when the engine behind it did not answer it.
            Self::Server { call, status, .. } => call.changes_something() && matches!(status, 502 | 504),
            _ => false,
        }
    }

    /// What kind of fault of the engine it is, for whoever counts them; `None` = it did what it should, and what was
    /// asked for is not there or cannot be.
    pub(super) fn fault(&self) -> Option<Fault> {
        Some(match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => Fault::Unreachable,
            Self::Timeout { .. } => Fault::Timeout,
            Self::Server { .. } | Self::DiskFull { .. } | Self::PullFailed { .. } => Fault::Failed,
            Self::BadRequest { .. } | Self::PullDenied { .. } | Self::Incompatible { .. } => Fault::Refused,
            Self::Garbled { .. } => Fault::Garbled,
            _ => return None,
        })
    }

    /// Whether the engine itself was not there, so that no other call would have succeeded either.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } | Self::Timeout { .. } => true,
            Self::Server { status, .. } => matches!(status, 502..=504),
            _ => false,
        }
    }
}

impl Call {
    /// The stage of a correction that it is.
    pub(super) fn stage(self) -> Option<Stage> {
        match self {
            Self::Pull => Some(Stage::Pull),
            Self::Create => Some(Stage::Create),
            Self::Start => Some(Stage::Start),
            _ => None,
        }
    }

    fn changes_something(self) -> bool {
        matches!(self, Self::Create | Self::Start | Self::Kill | Self::Unpause | Self::Remove | Self::Pull)
    }
}

impl Call {
    /// Its name in texts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Version => "version",
            Self::About => "info",
            Self::Create => "create",
            Self::PutSecret => "archive",
            Self::Start => "start",
            Self::Inspect => "inspect",
            Self::Stats => "stats",
            Self::Size => "size",
            Self::List => "list",
            Self::Logs => "logs",
            Self::Kill => "kill",
            Self::Unpause => "unpause",
            Self::Update => "update",
            Self::Remove => "remove",
            Self::Pull => "pull",
            Self::InspectImage => "image inspect",
            Self::RemoveImage => "image removal",
            Self::InspectNetwork => "network inspect",
            Self::Events => "events",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
