//! What a process counts and measures of its own work, for `/metrics`.
//!
//! [`Registry`] (`table.rs`) is the list: each metric stands there once, with its name, its labels and what it means,
//! and [`all`] gives that list to whoever documents it. A metric that is not in the list cannot be counted, and one
//! that is in it is exposed.
//!
//! [`Metrics`] belong to a process's [`Hearts`](crate::heartbeat::Hearts). As its heartbeats they are ambient:
//! whoever is made inside a loop asks for them once ([`crate::heartbeat::metrics`]) and keeps them. To count is an
//! atomic addition, to measure two; only what is counted by image asks a lock (that nobody holds for long).
//!
//! No label's value is a stranger's but an image's name, and of these there are [`MOST_IMAGES`].

mod calls;
mod images;
mod kinds;
mod labels;
mod page;
mod table;

use std::ops::Deref;
use std::sync::Arc;

pub use calls::{ByCall, Fault};
pub use images::{Corrections, ImageLabel, MOST_IMAGES};
pub use kinds::{Bounds, Calls, Counter, Family, Histogram, Level, Listed, Stages};
pub use labels::{
    Attempted, CameOf, Ending, EventKind, Find, ImageState, JobState, Label, Part, Place, QueueName,
    ReceiverState, Resource, Stage,
};
pub use page::{Format, Kind, LabelOf, Metric, Page};
pub use table::{Registry, all};

/// The metrics of one process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Registry>);

impl Deref for Metrics {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.0
    }
}

/// Somebody who knows numbers only when asked: told to write them down just before they are read.
pub trait Probe: Send + Sync {
    /// Sets levels. It is called on the thread that answers `/metrics`, and waits for nobody.
    fn tell(&self, metrics: &Metrics);
}
