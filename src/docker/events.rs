//! The reconnecting event stream.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::connect::Engine;
use super::inbox::Notice;

/// The times of the event stream.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// How long one stream lives before the next takes over: that is how a dead peer is noticed.
    pub lifetime: Duration,
    /// How long before its end the next one is opened, and how long after it an end is waited for.
    pub overlap: Duration,
    /// The first wait after a break; it doubles with each failure, with full jitter.
    pub first_wait: Duration,
    /// The longest such wait.
    pub longest_wait: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(60),
            overlap: Duration::from_secs(5),
            first_wait: Duration::from_millis(50),
            longest_wait: Duration::from_secs(5),
        }
    }
}

/// The engine's events, read by a task of its own that does nothing but read.
pub struct Watch {}

impl Watch {
    /// Starts to read until `shutdown`, or until it is closed or dropped.
    #[must_use]
    pub fn start(engine: Engine, shutdown: CancellationToken) -> Self {
        Self::with_rhythm(engine, shutdown, Rhythm::default())
    }

    /// The same with other times.
    #[must_use]
    pub fn with_rhythm(engine: Engine, shutdown: CancellationToken, rhythm: Rhythm) -> Self {
        let _ = (engine, shutdown, rhythm);
        todo!()
    }

    /// Waits for the next notice. Cancel-safe. Once the reader was shut down it waits for ever.
    ///
    /// A replayed event is told once; even so a container may be reported twice, after a `Resync`.
    pub async fn next(&self) -> Notice {
        todo!()
    }

    /// Ends the reader.
    pub async fn close(self) {
        todo!()
    }
}
