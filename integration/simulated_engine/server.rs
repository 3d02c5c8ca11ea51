//! The simulated engine's server: connections on a Unix socket.

use std::path::Path;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use super::{Shared, calls, reading};

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
    let narrow = shared.options.measure_reading;
    if narrow {
        reading::narrow(&stream);
    }
    let service = service_fn(move |request| calls::answer(Arc::clone(&shared), request));
    let mut builder = http1::Builder::new();
    if narrow {
        builder.max_buf_size(8 * 1024);
    }
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = stop.cancelled() => {}
        // An error is the client's going away, or a fault that was asked for.
        _ = connection => {}
    }
}
