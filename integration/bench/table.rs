//! Markdown tables on stdout.

use std::time::Duration;

/// Prints a heading and the head of a table.
pub fn head(title: &str, columns: &[&str]) {
    println!("\n### {title}\n");
    row(columns);
    println!("|{}", " --- |".repeat(columns.len()));
}

/// Prints a row.
pub fn row<S: AsRef<str>>(cells: &[S]) {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    println!("| {} |", cells.join(" | "));
}

/// Bytes as MiB.
#[allow(clippy::cast_precision_loss, reason = "printed with one decimal")]
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Nanoseconds as milliseconds.
#[allow(clippy::cast_precision_loss, reason = "printed with one decimal")]
pub fn ms(nanoseconds: u64) -> String {
    format!("{:.1} ms", nanoseconds as f64 / 1e6)
}

/// So many in such a time, a second.
#[allow(clippy::cast_precision_loss, reason = "counts are small")]
pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// Where of a sorted list `percent` of the values are below or equal.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(0)
}
