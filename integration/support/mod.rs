//! What the integration tests share: servers of their own, and Node clients.

pub mod node;
pub mod redis;
