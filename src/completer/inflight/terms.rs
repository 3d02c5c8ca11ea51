//! What the state machine is told and what it answers.

use std::time::Duration;

use crate::identity::ContainerId;

/// One take of one running job. Answers of effects carry it, so that an answer to an earlier take of
/// the same job changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// How it is known that a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The engine's `die` event, with the exit code that it told.
    Died {
        /// The exit code in the event, where there was one.
        exit_code: Option<i64>,
    },
    /// An inspection or a list found it ended.
    Found,
    /// The engine's `destroy` event.
    Removed,
    /// An inspection found it gone, and no event told of it before.
    Gone,
    /// It was killed and would not end.
    Unstoppable,
}

impl End {
    /// Whether it is not there any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Removed | Self::Gone)
    }
}

/// What the engine's list says of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It ended.
    Ended,
    /// It runs, or is paused.
    Running,
    /// It was not started yet, or is on its way out.
    Waiting,
}

/// What an inspection found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It runs (or is paused), for this long by the daemon's clock.
    Running {
        /// Time since it was started.
        run_for: Duration,
    },
    /// It was created and not started yet.
    Waiting,
    /// It is on its way out; look again soon.
    Leaving,
    /// It ended, or its start failed.
    Ended,
    /// There is no such container.
    Gone,
    /// The engine gave no answer.
    Unknown,
}

/// How an attempt at finishing a correction went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The result is in the finished queue, or the correction is somebody else's now.
    Settled,
    /// Something was away; nothing was changed.
    Again,
}

/// What the loop is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Inspect the container and report with [`Inflight::inspected`].
    Inspect(Ticket, ContainerId),
    /// Unpause where needed and kill the container; report with [`Inflight::kill_answered`].
    Kill(Ticket, ContainerId),
    /// Read the verdict and hand the correction over; report with [`Inflight::finished`].
    Finish {
        /// The record.
        ticket: Ticket,
        /// Its container.
        container: ContainerId,
        /// How it is known that it ended.
        end: End,
        /// Whether we killed it because its time was up.
        timed_out: bool,
    },
    /// Drop everything that is held for the record.
    Forget(Ticket),
}
