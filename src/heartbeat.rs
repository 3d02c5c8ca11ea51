//! Heartbeats: what each loop and each job's task does or waits for, since when, and until when at the latest.
//!
//! A wedge cannot last. Three things see to that:
//!
//! - Every call to the outside says so here ([`waiting_for`]), with the time that it may take. It has that deadline
//!   itself; here it is known to others.
//! - The work on one job is [`bounded`]: where a call takes longer than it may, or nothing is called for
//!   [`OWN_WORK`], it is given up as if it had crashed there, and whoever started it has it done again.
//! - A loop ([`spawn`], [`Hearts::loop_of`]) is known to the process's [`Hearts`]. Idle is not stuck: stuck is a loop
//!   that waits for a call beyond its time, goes round more rarely than it said ([`beats_every`]), or is busy without
//!   ever waiting; dead is one that panicked or ended unasked. [`Hearts::watch`] logs both and ends the process for a
//!   loop that is dead or stuck for good: a half-dead process would renew its locks for ever.
//!
//! Which heart beats for whom is ambient, as a span of tracing is: adapters need not be told who calls them. A beat
//! costs two stores to an atomic and a look at the clock.

mod apart;
mod figures;
mod pulse;
mod standing;
mod vitals;
mod watch;
mod words;

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use apart::{Apart, Panicked, spawn_apart};
pub use figures::{metrics, tell_when_asked};
pub use pulse::{Beat, State};
pub use standing::{Standing, Standings, takes_no_work_yet, takes_work};
pub use vitals::{Gauge, Vital};
pub use watch::{LoopFailed, stop_if_blocked};

use pulse::Pulse;

/// How long the work on one job may go on between two calls to the outside: only the wait before a call is
/// repeated (two seconds) is longer than an instant.
pub const OWN_WORK: Duration = Duration::from_secs(10);
/// What is granted beyond a call's own deadline before it counts as stuck.
pub const MARGIN: Duration = Duration::from_secs(5);

/// The loops and vital signs of one process. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Hearts {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    loops: Mutex<Vec<Arc<Pulse>>>,
    gauges: vitals::Gauges,
    figures: figures::Figures,
    standings: tokio::sync::watch::Sender<Standings>,
    /// How often [`Hearts::watch`] went round: the executor runs tasks for as long as this grows.
    rounds: std::sync::atomic::AtomicU64,
}

tokio::task_local! {
    static HEARTS: Hearts;
    static PULSE: Arc<Pulse>;
}

impl Hearts {
    /// Runs a loop under a name, until it ends. Loops and gauges that it starts are known here too. That it
    /// ends is its owner's business.
    pub async fn loop_of<T>(&self, name: &str, work: impl Future<Output = T>) -> T {
        let pulse = self.register(name);
        HEARTS.scope(self.clone(), beating(pulse, None, work)).await
    }

    /// What each loop does now, in the order in which they were begun.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Beat> {
        let now = Instant::now();
        self.loops().iter().filter_map(|pulse| pulse.beat(now)).collect()
    }

    fn register(&self, name: &str) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse::of_loop(name));
        let mut loops = self.loops();
        loops.retain(|known| !known.has_ended_as_asked());
        loops.push(Arc::clone(&pulse));
        pulse
    }

    fn loops(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.inner.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a background loop of whoever calls this, under a name; it is aborted when the handle is dropped. It
/// is dead when it panics, or ends while nobody asked for it by `stop`.
pub fn spawn(
    name: &str,
    stop: &CancellationToken,
    work: impl Future<Output = ()> + Send + 'static,
) -> AbortOnDropHandle<()> {
    let hearts = HEARTS.try_with(Hearts::clone).unwrap_or_default();
    let pulse = hearts.register(name);
    let work = HEARTS.scope(hearts, beating(pulse, Some(stop.clone()), work));
    AbortOnDropHandle::new(tokio::spawn(work))
}

async fn beating<T>(pulse: Arc<Pulse>, stop: Option<CancellationToken>, work: impl Future<Output = T>) -> T {
    let end = EndOfLoop { pulse: Arc::clone(&pulse) };
    let done = {
        let mut work = std::pin::pin!(PULSE.scope(Arc::clone(&pulse), work));
        std::future::poll_fn(|context| {
            pulse.wakes();
            let polled = work.as_mut().poll(context);
            pulse.sleeps();
            polled
        })
        .await
    };
    if stop.is_some_and(|stop| !stop.is_cancelled()) {
        pulse.end(pulse::End::Unasked);
    }
    drop(end);
    done
}

/// Notes how a loop ended, a panic and an abort too.
struct EndOfLoop {
    pulse: Arc<Pulse>,
}

impl Drop for EndOfLoop {
    fn drop(&mut self) {
        self.pulse.end(if std::thread::panicking() { pulse::End::Panicked } else { pulse::End::AsAsked });
    }
}

/// The loop that calls this goes round at least so often from now on; rarer is stuck. (Zero: as it likes.)
pub fn beats_every(time: Duration) {
    let _ = PULSE.try_with(|pulse| pulse.beats_every(time));
}

/// The loop that calls this may wait for its next work for ever from now on.
pub fn may_rest() {
    beats_every(Duration::ZERO);
}

/// Whoever calls this waits for something outside, for as long as it holds what this gives back: for `at_most`,
/// the deadline that the call has itself. `words` say what it is, such as the name of a call.
///
/// (It wraps no future: a future within a future is stored twice, and of large ones that come and go a heap
/// with long-lived jobs between them never recovers.)
#[must_use]
pub fn waiting_for(words: &'static str, at_most: Duration) -> Waiting {
    let pulse = PULSE.try_with(|pulse| {
        pulse.waits(words, at_most);
        Arc::clone(pulse)
    });
    Waiting(pulse.ok())
}

/// A call that is waited for; dropped, it is over or given up.
#[derive(Debug)]
pub struct Waiting(Option<Arc<Pulse>>);

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(pulse) = &self.0 {
            pulse.is_over();
        }
    }
}

/// Work was given up since it made no headway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no headway for {} s: {}", .stood_for.as_secs(), told(*.waited_for, *.after))]
pub struct Stuck {
    /// The call that did not end, although it has a deadline of its own.
    pub waited_for: Option<&'static str>,
    /// Where it was no call: the last one before.
    pub after: Option<&'static str>,
    /// For how long it was waited.
    pub stood_for: Duration,
}

fn told(waited_for: Option<&str>, after: Option<&str>) -> String {
    match (waited_for, after) {
        (Some(call), _) => format!("waiting for `{call}`"),
        (None, Some(call)) => format!("in work of its own after `{call}`"),
        (None, None) => "in work of its own before any call".to_owned(),
    }
}

/// Does the work on one job, for as long as it makes headway: each call to the outside has the time that it was
/// given and [`MARGIN`], and there are at most [`OWN_WORK`] between two of them.
///
/// # Errors
/// It made no headway and was dropped where it stood.
///
/// The work is in a box of its own, so that the task around it is small.
pub fn bounded<'a, T: 'a>(
    work: impl Future<Output = T> + Send + 'a,
) -> impl Future<Output = Result<T, Stuck>> + Send + 'a {
    let work: Pin<Box<dyn Future<Output = T> + Send + 'a>> = Box::pin(work);
    async move {
        let pulse = Arc::new(Pulse::of_job());
        let work = PULSE.scope(Arc::clone(&pulse), work);
        tokio::select! {
            // What became ready is done, however late it is: a process that was stopped goes on.
            biased;
            done = work => Ok(done),
            stuck = standstill(&pulse) => Err(stuck),
        }
    }
}

async fn standstill(pulse: &Pulse) -> Stuck {
    loop {
        sleep_until(pulse.deadline()).await;
        if let Some(stuck) = pulse.stuck(Instant::now()) {
            return stuck;
        }
    }
}

#[cfg(test)]
mod tests;
