//! The simulated engine is checked itself: what it answers was compared with Docker 20.10.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::simulated_engine::{
    Call, Ending, Fault, Loss, Options, Present, Shape, SimulatedEngine, Status,
};
use crate::support::socket_client::{Lines, SocketClient};

struct Bench {
    engine: SimulatedEngine,
    client: SocketClient,
}

impl Bench {
    async fn with(options: Options) -> Self {
        let engine = SimulatedEngine::start(options).await;
        let client = SocketClient::connect(engine.socket()).await.unwrap();
        Self { engine, client }
    }

    async fn new(run_time: Duration) -> Self {
        Self::with(Options { run_time, ..Options::default() }).await
    }

    async fn call(&mut self, method: &str, path: &str) -> (u16, String) {
        self.send(method, path, "").await
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let (status, body) = self.client.call(method, path, body).await.unwrap();
        (status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }

    async fn create(&mut self, name: &str, body: &Value) -> String {
        let path = format!("/v1.41/containers/create?name={name}");
        let (status, answer) = self.send("POST", &path, &body.to_string()).await;
        assert_eq!(status, 201, "{answer}");
        parsed(&answer)["Id"].as_str().unwrap().to_owned()
    }

    async fn inspect(&mut self, reference: &str) -> Value {
        let (status, answer) = self.call("GET", &format!("/containers/{reference}/json")).await;
        assert_eq!(status, 200, "{answer}");
        parsed(&answer)
    }

    async fn events(&self, query: &str) -> Lines {
        let mut client = SocketClient::connect(self.engine.socket()).await.unwrap();
        Lines::of(client.open("GET", &format!("/v1.41/events?{query}"), "").await.unwrap())
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn actions(lines: &mut Lines, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let event = parsed(&lines.next().await.unwrap().unwrap());
        found.push(event["Action"].as_str().unwrap().to_owned());
    }
    found
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_container_is_created_runs_ends_tells_its_verdict_and_is_removed() {
    let mut bench = Bench::new(Duration::from_millis(5)).await;
    let mut lines = bench.events("filters=%7B%22type%22%3A%5B%22container%22%5D%7D").await;
    let id = bench.create("c1", &json!({"Image": "grader", "Labels": {"l": "v"}})).await;
    assert_eq!(bench.inspect("c1").await["State"]["Status"], "created");
    assert_eq!(bench.call("POST", &format!("/v1.41/containers/{id}/start")).await.0, 204);
    let die = loop {
        let event = parsed(&lines.next().await.unwrap().unwrap());
        if event["Action"] == "die" {
            break event;
        }
    };
    assert_eq!(
        (&die["status"], &die["id"], &die["from"], &die["Actor"]["Attributes"]),
        (
            &json!("die"),
            &json!(id),
            &json!("grader"),
            &json!({"exitCode":"0","image":"grader","l":"v","name":"c1"})
        )
    );
    let ended = &bench.inspect(&id).await["State"];
    assert_eq!((&ended["Status"], &ended["ExitCode"]), (&json!("exited"), &json!(0)));
    let (_, logs) = bench.call("GET", "/containers/c1/logs?stdout=1&stderr=1").await;
    assert!(logs.starts_with("\u{1}\0\0\0\0\0\0\u{2f}{\"success\":true"), "{logs:?}");
    assert_eq!(bench.call("DELETE", "/containers/c1").await.0, 204);
    assert_eq!(actions(&mut lines, 1).await, ["destroy"]);
    let gone = bench.call("DELETE", "/containers/c1").await;
    assert_eq!(gone, (404, "{\"message\":\"No such container: c1\"}\n".to_owned()));
    let stats = bench.engine.stats();
    assert_eq!((stats.created, stats.started, stats.died, stats.removed, stats.alive), (1, 1, 1, 1, 0));
    assert_eq!((stats.max_starts_of_one, stats.calls(Call::Remove)), (1, 2));
}

#[tokio::test]
async fn what_docker_refuses_is_refused_with_its_words() {
    let mut bench = Bench::with(Options {
        run_time: HOUR,
        images: Present::Only(vec!["grader".into()]),
        check_mounts: true,
        ..Options::default()
    })
    .await;
    let id = bench.create("c1", &json!({"Image": "grader:latest"})).await;
    let mounts =
        json!({"Image": "grader", "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/nope/x"}]}});
    for (method, path, body, status, words) in [
        (
            "POST",
            "/containers/create?name=c1",
            json!({"Image": "grader"}),
            409,
            "is already in use by container",
        ),
        (
            "POST",
            "/containers/create?name=a/b",
            json!({"Image": "grader"}),
            400,
            "Invalid container name (a/b)",
        ),
        ("POST", "/containers/create?name=c2", json!({"Image": "nope"}), 404, "No such image: nope:latest"),
        ("POST", "/containers/create?name=c2", mounts, 400, "bind source path does not exist: /nope/x"),
        ("POST", "/containers/nope/start", json!({}), 404, "No such container: nope"),
        ("POST", "/containers/c1/kill", json!({}), 409, "is not running"),
        ("POST", "/containers/c1/unpause", json!({}), 500, "is not paused"),
        ("GET", "/containers/c1/logs", json!({}), 400, "you must choose at least one stream"),
        ("GET", "/v1.42/_ping", json!({}), 400, "client version 1.42 is too new"),
        ("GET", "/nonsense", json!({}), 404, "page not found"),
        ("GET", "/images/nope/json", json!({}), 404, "No such image: nope:latest"),
        ("POST", "/images/create?fromImage=nope&tag=latest", json!({}), 404, "pull access denied for nope"),
    ] {
        let (found, answer) = bench.send(method, path, &body.to_string()).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert!(parsed(&answer)["message"].as_str().unwrap().contains(words), "{path}: {answer}");
    }
    assert_eq!(bench.call("POST", "/containers/c1/start").await, (204, String::new()));
    assert_eq!(bench.call("POST", &format!("/containers/{id}/start")).await.0, 304);
    assert_eq!(bench.call("DELETE", "/containers/c1").await.0, 409);
    assert_eq!(bench.call("DELETE", "/containers/c1?force=true").await.0, 204);
    assert_eq!(bench.engine.stats().max_starts_of_one, 2);
}

#[tokio::test]
async fn the_last_256_events_are_replayed_and_no_others() {
    let mut bench = Bench::new(HOUR).await;
    for number in 0..300 {
        bench.create(&format!("c{number}"), &json!({"Image": "grader"})).await;
    }
    let mut replayed = bench.events("since=1").await;
    let first = parsed(&replayed.next().await.unwrap().unwrap());
    assert_eq!(first["Actor"]["Attributes"]["name"], "c44");
    actions(&mut replayed, 255).await;
    let mut live = bench.events("").await;
    let last = bench.create("last", &json!({"Image": "grader"})).await;
    for lines in [&mut replayed, &mut live] {
        assert_eq!(parsed(&lines.next().await.unwrap().unwrap())["Actor"]["ID"], json!(last));
    }
    let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
    let mut past = bench.events(&format!("since={}&until={}.5", now - 100, now - 1)).await;
    assert_eq!(past.next().await.unwrap(), None);
}

#[tokio::test]
async fn the_list_is_filtered_and_may_lag() {
    let mut bench = Bench::new(HOUR).await;
    bench.create("c1", &json!({"Image": "grader", "Labels": {"i": "a"}})).await;
    bench.create("c2", &json!({"Image": "grader", "Labels": {"i": "b"}})).await;
    bench.engine.set_list_lag(HOUR);
    assert_eq!(bench.call("POST", "/containers/c1/start").await.0, 204);
    bench.engine.end("c1", 0);
    let (_, all) = bench.call("GET", "/containers/json?all=true").await;
    assert_eq!(parsed(&all)[0]["Names"], json!(["/c2"]));
    let (_, mine) =
        bench.call("GET", "/containers/json?all=1&filters=%7B%22label%22%3A%5B%22i%3Da%22%5D%7D").await;
    let mine = parsed(&mine);
    assert_eq!((mine.as_array().unwrap().len(), &mine[0]["State"]), (1, &json!("running")));
    assert_eq!(bench.inspect("c1").await["State"]["Status"], "exited");
    bench.engine.set_list_lag(Duration::ZERO);
    let (_, running) = bench.call("GET", "/containers/json").await;
    assert_eq!(parsed(&running), json!([]));
}

#[tokio::test]
async fn a_container_does_what_its_environment_says() {
    let mut bench = Bench::new(HOUR).await;
    let env = json!([
        "SIMULATED_RUN_MS=0",
        "SIMULATED_STDOUT=out",
        "SIMULATED_STDERR=err",
        "SIMULATED_EXIT_CODE=3"
    ]);
    bench.create("c1", &json!({"Image": "grader", "Env": env})).await;
    bench.create("c2", &json!({"Image": "grader", "Env": ["SIMULATED_RUN_MS=0", "SIMULATED_OOM=1"]})).await;
    bench.create("c3", &json!({"Image": "grader", "Env": ["SIMULATED_START_ERROR=exec: nosuch"]})).await;
    assert_eq!(
        bench.call("POST", "/containers/c3/start").await,
        (400, "{\"message\":\"exec: nosuch\"}\n".into())
    );
    bench.call("POST", "/containers/c1/start").await;
    bench.call("POST", "/containers/c2/start").await;
    bench.engine.until(|stats| stats.died == 2).await;
    assert_eq!(bench.inspect("c1").await["State"]["ExitCode"], 3);
    let oom = &bench.inspect("c2").await["State"];
    assert_eq!((&oom["ExitCode"], &oom["OOMKilled"]), (&json!(137), &json!(true)));
    let (_, logs) = bench.call("GET", "/containers/c1/logs?stdout=1&stderr=1").await;
    assert_eq!(logs, "\u{1}\0\0\0\0\0\0\u{3}out\u{2}\0\0\0\0\0\0\u{3}err");
}

#[tokio::test]
async fn streams_are_closed_cleanly_within_a_line_or_broken() {
    let bench = Bench::new(HOUR).await;
    for (how, clean) in [(Ending::Clean, true), (Ending::MidLine, false), (Ending::Broken, false)] {
        let mut lines = bench.events("").await;
        bench.engine.until_streams(1).await;
        bench.engine.close_streams(how);
        let end = lines.next().await;
        assert_eq!(end.is_ok(), clean, "{how:?}: {end:?}");
    }
}

#[tokio::test]
async fn events_are_lost_on_streams_or_for_ever() {
    let mut bench = Bench::new(HOUR).await;
    let mut lines = bench.events("").await;
    bench.engine.until_streams(1).await;
    bench.engine.lose_events(Some("create"), 1, Loss::Streams);
    bench.create("c1", &json!({"Image": "grader"})).await;
    bench.engine.lose_events(None, 1, Loss::Everywhere);
    bench.create("c2", &json!({"Image": "grader"})).await;
    bench.engine.remove("c2");
    assert_eq!(actions(&mut lines, 1).await, ["destroy"]);
    assert_eq!(actions(&mut bench.events("since=1").await, 2).await, ["create", "destroy"]);
}

#[tokio::test]
async fn calls_fail_hang_and_are_carried_out_without_an_answer() {
    let mut bench = Bench::new(HOUR).await;
    bench.create("c1", &json!({"Image": "grader"})).await;
    bench.engine.inject(Call::Inspect, Fault::Refuse(500, "out of order".into()), 1);
    assert_eq!(bench.call("GET", "/containers/c1/json").await.0, 500);
    assert_eq!(bench.call("GET", "/containers/c1/json").await.0, 200);
    bench.engine.inject(Call::Start, Fault::CarryOutAndDrop, 1);
    assert!(bench.client.call("POST", "/containers/c1/start", "").await.is_err());
    assert_eq!(bench.engine.containers()[0].status, Status::Running);
    bench.engine.inject(Call::Ping, Fault::Hang, 1);
    let mut client = SocketClient::connect(bench.engine.socket()).await.unwrap();
    let hung = tokio::time::timeout(Duration::from_millis(50), client.call("GET", "/_ping", "")).await;
    assert!(hung.is_err());
    bench.engine.inject(Call::Version, Fault::StallBody, 1);
    let mut client = SocketClient::connect(bench.engine.socket()).await.unwrap();
    let response = client.open("GET", "/version", "").await.unwrap();
    let body = http_body_util::BodyExt::collect(response.into_body());
    assert!(tokio::time::timeout(Duration::from_millis(50), body).await.is_err());
}

#[tokio::test]
async fn the_daemon_goes_away_and_comes_back_with_its_containers_and_without_its_events() {
    let mut bench = Bench::new(HOUR).await;
    bench.create("c1", &json!({"Image": "grader"})).await;
    bench.engine.go_away();
    assert!(bench.client.call("GET", "/_ping", "").await.is_err());
    assert!(SocketClient::connect(bench.engine.socket()).await.is_err());
    bench.engine.come_back(true);
    bench.client = SocketClient::connect(bench.engine.socket()).await.unwrap();
    assert_eq!(bench.inspect("c1").await["State"]["Status"], "created");
    let mut lines = bench.events("since=1").await;
    bench.engine.remove("c1");
    assert_eq!(actions(&mut lines, 1).await, ["destroy"]);
}

#[tokio::test]
async fn its_events_can_look_like_those_of_newer_docker_and_of_podman() {
    let mut bench = Bench::new(HOUR).await;
    let mut lines = bench.events("filters=%7B%22event%22%3A%7B%22die%22%3Atrue%7D%7D").await;
    bench.engine.until_streams(1).await;
    for (shape, action, code) in
        [(Shape::Docker29, "die", "exitCode"), (Shape::Podman, "died", "containerExitCode")]
    {
        bench.engine.set_shape(shape);
        let name = format!("{shape:?}");
        bench.create(&name, &json!({"Image": "grader"})).await;
        bench.call("POST", &format!("/containers/{name}/start")).await;
        bench.engine.end(&name, 2);
        let event = parsed(&lines.next().await.unwrap().unwrap());
        assert_eq!((&event["Action"], &event["Actor"]["Attributes"][code]), (&json!(action), &json!("2")));
        assert_eq!(event.get("status").is_some(), shape == Shape::Podman);
    }
}

#[tokio::test]
async fn its_clock_can_be_wrong() {
    let mut bench = Bench::new(HOUR).await;
    bench.engine.set_clock_skew(3_600_000);
    let response = bench.client.open("GET", "/_ping", "").await.unwrap();
    let date = httpdate::parse_http_date(response.headers()["date"].to_str().unwrap()).unwrap();
    let ahead = date.duration_since(std::time::SystemTime::now()).unwrap();
    assert!((3590..3610).contains(&ahead.as_secs()), "{ahead:?}");
}

#[tokio::test]
async fn a_death_of_an_earlier_run_does_not_end_a_later_one() {
    let mut bench = Bench::new(Duration::from_millis(60)).await;
    let id = bench.create("c1", &json!({"Image": "grader"})).await;
    bench.call("POST", "/containers/c1/start").await;
    assert!(bench.engine.kill(&id[..12]));
    assert!(!bench.engine.kill("c1"));
    bench.call("POST", "/containers/c1/start").await;
    let stats = bench.engine.until(|stats| stats.died == 2).await;
    assert_eq!((stats.started, stats.killed, stats.max_starts_of_one), (2, 1, 2));
    assert_eq!(bench.inspect("c1").await["State"]["ExitCode"], 0);
}
