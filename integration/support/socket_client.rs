//! One plain HTTP connection over a Unix socket: what a test says to an engine without the runner's client.
#![allow(dead_code, reason = "each user of this module uses another part of it")]

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// A connection, kept alive.
pub struct SocketClient(SendRequest<Full<Bytes>>);

impl SocketClient {
    /// Connects.
    ///
    /// # Errors
    /// As the operating system refuses.
    pub async fn connect(socket: &Path) -> anyhow::Result<Self> {
        let (sender, connection) = handshake(TokioIo::new(UnixStream::connect(socket).await?)).await?;
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    /// Sends a request and gives back the head of its answer.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn open(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<Response<Incoming>> {
        self.0.ready().await?;
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes())?)
            .uri(path)
            .header("host", "engine")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
        Ok(self.0.send_request(request).await?)
    }

    /// Sends a request and gives back the whole answer.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let response = self.open(method, path, body).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// Reads the lines of a body that goes on.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Lines {
    /// The lines of a response's body.
    pub fn of(response: Response<Incoming>) -> Self {
        Self { body: response.into_body(), buffer: Vec::new() }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// Where the connection breaks, or the body ends within a line.
    pub async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(String::from_utf8(line)?));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => anyhow::bail!("the body ended within a line"),
            }
        }
    }
}
