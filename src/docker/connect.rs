//! The engine as its callers see it: connections, the API version that is spoken, deadlines.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::about::Learned;
use super::answer::Refusal;
use super::error::{Call, EngineError};
use super::image::Pulls;
use super::reference::Logins;
use super::spec::Means;
use super::transport::{Transport, told};
use super::version::{Version, VersionAnswer};
use crate::config::DockerSettings;
use crate::heartbeat::{self, waiting_for};
use crate::metrics::Metrics;
use crate::profile::Profile;

/// The longest answer that is read whole.
const LONGEST_ANSWER: usize = 16 << 20;
/// bollard's own time-out, in seconds; ours are shorter and govern.
const BOLLARD_TIMEOUT: u64 = 24 * 3600;

/// A Docker engine. Clones share its connections.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    transport: Transport,
    timeout: Duration,
    pull_timeout: Duration,
    logins: Logins,
    pulls: Mutex<Pulls>,
    spoken: RwLock<Option<Arc<Spoken>>>,
    learned: Learned,
    negotiating: tokio::sync::Mutex<()>,
    metrics: Metrics,
}

/// What was agreed upon with the engine.
pub(super) struct Spoken {
    /// bollard, speaking that version.
    pub(super) docker: bollard::Docker,
    /// Whether the engine has an init process to put into containers.
    pub(super) has_init: bool,
    pub(super) is_podman: bool,
    pub(super) version: Version,
    contact: u64,
}

impl Spoken {
    /// What the engine can do of what not every engine can.
    pub(super) fn means(&self, learned: &Learned, profile: &Profile) -> Means {
        Means {
            init: self.has_init,
            cgroup_namespaces: self.version.has_cgroup_namespaces(),
            disk_quota: profile.disk.is_some() && learned.has_quota(),
            many_files: profile.nofile.is_some_and(|files| learned.can_allow(files)),
        }
    }
}

impl Engine {
    /// Reads the certificates and prepares the connections; sends nothing.
    ///
    /// # Errors
    /// A certificate or key cannot be read, or the endpoint is of a kind that is not supported.
    pub fn new(settings: &DockerSettings) -> Result<Self, EngineError> {
        let transport = Transport::new(&settings.endpoint, settings.timeout)?;
        let (logins, metrics) = (Logins::new(&settings.credentials), heartbeat::metrics());
        Ok(Self::with(transport, settings.timeout, settings.pull_timeout, logins, metrics))
    }

    /// The same engine, over connections that are not made yet. Reads no file and sends nothing.
    #[must_use]
    pub fn afresh(&self) -> Self {
        let Shared { transport, timeout, pull_timeout, logins, metrics, .. } = &*self.shared;
        Self::with(transport.afresh(), *timeout, *pull_timeout, logins.clone(), metrics.clone())
    }

    /// The same engine, reached without anything that others use or that must outlive the caller's thread. Reads no
    /// file and sends nothing.
    #[must_use]
    pub fn apart(&self) -> Self {
        let Shared { transport, timeout, pull_timeout, logins, metrics, .. } = &*self.shared;
        Self::with(transport.apart(), *timeout, *pull_timeout, logins.clone(), metrics.clone())
    }

    fn with(
        transport: Transport,
        timeout: Duration,
        pull_timeout: Duration,
        logins: Logins,
        metrics: Metrics,
    ) -> Self {
        let shared = Shared {
            transport,
            timeout,
            pull_timeout,
            logins,
            pulls: Mutex::new(HashMap::new()),
            spoken: RwLock::new(None),
            learned: Learned::default(),
            negotiating: tokio::sync::Mutex::new(()),
            metrics,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks whether the engine is there, and speaks a version of the API that we speak.
    ///
    /// # Errors
    /// It is not, or it is no engine that we can work with.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.within(Call::Ping, self.shared.timeout, async {
            let answer = self.get(Call::Ping, "/_ping", &[]).await?;
            read_whole(Call::Ping, answer).await.map(drop)
        })
        .await
    }

    /// The time on the daemon's clock, as well as its `Date` headers tell it (to about a second).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.transport.clock().at(Timestamp::now())
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(super) fn timeout(&self) -> Duration {
        self.shared.timeout
    }

    pub(super) fn learned(&self) -> &Learned {
        &self.shared.learned
    }

    pub(super) fn pull_timeout(&self) -> Duration {
        self.shared.pull_timeout
    }

    pub(super) fn logins(&self) -> &Logins {
        &self.shared.logins
    }

    pub(super) fn pulls(&self) -> std::sync::MutexGuard<'_, Pulls> {
        self.shared.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a whole call, its body too, a deadline.
    pub(super) async fn within<T>(
        &self,
        call: Call,
        limit: Duration,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let asked = Instant::now();
        let done = self.within_uncounted(call, limit, work).await;
        let took = asked.elapsed();
        self.metrics().docker_calls.took(call.name(), took);
        if let (Some(stage), true) = (call.stage(), done.is_ok()) {
            self.metrics().stages.of(stage).took(took);
        }
        done
    }

    /// The same for a further part of a call: how long it took is not counted as that of another one.
    pub(super) async fn within_uncounted<T>(
        &self,
        call: Call,
        limit: Duration,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let _waiting = waiting_for(call.name(), limit);
        let done = tokio::time::timeout(limit, work).await;
        let done = done.unwrap_or(Err(EngineError::Timeout { call, after: limit }));
        if let Some(fault) = done.as_ref().err().and_then(EngineError::fault) {
            self.metrics().docker_errors.failed(call.name(), fault);
        }
        done
    }

    /// What was agreed upon with the engine: asked once per contact, not per call.
    pub(super) async fn spoken(&self) -> Result<Arc<Spoken>, EngineError> {
        if let Some(spoken) = self.agreed() {
            return Ok(spoken);
        }
        let _alone = self.shared.negotiating.lock().await;
        if let Some(spoken) = self.agreed() {
            return Ok(spoken);
        }
        let answer = self.send(Call::Version, Method::GET, "/version", None).await?;
        let answer: VersionAnswer =
            decoded(Call::Version, self.accepted(Call::Version, answer).await?).await?;
        let spoken = Arc::new(self.agree(answer)?);
        *self.shared.spoken.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&spoken));
        Ok(spoken)
    }

    /// Whether the agreed version of the API is 1.`minor` or later.
    pub(super) async fn speaks(&self, minor: u32) -> Result<bool, EngineError> {
        Ok(self.spoken().await?.version.is_at_least(minor))
    }

    fn agreed(&self) -> Option<Arc<Spoken>> {
        let spoken = self.shared.spoken.read().unwrap_or_else(PoisonError::into_inner);
        spoken.clone().filter(|spoken| spoken.contact == self.shared.transport.contact())
    }

    fn agree(&self, answer: VersionAnswer) -> Result<Spoken, EngineError> {
        let transport = &self.shared.transport;
        let (has_init, is_podman) = (answer.has_init(), answer.is_podman());
        let version = answer.agreed()?;
        if !has_init {
            tracing::warn!("the Docker engine has no docker-init: containers run without an init process");
        }
        let docker = bollard::Docker::connect_with_custom_transport(
            transport.for_bollard(),
            Some(transport.base()),
            BOLLARD_TIMEOUT,
            &version.for_bollard(),
        )
        .map_err(|error| EngineError::Garbled { call: Call::Version, reason: error.to_string() })?;
        Ok(Spoken { docker, has_init, is_podman, version, contact: transport.contact() })
    }

    /// GETs a path of the negotiated version; an answer that is no success is an error.
    pub(super) async fn get(
        &self,
        call: Call,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Response<Incoming>, EngineError> {
        let answer = self.ask(call, Method::GET, path, query, None).await?;
        self.accepted(call, answer).await
    }

    /// Sends a request without a body to a path of the negotiated version, whatever the answer.
    pub(super) async fn ask(
        &self,
        call: Call,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Incoming>, EngineError> {
        let version = self.spoken().await?.version;
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.send(call, method, &format!("/v{version}{path}?{query}"), header).await
    }

    async fn send(
        &self,
        call: Call,
        method: Method,
        path: &str,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Incoming>, EngineError> {
        let transport = &self.shared.transport;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", transport.base()))
            .header(CONTENT_TYPE, "application/json")
            .body(Either::Left(Full::new(Bytes::new())))
            .map_err(|error| EngineError::BadRequest { call, message: error.to_string() })?;
        request.headers_mut().extend(header);
        transport.send(request).await.map_err(|error| transport.failed(call, &error))
    }

    /// The answer if it is a success, else the error that it tells.
    pub(super) async fn accepted(
        &self,
        call: Call,
        answer: Response<Incoming>,
    ) -> Result<Response<Incoming>, EngineError> {
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(self.current(Refusal::read(call, answer).await?)?.error(call))
    }

    /// The refusal that bollard reports, for the call to judge; an error if it reports something else.
    pub(super) fn refused(&self, call: Call, error: bollard::errors::Error) -> Result<Refusal, EngineError> {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                self.current(Refusal::new(status_code, &message))
            }
            Error::HyperLegacyError { err } => Err(self.shared.transport.failed(call, &err)),
            Error::HyperResponseError { err } => Err(EngineError::NoAnswer { call, reason: told(&err) }),
            other => Err(EngineError::Garbled { call, reason: other.to_string() }),
        }
    }

    /// Sorts out the refusal of an engine that was exchanged for one of another version.
    pub(super) fn current(&self, refusal: Refusal) -> Result<Refusal, EngineError> {
        if refusal.is_of_another_version() {
            Err(self.shared.transport.exchanged(&refusal.message))
        } else {
            Ok(refusal)
        }
    }
}

/// The whole body of an answer.
pub(super) async fn read_whole(call: Call, answer: Response<Incoming>) -> Result<Bytes, EngineError> {
    match Limited::new(answer.into_body(), LONGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            Err(EngineError::Garbled { call, reason: format!("it is longer than {LONGEST_ANSWER} bytes") })
        }
        Err(error) => Err(EngineError::NoAnswer { call, reason: told(error.as_ref()) }),
    }
}

/// The body of an answer, decoded.
pub(super) async fn decoded<T: DeserializeOwned>(
    call: Call,
    answer: Response<Incoming>,
) -> Result<T, EngineError> {
    let body = read_whole(call, answer).await?;
    serde_json::from_slice(&body).map_err(|error| EngineError::Garbled { call, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that cannot be read any more must not keep the next connection from being made.
    #[tokio::test]
    async fn new_connections_are_made_with_what_was_read_at_the_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let authority = folder.path().join("ca.pem");
        let mut openssl = std::process::Command::new("openssl");
        openssl.args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ]);
        openssl.arg("-keyout").arg(folder.path().join("key.pem")).arg("-out").arg(&authority);
        assert!(openssl.output().expect("openssl").status.success());
        let settings = DockerSettings {
            endpoint: crate::config::Endpoint::Tls {
                host: "127.0.0.1".to_owned(),
                port: 1,
                ca: Some(authority.clone()),
                identity: None,
            },
            timeout: Duration::from_secs(5),
            pull: false,
            pull_timeout: Duration::from_secs(5),
            credentials: HashMap::new(),
        };
        let engine = Engine::new(&settings).expect("a certificate that can be read");
        std::fs::remove_file(&authority).expect("a file");
        assert!(Engine::new(&settings).is_err());
        let answer = engine.afresh().ping().await;
        assert!(matches!(answer, Err(EngineError::Unreachable { .. })), "{answer:?}");
    }
}
