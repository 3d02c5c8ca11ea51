//! The engine over TCP and TLS with client certificates, and a whole engine that is killed.

use std::time::Duration;

use correction_runner::config::{DockerSettings, Endpoint};
use correction_runner::docker::{Engine, EngineError, Notice, Removed, State, Watch};
use tokio_util::sync::CancellationToken;

use super::{Bench, engine_at, settings};
use crate::support::docker;
use crate::support::proxy::Proxy;
use crate::support::second_engine::SecondEngine;

fn tls(engine: &SecondEngine, host: &str, ca: Option<&str>, identity: Option<&str>) -> DockerSettings {
    let file = |name: &str| engine.file(name);
    settings(Endpoint::Tls {
        host: host.to_owned(),
        port: engine.port(),
        ca: ca.map(file),
        identity: identity.map(|name| (file(&format!("{name}.pem")), file(&format!("{name}-key.pem")))),
    })
}

async fn ping(settings: &DockerSettings) -> Result<(), EngineError> {
    Engine::new(settings)?.ping().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_on_a_tcp_port_is_the_same_engine() {
    let proxy = Proxy::to_engine().await;
    let endpoint = Endpoint::Tcp { host: "localhost".to_owned(), port: proxy.port() };
    let bench = Bench::on(Engine::new(&settings(endpoint)).unwrap()).await;
    let container = bench.ran("echo over TCP").await;
    let output = bench.engine.output(&container, 100).await.unwrap().unwrap();
    assert_eq!(output.stdout(), Some(&b"over TCP\n"[..]));
    let local = engine_at(crate::support::proxy::ENGINE_SOCKET).about().await.unwrap();
    assert_eq!(bench.engine.about().await.unwrap(), local);
    assert!(local.cpus > 0 && local.memory > 0 && !local.id.as_str().is_empty(), "{local:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_client_certificates_and_an_engine_that_is_killed() {
    let mut second = SecondEngine::start().await;

    for host in ["localhost", "127.0.0.1"] {
        let engine = Engine::new(&tls(&second, host, Some("ca.pem"), Some("client"))).unwrap();
        engine.ping().await.unwrap();
        let local = engine_at(second.socket()).about().await.unwrap();
        assert_eq!(engine.about().await.unwrap(), local);
    }
    for identity in [None, Some("stranger"), None, Some("stranger")] {
        let refused = ping(&tls(&second, "localhost", Some("ca.pem"), identity)).await.unwrap_err();
        let told = refused.to_string();
        assert!(told.to_lowercase().contains("certificate"), "{identity:?}: {told}");
        assert!(refused.may_heal() && !refused.is_ambiguous(), "{identity:?}: {refused:?}");
    }
    for ca in [Some("other-ca.pem"), None] {
        let untrusted = ping(&tls(&second, "localhost", ca, Some("client"))).await.unwrap_err();
        assert!(matches!(untrusted, EngineError::Unreachable { .. }), "{untrusted:?}");
        assert!(untrusted.to_string().contains("UnknownIssuer"), "{untrusted}");
    }
    wrong_files(&second).await;
    killed_engine(&mut second).await;
}

async fn wrong_files(second: &SecondEngine) {
    let mut settings = tls(second, "localhost", Some("none.pem"), Some("client"));
    let told = ping(&settings).await.unwrap_err().to_string();
    assert!(told.contains("ca") && told.contains("none.pem"), "{told}");
    settings.endpoint = match settings.endpoint {
        Endpoint::Tls { host, port, .. } => Endpoint::Tls {
            host,
            port,
            ca: Some(second.file("ca.pem")),
            identity: Some((second.file("client.pem"), second.file("client.pem"))),
        },
        other => other,
    };
    let told = ping(&settings).await.unwrap_err().to_string();
    assert!(told.contains("key") && told.contains("client.pem"), "{told}");
    if let Endpoint::Tls { identity, .. } = &mut settings.endpoint {
        *identity = Some((second.file("client.pem"), second.file("stranger-key.pem")));
    }
    let told = ping(&settings).await.unwrap_err().to_string();
    assert!(told.contains("cert") && told.contains("client.pem"), "a key of another certificate: {told}");
}

/// dockerd dies with its containers running and comes back.
async fn killed_engine(second: &mut SecondEngine) {
    let settings = tls(second, "localhost", Some("ca.pem"), Some("client"));
    let engine = Engine::new(&DockerSettings { timeout: Duration::from_secs(5), ..settings }).unwrap();
    let watch = Watch::start(&engine, &CancellationToken::new()).unwrap();
    assert_eq!(watch.next().await, Notice::Resync { outage: None });
    second.import(docker::GRADER_IMAGE).await;
    let bench = Bench::on(engine.clone()).await;
    let container = bench.run("exec sleep 600").await;
    let before = engine.now();
    second.kill().await;
    let away = async { while engine.ping().await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(30), away).await.expect("it is away");
    let notice = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.expect("it is told");
    let Notice::Broken { from } = notice else { panic!("{notice:?}") };
    second.run().await;
    let notice = tokio::time::timeout(Duration::from_secs(60), watch.next())
        .await
        .unwrap_or_else(|_| panic!("it is not back:\n{}", second.log()));
    let Notice::Resync { outage: Some(outage) } = notice else { panic!("{notice:?}") };
    let slack = jiff::SignedDuration::from_secs(1);
    assert_eq!(outage.from, from, "the outage is the one that was told to begin");
    assert!(outage.from <= before.saturating_add(slack).unwrap() && before <= outage.to, "{outage:?}");
    let inspected = engine.inspect(container.as_str()).await.unwrap().unwrap();
    assert_eq!(inspected.state, State::Exited, "the engine that came back ended it");
    let finished = inspected.finished_at.expect("it ended");
    assert!(outage.from <= finished && finished <= outage.to, "{outage:?} {inspected:?}");
    assert_eq!(engine.remove(&container, false).await.unwrap(), Removed::Done);
    watch.close().await;
}

#[test]
fn a_host_that_is_none_is_told() {
    let endpoint = Endpoint::Tcp { host: "a b".to_owned(), port: 1 };
    assert!(matches!(Engine::new(&settings(endpoint)), Err(EngineError::BadEndpoint(_))));
    let endpoint = Endpoint::Tcp { host: "::1".to_owned(), port: 1 };
    assert!(Engine::new(&settings(endpoint)).is_ok());
}
