//! The labels whose values are known beforehand.

use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use crate::outcome::Outcome;

/// A label with the values that it can have.
pub trait Label: Copy + 'static {
    /// The label's name.
    const NAME: &'static str;

    /// All values, in the order in which they are shown.
    fn all() -> &'static [Self];

    /// The value as it is shown.
    fn text(self) -> &'static str;

    /// Its place among all of them.
    fn place(self) -> usize;
}

macro_rules! labels {
    ($($(#[$about:meta])* $label:ident = $name:literal { $($(#[$meaning:meta])* $value:ident = $text:expr,)+ })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $label { $($(#[$meaning])* $value,)+ }

        impl Label for $label {
            const NAME: &'static str = $name;

            fn all() -> &'static [Self] {
                &[$(Self::$value,)+]
            }

            fn text(self) -> &'static str {
                match self { $(Self::$value => $text,)+ }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    )+};
}

labels! {
    /// A queue.
    QueueName = "queue" {
        /// Submissions that wait for a container.
        Pending = PENDING_QUEUE,
        /// Corrections whose container was started.
        Running = RUNNING_QUEUE,
        /// Results that wait for delivery.
        Finished = FINISHED_QUEUE,
    }

    /// How a job stands in its queue.
    JobState = "state" {
        /// In line, those with a priority too.
        Waiting = "waiting",
        /// In somebody's hands.
        Active = "active",
        /// In line later.
        Delayed = "delayed",
        /// Ended for good without success: of results the dead letters.
        Failed = "failed",
    }

    /// A stage on a correction's way.
    Stage = "stage" {
        /// A submission waits for a starter.
        Queued = "queued",
        /// Its image is pulled, once for all who wait for it.
        Pull = "pull",
        /// Its container is created.
        Create = "create",
        /// Its container is started.
        Start = "start",
        /// Its grader runs.
        Run = "run",
        /// Its container ended; its result is read and handed over.
        Collect = "collect",
        /// Its result waits for its delivery and is delivered.
        Deliver = "deliver",
    }

    /// What an event of the engine tells.
    EventKind = "action" {
        /// A container ended.
        Died = "died",
        /// Memory ran out in one.
        Oom = "oom",
        /// One was removed.
        Destroyed = "destroyed",
    }

    /// What came of an attempt at something.
    CameOf = "result" {
        /// It was done.
        Done = "done",
        /// It failed, and is tried again.
        Failed = "failed",
    }

    /// What a sweep found that the events had missed.
    Find = "kind" {
        /// A container that ended, and of which Redis knew nothing.
        Orphan = "orphan",
        /// A container that nobody needs any more.
        Removable = "removable",
        /// A container that ran far beyond its time.
        Overdue = "overdue",
        /// A job that another client had failed as stalled too often.
        Overstalled = "overstalled",
    }

    /// Something of which a host can have too little.
    Resource = "resource" {
        /// Room where the engine keeps its files.
        Disk = "disk",
        /// Memory.
        Memory = "memory",
    }

    /// How an image stands with a starter.
    ImageState = "state" {
        /// It is being pulled, and its submissions wait.
        Pulling = "pulling",
        /// It fails; one submission at a time tries it.
        Failing = "failing",
        /// Its starts hang, and its other submissions wait.
        Hanging = "hanging",
    }

    /// How a receiver of callbacks stands with a notifier.
    ReceiverState = "state" {
        /// Nobody knows yet whether it answers.
        New = "new",
        /// It answered the last delivery.
        Answering = "answering",
        /// It did not answer the last delivery in time.
        Hanging = "hanging",
    }

    /// Where a delivery is.
    Place = "place" {
        /// In one of the slots (`CONCURRENT_NOTIFIERS`).
        Slot = "slot",
        /// It waits for a slow receiver, and has left its slot to others.
        Aside = "aside",
    }

    /// What came of an attempt at a delivery.
    Attempted = "result" {
        /// The receiver took it.
        Delivered = "delivered",
        /// The receiver answered with another status.
        Refused = "refused",
        /// The receiver did not answer in time.
        TimedOut = "timed_out",
        /// There was no connection.
        Unreachable = "unreachable",
        /// It may not be sent there, or there is no such place.
        Impossible = "impossible",
    }

    /// A part of the completer's work.
    Part = "part" {
        /// Under way.
        UnderWay = "under_way",
        /// Known and not begun.
        Queued = "queued",
        /// Deaths whose record is not here yet.
        Parked = "parked_deaths",
        /// Containers of which an event told and nobody has heard.
        Inbox = "unread_events",
        /// Containers to be removed.
        Removals = "removals",
    }
}

impl QueueName {
    /// The queue of that name; nothing for one that is none of ours.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().iter().copied().find(|queue| queue.text() == name)
    }
}

/// How a correction ended: with a verdict, or as the runner had to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending(pub Option<Outcome>);

impl Ending {
    /// As a finished job names it.
    #[must_use]
    pub fn named(outcome: Option<&str>) -> Self {
        Self(outcome.and_then(Outcome::named))
    }
}

impl Label for Ending {
    const NAME: &'static str = "outcome";

    fn all() -> &'static [Self] {
        const ALL: [Ending; Outcome::ALL.len() + 1] = {
            let mut all = [Ending(None); Outcome::ALL.len() + 1];
            let mut place = 0;
            while place < Outcome::ALL.len() {
                all[place + 1] = Ending(Some(Outcome::ALL[place]));
                place += 1;
            }
            all
        };
        &ALL
    }

    fn text(self) -> &'static str {
        self.0.map_or("verdict", Outcome::as_str)
    }

    fn place(self) -> usize {
        self.0.map_or(0, |outcome| 1 + outcome as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places<L: Label>() {
        for (place, value) in L::all().iter().enumerate() {
            assert_eq!(value.place(), place, "{} {}", L::NAME, value.text());
        }
    }

    #[test]
    fn each_value_stands_at_its_place() {
        places::<Ending>();
        places::<QueueName>();
        places::<Stage>();
        places::<Attempted>();
        assert_eq!(Ending::named(None).text(), "verdict");
        assert_eq!(Ending::named(Some("timeout")).text(), "timeout");
        assert_eq!(QueueName::named("running_corrections"), Some(QueueName::Running));
        assert_eq!(QueueName::named("mail"), None);
    }
}
