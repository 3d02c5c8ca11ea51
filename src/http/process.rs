//! What the kernel says of this process, as proc(5) has it. Where it says nothing, nothing is told.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use crate::metrics::Metrics;

/// Sets the metrics of the process as a whole.
pub(super) fn tell(metrics: &Metrics) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::read) {
        #[allow(clippy::cast_precision_loss, reason = "ticks are few")]
        let seconds = |ticks: u64| ticks as f64 / clock_ticks_per_second().max(1) as f64;
        metrics.cpu.is(seconds(stat.user + stat.system));
        metrics.threads.count(stat.threads);
        metrics.virtual_memory.count(stat.virtual_memory);
        metrics.resident_memory.count(stat.resident_pages.saturating_mul(page_size() as u64));
        if let Some(boot) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(booted_at) {
            metrics.started.set(boot + seconds(stat.started));
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The one that reads the folder is among them.
        metrics.open_files.count((open.count() as u64).saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        metrics.most_files.count(most);
    }
}

/// What is read of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// In ticks of the clock.
    user: u64,
    system: u64,
    threads: u64,
    /// In ticks since the system was booted.
    started: u64,
    /// In bytes.
    virtual_memory: u64,
    resident_pages: u64,
}

impl Stat {
    /// The fields are numbered from 1; the second, a name in parentheses, may hold anything.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user: field(14)?,
            system: field(15)?,
            threads: field(20)?,
            started: field(22)?,
            virtual_memory: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the system was booted, in seconds of Unix time, from the text of `/proc/stat`.
fn booted_at(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_whatever_the_name_of_the_program() {
        let text = "7 (a) b (c) S 1 1 1 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 9 0 4711 12345678 321 18446744073709551615";
        let stat = Stat::read(text).expect("a stat");
        let expected = Stat {
            user: 150,
            system: 50,
            threads: 9,
            started: 4711,
            virtual_memory: 12_345_678,
            resident_pages: 321,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::read("7 (a) S 1"), None);
        assert_eq!(booted_at("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000.0));
        assert_eq!(booted_at("cpu 1 2\n"), None);
    }

    #[test]
    fn this_very_process_has_memory_files_threads_and_a_beginning() {
        let metrics = Metrics::default();
        tell(&metrics);
        let known = |level: &crate::metrics::Level| level.get().unwrap_or_default();
        assert!(known(&metrics.resident_memory) > 1e6, "{metrics:?}");
        assert!(known(&metrics.open_files) >= 3.0 && known(&metrics.threads) >= 1.0);
        let now = jiff::Timestamp::now().as_second();
        #[allow(clippy::cast_precision_loss, reason = "seconds are few")]
        let age = now as f64 - known(&metrics.started);
        assert!((-5.0..7.0 * 24.0 * 3600.0).contains(&age), "{age}");
    }
}
