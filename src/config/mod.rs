//! Settings: flags, environment and `.env` in, checked settings out.

mod dotenv;
mod formats;
mod settings;

pub use settings::*;
