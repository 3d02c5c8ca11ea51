//! The campaign's figures: each test that measures something notes it; `make faults` prints them as a table.

use std::fmt::Display;
use std::io::Write;
use std::time::Duration;

/// Notes a figure of a row of the campaign, in the file that `FAULT_FIGURES` names.
pub fn note(row: &str, figure: &str, value: impl Display) {
    println!("{row}: {figure}: {value}");
    let Some(path) = std::env::var_os("FAULT_FIGURES") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // One write of one line: rows that run at the same time do not mix.
    let line = format!("{row}\t{figure}\t{value}\n");
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the file of figures can be written");
}

/// Notes how long something took, many times: median, 99th percentile, longest.
pub fn note_times(row: &str, figure: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let Some(longest) = times.last() else { return };
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    let value =
        format!("p50 {}, p99 {}, max {} ({} times)", ms(at(50)), ms(at(99)), ms(*longest), times.len());
    note(row, figure, value);
}
