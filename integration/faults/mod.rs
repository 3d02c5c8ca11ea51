//! The fault campaign: whatever dies, each correction that was submitted gets its one right result, in
//! time, and nothing is left behind.
//!
//! Each row of `RELIABILITY.md` is a test here; what takes long is `#[ignore]`d and run by `make faults`.

mod admission;
pub mod campaign;
mod cancel_races;
#[cfg(feature = "crash-points")]
mod cancelling;
mod components;
#[cfg(feature = "crash-points")]
mod crash_points;
mod crowd;
mod daemon;
mod engine;
mod figures;
mod fleet;
mod front;
mod graceful;
mod images;
mod mass;
mod mixed;
mod receivers;
mod redis;
mod restarts;
mod resumption;
mod soak;
#[cfg(feature = "crash-points")]
mod wedges;
mod zombies;
