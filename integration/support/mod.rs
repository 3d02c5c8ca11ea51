//! What the integration tests share: servers of their own, clients, receivers.

pub mod connect_proxy;
pub mod docker;
pub mod node;
pub mod proxy;
pub mod receiver;
pub mod redis;
pub mod redis_contents;
pub mod registry;
pub mod second_engine;
#[path = "../simulated_engine/mod.rs"]
pub mod simulated_engine;
pub mod socket_client;
pub mod ssh;
pub mod system;
