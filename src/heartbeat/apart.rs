//! A loop on a thread of its own, for what must not wait until the executor has time for it.

use std::io;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{HEARTS, Hearts, beating};

/// A loop that runs on a thread of its own until it is asked to stop.
#[derive(Debug)]
pub struct Apart {
    ended: oneshot::Receiver<()>,
}

/// A loop that runs apart failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

impl Apart {
    /// Waits until the loop has ended; it does so only once it was asked to.
    ///
    /// # Errors
    /// It panicked.
    pub async fn join(self) -> Result<(), Panicked> {
        self.ended.await.map_err(|_| Panicked)
    }
}

/// As [`spawn`](super::spawn), on a thread of its own with an executor for it alone: what the loop opens is driven
/// there too, so that it is served at once however much the process has to do. Ended by `stop` alone.
///
/// # Errors
/// The system grants no thread, or no file for its executor.
pub fn spawn_apart(
    name: &str,
    stop: &CancellationToken,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Apart> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let hearts = HEARTS.try_with(Hearts::clone).unwrap_or_default();
    let pulse = hearts.register(name);
    let (stop, (tell, ended)) = (stop.clone(), oneshot::channel());
    let work = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = HEARTS.scope(hearts, beating(pulse, Some(stop.clone()), work)) => {}
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        runtime.block_on(work);
        let _ = tell.send(());
    })?;
    Ok(Apart { ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeat::State;

    fn state(hearts: &Hearts) -> Vec<State> {
        hearts.snapshot().into_iter().map(|beat| beat.state).collect()
    }

    #[tokio::test]
    async fn it_runs_while_the_executor_of_its_owner_is_busy_and_ends_when_asked() {
        let (hearts, stop) = (Hearts::default(), CancellationToken::new());
        let (tell, told) = std::sync::mpsc::channel();
        let apart = hearts.loop_of("owner", async {
            spawn_apart("apart", &stop, async move {
                let _ = tell.send(std::thread::current().name().map(str::to_owned));
                std::future::pending::<()>().await;
            })
        });
        let apart = apart.await.unwrap();
        // This blocks the only thread of the test's executor.
        assert_eq!(told.recv().unwrap().as_deref(), Some("apart"));
        stop.cancel();
        assert_eq!(apart.join().await, Ok(()));
    }

    #[tokio::test]
    async fn its_panic_is_known_to_the_hearts_and_to_its_owner() {
        let (hearts, stop) = (Hearts::default(), CancellationToken::new());
        let apart =
            hearts.loop_of("owner", async { spawn_apart("apart", &stop, async { panic!("on purpose") }) });
        assert_eq!(apart.await.unwrap().join().await, Err(Panicked));
        assert!(state(&hearts).contains(&State::Panicked), "{:?}", hearts.snapshot());
    }
}
