//! What the integration tests share.

#[path = "../simulated_engine/mod.rs"]
pub mod simulated_engine;
pub mod socket_client;
