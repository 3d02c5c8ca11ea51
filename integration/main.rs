//! Tests against real services: Redis, Node clients, Docker. One binary, so that all overlap.
#![allow(missing_docs, reason = "tests")]

//! All integration tests as one binary: each topic is a module, shared pieces are in `support`.

mod architecture;
mod queue;
mod support;
