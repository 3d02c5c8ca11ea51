//! What can go wrong between us and Redis, in the terms of whoever has to decide what to do about it.

use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::metrics::Fault;

/// A failure of a call to Redis. No variant ever holds a password.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// No connection could be made, or it broke while the call was under way: the call may or may
    /// not have been carried out.
    #[error("Redis at {address} cannot be reached: {source}; is Redis running there?")]
    Unreachable {
        /// Host and port.
        address: String,
        /// What the connection said.
        source: RedisError,
    },
    /// No answer came in time: the call may or may not have been carried out.
    #[error("Redis at {address} did not answer {operation} within {limit:?}")]
    Timeout {
        /// Host and port.
        address: String,
        /// The operation of ours.
        operation: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// User, password or the user's rights are wrong.
    #[error(
        "Redis at {address} refuses us: {source}; check REDIS_USER, REDIS_PASSWORD and that user's rights"
    )]
    Denied {
        /// Host and port.
        address: String,
        /// What Redis said.
        source: RedisError,
    },
    /// Redis is too old for the commands that we use.
    #[error("Redis at {address} has version {found}, and at least {needed} is needed")]
    TooOld {
        /// Host and port.
        address: String,
        /// The version it says it has.
        found: String,
        /// The oldest version that will do.
        needed: &'static str,
    },
    /// Redis answered with an error: loading, out of memory, read-only, a fault in a script.
    #[error("Redis at {address} refused {operation}: {source}")]
    Refused {
        /// Host and port.
        address: String,
        /// The operation of ours.
        operation: &'static str,
        /// What Redis said.
        source: RedisError,
    },
    /// Redis answered with something that the operation never answers.
    #[error("Redis at {address} gave {operation} an answer that makes no sense: {detail}")]
    BadReply {
        /// Host and port.
        address: String,
        /// The operation of ours.
        operation: &'static str,
        /// What was wrong with it.
        detail: String,
    },
    /// The settings cannot be used to connect at all.
    #[error("the settings of Redis cannot be used: {0}")]
    BadSettings(String),
}

impl QueueError {
    /// Whether the same call may succeed later without anybody changing a setting.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            // Loading, failing over, out of memory, disk full: all of these end.
            Self::Refused { source, .. } => source.code().is_some_and(|code| {
                matches!(
                    code,
                    "LOADING"
                        | "BUSY"
                        | "OOM"
                        | "READONLY"
                        | "MASTERDOWN"
                        | "CLUSTERDOWN"
                        | "TRYAGAIN"
                        | "MISCONF"
                        | "NOREPLICAS"
                )
            }),
            Self::Denied { .. } | Self::TooOld { .. } | Self::BadReply { .. } | Self::BadSettings(_) => false,
        }
    }

    /// Whether the call may have been carried out although no answer came.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
    }

    /// What kind of fault it is, for whoever counts them.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::Unreachable,
            Self::Timeout { .. } => Fault::Timeout,
            Self::Refused { .. } => Fault::Failed,
            Self::Denied { .. } | Self::TooOld { .. } | Self::BadSettings(_) => Fault::Refused,
            Self::BadReply { .. } => Fault::Garbled,
        }
    }

    /// Whether Redis does not let us do it: the user has no right to, or there is no such command here.
    pub(super) fn is_denial(&self) -> bool {
        match self {
            Self::Denied { .. } => true,
            Self::Refused { source, .. } => source.to_string().contains("unknown command"),
            _ => false,
        }
    }

    /// Whether the connection that brought this error should not be used again.
    pub(super) fn spoils_connection(&self) -> bool {
        self.is_ambiguous()
            || matches!(self, Self::Refused { source, .. } if source.code() == Some("READONLY"))
    }

    pub(super) fn of(address: &str, operation: &'static str, source: RedisError) -> Self {
        let address = address.to_owned();
        if source.to_string().contains("DB index is out of range") {
            return Self::BadSettings(format!(
                "Redis at {address} has no database of the number in REDIS_DB"
            ));
        }
        match source.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Self::Denied { address, source }
            }
            _ if matches!(source.code(), Some("NOAUTH" | "WRONGPASS")) => Self::Denied { address, source },
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Refused { address, operation, source },
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                Self::BadReply { address, operation, detail: source.to_string() }
            }
            ErrorKind::InvalidClientConfig => Self::BadSettings(source.to_string()),
            _ => Self::Unreachable { address, source },
        }
    }
}
