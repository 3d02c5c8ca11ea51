//! Being asked to read files again: SIGHUP.
//!
//! A process that has nothing to read again must not die of it either, where a person asks all of ours at
//! once; only with a terminal, where the signal says that the terminal is gone, it keeps its usual meaning.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// SIGHUPs, each time one comes; several that come at a time may count as one.
#[derive(Debug)]
pub struct HangUps(Signal);

impl HangUps {
    /// From now on SIGHUP no longer ends the process. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn taken() -> io::Result<Self> {
        signal(SignalKind::hangup()).map(Self)
    }

    /// Waits for the next one.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// Has SIGHUP do nothing but a line in the log, unless a person's terminal may send it.
///
/// # Errors
/// When the handler cannot be installed.
pub fn nothing_to_reload() -> io::Result<()> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    let mut hang_ups = HangUps::taken()?;
    tokio::spawn(async move {
        loop {
            hang_ups.next().await;
            info!("SIGHUP: there is nothing to read again (POLICY_FILE is not set, or this is no starter)");
        }
    });
    Ok(())
}
