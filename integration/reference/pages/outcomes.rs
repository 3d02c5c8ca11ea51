//! The table of outcomes.

use correction_runner::outcome::Outcome;

use super::marked_up;

/// One row for each meaning of each outcome.
pub fn table() -> String {
    let mut rows = String::from(
        "| outcome | what happened | whose fault | tried again? | what to do |\n| --- | --- | --- | --- | --- |\n",
    );
    for outcome in Outcome::ALL {
        for meaning in outcome.meanings() {
            let cells = [meaning.happened, meaning.fault, meaning.tried_again, meaning.remedy].map(marked_up);
            rows.push_str(&format!("| `{outcome}` | {} |\n", cells.join(" | ")));
        }
    }
    rows
}
