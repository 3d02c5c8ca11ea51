//! The Docker engine: containers, images and events, each call with a deadline.
//!
//! One [`Engine`] is one pool of kept-alive connections (Unix socket, TCP, TLS or ssh), shared by all of its
//! clones. What the engine answers is classified in [`EngineError`]; nothing is tried again in here.

mod about;
mod answer;
mod checkup;
mod clock;
mod connect;
mod container;
mod elements;
mod error;
mod event;
mod events;
mod following;
mod frames;
mod host;
mod image;
mod inbox;
mod inspection;
mod lines;
mod listing;
mod logs;
mod population;
mod reference;
mod replays;
mod sealed;
mod spec;
mod ssh;
mod stored;
mod tls;
mod transport;
mod types;
mod unix;
mod usage;
mod version;

pub use checkup::Checkup;
pub use connect::Engine;
pub use error::{Call, EngineError};
pub use events::{Rhythm, Watch};
pub use following::{Printed, Said};
pub use host::{free_disk, free_memory};
pub use inbox::{Notice, Outage};
pub use population::{Inhabitant, Owner};
pub use ssh::stand_in;
pub use stored::ImageRemoved;
pub use types::{About, ContainerSpec, Inspected, Killed, Listed, Removed, State};
