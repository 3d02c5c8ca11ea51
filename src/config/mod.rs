//! Settings: flags, environment and `.env` in, checked settings out.

mod settings;

pub use settings::*;
