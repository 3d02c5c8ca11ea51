//! Looking up names: one look-up for each name at a time, and some that no name can take whose servers do not answer.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::Semaphore;

/// Look-ups at once. The system's resolver blocks a thread for each and cannot be interrupted; a few names whose
/// servers do not answer must not take all threads.
const MOST: usize = 48;
/// So many more for names that had addresses before.
const RESERVE: usize = 16;
/// How many names are remembered that had addresses.
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
    known: HashSet<String>,
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
    fn with(resolver: Arc<Resolver>) -> Self {
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
        let task = tokio::spawn(self.clone().look_up(name.to_owned(), state.known.contains(name)));
        let lookup = async move { task.await.unwrap_or_else(|error| Err(told(&io::Error::other(error)))) };
        let lookup = lookup.boxed().shared();
        state.under_way.insert(name.to_owned(), lookup.clone());
        lookup
    }

    async fn look_up(self, name: String, is_known: bool) -> Found {
        let permit = if is_known {
            tokio::select! {
                biased;
                permit = self.open.acquire() => permit,
                permit = self.reserve.acquire() => permit,
            }
        } else {
            self.open.acquire().await
        };
        let found = (self.resolver)(name.clone()).await;
        drop(permit);
        let mut state = self.state();
        state.under_way.remove(&name);
        if found.as_ref().is_ok_and(|found| !found.is_empty()) {
            if state.known.len() >= REMEMBERED {
                state.known.clear();
            }
            state.known.insert(name);
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
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn names_that_hang_leave_look_ups_to_those_that_had_addresses_and_each_takes_one() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let lookups = Lookups::with(Arc::new(move |name: String| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                if name.starts_with("hangs") {
                    std::future::pending::<()>().await;
                }
                Ok(vec!["192.0.2.1".parse().expect("an address")])
            }
            .boxed()
        }));
        let wait = Duration::from_secs(5);
        assert_eq!(lookups.addresses("known").await.expect("found").len(), 1);
        // A hundred wait for one name: that is one look-up.
        let many = (0..100).map(|_| timeout(wait, lookups.addresses("hangs")));
        assert!(futures::future::join_all(many).await.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        let many: Vec<_> = (0..100).map(|number| format!("hangs-{number}")).collect();
        let many = many.iter().map(|name| timeout(wait, lookups.addresses(name)));
        assert!(futures::future::join_all(many).await.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::SeqCst), 1 + MOST, "no more threads are taken");
        assert!(timeout(wait, lookups.addresses("known")).await.is_ok_and(|found| found.is_ok()));
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
