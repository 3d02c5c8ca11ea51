//! BullMQ's queues on Redis: its data layout and events, with scripts of our own.
//!
//! Node clients (5.12 and 6.x), dashboards and the original's components work on the same queues at
//! the same time. Every operation is one script: all checks come before the first write, and the
//! first write is one that Redis refuses when it is out of memory, so that a script is carried out
//! as a whole or not at all.
//!
//! ```text
//! Redis ── queue(name) ─▶ Queue: add, hand_over, complete, retry_later, fail, log, counts, …
//!                           └── Worker::start ─▶ Assignment (a TakenJob, its lock kept alive)
//! ```
//!
//! Protocol: `bullmq` 5.12.7 and 6.7.0 from npm, `dist/cjs/commands/*.lua`.

mod astray;
mod batches;
mod burial;
mod calls;
mod cancelling;
mod checkup;
mod engines;
mod error;
mod fetch;
mod images;
mod jobs;
mod leases;
mod leftovers;
mod operations;
mod options;
mod owner;
mod permits;
mod records;
mod redis;
mod reset;
mod scripts;
mod standing;
mod survey;
mod taking;
mod trouble;
mod turns;
mod wakeup;
mod worker;

pub use burial::{Gone, Grace};
pub use cancelling::{Cancelled, Cancelling, HeldBy};
pub use checkup::{QueueMarks, Refused, ServerFacts};
pub use engines::{EngineNotes, StarterNote};
pub use error::QueueError;
pub use images::PulledImage;
pub use jobs::{
    Added, Counts, Finished, JobRetention, Keep, NewJob, RetryCount, Settled, Settlement, Standing, TakenJob,
};
pub use leases::Assignment;
pub use leftovers::{Conclusion, KEPT_FOR, Leftover, READ_AT_ONCE, UsedFile};
pub use operations::{DONE_FOR, Queue};
pub use options::{BackoffKind, BackoffOption, JobOptions, Retained};
pub use permits::{Admitted, Aside, Bound, House, Living, Reconciled};
pub use records::{PageStart, PutBack, Record, State};
pub use redis::Redis;
pub use reset::Removed;
pub use survey::{AtWork, Delayed, Ended, Holder, Process, SPANS, Survey};
pub use taking::{LineState, Taken};
pub use turns::{Due, Turns};
pub use worker::{CLOSE_WITHIN, Worker, WorkerOptions};
