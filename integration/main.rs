//! Tests against real services: Redis, Node clients, Docker, receivers. One binary, so that all overlap.
#![allow(missing_docs, reason = "tests")]

mod architecture;
mod documents;
mod scripts;
mod simulated;
mod support;
mod whole;
