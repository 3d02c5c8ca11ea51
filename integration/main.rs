//! Tests against real services: Redis, Node clients, Docker. One binary, so that all overlap.
#![allow(missing_docs, reason = "tests")]

//! All integration tests as one binary: each topic is a module, shared pieces are in `support`.

//! All integration tests, in one binary so that they are linked once and overlap.

mod architecture;
mod queue;
mod simulated;
mod support;
