//! The table of metrics.

use correction_runner::metrics::{LabelOf, Metric, all};

use super::marked_up;

/// One row for each metric.
pub fn table() -> String {
    let mut rows = String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for Metric { name, kind, unit, help, labels } in all() {
        let kind = match unit {
            Some(unit) => format!("{}, {unit}", kind.name()),
            None => kind.name().to_owned(),
        };
        let labels: Vec<String> = labels.iter().map(shown).collect();
        rows.push_str(&format!("| `{name}` | {kind} | {} | {} |\n", labels.join("; "), marked_up(help)));
    }
    rows
}

/// A label with its values, as far as they are known beforehand and few.
fn shown(label: &LabelOf) -> String {
    let LabelOf { name, values } = label;
    match values.as_slice() {
        [] => format!("`{name}`"),
        // All outcomes stand on a page of their own.
        [first, ..] if values.len() > 10 => format!("`{name}`: {first}, or an [outcome](outcomes.md)"),
        values => format!("`{name}`: {}", marked_up(&values.join(", "))),
    }
}
