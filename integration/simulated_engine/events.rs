//! The events of the simulated engine: a ring of the last 256, and a queue of its own for every stream.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::container::Identity;
use super::query::Filters;

/// How many events Docker remembers, of all kinds together.
const REMEMBERED: usize = 256;

/// Whose events these look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// `status`, `id` and `from` beside `Action` and `Actor`.
    #[default]
    Docker20,
    /// Only `Type`, `Action` and `Actor`; die tells `execDuration`.
    Docker29,
    /// `died` with `containerExitCode`.
    Podman,
}

/// Something that happened to a container.
#[derive(Debug)]
pub struct Event {
    /// `create`, `start`, `die`, `kill`, `oom`, `destroy`, …
    pub action: &'static str,
    /// To whom.
    pub container: Arc<Identity>,
    /// One more attribute, e.g. `exitCode`.
    pub extra: Option<(&'static str, String)>,
    /// Nanoseconds of Unix time on the engine's clock.
    pub time: i128,
    shape: Shape,
    line: OnceLock<Bytes>,
}

impl Event {
    /// The event as a line of the stream.
    pub fn line(&self) -> Bytes {
        self.line.get_or_init(|| Bytes::from(self.render())).clone()
    }

    fn render(&self) -> String {
        let who = &*self.container;
        let podman = self.shape == Shape::Podman;
        let action = if podman && self.action == "die" { "died" } else { self.action };
        let mut attributes: BTreeMap<&str, &str> =
            who.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        attributes.insert("image", &who.image);
        attributes.insert("name", &who.name);
        if let Some((key, value)) = &self.extra {
            let key = if podman && *key == "exitCode" { "containerExitCode" } else { key };
            attributes.insert(key, value);
        }
        if self.shape == Shape::Docker29 && self.action == "die" {
            attributes.insert("execDuration", "0");
        }
        let text = |value: &str| serde_json::to_string(value).unwrap_or_default();
        let mut line = String::with_capacity(512);
        line.push('{');
        if self.shape != Shape::Docker29 {
            let _ = write!(line, r#""status":"{action}","id":"{}","from":{},"#, who.id, text(&who.image));
        }
        let _ = writeln!(
            line,
            r#""Type":"container","Action":"{action}","Actor":{{"ID":"{}","Attributes":{}}},"scope":"local","time":{},"timeNano":{}}}"#,
            who.id,
            serde_json::to_string(&attributes).unwrap_or_default(),
            self.time / 1_000_000_000,
            self.time,
        );
        line
    }

    fn passes(&self, filters: &Filters) -> bool {
        let who = &*self.container;
        let action = if self.shape == Shape::Podman && self.action == "die" { "died" } else { self.action };
        filters.allows("type", |wanted| wanted == "container")
            && filters.allows("event", |wanted| wanted == action || wanted == self.action)
            && filters.allows("container", |wanted| wanted == who.id || wanted == who.name)
            && filters.allows("image", |wanted| wanted == who.image)
            && filters.allows_labels(&who.labels)
    }
}

/// What a stream is told to do.
#[derive(Debug)]
pub enum Feed {
    /// Send this line.
    Line(Bytes),
    /// End as a response ends.
    End,
    /// Break the connection.
    Break,
}

/// Something for a stream, and when it happened.
pub type Fed = (Instant, Feed);

/// How streams are ended by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As a response ends.
    Clean,
    /// The connection breaks.
    Broken,
    /// Half a line is sent, then the response ends.
    MidLine,
}

/// What happens to events that are to be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Open streams miss them; the ring has them.
    Streams,
    /// Nobody ever sees them.
    Everywhere,
}

struct Stream {
    filters: Filters,
    feed: UnboundedSender<Fed>,
}

/// The events of one engine.
#[derive(Default)]
pub struct EventLog {
    ring: VecDeque<Arc<Event>>,
    streams: Vec<Stream>,
    /// What new events look like.
    pub shape: Shape,
    /// Events that are to be lost: the action (`None` = any), how many more, and how.
    pub losses: Vec<(Option<String>, usize, Loss)>,
    /// How often each event is told beyond the first time, a nanosecond later each.
    pub repeats: u32,
    /// How many events happened.
    pub happened: u64,
    /// All that ever happened, where it is recorded: the lost events too, and those of removed containers.
    pub history: Option<Vec<Happening>>,
}

/// Something that happened to a container, as a test reads it afterwards.
#[derive(Clone, Debug)]
pub struct Happening {
    /// `create`, `start`, `die`, `destroy`, …
    pub action: &'static str,
    /// To whom.
    pub container: Arc<Identity>,
    /// Nanoseconds of Unix time on the engine's clock.
    pub time: i128,
}

impl EventLog {
    /// Nothing happened yet.
    pub fn new(shape: Shape) -> Self {
        Self { shape, ..Self::default() }
    }

    /// Something happened: remembered, and put into every stream's own queue (nobody can stall it).
    pub fn emit(
        &mut self,
        action: &'static str,
        container: &Arc<Identity>,
        extra: Option<&(&'static str, String)>,
        time: i128,
    ) {
        self.happened += 1;
        if let Some(history) = &mut self.history {
            history.push(Happening { action, container: Arc::clone(container), time });
        }
        let loss = self.lose(action);
        if loss == Some(Loss::Everywhere) {
            return;
        }
        for repeat in 0..=self.repeats {
            let (container, extra) = (Arc::clone(container), extra.cloned());
            let (time, shape) = (time + i128::from(repeat), self.shape);
            let event = Arc::new(Event { action, container, extra, time, shape, line: OnceLock::new() });
            self.tell(event, loss.is_none());
        }
    }

    /// Puts an event into the ring and, unless they miss it, into the streams.
    fn tell(&mut self, event: Arc<Event>, to_streams: bool) {
        if to_streams {
            let happened = Instant::now();
            self.streams.retain(|stream| {
                if event.passes(&stream.filters) {
                    stream.feed.send((happened, Feed::Line(event.line()))).is_ok()
                } else {
                    !stream.feed.is_closed()
                }
            });
        }
        if self.ring.len() == REMEMBERED {
            self.ring.pop_front();
        }
        self.ring.push_back(event);
    }

    fn lose(&mut self, action: &str) -> Option<Loss> {
        let at = self
            .losses
            .iter()
            .position(|(which, _, _)| which.as_deref().is_none_or(|which| which == action))?;
        let (_, left, loss) = &mut self.losses[at];
        let loss = *loss;
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.losses.remove(at);
        }
        Some(loss)
    }

    /// Opens a stream. As Docker does it: without `since` and `until` nothing is replayed; with either,
    /// what the ring has between them. `live` = new events follow.
    pub fn subscribe(
        &mut self,
        filters: Filters,
        since: Option<i128>,
        until: Option<i128>,
        live: bool,
    ) -> UnboundedReceiver<Fed> {
        let (feed, received) = unbounded_channel();
        if since.is_some() || until.is_some() {
            for event in &self.ring {
                let after = since.is_none_or(|since| event.time >= since);
                let before = until.is_none_or(|until| event.time <= until);
                if after && before && event.passes(&filters) {
                    let _ = feed.send((Instant::now(), Feed::Line(event.line())));
                }
            }
        }
        if live {
            self.streams.push(Stream { filters, feed });
        }
        received
    }

    /// How many streams are open.
    pub fn open_streams(&mut self) -> usize {
        self.streams.retain(|stream| !stream.feed.is_closed());
        self.streams.len()
    }

    /// Ends every open stream.
    pub fn close_streams(&mut self, how: Ending) {
        for stream in self.streams.drain(..) {
            if how == Ending::MidLine {
                let half = Bytes::from_static(br#"{"status":"die","id":"0123456789abcdef","Type":"cont"#);
                let _ = stream.feed.send((Instant::now(), Feed::Line(half)));
            }
            let end = if how == Ending::Broken { Feed::Break } else { Feed::End };
            let _ = stream.feed.send((Instant::now(), end));
        }
    }

    /// Sends bytes of any kind to every open stream.
    pub fn inject(&mut self, bytes: &Bytes) {
        self.streams.retain(|stream| stream.feed.send((Instant::now(), Feed::Line(bytes.clone()))).is_ok());
    }

    /// Forgets everything, as a restarted daemon does.
    pub fn forget(&mut self) {
        self.ring.clear();
    }
}
