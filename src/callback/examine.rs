//! Whether a result could be delivered somewhere: everything that a delivery does before its request, and no request.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::Connection;
use tower_service::Service;

use super::deadline::Deadline;
use super::dial::Dialler;
use super::link::ReceiverAt;
use super::target::Target;
use super::trust::{self, CourierError};
use super::undialled::{DialError, undialled};
use crate::egress::{Egress, Proxy};

/// What would become of a delivery, up to its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Scheme, host and port.
    pub host: String,
    /// Whether it is encrypted.
    pub is_https: bool,
    /// What the rules say of the host, whatever its addresses: why not, if not.
    pub refused: Option<String>,
    /// The host's addresses, each with what the rules say of it: why it is not dialled, if it is not.
    pub addresses: Result<Vec<(IpAddr, Option<String>)>, String>,
    /// The address to which a connection could be made, encryption and certificate included; `None` = it was not tried.
    pub connected: Option<Result<IpAddr, String>>,
    /// The proxy by which that connection was made.
    pub proxy: Option<String>,
    /// Whether it was the proxy that made no connection, or to which there was no way.
    pub failed_at_proxy: bool,
}

/// Goes the way of a delivery as far as to an open connection. `Err` of the inner result = it is no URL that can be
/// asked for.
///
/// # Errors
/// The file of extra roots is unusable.
pub async fn examine(
    url: &str,
    ca_file: Option<&Path>,
    egress: Egress,
    within: Duration,
) -> Result<Result<Examined, String>, CourierError> {
    let tls = trust::tls(ca_file)?;
    let target = match Target::parse(url) {
        Ok(target) => target,
        Err(problem) => return Ok(Err(problem)),
    };
    let (host, port, is_https) = (target.host().to_owned(), target.port(), target.is_https());
    let egress = Arc::new(egress);
    let refused = egress.check_host(is_https, &host, port).err().map(|refusal| refusal.to_string());
    let dialler = Dialler::new(Arc::clone(&egress), within);
    let found = match tokio::time::timeout(within, dialler.verdicts_of(&host, port)).await {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(DialError::TooSlow { host: host.clone() }.to_string()),
    };
    let addresses = found.map(|found| {
        let told = found.into_iter().map(|(address, refusal)| (address, refusal.map(|it| it.to_string())));
        told.collect::<Vec<_>>()
    });
    let passed = addresses.iter().flatten().find(|(_, refusal)| refusal.is_none());
    let mut failed_at_proxy = false;
    let connected = if refused.is_none()
        && let Some((first, _)) = passed
    {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(dialler);
        let connected = Deadline::new(connector, within).call(target.uri).await;
        Some(connected.map(|stream| reached(&stream).unwrap_or(*first)).map_err(|error| {
            failed_at_proxy = undialled(&*error).is_some_and(DialError::is_of_proxy);
            in_full(&*error)
        }))
    } else {
        None
    };
    let way = |address: IpAddr| egress.proxies.way(is_https, &host, address, port).map(ToString::to_string);
    let proxy = connected.iter().flatten().find_map(|address| way(*address));
    let scheme = if is_https { "https" } else { "http" };
    let host = format!("{scheme}://{host}:{port}");
    Ok(Ok(Examined { host, is_https, refused, addresses, connected, proxy, failed_at_proxy }))
}

/// The receiver's address that a connection leads to.
fn reached(stream: &impl Connection) -> Option<IpAddr> {
    let mut told = hyper::http::Extensions::new();
    stream.connected().get_extras(&mut told);
    told.get::<ReceiverAt>().map(|ReceiverAt(address)| *address)
}

/// Whether a connection to a proxy can be made, of which nothing is asked.
///
/// # Errors
/// Why not.
pub async fn examine_proxy(proxy: &Proxy, within: Duration) -> Result<(), String> {
    let dialler = Dialler::new(Arc::default(), within);
    match tokio::time::timeout(within, dialler.connect_to_proxy(proxy)).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err(format!("the proxy {proxy} took no connection in time")),
    }
}

/// An error with its causes, each thing once.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

/// How many of the system's root certificates are believed.
#[must_use]
pub fn believed_roots() -> usize {
    let native = rustls_native_certs::load_native_certs();
    rustls::RootCertStore::empty().add_parsable_certificates(native.certs).0
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::egress::{Openness, parse_all};

    const WITHIN: Duration = Duration::from_secs(60);

    async fn examined(url: &str, egress: Egress) -> Examined {
        examine(url, None, egress, WITHIN).await.expect("no file").expect("a URL")
    }

    #[tokio::test]
    async fn what_the_rules_refuse_is_told_by_its_rule_and_not_dialled() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let url = format!("http://user:canary@127.0.0.1:{port}/x?token=canary");
        let public = Egress { openness: Openness::Public, ..Egress::default() };
        let told = examined(&url, public).await;
        let addresses = told.addresses.clone().expect("it is one");
        assert!(
            addresses[0].1.as_ref().is_some_and(|why| why.contains("CALLBACK_POLICY=public")),
            "{told:?}"
        );
        assert_eq!((&told.connected, &told.refused), (&None, &None));
        assert!(!format!("{told:?}").contains("canary"), "{told:?}");
        let denied = Egress { deny: parse_all("127.0.0.0/8").expect("a rule"), ..Egress::default() };
        let told = examined(&url, denied).await.addresses.expect("it is one");
        assert!(
            told[0].1.as_ref().is_some_and(|why| why.contains("CALLBACK_DENY (127.0.0.0/8)")),
            "{told:?}"
        );
        let told = examined(&url, Egress { https_only: true, ..Egress::default() }).await;
        assert!(told.refused.is_some() && told.connected.is_none(), "{told:?}");
    }

    #[tokio::test]
    async fn a_connection_is_made_and_encrypted_where_it_has_to_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let told = examined(&format!("http://127.0.0.1:{port}/"), Egress::default()).await;
        assert_eq!(told.connected, Some(Ok("127.0.0.1".parse().expect("an address"))));
        let answering = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                // It is closed, and no TLS is spoken.
                drop(stream);
            }
        });
        let told = examined(&format!("https://127.0.0.1:{port}/"), Egress::default()).await;
        assert!(matches!(told.connected, Some(Err(_))), "{told:?}");
        answering.abort();
    }

    #[tokio::test]
    async fn what_is_no_url_and_what_has_no_address_is_told() {
        let told = examine("nonsense", None, Egress::default(), WITHIN).await.expect("no file");
        assert!(told.is_err());
        let told = examined("http://no-such-host.invalid/", Egress::default()).await;
        assert!(told.addresses.is_err() && told.connected.is_none(), "{told:?}");
    }
}
