//! Tests against real services: Redis, Node clients, Docker. One binary, so that all overlap.
#![allow(missing_docs, reason = "tests")]

mod queue;
mod support;
