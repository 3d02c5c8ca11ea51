//! The engine over ssh, through a real sshd.

use std::time::Duration;

use correction_runner::config::{DockerSettings, Endpoint, Secret, SshEndpoint, SshKey};
use correction_runner::docker::{Engine, EngineError, Notice, Watch};
use tokio_util::sync::CancellationToken;

use super::{Bench, engine_at, settings};
use crate::support::proxy::{ENGINE_SOCKET, Proxy};
use crate::support::ssh::SshServer;

fn engine(endpoint: Endpoint) -> Engine {
    Engine::new(&settings(endpoint)).expect("settings that can be used")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_over_ssh_is_the_same_engine_and_many_calls_share_one_login() {
    let server = SshServer::start();
    let text = SshKey::Text(Secret::new(server.text("user")));
    let bench = Bench::on(engine(server.endpoint_with(|endpoint| endpoint.key = Some(text)))).await;
    let container = bench.ran("echo over ssh").await;
    let output = bench.engine.output(&container, 100).await.unwrap().unwrap();
    assert_eq!(output.stdout(), Some(&b"over ssh\n"[..]));
    let local = engine_at(ENGINE_SOCKET).about().await.unwrap();
    assert_eq!(bench.engine.about().await.unwrap(), local);
    let calls = (0..50).map(|_| bench.engine.inspect(container.as_str()));
    for inspected in futures::future::join_all(calls).await {
        assert_eq!(inspected.unwrap().unwrap().id, container);
    }
    bench.engine.afresh().ping().await.unwrap();
    assert_eq!(server.logins(), 1, "{}", server.log());
    let log = server.log();
    assert!(!log.contains("session"), "nothing but the socket is asked for:\n{log}");
}

/// As an engine that goes down: told at once, and back without a doing of ours.
#[tokio::test(flavor = "multi_thread")]
async fn the_events_come_over_an_ssh_of_their_own_and_are_resumed_when_sshd_is_back() {
    let mut server = SshServer::start();
    let engine = engine(server.endpoint_with(|_| {}));
    engine.ping().await.unwrap();
    let watch = Watch::start(&engine, &CancellationToken::new()).unwrap();
    assert_eq!(watch.next().await, Notice::Resync { outage: None });
    assert_eq!(server.logins(), 2, "{}", server.log());
    let bench = Bench::on(engine.clone()).await;
    let container = bench.run("exit 3").await;
    loop {
        match watch.next().await {
            Notice::Died { container: died, .. } if died == container => break,
            _ => {}
        }
    }
    server.kill();
    loop {
        if let Notice::Broken { .. } = watch.next().await {
            break;
        }
    }
    let error = engine.ping().await.unwrap_err();
    assert!(error.is_away() && error.may_heal(), "{error:?}");
    server.run();
    let notice = tokio::time::timeout(Duration::from_secs(60), watch.next()).await.expect("it is back");
    assert!(matches!(notice, Notice::Resync { outage: Some(_) }), "{notice:?}");
    let back = async { while engine.ping().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(60), back).await.expect("it is back");
    watch.close().await;
}

/// What somebody does otherwise.
type Change<'a> = Box<dyn Fn(&mut SshEndpoint) + 'a>;

/// What goes wrong before the engine is reached was never sent, and is told with what to do about it.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_that_ssh_fails_is_told_with_its_remedy() {
    let server = SshServer::start();
    let plain_file = server.file("known");
    let wrongs: Vec<(&str, Change<'_>, &[&str])> = vec![
        (
            "a key that the host does not know",
            Box::new(|endpoint| endpoint.key = Some(SshKey::File(server.file("stranger")))),
            &["~/.ssh/authorized_keys", "Permission denied"],
        ),
        (
            "the same as a text",
            Box::new(|endpoint| endpoint.key = Some(SshKey::Text(Secret::new(server.text("stranger"))))),
            &["~/.ssh/authorized_keys", "Permission denied"],
        ),
        (
            "a text that is no key",
            Box::new(|endpoint| {
                let text = "-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n";
                endpoint.key = Some(SshKey::Text(Secret::new(text)));
            }),
            &["the private key cannot be read"],
        ),
        (
            "a host whose key is not known",
            Box::new(|endpoint| endpoint.config = Some(server.file("known-none.config"))),
            &["is not known here", "ssh-keyscan -p", "known_hosts"],
        ),
        (
            "a host with another key",
            Box::new(|endpoint| endpoint.config = Some(server.file("known-otherwise.config"))),
            &["is not the one that is known", "ssh-keygen -R '[127.0.0.1]:"],
        ),
        ("a port without sshd", Box::new(|endpoint| endpoint.port = Some(1)), &["does sshd run on"]),
        (
            "a host that is none",
            Box::new(|endpoint| endpoint.host = "no-such-host.invalid".to_owned()),
            &["there is no host no-such-host.invalid"],
        ),
        (
            "a socket that is not there",
            Box::new(|endpoint| endpoint.socket = "/no/such: '%h/docker.sock".into()),
            &[
                "there is no /no/such: '%h/docker.sock on the far host",
                "is Docker installed and running there",
            ],
        ),
        (
            "a file that is no socket",
            Box::new(|endpoint| endpoint.socket.clone_from(&plain_file)),
            &["on the far host is no socket"],
        ),
        (
            "a configuration of ssh that is none",
            Box::new(|endpoint| endpoint.config = Some(server.file("host.pub"))),
            &["ssh's configuration cannot be read"],
        ),
    ];
    let asked = wrongs.iter().map(|(what, change, told)| {
        let engine = engine(server.endpoint_with(change));
        async move {
            for _ in 0..2 {
                let error = engine.ping().await.expect_err(what);
                assert!(matches!(error, EngineError::Unreachable { .. }), "{what}: {error:?}");
                assert!(!error.is_ambiguous() && error.may_heal(), "{what}: {error:?}");
                let text = error.to_string();
                assert!(told.iter().all(|part| text.contains(part)), "{what}: {text}");
                assert!(!text.contains("PRIVATE KEY-----\n") && !text.contains("Y2FuYXJ5"), "{what}: {text}");
            }
        }
    });
    futures::future::join_all(asked).await;
}

/// A socket that nobody serves any more, and a server that is none of Docker.
#[tokio::test(flavor = "multi_thread")]
async fn a_far_socket_without_an_engine_behind_it_is_told() {
    let server = SshServer::start();
    let folder = tempfile::tempdir().unwrap();
    let (left, other) = (folder.path().join("left.sock"), folder.path().join("other.sock"));
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    let stranger = std::os::unix::net::UnixListener::bind(&other).unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = stranger.accept() {
            let _ = std::io::Write::write_all(&mut stream, b"220 mail\r\n\r\n");
        }
    });
    for (socket, told) in [(left, "systemctl status docker"), (other, "is no Docker engine")] {
        let engine = engine(server.endpoint_with(|endpoint| endpoint.socket = socket));
        let error = engine.ping().await.unwrap_err();
        assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
    }
    // One that came later is used without any doing of ours.
    let late = folder.path().join("late.sock");
    let engine = engine(server.endpoint_with(|endpoint| endpoint.socket.clone_from(&late)));
    engine.ping().await.unwrap_err();
    let proxy = Proxy::to_engine().await;
    std::fs::hard_link(proxy.socket(), &late).unwrap();
    engine.ping().await.unwrap();
    assert_eq!(engine.about().await.unwrap(), engine_at(ENGINE_SOCKET).about().await.unwrap());
}

/// A peer that carries nothing any more holds nobody up for longer than the call may take.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_over_ssh_that_is_silent_is_given_up_in_time() {
    let server = SshServer::start();
    let silent = tempfile::tempdir().unwrap();
    let socket = silent.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let endpoint = server.endpoint_with(|endpoint| endpoint.socket = socket);
    let patience = Duration::from_secs(3);
    let engine = Engine::new(&DockerSettings { timeout: patience, ..settings(endpoint) }).unwrap();
    let error = engine.ping().await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("DOCKER_TIMEOUT"), "{error}");
    drop(listener);
}

/// A host that ends each session right after the login is no better than one that lets nobody in.
#[tokio::test(flavor = "multi_thread")]
async fn a_far_host_that_drops_each_session_is_logged_in_to_ever_more_rarely() {
    let mut server = SshServer::start();
    let engine = engine(server.endpoint_with(|_| {}));
    let begun = std::time::Instant::now();
    for _ in 0..25 {
        let _ = engine.ping().await;
        server.kill();
        server.run();
    }
    let (took, logins) = (begun.elapsed(), server.logins());
    assert!(logins >= 2, "{}", server.log());
    // Half of the longest wait before each: 200 ms, twice as long each time, 5 s at the most.
    let waits = (0..u32::try_from(logins - 1).expect("few")).map(|login| (100 << login.min(10)).min(2_500));
    let least = Duration::from_millis(waits.sum());
    assert!(took >= least, "{logins} logins within {took:?}: {}", server.log());
}
