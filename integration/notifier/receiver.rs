//! A receiver of callbacks that answers as its test wants, over plain TCP or TLS.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Collected, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// What is answered.
pub enum Answer {
    /// Status, headers, body.
    Say(u16, Vec<(&'static str, String)>, &'static str),
    /// A status, and a body that never ends.
    Endless(u16),
    /// Nothing, ever.
    Never,
    /// The connection is closed without an answer.
    Close,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self::Say(status, Vec::new(), "")
    }

    pub fn to(status: u16, location: String) -> Self {
        Self::Say(status, vec![("location", location)], "")
    }
}

type Script = Arc<dyn Fn(&Asked, usize) -> Answer + Send + Sync>;

/// A running receiver. It is ended when dropped.
pub struct Receiver {
    pub port: u16,
    requests: mpsc::UnboundedReceiver<Asked>,
    connections: Arc<AtomicUsize>,
    server: AbortHandle,
}

impl Receiver {
    /// Answers by `script`, which is given the request and how many came before it.
    pub async fn start(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen("127.0.0.1:0", script, None).await
    }

    /// The same at an address of one's own.
    pub async fn start_at(
        address: &str,
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(address, script, None).await
    }

    /// The same over TLS.
    pub async fn start_tls(
        config: Arc<ServerConfig>,
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.1:0", script, Some(config.into())).await
    }

    async fn listen(
        address: &str,
        script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (told, requests) = mpsc::unbounded_channel();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, before) = (Arc::clone(&connections), Arc::new(AtomicUsize::new(0)));
        let script: Script = Arc::new(script);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (script, told, before, tls) = (script.clone(), told.clone(), before.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, script, told, before).await,
                        // A client that does not believe us goes away.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, script, told, before).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, requests, connections, server: server.abort_handle() }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The next request that came, waited for.
    pub async fn next(&mut self) -> Asked {
        super::within(self.requests.recv()).await.expect("the receiver runs")
    }

    /// A request that came already.
    pub fn came(&mut self) -> Option<Asked> {
        self.requests.try_recv().ok()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: Script,
    told: mpsc::UnboundedSender<Asked>,
    before: Arc<AtomicUsize>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (script, told, before) = (script.clone(), told.clone(), before.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            let asked = Asked {
                method: head.method,
                path: head.uri.to_string(),
                headers: head.headers,
                body: String::from_utf8(body.to_vec()).expect("UTF-8"),
            };
            let answer = script(&asked, before.fetch_add(1, Ordering::Relaxed));
            // The test may be over.
            let _ = told.send(asked);
            respond(answer).await
        }
    });
    // A client that goes away is what some tests are about.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(answer: Answer) -> Result<Response<BoxBody<Bytes, Infallible>>, &'static str> {
    let (status, headers, body) = match answer {
        Answer::Never => pending().await,
        Answer::Close => return Err("closed as the test wants"),
        Answer::Say(status, headers, body) => (status, headers, Full::new(Bytes::from(body)).boxed()),
        Answer::Endless(status) => {
            let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1000])));
            (status, Vec::new(), BodyExt::boxed(StreamBody::new(stream::repeat_with(piece))))
        }
    };
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(body).expect("a response"))
}
