//! TLS to the engine: its authority and our certificate, from the files that the settings name.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::error::EngineError;

/// A connector that trusts only `ca` (without it, the system's roots) and shows `identity` where asked.
pub(super) fn connector(
    tcp: HttpConnector,
    ca: Option<&Path>,
    identity: Option<(&Path, &Path)>,
) -> Result<HttpsConnector<HttpConnector>, EngineError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EngineError::BadEndpoint(format!("TLS: {error}")))?;
    let builder = if let Some(file) = ca {
        let mut roots = RootCertStore::empty();
        for certificate in certificates("ca", file)? {
            roots.add(certificate).map_err(|error| bad_file("ca", file, error))?;
        }
        builder.with_root_certificates(roots)
    } else {
        builder.with_native_roots().map_err(|error| {
            EngineError::BadEndpoint(format!(
                "no ca is given, and the system's roots cannot be read: {error}"
            ))
        })?
    };
    let config = if let Some((cert, key)) = identity {
        let chain = certificates("cert", cert)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad_pem("key", key, error))?;
        builder.with_client_auth_cert(chain, secret).map_err(|error| bad_file("cert", cert, error))?
    } else {
        builder.with_no_client_auth()
    };
    Ok(HttpsConnectorBuilder::new().with_tls_config(config).https_only().enable_http1().wrap_connector(tcp))
}

/// Whether a connection ended because the peer refused the handshake (our certificate, mostly). With
/// TLS 1.3 that comes to light only after the request was written; the peer has not read it.
pub(super) fn was_refused(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = match inner {
            Some(inner) => inner.downcast_ref::<rustls::Error>(),
            None => error.downcast_ref::<rustls::Error>(),
        };
        if matches!(tls, Some(rustls::Error::AlertReceived(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn certificates(field: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| bad_pem(field, file, error))?;
    if found.is_empty() { Err(bad_file(field, file, "holds no certificate")) } else { Ok(found) }
}

fn bad_pem(field: &'static str, file: &Path, error: pem::Error) -> EngineError {
    match error {
        pem::Error::Io(error) => bad_file(field, file, error),
        pem::Error::NoItemsFound => bad_file(field, file, "holds nothing of the kind in PEM form"),
        other => bad_file(field, file, format!("is not PEM: {other:?}")),
    }
}

fn bad_file(field: &'static str, file: &Path, reason: impl std::fmt::Display) -> EngineError {
    EngineError::BadFile { field, file: file.to_owned(), reason: reason.to_string() }
}
