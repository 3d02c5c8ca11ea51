//! What the simulated engine counts.

use bytes::Bytes;

use super::faults::Call;

/// Counts since the engine began. Times are nanoseconds of Unix time on the engine's clock.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Containers created.
    pub created: u64,
    /// Runs begun.
    pub started: u64,
    /// The most starts that any one container was asked for: more than 1 is a fault of the client.
    pub max_starts_of_one: u64,
    /// Runs begun of containers whose label has a secret, and whose file has not: a fault of the client.
    pub started_without_secret: u64,
    /// Runs ended.
    pub died: u64,
    /// Kills carried out.
    pub killed: u64,
    /// Containers removed.
    pub removed: u64,
    /// Runs that go on.
    pub alive: u64,
    /// The most runs that ever went on at once.
    pub max_alive: u64,
    /// Runs begun, by image.
    pub started_of: std::collections::BTreeMap<String, u64>,
    /// Connections accepted.
    pub connections: u64,
    /// Calls of each kind.
    calls: [u64; Call::COUNT],
    /// The first start; 0 = none yet.
    pub first_start: i128,
    /// The last death; 0 = none yet.
    pub last_death: i128,
    /// The body of the last create call that was carried out.
    pub last_create: Bytes,
}

impl Stats {
    /// How often a call was made.
    pub fn calls(&self, call: Call) -> u64 {
        self.calls[call as usize]
    }

    /// How many calls were made in all.
    pub fn all_calls(&self) -> u64 {
        self.calls.iter().sum()
    }

    /// A call was made.
    pub fn count(&mut self, call: Call) {
        self.calls[call as usize] += 1;
    }

    /// A run began.
    pub fn start(&mut self, now: i128) {
        self.started += 1;
        self.alive += 1;
        self.max_alive = self.max_alive.max(self.alive);
        if self.first_start == 0 {
            self.first_start = now;
        }
    }

    /// A run ended.
    pub fn end(&mut self, now: i128) {
        self.died += 1;
        self.alive = self.alive.saturating_sub(1);
        self.last_death = now;
    }
}
