//! A receiver for very many results: of each it remembers a few bytes, and it answers 500 when it is told to.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// What came for one correction.
#[derive(Clone, Copy, Debug, Default)]
struct Came {
    times: u8,
    id: u64,
}

#[derive(Debug, Default)]
struct Book {
    came: Vec<Came>,
    delivered: usize,
    repeats: usize,
    refused: usize,
    refuses: bool,
    wrong: Vec<String>,
}

/// A running receiver; ended when dropped.
pub struct Receiver {
    address: String,
    book: Arc<Mutex<Book>>,
    server: AbortHandle,
}

impl Receiver {
    /// Waits for the results of corrections `0..count`, whose grades are their numbers.
    pub async fn start(count: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let book = Arc::new(Mutex::new(Book { came: vec![Came::default(); count], ..Book::default() }));
        let shared = Arc::clone(&book);
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| take(Arc::clone(&shared), request));
                    // A client that goes away is what some faults are about.
                    let connection = hyper::server::conn::http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, book, server: server.abort_handle() }
    }

    /// Where the result of a correction goes.
    pub fn url(&self, number: usize) -> String {
        format!("http://{}/{number}", self.address)
    }

    /// From now on every fifth request is refused with 500, or none.
    pub fn refuse(&self, on: bool) {
        self.book().refuses = on;
    }

    /// How many corrections have their result.
    pub fn delivered(&self) -> usize {
        self.book().delivered
    }

    /// The first result that was wrong.
    pub fn wrong(&self) -> Option<String> {
        self.book().wrong.first().cloned()
    }

    /// Each correction has its one right result; gives how often one came again, always the same, and how
    /// many requests were refused.
    pub fn prove(&self) -> (usize, usize) {
        let book = self.book();
        assert!(book.wrong.is_empty(), "{:?}", book.wrong);
        let lost: Vec<_> = (0..book.came.len()).filter(|number| book.came[*number].times == 0).collect();
        assert!(lost.is_empty(), "{} are lost: {:?}", lost.len(), &lost[..lost.len().min(20)]);
        let mut ids: Vec<u64> = book.came.iter().map(|came| came.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), book.came.len(), "two corrections have one id");
        (book.repeats, book.refused)
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take(
    book: Arc<Mutex<Book>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let id = request.headers().get("webhook-id").map(|id| id.as_bytes().to_vec());
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let taken = book.lock().unwrap_or_else(PoisonError::into_inner).enter(&path, id.as_deref(), &body);
    let mut response = Response::new(Full::new(Bytes::new()));
    if !taken {
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}

impl Book {
    /// Whether it is taken, and not refused.
    fn enter(&mut self, path: &str, id: Option<&[u8]>, body: &Bytes) -> bool {
        if self.refuses && fastrand::u32(..5) == 0 {
            self.refused += 1;
            return false;
        }
        let number: usize = path.parse().unwrap_or(usize::MAX);
        let right = format!(r#"{{"grade":{number},"success":true,"work_id":"{number}"}}"#);
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let id = hasher.finish();
        let Some(came) = self.came.get_mut(number).filter(|_| body == right.as_bytes()) else {
            let before = self.came.get(number).map(|came| (came.times, came.id == id));
            let body = String::from_utf8_lossy(body);
            self.wrong.push(format!("{path}: {body}; came before, under the same id: {before:?}"));
            return true;
        };
        if came.times == 0 {
            came.id = id;
            self.delivered += 1;
        } else {
            self.repeats += 1;
            if came.id != id {
                self.wrong.push(format!("{path} came again under another id"));
            }
        }
        came.times = came.times.saturating_add(1);
        true
    }
}
