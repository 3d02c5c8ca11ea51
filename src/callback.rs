//! The HTTP client that delivers results to callbacks (contract, section 4).

mod body;
mod delivery;
mod signature;
mod target;
mod trust;

use std::error::Error as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::task::TaskTracker;

use crate::heartbeat::waiting_for;
use crate::signing::{ID_HEADER, SigningKeys};

pub use body::Body;
pub use delivery::Delivery;
use signature::Seal;
use target::Target;
pub use target::{origin, shown};
pub use trust::CourierError;

/// How often a receiver may send us elsewhere (307, 308) within one delivery.
const MOST_REDIRECTS: usize = 3;
/// How much of an answer's body is read, so that its connection can be used again, and how much of
/// that is kept for the log.
const BODY_READ: usize = 64 * 1024;
const BODY_KEPT: usize = 1024;
/// How long an answer's body is read.
const BODY_TIME: Duration = Duration::from_secs(1);
/// How long an idle connection is kept: less than the five seconds after which a Node server closes it.
const IDLE: Duration = Duration::from_secs(4);
/// As many as deliveries may be in flight by default, and some: a burst to one receiver, which most
/// systems are, would else open a connection anew for every fifth delivery.
const IDLE_PER_RECEIVER: usize = 64;

/// Delivers results. Cheap to clone; connections are shared.
///
/// A connection that was closed while idle costs nothing: what was not sent yet is sent on another one.
/// What may have been received is never sent again by itself; that is for the queue to decide.
/// Proxies of the environment are not used.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    keys: SigningKeys,
    /// Answers to deliveries that are still being read, for a second at most.
    answers: TaskTracker,
}

impl Courier {
    /// A courier that gives each delivery `timeout` in all: connecting, TLS, redirects, the answer's
    /// status. Receivers' certificates are checked against the system's roots and those of `ca_file`
    /// (PEM).
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn new(timeout: Duration, ca_file: Option<&Path>) -> Result<Self, CourierError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(trust::tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_RECEIVER)
            .http1_max_buf_size(BODY_READ)
            .build(connector);
        Ok(Self { client, timeout, keys: SigningKeys::default(), answers: TaskTracker::new() })
    }

    /// The same courier, whose deliveries are signed with these keys.
    #[must_use]
    pub fn signing_with(self, keys: SigningKeys) -> Self {
        Self { keys, ..self }
    }

    /// POSTs a body, once. Headers with a status from 200 to 299 are delivery.
    pub async fn deliver(&self, url: &str, webhook_id: &str, body: Bytes) -> Delivery {
        let deadline = Instant::now() + self.timeout;
        let _waiting = waiting_for("POST", self.timeout);
        let delivery = timeout_at(deadline, self.post(url, webhook_id, body));
        delivery.await.unwrap_or(Delivery::TimedOut { after: self.timeout })
    }

    async fn post(&self, url: &str, webhook_id: &str, body: Bytes) -> Delivery {
        let mut target = match Target::parse(url) {
            Ok(target) => target,
            Err(problem) => return Delivery::BadUrl { problem },
        };
        let seal = Seal::of(&self.keys, webhook_id, SystemTime::now(), &body);
        let mut redirects = 0;
        loop {
            let request = match request(&target, webhook_id, &seal, body.clone()) {
                Ok(request) => request,
                Err(error) => return Delivery::BadUrl { problem: error.to_string() },
            };
            let answer = match self.client.request(request).await {
                Ok(answer) => answer,
                Err(error) => return Delivery::Unreachable { reason: reason(&error) },
            };
            match answer.status() {
                status if status.is_success() => {
                    self.answers.spawn(read_to_the_end(answer));
                    return Delivery::Delivered { status: status.as_u16() };
                }
                status if status.is_redirection() && answer.headers().contains_key(LOCATION) => {
                    match follow(&target, &answer, redirects) {
                        Ok(next) => target = next,
                        Err(refused) => return refused,
                    }
                    redirects += 1;
                }
                status => {
                    let retry_after = delivery::retry_after(answer.headers(), SystemTime::now());
                    let body_start = beginning(answer).await;
                    return Delivery::Refused { status: status.as_u16(), retry_after, body_start };
                }
            }
        }
    }
}

fn request(
    target: &Target,
    webhook_id: &str,
    seal: &Seal,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(target.uri.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "*/*")
        .header(USER_AGENT, concat!("correction-runner/", env!("CARGO_PKG_VERSION")))
        .header(ID_HEADER, webhook_id)
        .body(Full::new(body))?;
    seal.put_on(request.headers_mut());
    if let Some(authorization) = &target.authorization {
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
    }
    Ok(request)
}

/// Where an answer leads: 307 and 308 ask for the same request again, all others for a GET.
fn follow(from: &Target, answer: &Response<Incoming>, redirects: usize) -> Result<Target, Delivery> {
    let status = answer.status();
    let location = answer.headers().get(LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let location = String::from_utf8_lossy(location);
    let refused = |why| Delivery::Redirected { status: status.as_u16(), to: shown(&location), why };
    if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
        return Err(refused("which would drop the result; only 307 and 308 are followed"));
    }
    if redirects == MOST_REDIRECTS {
        return Err(refused("after three redirects already"));
    }
    from.redirected(&location).map_err(|_| refused("which is not a URL that can be asked for"))
}

/// Reads what is left of the answer to a delivery, so that its connection can be used again.
async fn read_to_the_end(answer: Response<Incoming>) {
    let status = answer.status().as_u16();
    let body = beginning(answer).await;
    tracing::debug!(status, body, "the receiver's answer");
}

/// The beginning of an answer's body on one line. Nobody can make us wait for it or keep much of it.
async fn beginning(answer: Response<Incoming>) -> String {
    let mut body = answer.into_body();
    let mut kept = Vec::new();
    let mut read = 0;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            read += data.remaining();
            kept.extend_from_slice(&data[..data.len().min(BODY_KEPT - kept.len())]);
            if read > BODY_READ {
                break;
            }
        }
    };
    // What came until then is the beginning too.
    let _ = timeout(BODY_TIME, reading).await;
    let text = String::from_utf8_lossy(&kept);
    text.split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What a connection said, from the outside in, each thing once.
fn reason(error: &hyper_util::client::legacy::Error) -> String {
    let mut reasons = vec![];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if reasons.last().is_none_or(|last: &String| !last.contains(&text)) {
            reasons.push(text);
        }
        cause = error.source();
    }
    if reasons.is_empty() { error.to_string() } else { reasons.join(": ") }
}
