//! What the event reader leaves for whoever acts on it: notices, coalesced by container.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::identity::ContainerId;

/// A time in which the event stream was broken, on the daemon's clock. Events of that time may be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the stream was last known to work.
    pub from: Timestamp,
    /// When it was open again.
    pub to: Timestamp,
}

/// What the event stream tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The stream is open for the first time, or again after a break, or more was waiting than is kept:
    /// every open correction is to be looked at. Always the first notice after the stream was opened.
    Resync {
        /// When it was broken; `None` the first time and where nothing broke.
        outage: Option<Outage>,
    },
    /// A container ended.
    Died {
        /// Which.
        container: ContainerId,
        /// Its exit code, where the event told it.
        exit_code: Option<i64>,
        /// The event's attributes: the container's labels, and `image`, `name` and `exitCode`.
        labels: HashMap<String, String>,
        /// When, on the daemon's clock.
        at: Timestamp,
    },
    /// The kernel killed a process of a container for want of memory.
    Oom {
        /// Which.
        container: ContainerId,
    },
    /// A container was removed.
    Destroyed {
        /// Which.
        container: ContainerId,
    },
}
