//! What is left of the machine that we share with an engine.
//!
//! Facts: statvfs(3) `f_bavail`, proc(5) `/proc/meminfo` `MemAvailable` (not `MemFree`: caches can be given up).

use std::path::Path;

/// Bytes that are free for anybody on the file system of a folder; nothing where that cannot be told. May wait for
/// the file system.
#[must_use]
pub fn free_disk(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    // Some file systems do not count.
    (found.f_blocks > 0).then(|| found.f_bavail.saturating_mul(found.f_frsize))
}

/// Bytes of memory that can be had; nothing where that cannot be told.
#[must_use]
pub fn free_memory() -> Option<u64> {
    available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_that_can_be_had_is_read() {
        let text = "MemTotal:       24682656 kB\nMemFree:          100 kB\nMemAvailable:   20480 kB\n";
        assert_eq!(available(text), Some(20 << 20));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(available("MemAvailable: x kB\n"), None);
        assert!(free_memory().is_some());
    }

    #[test]
    fn a_file_system_that_does_not_count_tells_nothing() {
        assert!(free_disk(Path::new("/")).is_some());
        assert_eq!((free_disk(Path::new("/proc")), free_disk(Path::new("/no/such/folder"))), (None, None));
    }
}
