//! Looking up names: one look-up for each name at a time, and some that no name can take whose servers do not answer.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Look-ups at once. The system's resolver blocks a thread for each and cannot be interrupted; names whose servers do
/// not answer must not take all threads (of which the runtime has 512 by default).
const MOST: usize = 48;
/// So many more for names of which nobody knows that they take long.
const RESERVE: usize = 208;
/// What takes longer takes long.
const LONG: Duration = Duration::from_secs(1);
/// How many names are remembered that took long.
const REMEMBERED: usize = 10_000;

/// What a look-up brought; an error by its kind and its text, since many may want it.
type Found = Result<Vec<IpAddr>, (io::ErrorKind, String)>;
type Resolver = dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync;

/// Looks up names. Clones share the bounds.
#[derive(Clone)]
pub(super) struct Lookups {
    state: Arc<Mutex<State>>,
    open: Arc<Semaphore>,
    reserve: Arc<Semaphore>,
    resolver: Arc<Resolver>,
}

#[derive(Default)]
struct State {
    under_way: HashMap<String, Shared<BoxFuture<'static, Found>>>,
    take_long: HashSet<String>,
}

impl Default for Lookups {
    fn default() -> Self {
        Self::with(Arc::new(|name| {
            async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            }
            .boxed()
        }))
    }
}

impl Lookups {
    pub(super) fn with(resolver: Arc<Resolver>) -> Self {
        let (open, reserve) = (Arc::new(Semaphore::new(MOST)), Arc::new(Semaphore::new(RESERVE)));
        Self { state: Arc::default(), open, reserve, resolver }
    }

    /// The addresses of a name, as the system's resolver sorts them. Whoever asks while it is looked up gets the same.
    ///
    /// # Errors
    /// It has none, or that cannot be told now.
    pub async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.under_way(name).await;
        found.map_err(|(kind, text)| io::Error::new(kind, text))
    }

    fn under_way(&self, name: &str) -> Shared<BoxFuture<'static, Found>> {
        let mut state = self.state();
        if let Some(lookup) = state.under_way.get(name) {
            return lookup.clone();
        }
        // In a task of its own, which goes on until the resolver answers, wanted or not.
        let task = tokio::spawn(self.clone().look_up(name.to_owned(), state.take_long.contains(name)));
        let lookup = async move { task.await.unwrap_or_else(|error| Err(told(&io::Error::other(error)))) };
        let lookup = lookup.boxed().shared();
        state.under_way.insert(name.to_owned(), lookup.clone());
        lookup
    }

    async fn look_up(self, name: String, takes_long: bool) -> Found {
        let permit = if takes_long {
            self.open.acquire().await
        } else {
            tokio::select! {
                biased;
                permit = self.open.acquire() => permit,
                permit = self.reserve.acquire() => permit,
            }
        };
        let began = Instant::now();
        let found = (self.resolver)(name.clone()).await;
        drop(permit);
        let mut state = self.state();
        state.under_way.remove(&name);
        if began.elapsed() < LONG {
            state.take_long.remove(&name);
        } else {
            if state.take_long.len() >= REMEMBERED {
                state.take_long.clear();
            }
            state.take_long.insert(name);
        }
        found.map_err(|error| told(&error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(error: &io::Error) -> (io::ErrorKind, String) {
    (error.kind(), error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{sleep, timeout};

    use super::*;

    const HANGS: Duration = Duration::from_secs(20);
    const WAIT: Duration = Duration::from_secs(5);

    /// Names that begin with "hangs" have no address, which their servers say after long only.
    fn some_hang(asked: &Arc<AtomicUsize>) -> Lookups {
        let asked = Arc::clone(asked);
        Lookups::with(Arc::new(move |name: String| {
            asked.fetch_add(1, Ordering::SeqCst);
            async move {
                if name.starts_with("hangs") {
                    sleep(HANGS).await;
                    return Err(io::Error::other("no answer"));
                }
                Ok(vec!["192.0.2.1".parse().expect("an address")])
            }
            .boxed()
        }))
    }

    async fn all_hang(lookups: &Lookups, names: &[String]) {
        let many = names.iter().map(|name| timeout(WAIT, lookups.addresses(name)));
        assert!(futures::future::join_all(many).await.iter().all(Result::is_err));
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_hang_leave_look_ups_to_others_and_each_takes_one() {
        let asked = Arc::new(AtomicUsize::new(0));
        let lookups = some_hang(&asked);
        // A hundred wait for one name: that is one look-up.
        all_hang(&lookups, &vec!["hangs".to_owned(); 100]).await;
        assert_eq!(asked.swap(0, Ordering::SeqCst), 1);
        // Nobody knows them; nor is any other name known yet, as after a start.
        let names: Vec<_> = (0..150).map(|number| format!("hangs-{number}")).collect();
        all_hang(&lookups, &names).await;
        assert!(timeout(WAIT, lookups.addresses("good")).await.is_ok_and(|found| found.is_ok()));
        assert_eq!(asked.swap(0, Ordering::SeqCst), 150 + 1);
        // From then on they have their part of the threads and no more.
        sleep(HANGS * 2).await;
        all_hang(&lookups, &names).await;
        assert_eq!(asked.swap(0, Ordering::SeqCst), MOST);
        assert!(timeout(WAIT, lookups.addresses("another")).await.is_ok_and(|found| found.is_ok()));
    }

    #[tokio::test]
    async fn a_name_that_failed_is_looked_up_anew() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let lookups = Lookups::with(Arc::new(move |_| {
            let before = count.fetch_add(1, Ordering::SeqCst);
            async move {
                match before {
                    0 => Err(io::Error::other("not now")),
                    _ => Ok(vec!["192.0.2.1".parse().expect("an address")]),
                }
            }
            .boxed()
        }));
        let failed = lookups.addresses("name").await.expect_err("not now");
        assert_eq!(failed.to_string(), "not now");
        assert!(lookups.addresses("name").await.is_ok());
    }
}
