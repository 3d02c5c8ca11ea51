//! Answers of the simulated engine: bodies that are whole, that flow, and that stall.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::Response;
use hyper::body::{Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue, SERVER};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Sleep;

use super::Options;
use super::events::{Fed, Feed};
use super::reading::Reading;

/// The most that is put into one chunk of an event stream.
const CHUNK: usize = 4 * 1024;

/// The body of an answer.
pub enum Body {
    /// All there is, with a length.
    Whole(Option<Bytes>),
    /// Sent in chunks, without a length.
    Chunked(Option<Bytes>),
    /// Sent, and then nothing more, for ever.
    Stalled(Option<Bytes>),
    /// Events as they happen.
    Events {
        /// Where they come from.
        feed: UnboundedReceiver<Fed>,
        /// Where it is noted how long they waited.
        reading: Arc<Reading>,
        /// When the stream ends by itself.
        until: Option<Pin<Box<Sleep>>>,
        /// What to do once what was taken from the feed is sent.
        last: Option<Feed>,
    },
}

/// Breaks the connection under a body.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken on purpose")]
pub struct Broken;

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = |bytes| Poll::Ready(Some(Ok(Frame::data(bytes))));
        match self.get_mut() {
            Self::Whole(bytes) | Self::Chunked(bytes) => match bytes.take() {
                Some(bytes) => frame(bytes),
                None => Poll::Ready(None),
            },
            Self::Stalled(bytes) => match bytes.take() {
                Some(bytes) => frame(bytes),
                None => Poll::Pending,
            },
            Self::Events { feed, reading, until, last } => {
                let mut chunk = BytesMut::new();
                while last.is_none() && chunk.len() < CHUNK {
                    match feed.poll_recv(context) {
                        Poll::Ready(Some((happened, Feed::Line(line)))) => {
                            reading.taken(happened);
                            if chunk.is_empty() && feed.is_empty() {
                                return frame(line);
                            }
                            chunk.extend_from_slice(&line);
                        }
                        Poll::Ready(Some((_, end))) => *last = Some(end),
                        Poll::Ready(None) if until.is_none() => *last = Some(Feed::End),
                        Poll::Ready(None) | Poll::Pending => break,
                    }
                }
                if !chunk.is_empty() {
                    return frame(chunk.freeze());
                }
                match last {
                    Some(Feed::Break) => return Poll::Ready(Some(Err(Broken))),
                    Some(_) => return Poll::Ready(None),
                    None => {}
                }
                match until {
                    Some(until) => until.as_mut().poll(context).map(|()| None),
                    None => Poll::Pending,
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            _ => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None) | Self::Chunked(None))
    }
}

impl Body {
    /// The same body, stopping in its middle.
    pub fn stalled(self) -> Self {
        match self {
            Self::Whole(bytes) | Self::Chunked(bytes) => {
                Self::Stalled(bytes.map(|bytes| bytes.slice(..bytes.len() / 2)))
            }
            other => other,
        }
    }
}

/// What a call comes to: status and body, or Docker's status and message of an error.
pub enum Reply {
    /// JSON text.
    Json(u16, String),
    /// Plain text.
    Plain(&'static str),
    /// A status alone.
    Empty(u16),
    /// Something that flows.
    Flow(Body),
}

/// A call that was refused: status and message.
#[derive(Debug)]
pub struct Refusal(pub u16, pub String);

impl From<Refusal> for Reply {
    fn from(Refusal(status, message): Refusal) -> Self {
        Self::Json(status, serde_json::json!({ "message": message }).to_string() + "\n")
    }
}

impl Reply {
    /// The answer with Docker's headers.
    pub fn respond(self, options: &Options, date: Option<HeaderValue>) -> Response<Body> {
        let (status, kind, body) = match self {
            Self::Json(status, text) => (status, Some("application/json"), Body::Whole(Some(text.into()))),
            Self::Plain(text) => (200, Some("text/plain; charset=utf-8"), Body::Whole(Some(text.into()))),
            Self::Empty(status) => (status, None, Body::Whole(None)),
            Self::Flow(body) => (200, Some("application/json"), body),
        };
        let mut response = Response::new(body);
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(HeaderName::from_static("api-version"), HeaderValue::from_static(options.api_version));
        headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
        headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
        headers.insert(SERVER, HeaderValue::from_static(options.server));
        if let Some(kind) = kind {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if let Some(date) = date {
            headers.insert(DATE, date);
        }
        response
    }
}
