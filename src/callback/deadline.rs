//! A time for all of a connection: looking up, connecting, and TLS.
//!
//! The client may begin a connection for a request that goes on by another one in the end; nobody waits for that, and
//! nobody would end it.

use std::error::Error;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper::Uri;
use tokio::time::timeout;
use tower_service::Service;

use super::undialled::DialError;

/// A connector whose connections are there in time or not at all.
#[derive(Clone, Debug)]
pub(super) struct Deadline<C> {
    connector: C,
    within: Duration,
}

impl<C> Deadline<C> {
    /// Gives each connection so much time.
    pub fn new(connector: C, within: Duration) -> Self {
        Self { connector, within }
    }
}

impl<C> Service<Uri> for Deadline<C>
where
    C: Service<Uri, Error = Box<dyn Error + Send + Sync>>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<C::Response, C::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().to_owned();
        let connecting = timeout(self.within, self.connector.call(uri));
        async move { connecting.await.unwrap_or_else(|_| Err(DialError::TooSlow { host }.into())) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::callback::dial::Dialler;
    use crate::callback::trust;
    use crate::egress::Egress;

    #[tokio::test]
    async fn a_handshake_that_nobody_answers_ends_in_time() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = silent.local_addr().expect("bound").port();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(trust::tls(None).expect("TLS"))
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dialler::new(Arc::new(Egress::default()), Duration::from_secs(60)));
        let mut connector = Deadline::new(connector, Duration::from_millis(100));
        let uri = format!("https://127.0.0.1:{port}/").parse().expect("a URI");
        let connecting = timeout(Duration::from_secs(20), connector.call(uri)).await.expect("in time");
        let error = connecting.map(|_| ()).expect_err("nobody answers").to_string();
        assert!(error.contains("in time"), "{error}");
    }
}
