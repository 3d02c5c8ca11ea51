//! The HTTP client that delivers results to callbacks (contract, section 4).

mod answer;
mod attempt;
mod body;
mod deadline;
mod delivery;
mod dial;
mod examine;
mod link;
mod lookups;
mod signature;
mod target;
mod trust;
mod tunnel;
mod undialled;

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

use crate::egress::{Egress, Openness, Reach, Refusal, reach};
use crate::heartbeat::waiting_for;
use crate::signing::{ID_HEADER, SigningKeys};

use answer::Answers;
pub use attempt::Attempt;
pub use body::Body;
use deadline::Deadline;
pub use delivery::Delivery;
use dial::Dialler;
pub use examine::{Examined, believed_roots, examine, examine_proxy};
use link::ReceiverAt;
use signature::Seal;
use target::Target;
pub use target::{receiver, shown};
pub use trust::CourierError;
use undialled::{DialError, undialled};

/// How often a receiver may send us elsewhere (307, 308) within one delivery.
const MOST_REDIRECTS: usize = 3;
/// How long an idle connection is kept: less than the five seconds after which a Node server closes it.
const IDLE: Duration = Duration::from_secs(4);
/// As many as deliveries may be in flight by default, and some: a burst to one receiver, which most
/// systems are, would else open a connection anew for every fifth delivery.
const IDLE_PER_RECEIVER: usize = 64;

type Connections = Client<Deadline<HttpsConnector<Dialler>>, Full<Bytes>>;

/// Delivers results. Cheap to clone; connections are shared.
///
/// A connection that was closed while idle costs nothing: what was not sent yet is sent on another one.
/// What may have been received is never sent again by itself; that is for the queue to decide.
/// Where it may go, and by which proxies, is said by an [`Egress`]; those of the environment are not used by themselves.
#[derive(Clone, Debug)]
pub struct Courier {
    client: Connections,
    /// For where a receiver on the internet sends us: not into a network of our own.
    outward: Connections,
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
        let tls = trust::tls(ca_file)?;
        let connections = |dialler| -> Connections {
            let connector = hyper_rustls::HttpsConnectorBuilder::new()
                .with_tls_config(tls.clone())
                .https_or_http()
                .enable_http1()
                .wrap_connector(dialler);
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_RECEIVER)
                .http1_max_buf_size(answer::MOST_READ)
                .build(Deadline::new(connector, timeout))
        };
        let egress = Arc::new(egress);
        let dialler = Dialler::new(Arc::clone(&egress), timeout);
        let outward = connections(dialler.with_rules(Arc::new(from_outside(&egress))));
        let (client, keys) = (connections(dialler), SigningKeys::default());
        Ok(Self { client, outward, egress, timeout, answers: Answers::default(), keys })
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
        let took = started.elapsed();
        // The status came in time: what is waited for the body is nobody's time-out.
        let delivery = match delivery {
            Err(_) => Delivery::TimedOut { after: self.timeout },
            Ok(Headed::Over(delivery)) => delivery,
            Ok(Headed::Answered { answer, retry_after }) => {
                let (status, answer) = (answer.status(), self.answers.beginning(answer).await);
                let code = status.as_u16();
                if status.is_success() {
                    Delivery::Delivered { status: code, answer }
                } else {
                    Delivery::Refused { status: code, retry_after, answer }
                }
            }
        };
        Attempt { at, took, delivery }
    }

    async fn post(&self, url: &str, webhook_id: &str, body: Bytes) -> Headed {
        let mut target = match Target::parse(url) {
            Ok(target) => target,
            Err(problem) => return Delivery::BadUrl { problem }.into(),
        };
        let seal = Seal::of(&self.keys, webhook_id, SystemTime::now(), &body);
        let mut redirected: Option<Redirect> = None;
        loop {
            let request = match request(&target, webhook_id, &seal, body.clone()) {
                Ok(request) => request,
                Err(error) => return Delivery::BadUrl { problem: error.to_string() }.into(),
            };
            let outside = redirected.as_ref().is_some_and(|redirect| redirect.from_outside);
            let answer = match self.ask(&target, request, outside).await {
                Ok(answer) => answer,
                Err(Unasked::Broken { reason, connected }) => {
                    return Delivery::Unreachable { reason, connected }.into();
                }
                Err(Unasked::Refused(refusal)) => return refused(redirected, &refusal).into(),
            };
            match answer.status() {
                status if status.is_redirection() && answer.headers().contains_key(LOCATION) => {
                    let followed = redirected.as_ref().map_or(0, |redirect| redirect.followed);
                    match follow(&target, &answer, followed) {
                        Ok((next, to)) => {
                            target = next;
                            let from_outside = outside || is_outside(&answer);
                            let (followed, status) = (followed + 1, status.as_u16());
                            redirected = Some(Redirect { followed, status, to, from_outside });
                        }
                        Err(refused) => return refused.into(),
                    }
                }
                _ => {
                    let retry_after = delivery::retry_after(answer.headers(), SystemTime::now());
                    return Headed::Answered { answer, retry_after };
                }
            }
        }
    }

    /// Asks one place, if the rules let us.
    async fn ask(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
        outside: bool,
    ) -> Result<Response<Incoming>, Unasked> {
        // Here too, and not only where it is dialled: a pooled connection is not dialled again.
        self.egress.check_host(target.is_https(), target.host(), target.port()).map_err(Unasked::Refused)?;
        let connections = if outside { &self.outward } else { &self.client };
        connections.request(request).await.map_err(|error| match undialled(&error) {
            Some(DialError::Refused(refusal)) => Unasked::Refused(refusal.clone()),
            undialled => Unasked::Broken { reason: reason(&error), connected: undialled.is_none() },
        })
    }
}

/// What came of asking, at the latest with the answer's headers.
enum Headed {
    Answered { answer: Response<Incoming>, retry_after: Option<Duration> },
    Over(Delivery),
}

impl From<Delivery> for Headed {
    fn from(delivery: Delivery) -> Self {
        Self::Over(delivery)
    }
}

/// The rules for where a receiver on the internet may lead: what is ours it does not reach by itself, and it shall not
/// by us, unless `CALLBACK_ALLOW` names it.
fn from_outside(egress: &Egress) -> Egress {
    let openness = if egress.openness == Openness::Private { Openness::Public } else { egress.openness };
    Egress { openness, ..egress.clone() }
}

/// Whether an answer came from the internet.
fn is_outside(answer: &Response<Incoming>) -> bool {
    let receiver = answer.extensions().get::<ReceiverAt>();
    receiver.is_none_or(|ReceiverAt(address)| reach(*address) == Reach::Public)
}

/// Why there is no answer.
enum Unasked {
    Refused(Refusal),
    Broken { reason: String, connected: bool },
}

/// The last redirect that was followed.
struct Redirect {
    followed: usize,
    status: u16,
    to: String,
    /// It, or one before it, came from the internet.
    from_outside: bool,
}

/// A callback that is refused stays so. One that is redirected to where nothing may go is a receiver's mistake, which
/// it may mend.
fn refused(redirected: Option<Redirect>, refusal: &Refusal) -> Delivery {
    match redirected {
        None => Delivery::Forbidden { reason: refusal.to_string() },
        Some(Redirect { status, to, from_outside, .. }) => {
            if let (true, Refusal::Private { kind, .. }) = (from_outside, refusal) {
                let why = format!(
                    "which is {kind}; a receiver on the internet leads to none that CALLBACK_ALLOW does not name"
                );
                return Delivery::Redirected { status, to, why };
            }
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
        Ok(next) if from.is_https() && !next.is_https() => {
            Err(not_followed("which is not encrypted, and the callback was"))
        }
        Ok(next) => Ok((next, to)),
        Err(_) => Err(not_followed("which is not a URL that can be asked for")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::parse_all;

    #[test]
    fn a_receiver_on_the_internet_leads_into_no_network_of_ours_that_is_not_allowed_by_name() {
        let allow = parse_all("10.0.0.5").expect("a rule");
        let rules = from_outside(&Egress { allow, ..Egress::default() });
        let check = |address: &str| rules.check_address("h", address.parse().expect("an address"), 80);
        assert!(check("10.0.0.5").is_ok() && check("8.8.8.8").is_ok());
        let redirect = || Redirect { followed: 1, status: 307, to: "http://h/".into(), from_outside: true };
        for address in ["10.0.0.6", "127.0.0.1", "192.168.1.1", "::1", "fd00::1", "::ffff:127.0.0.1"] {
            let refusal = check(address).expect_err(address);
            let told = refused(Some(redirect()), &refusal).to_string();
            assert!(told.contains("a receiver on the internet leads to none"), "{told}");
        }
        let listed = Egress { openness: Openness::Listed, ..Egress::default() };
        assert_eq!(from_outside(&listed), listed);
    }
}
