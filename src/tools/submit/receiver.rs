//! A receiver of callbacks on this machine, which takes whatever comes: the result itself is in the queue.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// More than any result.
const LONGEST: usize = 64 << 20;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Receiver {
    address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Listens on a free port of the loopback interface.
    pub async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // A notifier that hears nothing tries again.
                    let _ = tokio::time::timeout(PATIENCE, serve(connection)).await;
                });
            }
        });
        Ok(Self { address, _serving: AbortOnDropHandle::new(serving) })
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// Takes one request, and says so.
async fn serve(mut connection: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    while !is_whole(&request) && request.len() < LONGEST {
        if connection.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    connection.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await?;
    connection.shutdown().await
}

/// Whether all of a request is there: its head, and as much of a body as that says.
fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    request.len() - end - 4 >= length.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_with_its_body() {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n";
        for (request, whole) in
            [("", false), (&head[..40], false), (head, false), (&format!("{head}{{}}"), true)]
        {
            assert_eq!(is_whole(request.as_bytes()), whole, "{request:?}");
        }
        assert!(is_whole(b"GET / HTTP/1.1\r\n\r\n"));
    }
}
