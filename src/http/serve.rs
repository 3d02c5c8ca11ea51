//! Taking connections: few at once, each for one request and for a short time.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::answers;
use super::readiness::Observed;

/// How many connections there are at once; further ones wait until there is room.
const MOST: usize = 32;
/// How long a connection may take to send the head of its request.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request.
const LONGEST_HEAD: usize = 16 << 10;
/// How long to wait after a connection could not be taken: mostly there are too many open files.
const AGAIN: Duration = Duration::from_millis(100);

/// Answers whoever connects, for ever.
pub(super) async fn answer(listener: TcpListener, observed: &Arc<Observed>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return warn!(%error, "nobody answers at HTTP_LISTEN"),
    };
    let room = Arc::new(Semaphore::new(MOST));
    // Those that are open end with this.
    let mut open = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        while open.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let observed = Arc::clone(observed);
                open.spawn(async move {
                    // One that takes too long is cut off, whatever it was about to do.
                    let _ = timeout(PATIENCE, serve(stream, observed)).await;
                    drop(place);
                });
            }
            Err(_) => sleep(AGAIN).await,
        }
    }
}

/// Answers one request.
async fn serve(stream: TcpStream, observed: Arc<Observed>) {
    let service = service_fn(move |request| {
        let answer = answers::answer(&request, &observed);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false).max_buf_size(LONGEST_HEAD);
    // What is wrong with a stranger's request is told to the stranger.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}
