//! What a container uses of what it may use: memory, processes, disk.

/// What a container used at one moment, as far as the engine tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory; `None` = not told.
    pub memory: Option<Memory>,
    /// Processes and threads; `None` = not told, or not limited.
    pub pids: Option<Pids>,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The most that it ever used, what the kernel kept of its files included. Engines on cgroup v1 tell it.
    Peak(u64),
    /// What it used at that moment. More is not told on cgroup v2.
    Now(u64),
}

impl Memory {
    /// How much it is, whatever it tells.
    #[must_use]
    pub fn bytes(self) -> u64 {
        match self {
            Self::Peak(bytes) | Self::Now(bytes) => bytes,
        }
    }
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pids {
    /// How many there are.
    pub current: u64,
    /// How many there may be.
    pub limit: u64,
}

impl Pids {
    /// Whether there is hardly room for another one: an engine's init and helpers come and go.
    #[must_use]
    pub fn are_used_up(&self) -> bool {
        self.current.saturating_add(1) >= self.limit
    }
}

/// A disk, in bytes: the container's own file system and its anonymous volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// How much was written to it.
    pub used: u64,
    /// How much may be.
    pub allowed: u64,
}

impl Disk {
    /// Whether more was written than may be.
    #[must_use]
    pub fn is_exceeded(&self) -> bool {
        self.used > self.allowed
    }

    /// Whether it is full where the engine itself keeps more from being written: then the last blocks
    /// that would fit were not used.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.used >= self.allowed - self.allowed / 50
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_the_engine_bounds_is_full_a_little_before_its_end() {
        let disk = |used| Disk { used, allowed: 1000 };
        assert!(disk(1001).is_exceeded() && !disk(1000).is_exceeded());
        assert!(disk(980).is_full() && !disk(979).is_full());
    }

    #[test]
    fn processes_are_used_up_with_the_last_but_one() {
        let pids = |current| Pids { current, limit: 64 };
        assert!(pids(63).are_used_up() && pids(64).are_used_up() && !pids(62).are_used_up());
    }
}
