//! What is watched during the soak: memory, file descriptors, threads and tasks of processes, memory of Redis.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::figures::note;
use crate::support::system::System;
use tokio::time::{Instant, sleep};

/// What an idle process holds at most. Of file descriptors it has 11 to 23, of tasks 11 to 15; connections that
/// many corrections needed are kept for 30 s.
const AT_REST: (usize, f64) = (32, 20.0);
/// How long it may take until it is idle: those 30 s, twice over, and one line of vital signs.
const COMES_TO_REST: Duration = Duration::from_secs(75);

/// Samples of one thing, in the order of time.
#[derive(Debug, Default)]
pub struct Vitals {
    samples: BTreeMap<String, Vec<f64>>,
}

impl Vitals {
    /// Takes one sample of each of these processes and of Redis.
    pub async fn sample(&mut self, system: &System, processes: &[&str]) {
        for name in processes {
            let pid = system.process_id(name);
            let open = open_files(system, name);
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
            let field = |field: &str| {
                let line = status.lines().find(|line| line.starts_with(field)).expect("Linux says so");
                line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
            };
            self.add(format!("{name}: memory in MiB"), field("VmRSS:") / 1024.0);
            self.add(format!("{name}: threads"), field("Threads:"));
            self.add(format!("{name}: file descriptors"), f64::from(u32::try_from(open).unwrap_or(u32::MAX)));
        }
        // While Redis pauses its clients there is no sample.
        if let Some(bytes) = used_memory(system).await {
            self.add("Redis: memory in MiB".to_owned(), bytes / 1_048_576.0);
        }
    }

    /// Adds the alive tasks that a process told of in its log.
    pub fn read_tasks(&mut self, system: &System, name: &str) {
        for tasks in tasks(&system.log_of(name)) {
            self.add(format!("{name}: tasks"), tasks);
        }
    }

    fn add(&mut self, what: String, value: f64) {
        self.samples.entry(what).or_default().push(value);
    }

    /// Memory has not grown: what it comes down to again and again is in the last quarter of the time
    /// no more than in those before, but for a tolerance. (File descriptors and tasks follow the load of the
    /// moment; see [`come_to_rest`].)
    pub fn prove_flat(&self, row: &str) {
        let grown = self.grown(|what, figure| note(row, what, figure));
        assert!(grown.is_empty(), "it grows: {grown:?}; {:?}", self.samples);
    }

    /// What has grown; tells the figures of each.
    fn grown(&self, tell: impl Fn(&str, String)) -> Vec<String> {
        let mut grown = Vec::new();
        for (what, samples) in &self.samples {
            let quarter = samples.len() / 4;
            assert!(quarter >= 4, "{what}: only {} samples", samples.len());
            let floor = |from: usize| low(&samples[from..from + quarter]);
            let earlier = [4, 3, 2].map(|quarters| floor(samples.len() - quarters * quarter));
            let (before, after) = (earlier.into_iter().fold(0.0, f64::max), floor(samples.len() - quarter));
            let most = samples.iter().fold(0.0_f64, |most, sample| most.max(*sample));
            tell(what, format!("{before:.1}, then {after:.1} (most {most:.1})"));
            // A leak of 150 bytes a correction is more than that in a quarter of 100,000.
            if what.contains("MiB") && after > before + 3.0_f64.max(before * 0.06) {
                grown.push(format!("{what}: {before:.1} → {after:.1}"));
            }
        }
        grown
    }
}

/// Waits until each process holds no more files and tasks than an idle one: what leaked would not come back.
pub async fn come_to_rest(row: &str, system: &System, processes: &[&str]) {
    let begun = Instant::now();
    for name in processes {
        loop {
            let (open, alive) = (open_files(system, name), tasks(&system.log_of(name)).last().copied());
            if open <= AT_REST.0 && alive.is_some_and(|alive| alive <= AT_REST.1) {
                note(row, &format!("{name}: file descriptors, tasks at rest"), format!("{open}, {alive:?}"));
                break;
            }
            let waited = begun.elapsed();
            assert!(waited < COMES_TO_REST, "{name} is idle for {waited:?}: {open} files, {alive:?} tasks");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

fn open_files(system: &System, name: &str) -> usize {
    let folder = format!("/proc/{}/fd", system.process_id(name));
    std::fs::read_dir(folder).expect("it is ours").count()
}

/// The alive tasks that a process told of in its log, in the order of time.
fn tasks(log: &str) -> Vec<f64> {
    let signs = log.lines().filter(|line| line.contains("vital signs"));
    signs.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["tasks"].as_f64()).collect()
}

/// A value that a quarter of the samples are below.
fn low(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 4]
}

/// Bytes that Redis uses, if it answers.
pub async fn used_memory(system: &System) -> Option<f64> {
    let info = system.ask(&["INFO", "memory"]).await;
    info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
}

#[test]
fn a_leak_is_seen_and_a_noise_is_not() {
    let of = |value: fn(u32) -> f64| {
        let samples = (0..200).map(value).collect();
        Vitals { samples: BTreeMap::from([("p: memory in MiB".to_owned(), samples)]) }
    };
    let untold = |_: &str, _: String| {};
    assert!(of(|number| 20.0 + f64::from(number * 37 % 11)).grown(untold).is_empty());
    assert!(
        !of(|number| 20.0 + f64::from(number) * 0.1 + f64::from(number * 37 % 11)).grown(untold).is_empty()
    );
}
