//! The reconnecting event stream.
//!
//! Its loop only reads, on a thread and over connections of its own: a slow reader makes the engine stall and lose
//! events. A stream lives for a minute
//! (`until`), and the next one is opened before it ends and read beside it, so that nothing falls between
//! them (the engine repeats its last 256 events at most) and a peer that died without a word is noticed.
//! Whatever breaks a stream is told at once; the next one begins before the last event and with a `Resync`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, OptionFuture};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connect::Engine;
use super::error::{Call, EngineError};
use super::event::{ACTIONS, Event, decode};
use super::inbox::{Inbox, Notice, Outage};
use super::lines::{LONGEST, Lines, TooLong};
use super::replays::{OVERLAP, Replays, back};
use super::transport::told;
use crate::backoff::Backoff;
use crate::heartbeat::{self, Apart};

/// How far back the very first stream begins.
const FIRST_OVERLAP: SignedDuration = SignedDuration::from_secs(10);

/// The times of the event stream.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// How long one stream lives before the next takes over: that is how a dead peer is noticed.
    pub lifetime: Duration,
    /// How long before its end the next one is opened, and how long after it an end is waited for.
    pub overlap: Duration,
    /// The first wait after a break; it doubles with each failure, with full jitter.
    pub first_wait: Duration,
    /// The longest such wait, and how long a stream must last for the first wait to be due again: one that
    /// brings an event and breaks over it each time is no healthier than one that cannot be opened.
    pub longest_wait: Duration,
}

/// The engine's events, read by a thread of its own that does nothing but read.
pub struct Watch {
    inbox: Arc<Inbox>,
    reader: Apart,
    stop: DropGuard,
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

impl Watch {
    /// Starts to read until `shutdown`, or until it is closed or dropped. The engine is reached over connections
    /// that are not those of `engine`.
    ///
    /// # Errors
    /// The system grants no thread for it.
    pub fn start(engine: &Engine, shutdown: &CancellationToken) -> io::Result<Self> {
        Self::with_rhythm(engine, shutdown, Rhythm::default())
    }

    /// The same with other times.
    ///
    /// # Errors
    /// The system grants no thread for it.
    pub fn with_rhythm(engine: &Engine, shutdown: &CancellationToken, rhythm: Rhythm) -> io::Result<Self> {
        let engine = engine.apart();
        let (inbox, stop) = (Arc::new(Inbox::default()), shutdown.child_token());
        let reader = Reader { engine, inbox: Arc::clone(&inbox), rhythm, replays: Replays::default() };
        let reader = heartbeat::spawn_apart("events of the engine", &stop, reader.run())?;
        Ok(Self { inbox, reader, stop: stop.drop_guard() })
    }

    /// Waits for the next notice. Cancel-safe. Once the reader was shut down it waits for ever.
    ///
    /// What a stream repeats is told once. A container can still be reported twice, since `Resync` means
    /// to look at it.
    pub async fn next(&self) -> Notice {
        self.inbox.take().await
    }

    /// Ends the reader.
    pub async fn close(self) {
        drop(self.stop);
        if let Err(error) = self.reader.join().await {
            tracing::error!(%error, "the reader of the engine's events failed");
        }
    }
}

struct Reader {
    engine: Engine,
    inbox: Arc<Inbox>,
    rhythm: Rhythm,
    replays: Replays,
}

/// One open stream.
struct Stream {
    body: Incoming,
    lines: Lines,
    /// When it was opened, on the daemon's clock.
    opened: Timestamp,
    /// When the next one is to be opened, and when it should long have ended by itself.
    rotate: Instant,
    overdue: Instant,
    /// The last event that came through it.
    last: Option<Timestamp>,
}

/// What came through a stream.
#[derive(Debug)]
enum Heard {
    Event(Event),
    /// An event that means nothing to us.
    Nothing,
    /// An event that is too long to be read.
    TooLong,
}

/// Why a stream is no more.
#[derive(Debug, thiserror::Error)]
enum Break {
    #[error("it ended")]
    Ended,
    #[error("it broke: {0}")]
    Broke(String),
    #[error("the engine fell silent")]
    Silent,
}

type Opening = BoxFuture<'static, Result<Stream, EngineError>>;

impl Reader {
    async fn run(mut self) {
        let mut backoff = Backoff::new(self.rhythm.first_wait, self.rhythm.longest_wait);
        // A stream ends, or is followed by the next, within its lifetime; there is no longer wait.
        heartbeat::beats_every(self.rhythm.lifetime + self.rhythm.overlap + self.rhythm.longest_wait);
        let mut working_until = None;
        let mut reported = None;
        let begin = back(self.engine.now(), FIRST_OVERLAP);
        let metrics = self.engine.metrics().clone();
        metrics.event_stream_up.flag(false);
        loop {
            match self.opening(begin).await {
                Ok(stream) => {
                    let outage = working_until.map(|from| Outage { from, to: stream.opened });
                    let away_since = outage.map(|outage| outage.from.to_string());
                    tracing::info!(away_since, "following the engine's events");
                    self.inbox.resync(outage);
                    metrics.event_stream_up.flag(true);
                    metrics.event_reconnects.add(u64::from(outage.is_some()));
                    let opened = Instant::now();
                    let (reason, until) = self.follow(stream).await;
                    self.inbox.broke(until);
                    metrics.event_stream_up.flag(false);
                    tracing::warn!(%reason, "the stream of the engine's events is gone; opening it again");
                    working_until = Some(until);
                    reported = None;
                    if opened.elapsed() >= self.rhythm.longest_wait {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if reported.as_ref() != Some(&text) {
                        tracing::warn!(%error, "the engine's events cannot be followed; trying again");
                        reported = Some(text);
                    }
                }
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    /// Reads a stream and its successors until there is none: why, and when it last worked.
    async fn follow(&mut self, stream: Stream) -> (Break, Timestamp) {
        let mut current = stream;
        let mut old: Option<Stream> = None;
        let mut opening: Option<Opening> = None;
        loop {
            // Where opening the next one failed it is tried again at `rotate`, which moves.
            if opening.is_none() && Instant::now() >= current.rotate {
                opening = Some(self.opening(current.opened));
            }
            let rotate = current.rotate;
            tokio::select! {
                heard = current.next() => match heard {
                    Ok(heard) => self.tell(heard, current.opened),
                    Err(reason) => return (reason, current.worked()),
                },
                Some(heard) = OptionFuture::from(old.as_mut().map(Stream::next)) => match heard {
                    Ok(heard) => self.tell(heard, current.opened),
                    Err(reason) => if let Some(ended) = old.take() {
                        self.superseded(&ended, &reason, &current);
                    },
                },
                Some(next) = OptionFuture::from(opening.as_mut()) => {
                    opening = None;
                    match next {
                        Ok(next) => old = Some(std::mem::replace(&mut current, next)),
                        Err(error) => {
                            tracing::debug!(%error, "the next stream of events cannot be opened yet");
                            current.rotate = Instant::now() + self.rhythm.overlap / 10;
                        }
                    }
                },
                () = tokio::time::sleep_until(rotate), if opening.is_none() => {}
            }
        }
    }

    fn tell(&mut self, heard: Heard, opened: Timestamp) {
        match heard {
            Heard::Event(event) if self.replays.is_new(&event) => {
                self.count(&event, opened);
                self.inbox.put(event);
            }
            Heard::Event(_) | Heard::Nothing => {}
            Heard::TooLong => {
                tracing::warn!(bytes = LONGEST, "an event is too long to be read: looking at all instead");
                self.inbox.resync(None);
            }
        }
    }

    fn count(&self, event: &Event, opened: Timestamp) {
        let metrics = self.engine.metrics();
        metrics.events.of(event.kind()).one();
        // What a stream repeats of the time before it is late by its nature.
        if event.at >= opened {
            let lag = self.engine.now().duration_since(event.at);
            metrics.event_lag.took(Duration::try_from(lag).unwrap_or_default());
        }
    }

    /// An old stream is gone whose successor is open. If it did not end as it was told to, events of the
    /// time before the successor may be lost.
    fn superseded(&self, old: &Stream, reason: &Break, current: &Stream) {
        let seamless = matches!(reason, Break::Ended) || old.last >= Some(current.opened);
        if !seamless {
            tracing::warn!(%reason, "an old stream of events is gone too early");
            self.inbox.resync(Some(Outage { from: old.worked(), to: current.opened }));
        }
    }

    /// Opens a stream that begins before the last event (before there was any, at `begin`).
    fn opening(&self, begin: Timestamp) -> Opening {
        let (engine, rhythm) = (self.engine.clone(), self.rhythm);
        let last = self.replays.newest();
        async move {
            let since = seconds(last.map_or(begin, |last| back(last, OVERLAP)));
            let limit = engine.timeout();
            engine
                .within(Call::Events, limit, async {
                    // First contact: the daemon's clock becomes known.
                    engine.spoken().await?;
                    let asked = Instant::now();
                    let lifetime = SignedDuration::try_from(rhythm.lifetime).unwrap_or(SignedDuration::MAX);
                    let until = seconds(engine.now().checked_add(lifetime).unwrap_or(Timestamp::MAX));
                    let filters = serde_json::json!({ "type": ["container"], "event": ACTIONS }).to_string();
                    let query = [("since", since.as_str()), ("until", &until), ("filters", &filters)];
                    let answer = engine.get(Call::Events, "/events", &query).await?;
                    Ok(Stream {
                        body: answer.into_body(),
                        lines: Lines::default(),
                        opened: engine.now(),
                        rotate: asked + rhythm.lifetime.saturating_sub(rhythm.overlap),
                        overdue: asked + rhythm.lifetime + rhythm.overlap,
                        last: None,
                    })
                })
                .await
        }
        .boxed()
    }
}

impl Stream {
    /// When it was last known to work.
    fn worked(&self) -> Timestamp {
        self.last.map_or(self.opened, |last| last.max(self.opened))
    }

    /// What comes next. Cancel-safe.
    async fn next(&mut self) -> Result<Heard, Break> {
        loop {
            match self.lines.next_line() {
                Err(TooLong) => return Ok(Heard::TooLong),
                Ok(Some(line)) => {
                    let event = decode(&line).map_err(|error| Break::Broke(error.to_string()))?;
                    let Some(event) = event else { return Ok(Heard::Nothing) };
                    self.last = self.last.max(Some(event.at));
                    return Ok(Heard::Event(event));
                }
                Ok(None) => {}
            }
            match tokio::time::timeout_at(self.overdue, self.body.frame()).await {
                Err(_) => return Err(Break::Silent),
                Ok(None) => return Err(Break::Ended),
                Ok(Some(Err(error))) => return Err(Break::Broke(told(&error))),
                Ok(Some(Ok(frame))) => self.lines.push(frame.data_ref().map_or(&[][..], |bytes| bytes)),
            }
        }
    }
}

/// A moment as the engine reads it: seconds and nanoseconds of Unix time.
fn seconds(moment: Timestamp) -> String {
    format!("{}.{:09}", moment.as_second().max(0), moment.subsec_nanosecond().max(0))
}
