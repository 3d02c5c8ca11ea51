//! The engine that runs submissions in containers and tells the caller the grade.

pub mod backoff;
pub mod completer;
pub mod config;
pub mod docker;
pub mod ending;
pub mod fields;
pub mod identity;
pub mod job;
pub mod labels;
pub mod outcome;
pub mod output;
pub mod queue;
pub mod shutdown;
pub mod starter;
pub mod startup;
pub mod verdict;
