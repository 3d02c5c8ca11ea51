//! Redis away, back, closed to us, emptied.

use std::time::Duration;

use correction_runner::config::RedisSettings;
use correction_runner::identity::InstanceId;
use correction_runner::queue::{QueueError, Redis, Removed, Settled};

use super::{KEEP, Place, next, within, worker};
use crate::support::redis::{RedisServer, free_port, unique_prefix};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_goes_on_after_redis_was_killed_and_came_back() {
    let mut server = RedisServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let place = Place::on(&server, "restart");
    place.add("1").await;
    let mut worker = place.worker();
    let held = next(&mut worker).await;
    server.kill();
    let away = place.queue.complete(&held.job, "null", KEEP).await.expect_err("no Redis");
    assert!(away.is_ambiguous() && away.may_heal(), "{away}");
    assert!(!held.job.settlement.is_settled());
    server.restart();
    // At the first try, although connections made before are still in hand.
    for _ in 0..8 {
        place.queue.counts().await.expect("counts");
    }
    let settled = place.queue.complete(&held.job, "null", KEEP).await;
    assert_eq!(settled.expect("answered"), Settled::Done);
    place.add("2").await;
    assert_eq!(next(&mut worker).await.job.data, "2");
}

#[tokio::test]
async fn redis_is_told_apart_as_closed_absent_and_ready() {
    let server = RedisServer::start(&["--requirepass", "sesame"]);
    let open = Redis::new(&server.settings_with_password("bull", "sesame")).expect("usable");
    open.ready().await.expect("ready");
    for redis in
        [server.client("bull"), Redis::new(&server.settings_with_password("bull", "wr0ng")).expect("usable")]
    {
        let error = redis.ready().await.expect_err("refused");
        assert!(matches!(error, QueueError::Denied { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("wr0ng"));
    }
    let mut elsewhere = server.settings_with_password("bull", "sesame");
    elsewhere.database = 99;
    let error = Redis::new(&elsewhere).expect("usable").ready().await.expect_err("no such database");
    assert!(error.to_string().contains("REDIS_DB") && !error.may_heal(), "{error}");
    let mut nowhere = server.settings("bull");
    nowhere.port = 1;
    let error = Redis::new(&nowhere).expect("usable").ready().await.expect_err("nobody there");
    assert!(matches!(error, QueueError::Unreachable { .. }) && error.may_heal(), "{error:?}");
}

/// Runs in a process of its own, which trusts the certificate (see the next test).
#[tokio::test]
#[ignore = "a part of the next test"]
async fn encrypted_part() {
    let port = std::env::var("TLS_PORT").expect("a port").parse().expect("a number");
    let settings = RedisSettings {
        host: "localhost".into(),
        port,
        username: None,
        password: None,
        database: 3,
        tls: true,
        prefix: "bull".into(),
    };
    Redis::new(&settings).expect("usable").ready().await.expect("ready");
}

#[tokio::test]
async fn an_encrypted_connection_needs_a_certificate_that_is_trusted() {
    let keys = tempfile::tempdir().expect("a directory");
    let path = |name: &str| keys.path().join(name).display().to_string();
    let (key, certificate) = (path("key.pem"), path("certificate.pem"));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
    openssl.args([
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    assert!(openssl.output().expect("openssl").status.success());
    let port = free_port();
    let tls = port.to_string();
    let options = ["--tls-port", &tls, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let server = RedisServer::start(&[&options[..], &["--tls-auth-clients", "no"]].concat());
    let settings = RedisSettings { host: "localhost".into(), port, tls: true, ..server.settings("bull") };
    let error = Redis::new(&settings).expect("usable").ready().await.expect_err("not trusted");
    assert!(matches!(error, QueueError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    let trusting = tokio::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "queue::trouble::encrypted_part"])
        .env("SSL_CERT_FILE", &certificate)
        .env("TLS_PORT", &tls)
        .output();
    let trusting = within(trusting).await.expect("a second process");
    let said = String::from_utf8_lossy(&trusting.stdout);
    assert!(trusting.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn a_redis_without_memory_refuses_whole_operations() {
    let server = RedisServer::start(&["--maxmemory-policy", "noeviction"]);
    let place = Place::on(&server, "full");
    place.add("1").await;
    place.add("2").await;
    let held = place.take_one().await;
    place.tell::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let to = super::job_with_id("n", "{}");
    let refused =
        place.queue.hand_over(&held.job, &place.next, &to, None, "null", KEEP).await.expect_err("full");
    assert!(refused.may_heal() && !refused.is_ambiguous(), "{refused}");
    let pair = [(held.job.id.clone(), held.job.token.clone())];
    place.queue.hand_back(&pair).await.expect_err("full");
    place.queue.fail(&held.job, "why", KEEP).await.expect_err("full");
    assert_eq!(place.queue.renew(&pair).await.expect("renewed"), []);
    let mut worker = place.worker();
    assert!(tokio::time::timeout(Duration::from_millis(500), worker.next()).await.is_err());
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "active", &["0", "-1"]), ["1"]);
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "wait", &["0", "-1"]), ["2"]);
    place.tell::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    let settled = place.queue.hand_over(&held.job, &place.next, &to, None, "null", KEEP).await;
    assert_eq!(settled.expect("answered"), Settled::Done);
    assert_eq!(next(&mut worker).await.job.data, "2");
}

#[tokio::test]
async fn an_installation_has_one_id_until_it_is_reset_or_pinned() {
    let place = Place::new("instance");
    let (first, second) = tokio::join!(place.redis.instance(None), place.redis.instance(None));
    let id = first.expect("an id");
    assert_eq!(second.expect("an id"), id);
    let pinned = InstanceId::new("pinned");
    assert_eq!(place.redis.instance(Some(&pinned)).await.expect("an id"), pinned);
    assert_eq!(place.redis.instance(None).await.expect("an id"), pinned);
    place.redis.reset().await.expect("reset");
    assert!(![id, pinned].contains(&place.redis.instance(None).await.expect("an id")));
}

#[tokio::test]
async fn a_reset_deletes_what_is_ours_and_nothing_else() {
    let server = RedisServer::shared();
    let prefix = unique_prefix("reset*");
    let place = Place::on(server, &prefix);
    let neighbour = Place::on(server, &prefix.replace('*', "-longer"));
    for place in [&place, &neighbour] {
        place.add("{}").await;
        place.redis.instance(None).await.expect("an id");
    }
    let other = place.redis.queue("other_queue");
    other.add(&super::job("{}")).await.expect("added");
    let taken = next(&mut worker(&place.queue, 1)).await;
    place
        .queue
        .hand_over(&taken.job, &place.next, &super::job_with_id("n", "{}"), None, "1", KEEP)
        .await
        .expect("answered");
    let removed = place.redis.reset().await.expect("reset");
    assert!(removed.pending >= 4 && removed.running >= 3, "{removed:?}");
    assert_eq!((removed.finished, removed.own), (0, 1));
    assert_eq!(place.redis.reset().await.expect("reset"), Removed::default());
    assert_eq!(other.counts().await.expect("counts").waiting, 1);
    assert_eq!(neighbour.queue.counts().await.expect("counts").waiting, 1);
}
