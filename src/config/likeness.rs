//! What looks like a mistake in a `.env` file: lines that say nothing, and names that are nearly those of settings.
//!
//! Other programs may share the file, so that a name of theirs is no mistake: only what is a slip of the hand away from
//! a setting is warned of. No value is ever shown.

use std::collections::HashMap;

use super::dotenv::Entry;
use super::table::settings;

/// How many letters may be wrong.
const SLIPS: usize = 2;
/// Shorter names are too near to one another to be taken for slips.
const SHORTEST: usize = 8;

/// The warnings about a file: what it sets, and the lines of it that were skipped.
pub(super) fn of_file(entries: &HashMap<String, Entry>, skipped: &[usize]) -> Vec<String> {
    let mut warnings: Vec<(usize, String)> = skipped
        .iter()
        .map(|line| {
            let what = "is no setting (KEY=value) and counts for nothing; a value of several lines needs quotes around it";
            (*line, format!(".env, line {line}, {what}"))
        })
        .collect();
    for (name, Entry { line, .. }) in entries {
        if let Some(meant) = meant_by(name) {
            warnings
                .push((*line, format!(".env, line {line}: there is no setting {name}; is {meant} meant?")));
        }
    }
    warnings.sort();
    warnings.into_iter().map(|(_, warning)| warning).collect()
}

/// The setting that somebody may have meant who wrote this name, which is none.
fn meant_by(name: &str) -> Option<&'static str> {
    let known = || settings().flat_map(|one| std::iter::once(one.name).chain(one.aliases.iter().copied()));
    if name.len() < SHORTEST || known().any(|other| other == name) {
        return None;
    }
    let upper = name.to_ascii_uppercase().replace(['-', '.'], "_");
    let nearest = known().map(|other| (distance(&upper, other), other)).min()?;
    (nearest.0 <= SLIPS).then_some(nearest.1)
}

/// How many letters have to be put in, left out, exchanged or swapped with their neighbour to make one name the other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=other.len()).collect());
    for (row, letter) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let exchanged = last[column] + usize::from(letter != wanted);
            let mut fewest = exchanged.min(last[column + 1] + 1).min(next[column] + 1);
            let are_swapped =
                row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *wanted;
            if are_swapped {
                fewest = fewest.min(before[column - 1] + 1);
            }
            next.push(fewest);
        }
        before = std::mem::replace(&mut last, next);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::super::dotenv;
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let (entries, skipped) = dotenv::read(text);
        of_file(&entries, &skipped)
    }

    #[test]
    fn slips_of_the_hand_are_told_with_what_is_meant_and_no_value() {
        let told = warnings("REDIS_HOTS=secret\nREDIS_PASWORD=secret\nredis_port=1\nCONTAINER-MEMORY=1g\n");
        let expected = [
            ".env, line 1: there is no setting REDIS_HOTS; is REDIS_HOST meant?",
            ".env, line 2: there is no setting REDIS_PASWORD; is REDIS_PASSWORD meant?",
            ".env, line 3: there is no setting redis_port; is REDIS_PORT meant?",
            ".env, line 4: there is no setting CONTAINER-MEMORY; is CONTAINER_MEMORY meant?",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn settings_remarks_and_names_of_other_programs_are_no_mistakes() {
        let all = settings().map(|one| format!("{}=x", one.name)).collect::<Vec<_>>().join("\n");
        assert_eq!(warnings(&all), Vec::<String>::new());
        let others = "# a remark\n\nexport PROCESS=starter\nDB_HOST=x\nDB_PASSWORD='a\nb'\nJWT_SECRET_KEY=x\nPORT=3000\n\
                      UPLOAD_DIRECTORY=/x\nDOCKER_GROUP_ID=999\nNODE_ENV=production\nDELAY_SECONDS=5\n";
        assert_eq!(warnings(others), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_says_nothing_is_told_by_its_number() {
        let told = warnings("LOG_LEVEL=info\nREDIS_HOST 127.0.0.1\nDOCKER_OPTIONS={\n  \"host\": \"x\"\n}\n");
        let lines: Vec<&str> = told.iter().filter_map(|warning| warning.split(", ").nth(1)).collect();
        assert_eq!(lines, ["line 2", "line 4", "line 5"], "{told:?}");
        assert!(told[0].contains("KEY=value"), "{told:?}");
    }

    #[test]
    fn distances_are_those_of_typing() {
        for (one, other, apart) in
            [("", "", 0), ("ab", "ba", 1), ("abc", "ac", 1), ("abc", "axc", 1), ("ab", "abcd", 2)]
        {
            assert_eq!((distance(one, other), distance(other, one)), (apart, apart), "{one} {other}");
        }
    }
}
