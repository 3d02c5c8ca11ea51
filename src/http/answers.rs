//! A request → its answer, from what is known already.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};

use super::negotiation::{format, wants_json};
use super::readiness::Observed;

const LINES: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const NOT_FOUND: &str = "there is nothing here; there are /metrics, /healthz and /readyz\n";

/// Answers a request. (The body that a HEAD does not get is left out by who sends it.)
pub(super) fn answer<B>(request: &Request<B>, observed: &Observed) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/healthz" | "/readyz") {
        return made(StatusCode::NOT_FOUND, LINES, NOT_FOUND.to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = made(StatusCode::METHOD_NOT_ALLOWED, LINES, "only GET and HEAD\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    match path {
        "/metrics" => {
            let format = format(request.headers());
            made(StatusCode::OK, format.content_type(), observed.page(format))
        }
        "/readyz" => {
            let readiness = observed.readiness();
            let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            if wants_json(request.headers()) {
                made(status, JSON, readiness.to_json())
            } else {
                made(status, LINES, readiness.to_lines())
            }
        }
        _ => made(StatusCode::OK, LINES, "alive\n".to_owned()),
    }
}

fn made(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
