//! What the integration tests share: servers of their own, and Node clients.

//! What the integration tests share.

#[path = "../simulated_engine/mod.rs"]

pub mod node;
pub mod redis;
pub mod simulated_engine;
pub mod socket_client;
