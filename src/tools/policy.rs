//! `policy check`: which rule applies to an image, and what its container would get.

use std::io::{self, Write};

use super::Answer;
use crate::config::PolicyCheck;

/// Answers it.
pub fn check(asked: &PolicyCheck, out: &mut impl Write) -> io::Result<Answer> {
    let Some(image) = &asked.image else {
        writeln!(out, "the policy is well")?;
        return Ok(Answer::Yes);
    };
    match asked.policy.profile_of(image) {
        Ok(profile) => {
            writeln!(out, "{image} may run: {profile:?}")?;
            Ok(Answer::Yes)
        }
        Err(not_allowed) => {
            writeln!(out, "{not_allowed}")?;
            Ok(Answer::No)
        }
    }
}
