//! The beat of one loop or one job's task: written by it with an atomic or two, read by whoever watches.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{MARGIN, OWN_WORK, Stuck, words};

/// How long a loop may be busy without waiting for anything: longer is a wedge of a whole thread.
const BUSY: Duration = Duration::from_secs(5);

/// What a loop waits for while it waits for no call.
const BETWEEN_CALLS: &str = "something to do";

/// Milliseconds count from here.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What a loop does, for a log, a person or `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// The loop.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What it does or waits for, in words.
    pub doing: &'static str,
    /// For how long.
    pub since: Duration,
}

/// How a loop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works, or waits for a call that is within its time.
    Working,
    /// It waits for something to do.
    Idle,
    /// It waits for a call beyond its time, is more quiet than it said, or busy without end.
    Stuck,
    /// It panicked.
    Panicked,
    /// It ended although nobody asked it to.
    Ended,
}

impl State {
    /// Whether a process with such a loop is well.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Self::Working | Self::Idle)
    }
}

/// How a loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    AsAsked = 1,
    Unasked = 2,
    Panicked = 3,
}

/// What is written down of one loop or task. `quiet` and `name` are those of a loop.
#[derive(Debug)]
pub(super) struct Pulse {
    name: String,
    /// The words' number in the highest byte, below it since when (ms).
    doing: AtomicU64,
    /// Until when at the latest (ms); 0 = no call is waited for.
    until: AtomicU64,
    /// The words' number of the last call, plus one.
    last: AtomicU64,
    /// How long it may be between two calls or rounds (ms); 0 = for ever.
    quiet: AtomicU64,
    /// When a loop was last run by the executor (ms), times two; odd while it is.
    woken: AtomicU64,
    ended: AtomicU8,
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn now_ms(now: Instant) -> u64 {
    // Never 0: that is 'never'.
    ms(now.saturating_duration_since(*BEGINNING)) + 1
}

fn packed(words: &'static str, since: u64) -> u64 {
    u64::from(words::number_of(words)) << 56 | since
}

fn unpacked(doing: u64) -> (&'static str, u64) {
    (words::of((doing >> 56) as u8), doing & (u64::MAX >> 8))
}

impl Pulse {
    pub fn of_loop(name: &str) -> Self {
        Self::new(name.to_owned(), BETWEEN_CALLS, 0)
    }

    pub fn of_job() -> Self {
        Self::new(String::new(), BETWEEN_CALLS, ms(OWN_WORK))
    }

    fn new(name: String, doing: &'static str, quiet: u64) -> Self {
        let now = now_ms(Instant::now());
        Self {
            name,
            doing: AtomicU64::new(packed(doing, now)),
            until: AtomicU64::new(0),
            last: AtomicU64::new(0),
            quiet: AtomicU64::new(quiet),
            woken: AtomicU64::new(now * 2),
            ended: AtomicU8::new(0),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A loop goes round at least so often.
    pub fn beats_every(&self, time: Duration) {
        self.quiet.store(ms(time), Ordering::Relaxed);
    }

    /// It waits for a call.
    pub fn waits(&self, call: &'static str, at_most: Duration) {
        let now = now_ms(Instant::now());
        self.doing.store(packed(call, now), Ordering::Relaxed);
        self.until.store(now + ms(at_most), Ordering::Relaxed);
        self.last.store(u64::from(words::number_of(call)) + 1, Ordering::Relaxed);
    }

    /// The call is over.
    pub fn is_over(&self) {
        self.until.store(0, Ordering::Relaxed);
        self.doing.store(packed(BETWEEN_CALLS, now_ms(Instant::now())), Ordering::Relaxed);
    }

    /// The executor runs it.
    pub fn wakes(&self) {
        self.woken.store(now_ms(Instant::now()) * 2 + 1, Ordering::Relaxed);
    }

    /// The executor ran it.
    pub fn sleeps(&self) {
        self.woken.fetch_and(!1, Ordering::Relaxed);
    }

    /// It ended; the first word on how counts.
    pub fn end(&self, how: End) {
        let _ = self.ended.compare_exchange(0, how as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    pub fn has_ended_as_asked(&self) -> bool {
        self.ended.load(Ordering::Acquire) == End::AsAsked as u8
    }

    /// When a job's task is stuck unless it says something before.
    pub fn deadline(&self) -> Instant {
        *BEGINNING + Duration::from_millis(self.deadline_ms())
    }

    fn deadline_ms(&self) -> u64 {
        match self.until.load(Ordering::Relaxed) {
            0 => unpacked(self.doing.load(Ordering::Relaxed)).1 + self.quiet.load(Ordering::Relaxed),
            until => until + ms(MARGIN),
        }
    }

    /// What a job's task is stuck with, if it is.
    pub fn stuck(&self, now: Instant) -> Option<Stuck> {
        let now = now_ms(now);
        if now < self.deadline_ms() {
            return None;
        }
        let (doing, since) = unpacked(self.doing.load(Ordering::Relaxed));
        let waits = self.until.load(Ordering::Relaxed) != 0;
        let after = match self.last.load(Ordering::Relaxed) {
            0 => None,
            last => u8::try_from(last - 1).ok().map(words::of),
        };
        let stood_for = Duration::from_millis(now - since);
        Some(Stuck { waited_for: waits.then_some(doing), after: after.filter(|_| !waits), stood_for })
    }

    /// What a loop does; `None` once it ended as it was asked to.
    pub fn beat(&self, now: Instant) -> Option<Beat> {
        let now = now_ms(now);
        let (mut doing, mut since) = unpacked(self.doing.load(Ordering::Relaxed));
        let (until, quiet) = (self.until.load(Ordering::Relaxed), self.quiet.load(Ordering::Relaxed));
        let woken = self.woken.load(Ordering::Relaxed);
        let (running, woken) = (woken & 1 == 1, woken / 2);
        let state = match self.ended.load(Ordering::Acquire) {
            0 if running => {
                // Told by the clock of its last run: a call that it waited for may be long over.
                (doing, since) = ("its own work, without ever waiting", woken);
                if now > woken + ms(BUSY) { State::Stuck } else { State::Working }
            }
            0 if until > 0 => {
                if now > until + ms(MARGIN) {
                    State::Stuck
                } else {
                    State::Working
                }
            }
            0 => {
                since = since.max(woken);
                if quiet > 0 && now > woken + quiet + ms(MARGIN) { State::Stuck } else { State::Idle }
            }
            end if end == End::AsAsked as u8 => return None,
            end if end == End::Panicked as u8 => State::Panicked,
            _ => State::Ended,
        };
        let since = Duration::from_millis(now.saturating_sub(since));
        Some(Beat { name: self.name.clone(), state, doing, since })
    }
}
