//! The fault campaign: whatever dies, each correction that was submitted gets its one right result, in
//! time, and nothing is left behind.
//!
//! Each row of `RELIABILITY.md` is a test here; what takes long is `#[ignore]`d and run by `make faults`.

mod campaign;
mod figures;
mod mass;
mod restarts;
#[cfg(feature = "crash-points")]
mod wedges;
