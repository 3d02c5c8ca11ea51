//! Being asked to stop while a container of ours may be there: by Ctrl-C, by SIGTERM, or by a terminal that goes.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the signals ask for.
#[derive(Clone, Debug, Default)]
pub(in crate::tools) struct Signals {
    asked: CancellationToken,
    again: CancellationToken,
}

impl Signals {
    /// From now on SIGINT, SIGTERM and SIGHUP no longer end the process but ask for it. Must be called inside a
    /// Tokio runtime.
    pub(in crate::tools) fn taken() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let signals = Self::default();
        let Self { asked, again } = signals.clone();
        tokio::spawn(async move {
            for token in [asked, again] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                token.cancel();
            }
        });
        Ok(signals)
    }

    /// Whether there was any by now.
    pub(in crate::tools) fn were_sent(&self) -> bool {
        self.asked.is_cancelled()
    }

    /// Waits for the first signal: stop, and leave nothing behind.
    pub(in crate::tools) async fn asked(&self) {
        self.asked.cancelled().await;
    }

    /// Waits for the second one: stop at once.
    pub(in crate::tools) async fn again(&self) {
        self.again.cancelled().await;
    }
}
