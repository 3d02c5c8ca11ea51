//! How well the readers of the event streams keep up where very many containers end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UnixStream;

use super::SimulatedEngine;

/// Bytes that a connection takes before its reader has read them, where lag is measured: the kernel gives twice
/// that, hyper has 8 KiB more. Some twenty events are between the measured place and the reader.
const BUFFER: usize = 4 * 1024;

/// How many containers end before others may do anything, where many end.
const ENDED_TOGETHER: usize = 20;

/// The longest time that an event waited to be taken by a stream's connection, because its reader had not read
/// what came before (or because the engine itself had no processor to write it).
#[derive(Debug, Default)]
pub struct Reading(AtomicU64);

impl Reading {
    /// An event that happened then is taken by a connection now.
    pub fn taken(&self, happened: Instant) {
        let waited = u64::try_from(happened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(waited, Ordering::Relaxed);
    }

    /// The longest since the last call, in nanoseconds.
    pub fn longest(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Lets a connection take so little ahead of its reader that a slow one is noticed at once.
pub fn narrow(stream: &UnixStream) {
    let _ = socket2::SockRef::from(stream).set_send_buffer_size(BUFFER);
}

impl SimulatedEngine {
    /// The longest time since the last call that an event waited for its stream's reader, in nanoseconds.
    pub fn longest_unread(&self) -> u64 {
        self.shared.reading.longest()
    }

    /// Ends every running container, evenly within a time.
    pub async fn end_all_within(&self, time: Duration, exit_code: i64) {
        let ids: Vec<String> = self.shared.world().containers.keys().cloned().collect();
        let pieces = u32::try_from(ids.len().div_ceil(ENDED_TOGETHER)).unwrap_or(u32::MAX).max(1);
        let mut due = tokio::time::Instant::now();
        for some in ids.chunks(ENDED_TOGETHER) {
            tokio::time::sleep_until(due).await;
            due += time / pieces;
            for id in some {
                self.alter(|world| world.end(id, None, exit_code));
            }
            tokio::task::yield_now().await;
        }
    }
}
