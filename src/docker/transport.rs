//! One pool of kept-alive HTTP connections to the engine, over a Unix socket, TCP, TLS or ssh.
//!
//! bollard's own Unix client opens a connection for each call; this one is given to bollard in its
//! place, and serves the calls whose answers we decode ourselves. A request that was written to a
//! connection is never sent again: hyper's client tries anew only what it never began to write.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, TryFutureExt};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::{Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;

use super::clock::Clock;
use super::error::{Call, EngineError};
use super::ssh::Tunnel;
use super::tls;
use super::unix::{SshConnector, UnixConnector};
use crate::config::Endpoint;

/// The body of a request, of the type that bollard has.
pub(super) type Body =
    Either<Full<Bytes>, StreamBody<Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, io::Error>> + Send>>>>;

/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// How many idle connections are kept.
const MOST_IDLE: usize = 64;

/// The connections, and what is learnt of the engine from the headers of its answers.
#[derive(Clone)]
pub(super) struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    connector: Connector,
    wire: Wire,
    base: String,
    endpoint: String,
    clock: Clock,
    api: RwLock<Option<HeaderValue>>,
    contact: AtomicU64,
}

/// What makes connections; certificates and keys are read once, when it is made.
#[derive(Clone)]
enum Connector {
    Unix(UnixConnector),
    Tcp(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
    Ssh(SshConnector),
}

enum Wire {
    Unix(Client<UnixConnector, Body>),
    Tcp(Client<HttpConnector, Body>),
    Tls(Client<HttpsConnector<HttpConnector>, Body>),
    Ssh(Client<SshConnector, Body>),
}

impl Transport {
    /// Prepares the pool; connects to nothing.
    pub(super) fn new(endpoint: &Endpoint, timeout: Duration) -> Result<Self, EngineError> {
        let (connector, base, endpoint) = match endpoint {
            Endpoint::Unix(path) => {
                let connector = Connector::Unix(UnixConnector(path.clone()));
                (connector, "http://docker".to_owned(), format!("unix://{}", path.display()))
            }
            Endpoint::Tcp { host, port } => {
                let base = base("http", host, *port)?;
                (Connector::Tcp(tcp(timeout)), base.clone(), base)
            }
            Endpoint::Tls { host, port, ca, identity } => {
                let base = base("https", host, *port)?;
                let identity = identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
                let connector = tls::connector(tcp(timeout), ca.as_deref(), identity)?;
                (Connector::Tls(connector), base.clone(), base)
            }
            Endpoint::Ssh(ssh) => {
                let tunnel = Tunnel::new(ssh, timeout)?;
                let endpoint = tunnel.to_string();
                (Connector::Ssh(SshConnector(Arc::new(tunnel))), "http://docker".to_owned(), endpoint)
            }
        };
        Ok(Self::with(connector, base, endpoint))
    }

    fn with(connector: Connector, base: String, endpoint: String) -> Self {
        let shared = Shared {
            wire: connector.wire(),
            connector,
            base,
            endpoint,
            clock: Clock::default(),
            api: RwLock::default(),
            contact: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A pool to the same engine that has no connection yet. Reads no file.
    pub(super) fn afresh(&self) -> Self {
        let Shared { connector, base, endpoint, .. } = &*self.shared;
        Self::with(connector.clone(), base.clone(), endpoint.clone())
    }

    /// The same with nothing in common on the way: over ssh, with an ssh of its own.
    pub(super) fn apart(&self) -> Self {
        let Shared { connector, base, endpoint, .. } = &*self.shared;
        let connector = match connector {
            Connector::Ssh(SshConnector(tunnel)) => Connector::Ssh(SshConnector(Arc::new(tunnel.apart()))),
            other => other.clone(),
        };
        Self::with(connector, base.clone(), endpoint.clone())
    }

    /// Scheme and authority of every request.
    pub(super) fn base(&self) -> &str {
        &self.shared.base
    }

    /// The daemon's clock.
    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// A number that changes whenever it may be another engine that answers: after each failure, and
    /// when the API version in the answers' headers changes.
    pub(super) fn contact(&self) -> u64 {
        self.shared.contact.load(Ordering::Acquire)
    }

    /// Sends a request, once, and waits for the head of the answer. Without a deadline.
    pub(super) fn send(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, legacy::Error>> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            let sent = Timestamp::now();
            let answer = match &shared.wire {
                Wire::Unix(client) => client.request(request),
                Wire::Tcp(client) => client.request(request),
                Wire::Tls(client) => client.request(request),
                Wire::Ssh(client) => client.request(request),
            };
            let answer = answer.await;
            match &answer {
                Ok(response) => shared.learn(sent, response),
                Err(_) => {
                    shared.contact.fetch_add(1, Ordering::AcqRel);
                }
            }
            answer
        }
    }

    /// The same as bollard wants it.
    pub(super) fn for_bollard(
        &self,
    ) -> impl Fn(Request<Body>) -> BoxFuture<'static, Result<Response<Incoming>, bollard::errors::Error>>
    + Send
    + Sync
    + 'static {
        let transport = self.clone();
        move |request| transport.send(request).map_err(bollard::errors::Error::from).boxed()
    }

    /// What a failure of the client means.
    pub(super) fn failed(&self, call: Call, error: &legacy::Error) -> EngineError {
        let mut reason = told(error);
        // The peer ends a handshake that it does not like after ours was complete: nothing was read. The
        // alert that says so can come too late to be seen.
        if matches!(self.shared.wire, Wire::Tls(_)) && !error.is_connect() {
            reason.push_str("; does the engine accept our client certificate?");
        }
        let never_sent = error.is_connect() || was_never_begun(error) || tls::was_refused(error);
        if never_sent {
            EngineError::Unreachable { endpoint: self.shared.endpoint.clone(), reason }
        } else {
            EngineError::NoAnswer { call, reason }
        }
    }

    /// The engine that answers refuses the version that we negotiated: it was exchanged just now.
    pub(super) fn exchanged(&self, message: &str) -> EngineError {
        self.shared.contact.fetch_add(1, Ordering::AcqRel);
        EngineError::Unreachable { endpoint: self.shared.endpoint.clone(), reason: message.to_owned() }
    }
}

impl Connector {
    fn wire(&self) -> Wire {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE).pool_timer(TokioTimer::new()).pool_max_idle_per_host(MOST_IDLE);
        match self.clone() {
            Self::Unix(connector) => Wire::Unix(builder.build(connector)),
            Self::Tcp(connector) => Wire::Tcp(builder.build(connector)),
            Self::Tls(connector) => Wire::Tls(builder.build(connector)),
            Self::Ssh(connector) => Wire::Ssh(builder.build(connector)),
        }
    }
}

impl Shared {
    fn learn(&self, sent: Timestamp, response: &Response<Incoming>) {
        if let Some(date) = response.headers().get(hyper::header::DATE)
            && let Ok(date) = date.to_str()
            && let Ok(date) = httpdate::parse_http_date(date)
            && let Ok(date) = Timestamp::try_from(date)
        {
            self.clock.observe(sent, date, Timestamp::now());
        }
        if let Some(version) = response.headers().get("api-version") {
            let known = self.api.read().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(version);
            if !known {
                let mut api = self.api.write().unwrap_or_else(PoisonError::into_inner);
                if api.replace(version.clone()).is_some_and(|before| before != *version) {
                    self.contact.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }
}

fn base(scheme: &str, host: &str, port: u16) -> Result<String, EngineError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let text = if bare.contains(':') {
        format!("{scheme}://[{bare}]:{port}")
    } else {
        format!("{scheme}://{bare}:{port}")
    };
    match text.parse::<Uri>() {
        Ok(_) => Ok(text),
        Err(error) => Err(EngineError::BadEndpoint(format!("host: {host:?} is not a host name: {error}"))),
    }
}

fn tcp(timeout: Duration) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_keepalive(Some(Duration::from_secs(30)));
    // Less than the call's own time, so that it is told as what it is: nothing was sent.
    connector.set_connect_timeout(Some(timeout.mul_f64(0.8)));
    connector
}

/// Whether the client gave the request up before it began to write it. That kind of error has no name
/// outside the client's crate but this.
fn was_never_begun(error: &legacy::Error) -> bool {
    error.to_string() == "client error (Canceled)"
}

/// An error with all its causes, in one line, and what to do about the common ones.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut hint = "";
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            hint = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "; is Docker running?",
                io::ErrorKind::PermissionDenied => "; is this user in the group `docker`?",
                _ => hint,
            };
        }
        cause = error.source();
    }
    parts.join(": ") + hint
}
