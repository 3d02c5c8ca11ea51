//! Being asked to stop: SIGINT and SIGTERM, once for a graceful stop, twice for one at once.

use std::io;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long a graceful stop may take; what has not ended by then is cut off. What was in flight is then
/// recovered by others once its lock ends.
pub const GRACE: Duration = Duration::from_secs(5);

/// What the signals ask for.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Cancelled by the first signal: stop gracefully, within [`GRACE`].
    pub asked: CancellationToken,
    /// Cancelled by the second signal: stop at once.
    pub at_once: CancellationToken,
}

impl Stop {
    /// From now on SIGINT and SIGTERM no longer end the process but ask for it. Must be called inside a
    /// Tokio runtime.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let signals = stream::select(
            each(signal(SignalKind::interrupt())?, "SIGINT"),
            each(signal(SignalKind::terminate())?, "SIGTERM"),
        );
        let stop = Self::default();
        tokio::spawn(stop.clone().obey(signals));
        Ok(stop)
    }

    /// Follows the signals, given by name.
    async fn obey(self, signals: impl Stream<Item = &'static str>) {
        let mut signals = std::pin::pin!(signals);
        let Some(signal) = signals.next().await else { return };
        // Before it is logged: a log that blocks holds up no stop.
        self.asked.cancel();
        info!(signal, "{signal}: stopping; a second signal stops at once");
        let Some(signal) = signals.next().await else { return };
        self.at_once.cancel();
        warn!(signal, "{signal} again: stopping at once");
    }
}

/// The name of a signal, each time it comes.
fn each(signal: Signal, name: &'static str) -> impl Stream<Item = &'static str> + Unpin {
    Box::pin(stream::unfold(
        signal,
        move |mut signal| async move { signal.recv().await.map(|()| (name, signal)) },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_signal_nothing_is_asked() {
        let stop = Stop::default();
        stop.clone().obey(stream::empty()).await;
        assert!(!stop.asked.is_cancelled());
        assert!(!stop.at_once.is_cancelled());
    }

    #[tokio::test]
    async fn the_first_signal_asks_for_a_graceful_stop_only() {
        let stop = Stop::default();
        stop.clone().obey(stream::iter(["SIGTERM"])).await;
        assert!(stop.asked.is_cancelled());
        assert!(!stop.at_once.is_cancelled());
    }

    #[tokio::test]
    async fn the_second_signal_of_either_kind_asks_for_a_stop_at_once() {
        let stop = Stop::default();
        stop.clone().obey(stream::iter(["SIGINT", "SIGTERM"])).await;
        assert!(stop.asked.is_cancelled());
        assert!(stop.at_once.is_cancelled());
    }
}
