//! All integration tests as one binary: each topic is a module, shared pieces are in `support`.

mod architecture;
