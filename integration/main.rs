//! Tests against real services: Redis, Node clients, Docker, receivers. One binary, so that all overlap.
#![allow(missing_docs, reason = "tests")]

mod actions;
mod architecture;
mod command_line;
mod documents;
mod endings;
mod engine;
mod faults;
mod hostile;
mod notifier;
mod operator;
mod packaging;
mod queue;
mod scripts;
mod simulated;
mod support;
mod trying;
mod watching;
mod whole;
