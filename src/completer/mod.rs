//! Completer.
pub mod inflight;
