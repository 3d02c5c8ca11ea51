//! Whether the Docker host has room for another container: disk where the engine keeps its files, and memory.
//!
//! Known only where the engine is one of this machine (a Unix socket) and its folder can be seen from here. An
//! engine that says that its disk is full is believed for a while, wherever it is.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use crate::config::{Endpoint, StarterSettings};
use crate::docker::{free_disk, free_memory};
use crate::heartbeat;
use crate::metrics::{Metrics, Resource};

/// How long an engine is believed that its disk is full: at first, and at the longest.
const FULL_FOR: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// Something of which there is too little.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// Room on the engine's disk.
    Disk {
        /// Where.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be.
        least: u64,
    },
    /// Memory.
    Memory {
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be.
        least: u64,
    },
    /// Room on the engine's disk, as the engine says.
    Refused,
}

/// The host of the engine.
#[derive(Debug)]
pub struct Host {
    is_ours: bool,
    least_disk: Option<u64>,
    least_memory: Option<u64>,
    seen: Mutex<Seen>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Seen {
    root: Option<PathBuf>,
    /// How often in a row the engine said that its disk is full, and until when it is believed.
    refused: u32,
    refused_until: Option<Instant>,
    short: Option<Shortage>,
}

impl Host {
    /// What is to be watched. `root` = where the engine says that it keeps its files.
    #[must_use]
    pub fn new(settings: &StarterSettings, root: Option<PathBuf>) -> Self {
        let is_ours = matches!(settings.docker.endpoint, Endpoint::Unix(_));
        let (least_disk, least_memory) = (settings.min_free_disk, settings.min_free_memory);
        if !is_ours && (least_disk.is_some() || least_memory.is_some()) {
            debug!(
                "MIN_FREE_DISK and MIN_FREE_MEMORY count for nothing: the Docker engine is not on this machine"
            );
        }
        if is_ours && least_disk.is_some() && root.as_deref().and_then(free_disk).is_none() {
            debug!(root = ?root, "MIN_FREE_DISK counts for nothing: the Docker engine's folder cannot be seen from here");
        }
        let seen = Mutex::new(Seen { root, ..Seen::default() });
        Self { is_ours, least_disk, least_memory, seen, metrics: heartbeat::metrics() }
    }

    /// Whether a look asks the file system, and may take its time.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.is_ours && (self.least_disk.is_some() || self.least_memory.is_some())
    }

    /// The engine says where it keeps its files.
    pub fn set_root(&self, root: Option<PathBuf>) {
        self.seen().root = root;
    }

    /// Where the engine says that it keeps its files.
    #[must_use]
    pub fn root(&self) -> Option<PathBuf> {
        self.seen().root.clone()
    }

    /// The engine says that its disk is full.
    pub fn refused(&self, now: Instant) {
        let mut seen = self.seen();
        // Those that were under way at once count once.
        if seen.refused_until.is_none_or(|until| until <= now) {
            let time = FULL_FOR.0.saturating_mul(1 << seen.refused.min(8)).min(FULL_FOR.1);
            seen.refused += 1;
            seen.refused_until = Some(now + time);
        }
    }

    /// A container was started.
    pub fn accepted(&self) {
        let mut seen = self.seen();
        (seen.refused, seen.refused_until) = (0, None);
    }

    /// Looks. What is short stays so until there is a tenth more than has to be.
    ///
    /// Where [`Host::is_asked`], not for the executor's own threads.
    #[must_use]
    pub fn look(&self, now: Instant) -> Option<Shortage> {
        let (root, was_short, refused) = {
            let seen = self.seen();
            (seen.root.clone(), seen.short.is_some(), seen.refused_until.is_some_and(|until| now < until))
        };
        let enough =
            |free: u64, least: u64| free >= if was_short { least.saturating_add(least / 10) } else { least };
        let disk = || {
            let (path, least) = (root?, self.least_disk?);
            let free = free_disk(&path)?;
            self.metrics.host_free.of(Resource::Disk).count(free);
            (!enough(free, least)).then_some(Shortage::Disk { path, free, least })
        };
        let memory = || {
            let least = self.least_memory?;
            let free = free_memory()?;
            self.metrics.host_free.of(Resource::Memory).count(free);
            (!enough(free, least)).then_some(Shortage::Memory { free, least })
        };
        let refused = refused.then_some(Shortage::Refused);
        let short = if self.is_ours { disk().or_else(memory).or(refused) } else { refused };
        self.seen().short.clone_from(&short);
        short
    }

    /// Of what there was too little at the last look.
    #[must_use]
    pub fn shortage(&self) -> Option<Shortage> {
        self.seen().short.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shortage {
    /// What there is too little of.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Disk { .. } | Self::Refused => Resource::Disk,
            Self::Memory { .. } => Resource::Memory,
        }
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { path, free, least } => write!(
                formatter,
                "only {} are free in {}, and MIN_FREE_DISK is {}",
                Bytes(*free),
                path.display(),
                Bytes(*least)
            ),
            Self::Memory { free, least } => write!(
                formatter,
                "only {} of memory are free, and MIN_FREE_MEMORY is {}",
                Bytes(*free),
                Bytes(*least)
            ),
            Self::Refused => formatter.write_str("the Docker engine says that its disk is full"),
        }
    }
}

/// Bytes as a person reads them.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::cast_precision_loss, reason = "for a person to read")]
        let in_unit = |shift: u32| self.0 as f64 / f64::from(1_u32 << shift);
        match self.0 {
            bytes if bytes >= 1 << 30 => write!(formatter, "{:.1} GiB", in_unit(30)),
            bytes if bytes >= 1 << 20 => write!(formatter, "{:.0} MiB", in_unit(20)),
            bytes => write!(formatter, "{bytes} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn host(least_disk: Option<u64>, least_memory: Option<u64>, root: &str) -> Host {
        let seen = Mutex::new(Seen { root: Some(root.into()), ..Seen::default() });
        Host { is_ours: true, least_disk, least_memory, seen, metrics: Metrics::default() }
    }

    #[tokio::test]
    async fn too_little_disk_and_too_little_memory_are_told_with_numbers() {
        let now = Instant::now();
        assert_eq!(host(Some(1), Some(1), "/").look(now), None);
        let short = host(Some(1 << 60), None, "/").look(now).expect("no disk is so large");
        assert!(matches!(&short, Shortage::Disk { least, .. } if *least == 1 << 60), "{short:?}");
        assert!(short.to_string().contains("MIN_FREE_DISK is 1073741824.0 GiB"), "{short}");
        let short = host(None, Some(1 << 60), "/").look(now).expect("no memory is so large");
        assert!(short.to_string().contains("MIN_FREE_MEMORY"), "{short}");
        assert_eq!(host(Some(1 << 60), None, "/no/such/folder").look(now), None, "nothing is known");
        assert_eq!(host(Some(1 << 60), None, "/proc").look(now), None, "it does not count");
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_says_that_it_is_full_is_believed_for_longer_each_time_until_it_takes_something() {
        let host = host(None, None, "/");
        let begun = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let refused = Instant::now();
            for _ in 0..8 {
                host.refused(refused);
            }
            while host.look(Instant::now()).is_some() {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            pauses.push(refused.elapsed().as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        host.accepted();
        assert_eq!(host.look(Instant::now()), None);
        host.refused(Instant::now());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(host.look(Instant::now()), None, "{:?}", begun.elapsed());
    }

    #[test]
    fn what_is_short_stays_so_until_there_is_a_tenth_more() {
        let free = free_disk(Path::new("/")).expect("a file system that counts");
        let host = host(Some(free - free / 20), None, "/");
        let now = Instant::now();
        assert_eq!(host.look(now), None);
        host.seen().short = Some(Shortage::Refused);
        assert!(host.look(now).is_some());
    }
}
