//! Which version of the program this is, and which commit it was built from (`build.rs` finds out).

/// The number of the version alone, such as `0.1.0`.
pub const NUMBER: &str = env!("CARGO_PKG_VERSION");

/// The commit and its day as far as they are known, such as `76dadbe, 2026-11-23`; empty where they are not.
pub const REVISION: &str = env!("CORRECTION_RUNNER_REVISION");

/// Both, such as `0.1.0 (76dadbe, 2026-11-23)`.
pub const VERSION: &str = env!("CORRECTION_RUNNER_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_begins_with_its_number_and_holds_what_is_known_of_the_commit() {
        let rest = VERSION.strip_prefix(NUMBER).expect("its number");
        assert_eq!(rest, if REVISION.is_empty() { String::new() } else { format!(" ({REVISION})") });
    }
}
