//! The simulated engine's server: connections on a Unix socket.

use std::path::Path;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::reading::{Connection, Switch};
use super::{Shared, calls};

/// Listens until the token that it gives back is cancelled; then every connection breaks.
///
/// # Panics
/// Where the socket cannot be bound.
pub fn listen(shared: Arc<Shared>, socket: &Path) -> CancellationToken {
    let listener = UnixListener::bind(socket).expect("the simulated engine's socket can be bound");
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                () = stopped.cancelled() => return,
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    shared.world().stats.connections += 1;
                    tokio::spawn(serve(Arc::clone(&shared), stream, stopped.clone()));
                }
            }
        }
    });
    stop
}

async fn serve(shared: Arc<Shared>, stream: UnixStream, stop: CancellationToken) {
    let switch = Arc::new(Switch::default());
    let stream = Connection::new(stream, Arc::clone(&switch), Arc::clone(&shared.reading));
    let service = service_fn(move |request: Request<Incoming>| {
        if shared.options.measure_reading && request.uri().path().ends_with("/events") {
            switch.narrow();
        }
        calls::answer(Arc::clone(&shared), request)
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // An error is the client's going away, or a fault that was asked for.
        _ = connection => {}
    }
}
