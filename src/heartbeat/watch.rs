//! The watchdog: logs which loop is stuck or dead, says when the process is past help, logs its vital signs.

use std::collections::HashMap;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{debug, error, info};

use super::{Beat, Hearts, State, Vital};

/// How often the watchdog looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the vital signs are logged.
const SIGNS_EVERY: Duration = Duration::from_secs(10);
/// How long a loop, or the executor, may be stuck before the process is given up: its supervisor starts it
/// anew, and what it held is recovered by others when its locks end.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);
/// After so many looks without a round of the watchdog's task the executor is blocked.
const ROUNDS_MISSED: u32 = 5;

/// A loop without which the process is but half alive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoopFailed {
    /// It panicked; the log says where.
    #[error("the loop `{0}` panicked")]
    Panicked(String),
    /// It ended.
    #[error("the loop `{0}` ended without being asked to")]
    Ended(String),
    /// It is stuck, and its jobs' locks are renewed all the time.
    #[error("the loop `{name}` is stuck since {} s: {doing}", since.as_secs())]
    Stuck {
        /// The loop.
        name: String,
        /// What it waits for.
        doing: &'static str,
        /// For how long.
        since: Duration,
    },
}

impl Hearts {
    /// Watches the loops until one has failed: logs each that is stuck, and when it goes on; logs the vital
    /// signs at debug level. To be run by a task of the executor that runs the loops.
    pub async fn watch(&self) -> LoopFailed {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = Known::default();
        let mut signs_due = Instant::now() + SIGNS_EVERY;
        loop {
            looks.tick().await;
            self.inner.rounds.fetch_add(1, Ordering::Relaxed);
            if let Some(failed) = known.look(&self.snapshot()) {
                return failed;
            }
            if Instant::now() >= signs_due {
                signs_due = Instant::now() + SIGNS_EVERY;
                self.log_signs();
            }
        }
    }

    /// How often [`Hearts::watch`] went round: the executor runs tasks for as long as this grows.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.inner.rounds.load(Ordering::Relaxed)
    }

    /// The names of the fields are read by others: they stay as they are.
    fn log_signs(&self) {
        let of = |vital| self.inner.gauges.sum(vital);
        let tasks =
            tokio::runtime::Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks());
        debug!(
            tasks,
            loops = self.loops().len(),
            held = self.inner.gauges.sum_of(|vital| matches!(vital, Vital::Held(_))),
            effects = of(Vital::Effects),
            queued = of(Vital::Queued),
            parked = of(Vital::Parked),
            inbox = of(Vital::Inbox),
            removals = of(Vital::Removals),
            redis_calls = of(Vital::RedisCalls),
            dead_letters = of(Vital::DeadLetters),
            dead_letters_kept = of(Vital::DeadLettersKept),
            dead_letters_lost = of(Vital::DeadLettersLost),
            "vital signs"
        );
    }
}

/// What the watchdog saw before.
#[derive(Debug, Default)]
struct Known {
    stuck: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    looks: u32,
    logged: bool,
}

impl Known {
    /// Looks at all loops; the first that failed.
    fn look(&mut self, beats: &[Beat]) -> Option<LoopFailed> {
        let mut failed = None;
        let mut before = std::mem::take(&mut self.stuck);
        for beat in beats {
            let Beat { name, state, doing, since } = beat;
            match state {
                State::Working | State::Idle => {}
                State::Panicked => failed = failed.or_else(|| Some(LoopFailed::Panicked(name.clone()))),
                State::Ended => failed = failed.or_else(|| Some(LoopFailed::Ended(name.clone()))),
                State::Stuck => {
                    let mut seen = before.remove(name).unwrap_or(Seen { looks: 0, logged: false });
                    seen.looks += 1;
                    // The first look may be that of a process that was stopped and goes on just now.
                    if seen.looks > 1 && !seen.logged {
                        seen.logged = true;
                        let seconds = since.as_secs();
                        error!(
                            r#loop = name,
                            doing, seconds, "the loop `{name}` is stuck for {seconds} s: {doing}"
                        );
                    }
                    if LOOK_EVERY * seen.looks >= GIVEN_UP_AFTER {
                        let (name, since) = (name.clone(), *since);
                        failed = failed.or(Some(LoopFailed::Stuck { name, doing, since }));
                    }
                    self.stuck.insert(name.clone(), seen);
                }
            }
        }
        for (name, seen) in before {
            if seen.logged {
                info!(r#loop = name, "the loop `{name}` goes on");
            }
        }
        failed
    }
}

/// Watches, from a thread of its own, whether the executor runs tasks at all, and calls `give_up` where it has
/// not for half a minute. The thread ends with the hearts.
///
/// # Errors
/// There can be no further thread.
pub fn stop_if_blocked(hearts: &Hearts, give_up: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let inner = std::sync::Arc::downgrade(&hearts.inner);
    let rounds = move |inner: &Weak<super::Inner>| Some(inner.upgrade()?.rounds.load(Ordering::Relaxed));
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
        // A stopped process does not count its looks either.
        let (mut last, mut missed) = (0, 0_u32);
        loop {
            std::thread::sleep(LOOK_EVERY);
            let Some(now) = rounds(&inner) else { return };
            if now == 0 {
                continue; // nobody watches yet
            }
            if now != last {
                if missed >= ROUNDS_MISSED {
                    say(move || info!(seconds = missed, "the executor runs tasks again"));
                }
                (last, missed) = (now, 0);
                continue;
            }
            missed += 1;
            if missed == ROUNDS_MISSED {
                say(move || {
                    error!(seconds = missed, "the executor is blocked: for {missed} s it has run no task");
                });
            }
            if LOOK_EVERY * missed >= GIVEN_UP_AFTER {
                say(move || error!(seconds = missed, "the executor is blocked for good: the process ends"));
                std::thread::sleep(LOOK_EVERY);
                return give_up();
            }
        }
    })?;
    Ok(())
}

/// Logs from a thread of its own: it may be the log that blocks the executor, a pipe that nobody reads.
fn say(words: impl FnOnce() + Send + 'static) {
    let _ = std::thread::Builder::new().spawn(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(state: State) -> [Beat; 1] {
        [Beat { name: "l".to_owned(), state, doing: "take", since: Duration::from_secs(9) }]
    }

    #[test]
    fn a_stuck_loop_is_told_at_the_second_look_and_fails_after_half_a_minute() {
        let mut known = Known::default();
        for look in 1..30 {
            assert_eq!(known.look(&beat(State::Stuck)), None, "{look}");
            assert_eq!(known.stuck["l"].logged, look > 1);
        }
        assert!(matches!(known.look(&beat(State::Stuck)), Some(LoopFailed::Stuck { .. })));
    }

    #[test]
    fn a_loop_that_goes_on_is_well_again() {
        let mut known = Known::default();
        for _ in 0..29 {
            known.look(&beat(State::Stuck));
        }
        assert_eq!(known.look(&beat(State::Idle)), None);
        assert_eq!(known.look(&beat(State::Stuck)), None);
    }

    #[test]
    fn a_dead_loop_is_told_at_once() {
        let failed = Known::default().look(&beat(State::Panicked));
        assert_eq!(failed, Some(LoopFailed::Panicked("l".to_owned())));
        let failed = Known::default().look(&beat(State::Ended));
        assert_eq!(failed, Some(LoopFailed::Ended("l".to_owned())));
    }
}
