//! A receiver of callbacks: a real HTTP server that remembers what was POSTed to it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One POST as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The path that was asked for.
    pub path: String,
    /// The `webhook-id` header.
    pub webhook_id: String,
    /// The `content-type` header.
    pub content_type: String,
    /// The body, byte for byte.
    pub body: String,
}

impl Received {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a callback's body is JSON")
    }
}

/// A running receiver; it answers 200 to everything.
pub struct Receiver {
    address: String,
    received: Arc<Mutex<Vec<Received>>>,
    count: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver on a free port of this machine.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (told, count) = watch::channel(0);
        let server = tokio::spawn(serve(listener, Arc::clone(&received), told));
        Self { address, received, count, server }
    }

    /// The URL of a path on this receiver.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The first POST to a path, waited for.
    pub async fn posted_to(&self, path: &str, within: Duration) -> Received {
        let wanted = format!("/{path}");
        let mut count = self.count.clone();
        let found = tokio::time::timeout(within, async {
            loop {
                count.borrow_and_update();
                let found = self.all().into_iter().find(|one| one.path == wanted);
                match found {
                    Some(found) => return found,
                    None => count.changed().await.expect("the receiver runs"),
                }
            }
        });
        let found = found.await.ok();
        found.unwrap_or_else(|| panic!("nothing was posted to {wanted} within {within:?}: {:?}", self.all()))
    }

    /// Waits until so many POSTs have come; `false` where they do not within a time.
    pub async fn until_count(&self, wanted: usize, within: Duration) -> bool {
        let mut count = self.count.clone();
        let come = tokio::time::timeout(within, count.wait_for(|count| *count >= wanted)).await;
        come.is_ok_and(|come| come.is_ok())
    }

    /// All POSTs so far.
    pub fn all(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }

    /// How often a path was POSTed to.
    pub fn times(&self, path: &str) -> usize {
        let wanted = format!("/{path}");
        self.all().iter().filter(|one| one.path == wanted).count()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, received: Arc<Mutex<Vec<Received>>>, told: watch::Sender<usize>) {
    let told = Arc::new(told);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (received, told) = (Arc::clone(&received), Arc::clone(&told));
        tokio::spawn(async move {
            let service =
                service_fn(move |request| remember(request, Arc::clone(&received), Arc::clone(&told)));
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away is no fault of the receiver's.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn remember(
    request: Request<Incoming>,
    received: Arc<Mutex<Vec<Received>>>,
    told: Arc<watch::Sender<usize>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (webhook_id, content_type) = (header("webhook-id"), header("content-type"));
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    received.lock().expect("not poisoned").push(Received { path, webhook_id, content_type, body });
    told.send_modify(|count| *count += 1);
    Ok(Response::new(Full::new(Bytes::from_static(b"thanks"))))
}
