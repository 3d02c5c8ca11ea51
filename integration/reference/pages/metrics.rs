//! The table of metrics, and the values that their labels can have.

use correction_runner::metrics::{self, LabelOf, Metric};

use super::marked_up;

/// One row for each metric.
pub fn table() -> String {
    let mut text = String::from("| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n");
    for Metric { name, kind, help, labels, .. } in metrics::all() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{}`", label.name)).collect();
        text.push_str(&format!(
            "| `{name}` | {} | {} | {} |\n",
            kind.name(),
            labels.join(", "),
            marked_up(help)
        ));
    }
    text
}

/// One row for each label whose values are known beforehand, with the metrics that have it.
pub fn labels() -> String {
    let mut rows: Vec<(LabelOf, Vec<&str>)> = Vec::new();
    for Metric { name, labels, .. } in metrics::all() {
        for label in labels.into_iter().filter(|label| !label.values.is_empty()) {
            match rows.iter_mut().find(|(known, _)| *known == label) {
                Some((_, names)) => names.push(name),
                None => rows.push((label, vec![name])),
            }
        }
    }
    let quoted = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let mut text = String::from("| label | values | of |\n| --- | --- | --- |\n");
    for (label, names) in rows {
        text.push_str(&format!("| `{}` | {} | {} |\n", label.name, quoted(&label.values), quoted(&names)));
    }
    text
}
