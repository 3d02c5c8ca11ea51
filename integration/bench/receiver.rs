//! The caller's side: receives every callback and checks it byte for byte.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What was received until now.
#[derive(Default)]
struct Received {
    /// By number: when first (nanoseconds of Unix time; 0 = not yet).
    first: Vec<u64>,
    distinct: usize,
    doubled: Vec<String>,
    wrong: Vec<String>,
    last: u64,
    connections: usize,
}

/// A server on this machine that takes callbacks.
pub struct Receiver {
    /// Where callbacks are to be posted.
    pub url: String,
    shared: Arc<(Mutex<Received>, Notify)>,
}

impl Receiver {
    /// Starts it for corrections numbered below `count`.
    ///
    /// # Errors
    /// Where no port is free.
    pub async fn start(count: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/callback", listener.local_addr()?);
        let received = Received { first: vec![0; count], ..Received::default() };
        let shared = Arc::new((Mutex::new(received), Notify::new()));
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&serving);
                shared.0.lock().unwrap_or_else(PoisonError::into_inner).connections += 1;
                let service = service_fn(move |request| take(Arc::clone(&shared), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, shared })
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the results of `count` corrections came. Answers when the last one came.
    ///
    /// # Errors
    /// Where nothing comes any more for `patience`.
    pub async fn until(&self, count: usize, patience: Duration) -> anyhow::Result<u64> {
        loop {
            let before = {
                let received = self.received();
                if received.distinct >= count {
                    return Ok(received.last);
                }
                received.distinct
            };
            let slice = tokio::time::timeout(patience, self.shared.1.notified()).await;
            let now = self.received().distinct;
            anyhow::ensure!(slice.is_ok() || now > before, "only {now} of {count} results came");
        }
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.received().connections
    }

    /// When each correction's result came first, in nanoseconds of Unix time.
    pub fn times(&self) -> Vec<u64> {
        self.received().first.clone()
    }

    /// Checks that each result came exactly once and was right.
    ///
    /// # Errors
    /// Where it was not so.
    pub fn check(&self) -> anyhow::Result<()> {
        let received = self.received();
        let missing = received.first.iter().filter(|time| **time == 0).count();
        anyhow::ensure!(
            missing == 0 && received.doubled.is_empty() && received.wrong.is_empty(),
            "{missing} results are missing, {} came twice, {} are wrong ({:?})",
            received.doubled.len(),
            received.wrong.len(),
            received.wrong.first(),
        );
        Ok(())
    }
}

async fn take(
    shared: Arc<(Mutex<Received>, Notify)>,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let now = u64::try_from(now).unwrap_or(u64::MAX);
    let mut received = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    match number(&body).filter(|number| *number < received.first.len()) {
        None => received.wrong.push(String::from_utf8_lossy(&body).into_owned()),
        Some(number) if received.first[number] > 0 => received.doubled.push(number.to_string()),
        Some(number) => {
            received.first[number] = now;
            received.distinct += 1;
            received.last = now;
            shared.1.notify_one();
        }
    }
    Ok(Response::new(Empty::new()))
}

/// The correction's number, where the body is exactly what the original would send.
fn number(body: &[u8]) -> Option<usize> {
    let rest = body.strip_prefix(br#"{"comments":["ok"],"grade":7.5,"success":true,"work_id":"w"#)?;
    std::str::from_utf8(rest.strip_suffix(br#""}"#)?).ok()?.parse().ok()
}
