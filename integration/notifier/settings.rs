//! Settings of deliveries, as the real program reads them.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use correction_runner::signing::{Checker, Claim, checking_keys};
use serde_json::json;

use super::real_proxy::own_address;
use super::receiver::{Answer, Asked, Receiver};
use crate::support::system::System;

/// The callback of a submission whose file is not there, by a runner with these settings.
async fn called_back(system: &mut System, receiver: &mut Receiver) -> Asked {
    let url = receiver.url("/");
    called_back_at(url, system, receiver).await
}

async fn called_back_at(url: String, system: &mut System, receiver: &mut Receiver) -> Asked {
    system.spawn("all");
    let mut job = system.job("none", "");
    job["file"] = json!("/no/such/submission");
    job["callback"] = json!(url);
    system.submit(&job).await;
    receiver.next().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_file_of_the_script_and_its_password_are_settings_and_a_wrong_password_is_told_at_the_start()
{
    let keys = tempfile::tempdir().expect("a folder");
    let made = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/generate_keys"))
        .arg(keys.path())
        .env("PRIVATE_KEY_PASSWORD", "right")
        .env("CORRECTION_RUNNER", env!("CARGO_BIN_EXE_correction-runner"))
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{made:?}");
    let private = keys.path().join("privateKey.pem").display().to_string();

    let mut system = System::prepare().await;
    system.set(&[("NOTIFY_SIGNING_KEYS_FILE", &private), ("PRIVATE_KEY_PASSWORD", "canary")]);
    system.spawn("notifier");
    assert_eq!(system.until_ended("notifier").await, Some(64));
    let told = system.log_of("notifier");
    assert!(told.contains("PRIVATE_KEY_PASSWORD") && !told.contains("canary"), "{told}");

    system.set(&[("PRIVATE_KEY_PASSWORD", "right")]);
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let asked = called_back(&mut system, &mut receiver).await;
    let public = std::fs::read_to_string(keys.path().join("publicKey.pem")).expect("a key");
    let claim = Claim {
        id: Some(asked.header("webhook-id")),
        timestamp: Some(asked.header("webhook-timestamp")),
        signature: Some(asked.header("webhook-signature")),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let checker = Checker::new(checking_keys(&public, None).expect("a public key"), Duration::from_mins(5));
    checker.check(claim, asked.body.as_bytes(), now).expect("genuine");
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxies_of_the_environment_are_not_used() {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a free port");
    proxy.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", proxy.local_addr().expect("bound"));
    let mut system = System::prepare().await;
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        system.set(&[(name, &url), (&name.to_lowercase(), &url)]);
    }
    // No proxy is asked for a loopback address, whatever the settings.
    let address = own_address();
    let mut receiver = Receiver::start_at(&format!("{address}:0"), |_, _| Answer::status(200)).await;
    called_back_at(format!("http://{address}:{}/", receiver.port), &mut system, &mut receiver).await;
    assert_eq!(proxy.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
    system.end().await;
}
