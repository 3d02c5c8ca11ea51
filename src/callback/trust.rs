//! Whose certificates of receivers are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tracing::warn;

/// Why there can be no courier.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The file of extra roots is unusable.
    #[error("the file {} cannot be used: {problem}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// TLS that believes the system's roots and those of a file.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, CourierError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        warn!(%error, "some of the system's certificates cannot be read");
    }
    let (believed, _) = roots.add_parsable_certificates(native.certs);
    if believed == 0 && ca_file.is_none() {
        warn!("the system has no root certificates: callbacks by https will fail (install ca-certificates)");
    }
    if let Some(path) = ca_file {
        add_file(&mut roots, path)
            .map_err(|problem| CourierError::CaFile { path: path.to_owned(), problem })?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let mut count = 0;
    for certificate in certificates {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
        count += 1;
    }
    if count == 0 { Err("it holds no certificate (PEM)".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_holds_no_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = tls(Some(file.path())).expect_err("empty").to_string();
        assert!(error.contains("holds no certificate") && error.contains(&file.path().display().to_string()));
        assert!(
            tls(Some(Path::new("/nowhere/ca.pem")))
                .expect_err("missing")
                .to_string()
                .contains("/nowhere/ca.pem")
        );
    }
}
