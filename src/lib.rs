//! The engine that runs submissions in containers and tells the caller the grade.
pub mod canonical;
pub mod config;
pub mod ending;
pub mod fields;
pub mod identity;
pub mod job;
pub mod labels;
pub mod outcome;
pub mod output;
pub mod verdict;
