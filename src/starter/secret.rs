//! A new secret for a verdict, from the operating system.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::outcome::{Failure, Outcome};
use crate::seal::Seal;

use super::refusal::{Patience, Postponed};

/// Draws a secret that nobody can guess.
///
/// # Errors
/// The operating system gives no random bytes now.
pub fn draw() -> Result<Seal, Postponed> {
    let mut bytes = [0; 20];
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(count) if count == bytes.len() => Ok(Seal::of_random(bytes)),
        Ok(count) => Err(none(&format!("{count} bytes in the place of {}", bytes.len()))),
        Err(error) => Err(none(&error.to_string())),
    }
}

fn none(reason: &str) -> Postponed {
    let why = format!("the operating system gives no random bytes for the verdict's secret: {reason}");
    let failure = Failure::new(
        Outcome::StartFailed,
        format!(
            "The correction could not be started, although it was tried for some time: {why}. The administrator of \
             the runner has to look at its machine; the submission was not looked at and can be submitted again."
        ),
    );
    Postponed { why, failure, patience: Patience::AsSet, engine_away: false, suspect: false, container: None }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_secret_is_drawn_twice() {
        let drawn: HashSet<_> =
            (0..1000).map(|_| draw().expect("random bytes").reveal().to_owned()).collect();
        assert_eq!(drawn.len(), 1000);
        // Each of the sixteen letters comes up, in about the same number.
        let all: String = drawn.into_iter().collect();
        for letter in 'a'..='p' {
            let count = all.matches(letter).count();
            assert!((2000..3000).contains(&count), "{letter}: {count} of {}", all.len());
        }
    }
}
