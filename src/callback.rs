//! The HTTP client that delivers results to callbacks (contract, section 4).

mod answer;
mod attempt;
mod body;
mod delivery;
mod dial;
mod signature;
mod target;
mod trust;

use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::egress::{Egress, Refusal};
use crate::heartbeat::waiting_for;
use crate::signing::{ID_HEADER, SigningKeys};

use answer::Answers;
pub use attempt::Attempt;
pub use body::Body;
pub use delivery::Delivery;
use dial::{DialError, Dialler};
use signature::Seal;
use target::Target;
pub use target::{receiver, shown};
pub use trust::CourierError;

/// How often a receiver may send us elsewhere (307, 308) within one delivery.
const MOST_REDIRECTS: usize = 3;
/// How long an idle connection is kept: less than the five seconds after which a Node server closes it.
const IDLE: Duration = Duration::from_secs(4);
/// As many as deliveries may be in flight by default, and some: a burst to one receiver, which most
/// systems are, would else open a connection anew for every fifth delivery.
const IDLE_PER_RECEIVER: usize = 64;

/// Delivers results. Cheap to clone; connections are shared.
///
/// A connection that was closed while idle costs nothing: what was not sent yet is sent on another one.
/// What may have been received is never sent again by itself; that is for the queue to decide.
/// Where it may go is said by an [`Egress`]. There are no proxies: those of the environment are not used.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Client<HttpsConnector<Dialler>, Full<Bytes>>,
    egress: Arc<Egress>,
    timeout: Duration,
    answers: Answers,
    keys: SigningKeys,
}

impl Courier {
    /// A courier that gives each delivery `timeout` in all: connecting, TLS, redirects, the answer's
    /// status. Receivers' certificates are checked against the system's roots and those of `ca_file`
    /// (PEM).
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn new(timeout: Duration, ca_file: Option<&Path>, egress: Egress) -> Result<Self, CourierError> {
        let egress = Arc::new(egress);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(trust::tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dialler::new(Arc::clone(&egress), timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_PER_RECEIVER)
            .http1_max_buf_size(answer::MOST_READ)
            .build(connector);
        let keys = SigningKeys::default();
        Ok(Self { client, egress, timeout, answers: Answers::default(), keys })
    }

    /// The same courier, whose deliveries are signed with these keys.
    #[must_use]
    pub fn signing_with(self, keys: SigningKeys) -> Self {
        Self { keys, ..self }
    }

    /// How long a delivery may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// POSTs a body, once. Headers with a status from 200 to 299 are delivery.
    pub async fn deliver(&self, url: &str, webhook_id: &str, body: Bytes) -> Attempt {
        let (at, started) = (Timestamp::now(), Instant::now());
        let _waiting = waiting_for("POST", self.timeout);
        let delivery = timeout_at(started + self.timeout, self.post(url, webhook_id, body)).await;
        let delivery = delivery.unwrap_or(Delivery::TimedOut { after: self.timeout });
        Attempt { at, took: started.elapsed(), delivery }
    }

    async fn post(&self, url: &str, webhook_id: &str, body: Bytes) -> Delivery {
        let mut target = match Target::parse(url) {
            Ok(target) => target,
            Err(problem) => return Delivery::BadUrl { problem },
        };
        let seal = Seal::of(&self.keys, webhook_id, SystemTime::now(), &body);
        let mut redirected: Option<Redirect> = None;
        loop {
            let request = match request(&target, webhook_id, &seal, body.clone()) {
                Ok(request) => request,
                Err(error) => return Delivery::BadUrl { problem: error.to_string() },
            };
            let answer = match self.ask(&target, request).await {
                Ok(answer) => answer,
                Err(Unasked::Broken(reason)) => return Delivery::Unreachable { reason },
                Err(Unasked::Refused(refusal)) => return refused(redirected, &refusal),
            };
            match answer.status() {
                status if status.is_success() => {
                    let answer = self.answers.beginning(answer).await;
                    return Delivery::Delivered { status: status.as_u16(), answer };
                }
                status if status.is_redirection() && answer.headers().contains_key(LOCATION) => {
                    let followed = redirected.as_ref().map_or(0, |redirect| redirect.followed);
                    match follow(&target, &answer, followed) {
                        Ok((next, to)) => {
                            target = next;
                            redirected =
                                Some(Redirect { followed: followed + 1, status: status.as_u16(), to });
                        }
                        Err(refused) => return refused,
                    }
                }
                status => {
                    let retry_after = delivery::retry_after(answer.headers(), SystemTime::now());
                    let answer = self.answers.beginning(answer).await;
                    return Delivery::Refused { status: status.as_u16(), retry_after, answer };
                }
            }
        }
    }

    /// Asks one place, if the rules let us.
    async fn ask(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Unasked> {
        // Here too, and not only where it is dialled: a pooled connection is not dialled again.
        self.egress.check_host(target.is_https(), target.host(), target.port()).map_err(Unasked::Refused)?;
        self.client.request(request).await.map_err(|error| match refusal(&error) {
            Some(refusal) => Unasked::Refused(refusal),
            None => Unasked::Broken(reason(&error)),
        })
    }
}

/// Why there is no answer.
enum Unasked {
    Refused(Refusal),
    Broken(String),
}

/// The last redirect that was followed.
struct Redirect {
    followed: usize,
    status: u16,
    to: String,
}

/// A callback that is refused stays so. One that is redirected to where nothing may go is a receiver's mistake, which it
/// may mend.
fn refused(redirected: Option<Redirect>, refusal: &Refusal) -> Delivery {
    match redirected {
        None => Delivery::Forbidden { reason: refusal.to_string() },
        Some(Redirect { status, to, .. }) => {
            Delivery::Redirected { status, to, why: format!("which is refused: {refusal}") }
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
fn follow(from: &Target, answer: &Response<Incoming>, followed: usize) -> Result<(Target, String), Delivery> {
    let status = answer.status();
    let location = answer.headers().get(LOCATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let location = String::from_utf8_lossy(location);
    let to = shown(&location);
    let not_followed =
        |why: &str| Delivery::Redirected { status: status.as_u16(), to: to.clone(), why: why.to_owned() };
    if !matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
        return Err(not_followed("which would drop the result; only 307 and 308 are followed"));
    }
    if followed == MOST_REDIRECTS {
        return Err(not_followed("after three redirects already"));
    }
    match from.redirected(&location) {
        Ok(next) => Ok((next, to)),
        Err(_) => Err(not_followed("which is not a URL that can be asked for")),
    }
}

/// The rule that forbade a connection, if that is why there is none.
fn refusal(error: &hyper_util::client::legacy::Error) -> Option<Refusal> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(DialError::Refused(refusal)) = error.downcast_ref::<DialError>() {
            return Some(refusal.clone());
        }
        cause = error.source();
    }
    None
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
