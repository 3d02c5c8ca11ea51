//! Receivers' certificates: whom we believe, and that nothing is sent to whom we do not.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use correction_runner::callback::Courier;
use correction_runner::egress::Egress;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

use super::courier::{TIMEOUT, courier, deliver, delivered};
use super::receiver::{Answer, Asked, Receiver};

/// An authority and certificates that it signed: for 127.0.0.1, for another host, for a day of the year 2020, and for
/// what is reached by a proxy.
const CERTIFICATES: &str = r#"
set -eu
cd "$1"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca-key.pem -out ca.pem
openssl req -newkey rsa:2048 -nodes -subj /CN=r -keyout key.pem -out r.csr
printf '[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=.\ndatabase=index\nserial=serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' >ca.cnf
: >index
echo 01 >serial
sign() { # name, whom it is for, more options
    printf 'subjectAltName=%s\n' "$2" >"$1.cnf"
    file=$1
    shift 2
    openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca-key.pem -in r.csr -extfile "$file.cnf" -out "$file.pem" "$@"
}
sign good IP:127.0.0.1 -days 2
sign other DNS:other.example,IP:127.0.0.2 -days 2
sign far DNS:receiver.test,IP:10.99.0.1 -days 2
sign expired IP:127.0.0.1 -startdate 20200101000000Z -enddate 20200102000000Z
"#;

pub fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let output =
        Command::new("sh").args(["-c", CERTIFICATES, "sh"]).arg(folder.path()).output().expect("sh runs");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    folder
}

/// A receiver that shows one of the certificates.
async fn receiver(folder: &Path, certificate: &str) -> Receiver {
    receiver_that(folder, certificate, |_, _| Answer::status(200)).await
}

pub async fn receiver_that(
    folder: &Path,
    certificate: &str,
    script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
) -> Receiver {
    let chain = CertificateDer::from_pem_file(folder.join(certificate)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("a certificate and its key");
    Receiver::start_tls(Arc::new(config), script).await
}

#[tokio::test]
async fn an_encrypted_callback_is_not_led_to_where_it_would_be_read() {
    let folder = certificates();
    let believer = Courier::new(TIMEOUT, Some(&folder.path().join("ca.pem")), Egress::default());
    let mut plain = Receiver::start(|_, _| Answer::status(200)).await;
    let to = plain.url("/");
    let encrypted = receiver_that(folder.path(), "good.pem", move |_, _| Answer::to(307, to.clone())).await;
    let url = format!("https://127.0.0.1:{}/", encrypted.port);
    let refused = deliver(&believer.expect("a courier"), &url).await;
    assert!(refused.may_heal() && refused.to_string().contains("which is not encrypted"), "{refused}");
    assert!(plain.came().is_none() && plain.connections() == 0);
}

#[tokio::test]
async fn only_a_certificate_in_force_of_a_believed_root_and_for_that_host_is_sent_a_result() {
    let folder = certificates();
    let believer = Courier::new(TIMEOUT, Some(&folder.path().join("ca.pem")), Egress::default());
    let believer = believer.expect("a courier");
    let mut good = receiver(folder.path(), "good.pem").await;
    let url = format!("https://127.0.0.1:{}/tls", good.port);
    assert_eq!(deliver(&believer, &url).await, delivered(200));
    assert_eq!(good.next().await.path, "/tls");
    let stranger = deliver(&courier(), &url).await;
    assert!(stranger.may_heal() && stranger.to_string().contains("UnknownIssuer"), "{stranger}");
    assert!(good.came().is_none());
    for (certificate, complaint) in [("other.pem", "not valid for name"), ("expired.pem", "expired")] {
        let mut bad = receiver(folder.path(), certificate).await;
        let refused = deliver(&believer, &format!("https://127.0.0.1:{}/", bad.port)).await;
        let text = refused.to_string();
        assert!(refused.may_heal() && text.contains(complaint), "{certificate}: {text}");
        assert!(bad.connections() > 0 && bad.came().is_none(), "{certificate}");
    }
}

#[tokio::test]
async fn a_receiver_that_speaks_the_other_one_of_http_and_https_is_told_as_unreachable() {
    let folder = certificates();
    let encrypted = receiver(folder.path(), "good.pem").await;
    let plain = Receiver::start(|_, _| Answer::status(200)).await;
    for url in [format!("http://127.0.0.1:{}/", encrypted.port), format!("https://127.0.0.1:{}/", plain.port)]
    {
        let delivery = deliver(&courier(), &url).await;
        assert!(
            delivery.may_heal() && delivery.to_string().contains("cannot be reached"),
            "{url}: {delivery}"
        );
    }
}
