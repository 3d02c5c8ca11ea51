//! Connections that break, engines that do not answer, and answers that are no Docker's.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use correction_runner::docker::{Call, EngineError, Owner, State};
use correction_runner::identity::{ContainerId, InstanceId};
use tempfile::TempDir;

use super::{Bench, engine_at, impatient_engine_at};
use crate::support::docker;
use crate::support::proxy::{ENGINE_SOCKET, Mode, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn a_start_whose_answer_is_lost_was_sent_once_and_is_ambiguous() {
    let proxy = Proxy::to_engine().await;
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let engine = engine_at(proxy.socket());
    let container = bench.create("exec sleep 600").await;
    engine.ping().await.unwrap();
    proxy.set(Mode::Swallow);
    let lost = engine.start(&container).await.unwrap_err();
    assert!(matches!(lost, EngineError::NoAnswer { call: Call::Start, .. }), "{lost}");
    assert!(lost.is_ambiguous() && lost.may_heal() && lost.is_away());
    assert_eq!(proxy.carried(&format!("/containers/{container}/start")), 1);
    proxy.set(Mode::Open);
    let inspected = engine.inspect(container.as_str()).await.unwrap().unwrap();
    assert_eq!(inspected.state, State::Running, "the start was carried out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_is_found_by_its_name() {
    let proxy = Proxy::to_engine().await;
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let engine = engine_at(proxy.socket());
    let spec = bench.spec("true");
    engine.ping().await.unwrap();
    proxy.set(Mode::Swallow);
    let lost = engine.create(&spec).await.unwrap_err();
    assert!(lost.is_ambiguous(), "{lost}");
    assert_eq!(proxy.carried("/containers/create"), 1);
    proxy.set(Mode::Open);
    assert_eq!(engine.inspect(&spec.name).await.unwrap().unwrap().state, State::Created);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_engine_closed_while_idle_are_replaced_unnoticed() {
    let proxy = Proxy::to_engine().await;
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let engine = engine_at(proxy.socket());
    engine.ping().await.unwrap();
    proxy.set(Mode::Cut);
    let refused = engine.ping().await.unwrap_err();
    assert!(refused.is_away() && refused.may_heal(), "{refused}");
    proxy.set(Mode::Open);
    let container = engine.create(&bench.spec("true")).await.unwrap();
    engine.start(&container).await.unwrap();
    assert!(proxy.carried("GET /version ") >= 2, "the version is negotiated again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_is_told_with_what_to_do_and_was_sent_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let away = engine_at(folder.path().join("none")).start(&ContainerId::new("c")).await.unwrap_err();
    assert!(matches!(away, EngineError::Unreachable { .. }) && !away.is_ambiguous(), "{away}");
    let told = away.to_string();
    assert!(told.contains("unix:///") && told.contains("is Docker running?"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_has_a_deadline_with_its_body_too() {
    let proxy = Proxy::to_engine().await;
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let engine = impatient_engine_at(proxy.socket(), Duration::from_millis(400));
    engine.ping().await.unwrap();
    proxy.set(Mode::Silent);
    let (container, begun) = (ContainerId::new("c"), Instant::now());
    let spec = bench.spec("true");
    let errors = tokio::join!(
        async { engine.ping().await.unwrap_err() },
        async { engine.about().await.unwrap_err() },
        async { engine.create(&spec).await.unwrap_err() },
        async { engine.start(&container).await.unwrap_err() },
        async { engine.inspect("c").await.unwrap_err() },
        async { engine.output(&container, 1).await.map(drop).unwrap_err() },
        async { engine.kill(&container).await.unwrap_err() },
        async { engine.unpause(&container).await.unwrap_err() },
        async { engine.remove(&container, true).await.unwrap_err() },
        async { engine.list(&bench.instance, Some).await.unwrap_err() },
    );
    let (ping, about, create, start, inspect, output, kill, unpause, remove, list) = errors;
    for error in [create, start, kill, unpause, remove] {
        assert!(matches!(error, EngineError::Timeout { .. }) && error.is_ambiguous(), "{error}");
    }
    for error in [ping, about, inspect, output, list] {
        assert!(matches!(error, EngineError::Timeout { .. }) && !error.is_ambiguous(), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// A server that gives each path an answer of its own and then says nothing more.
struct Impostor {
    folder: TempDir,
}

impl Impostor {
    fn answering(answers: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let answers = answers.clone();
                std::thread::spawn(move || {
                    let mut request = Vec::new();
                    let mut byte = [0];
                    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                        request.push(byte[0]);
                    }
                    let request = String::from_utf8_lossy(&request).into_owned();
                    let answer = answers.iter().find(|(path, _)| request.contains(path));
                    let answer =
                        answer.map_or("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", |found| found.1);
                    let _ = stream.write_all(answer.as_bytes());
                    // Until the client goes: what comes next has no answer.
                    let _ = std::io::copy(&mut stream, &mut std::io::sink());
                });
            }
        });
        Self { folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }
}

const VERSION: (&str, &str) = (
    "GET /version ",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 44\r\n\r\n{\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}",
);

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_no_dockers_are_told_as_such() {
    let html = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>";
    let impostor = Impostor::answering(&[VERSION, ("/containers/", html)]);
    let engine = impatient_engine_at(impostor.socket(), Duration::from_millis(500));
    let garbled = engine.inspect("c").await.unwrap_err();
    assert!(matches!(garbled, EngineError::Garbled { call: Call::Inspect, .. }), "{garbled}");
    let garbled = engine.list(&InstanceId::new("i"), Some).await.unwrap_err();
    assert!(matches!(garbled, EngineError::Garbled { call: Call::List, .. }), "{garbled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_which_too_much_is_said_fails_no_list() {
    let element = |id: &str, label: &str| serde_json::json!({ "Id": id, "State": "exited", "Created": 5, "Labels": { "l": label } });
    let list = [element("a", ""), element("long", &"x".repeat(5 << 20)), element("b", "")];
    let body = serde_json::Value::from(list.to_vec()).to_string();
    let answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let impostor = Impostor::answering(&[VERSION, ("/containers/json", answer.leak())]);
    let listed = engine_at(impostor.socket()).list(&InstanceId::new("i"), Some).await.unwrap();
    let listed: Vec<&str> = listed.iter().map(|listed| listed.id.as_str()).collect();
    assert_eq!(listed, ["a", "b"]);
}

/// More than any answer that is read at once may be (16 MiB), as on a host with tens of thousands of containers.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_containers_for_a_person_may_be_longer_than_any_other_answer() {
    let long = "x".repeat(4 << 10);
    let element = |at: u32, instance: &str| {
        serde_json::json!({
            "Id": format!("c{at}"), "Names": [format!("/n{at}")], "Image": "g", "State": "exited", "Created": at,
            "Labels": { "org.correctomatic.instance": instance, "l": long },
        })
    };
    let list: Vec<_> = (0..4500).map(|at| element(at, if at % 3 == 0 { "other" } else { "i" })).collect();
    let body = serde_json::Value::from(list).to_string();
    assert!(body.len() > 16 << 20, "{}", body.len());
    let answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let impostor = Impostor::answering(&[VERSION, ("/containers/json", answer.leak())]);
    let engine = impatient_engine_at(impostor.socket(), Duration::from_secs(60));
    let (ours, all) = (Owner::Instance(InstanceId::new("i")), Owner::AllInstances);
    let (ours, all) = tokio::join!(engine.inhabitants(&ours), engine.inhabitants(&all));
    let (ours, all) = (ours.unwrap(), all.unwrap());
    assert_eq!((ours.len(), all.len()), (3000, 4500));
    assert_eq!((all[4499].id.as_str(), all[4499].name.as_str(), all[4499].created), ("c4499", "n4499", 4499));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stops_midway_ends_at_the_deadline() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{\"Id\":\"a\",\"State\":\"exited\"},";
    let frame = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n\u{1}\0\0\0\0\0\0\u{20}half";
    let impostor =
        Impostor::answering(&[VERSION, ("/containers/json", half), ("/logs", frame), ("/containers/", half)]);
    let engine = impatient_engine_at(impostor.socket(), Duration::from_millis(200));
    let timeout = |error: EngineError| assert!(matches!(error, EngineError::Timeout { .. }), "{error}");
    timeout(engine.inspect("c").await.unwrap_err());
    timeout(engine.list(&InstanceId::new("i"), Some).await.unwrap_err());
    timeout(engine.inhabitants(&Owner::AllInstances).await.map(drop).unwrap_err());
    timeout(engine.output(&ContainerId::new("c"), 10).await.map(drop).unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_too_old_or_too_new_is_told_as_such() {
    for (version, least) in [("1.24", "1.12"), ("9.99", "9.50")] {
        let body = format!("{{\"ApiVersion\":\"{version}\",\"MinAPIVersion\":\"{least}\"}}");
        let answer =
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let impostor = Impostor::answering(&[("GET /version ", answer.leak())]);
        let refused = engine_at(impostor.socket()).ping().await.unwrap_err();
        assert!(matches!(refused, EngineError::Incompatible { .. }) && !refused.may_heal(), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_exchanged_for_another_version_is_negotiated_with_again() {
    let refusal = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nApi-Version: 1.52\r\nContent-Length: 67\r\n\r\n\
                   client version 1.41 is too old. Minimum supported API version is 44";
    let impostor = Impostor::answering(&[VERSION, ("/_ping", refusal)]);
    let refused = engine_at(impostor.socket()).ping().await.unwrap_err();
    assert!(refused.may_heal() && !refused.is_ambiguous(), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_calls_at_once_all_come_back() {
    let bench = Bench::on(engine_at(ENGINE_SOCKET)).await;
    let container = bench.create("true").await;
    let calls = (0..100).map(|_| bench.engine.inspect(container.as_str()));
    for inspected in futures::future::join_all(calls).await {
        assert_eq!(inspected.unwrap().unwrap().id, container);
    }
    let id = docker::command(&["inspect", "--format", "{{.Id}}", container.as_str()]).await;
    assert_eq!(id, container.as_str());
}
