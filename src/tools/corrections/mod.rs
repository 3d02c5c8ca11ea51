//! Where corrections stand, by the names that people have for them: what `submit`, `cancel` and `logs` share.

mod found;
mod search;

pub(super) use found::{Found, Stage};
pub(super) use search::{successor, the_open, whatever_is_named};
