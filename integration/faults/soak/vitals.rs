//! What is watched during the soak: memory, file descriptors, threads and tasks of processes, memory of Redis.

use std::collections::BTreeMap;

use crate::faults::figures::note;
use crate::support::system::System;

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
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
            let field = |field: &str| {
                let line = status.lines().find(|line| line.starts_with(field)).expect("Linux says so");
                line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
            };
            let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it is ours").count();
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
        for line in system.log_of(name).lines().filter(|line| line.contains("vital signs")) {
            if let Ok(signs) = serde_json::from_str::<serde_json::Value>(line)
                && let Some(tasks) = signs["tasks"].as_f64()
            {
                self.add(format!("{name}: tasks"), tasks);
            }
        }
    }

    fn add(&mut self, what: String, value: f64) {
        self.samples.entry(what).or_default().push(value);
    }

    /// Nothing has grown: what each thing comes down to again and again is in the last quarter of the time
    /// no more than in those before, but for a tolerance. What goes up and down, such as connections that are
    /// kept for a while, does so in each of them; what leaks is at its highest in the last.
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
            let tolerance =
                if what.contains("MiB") { 3.0_f64.max(before * 0.06) } else { 4.0_f64.max(before * 0.2) };
            if after > before + tolerance {
                grown.push(format!("{what}: {before:.1} → {after:.1}"));
            }
        }
        grown
    }
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
