//! Settings as the whole system keeps them: what was set is what happens.

use std::time::{Duration, Instant};

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::proxy::Proxy;
use crate::support::registry::{PASSWORD, Registry, USER};
use crate::support::system::System;

const SAYS_OK: &str = r#"echo '{"success":true,"grade":1}'"#;

fn of_image(system: &System, name: &str, image: &str) -> Value {
    let mut job = system.job(name, SAYS_OK);
    job["image"] = json!(image);
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_if_that_is_wished_and_its_registry_lets_us() {
    let registry = Registry::start().await;
    let (domain, image) = (registry.domain(), registry.image());
    let logins =
        |password: &str| json!({ domain.as_str(): {"username": USER, "password": password} }).to_string();
    let (right, wrong) = (logins(PASSWORD), logins("geheim"));
    let credentials = "DOCKER_REGISTRY_CREDENTIALS";

    for (settings, outcome, told) in [
        (vec![(credentials, right.as_str())], "image_not_found", "DOCKER_PULL"),
        (vec![("DOCKER_PULL", "s"), (credentials, wrong.as_str())], "pull_failed", credentials),
        (vec![("DOCKER_PULL", "s")], "pull_failed", credentials),
    ] {
        let system = System::start(&settings).await;
        system.submit(&of_image(&system, "private", &image)).await;
        let body = system.result("private").await.json();
        let text = body["error"].as_str().expect("a text");
        assert_eq!(body["outcome"], outcome, "{text}");
        assert!(text.contains(told) && !text.contains("geheim"), "{text}");
        assert!(!system.logs().contains("geheim"));
        system.end().await;
    }

    // The original's first name for it, and several submissions that wait for the image at once.
    let system = System::start(&[("DOCKER_PULL", "s"), ("DOCKER_REPOSITORY_CREDENTIALS", &right)]).await;
    let names = ["a", "b", "c", "d"];
    for name in names {
        system.submit(&of_image(&system, name, &image)).await;
    }
    for result in join_all(names.map(|name| system.result(name))).await {
        assert_eq!(result.json()["grade"], 1, "{}", result.body);
    }
    assert!(!system.logs().contains(PASSWORD));
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_output_are_limited_as_set_and_the_rest_is_unharmed() {
    let system = System::start(&[("CONTAINER_MEMORY", "32m"), ("CONTAINER_OUTPUT_LIMIT", "4k")]).await;
    let flood = "i=0; while [ $i -lt 2000 ]; do echo 0123456789; i=$((i+1)); done";
    let block =
        format!("echo '-BEGIN CORRECTOMATIC RESPONSE-'; {SAYS_OK}; echo '-END CORRECTOMATIC RESPONSE-'");
    for (name, script) in [
        ("memory", "x=0123456789; while :; do x=$x$x; done"),
        ("flood", flood),
        ("block", &format!("{flood}; {block}; {flood}")),
    ] {
        system.submit(&system.job(name, script)).await;
    }
    for (name, outcome, told) in
        [("memory", "out_of_memory", "CONTAINER_MEMORY"), ("flood", "output_limit", "4096 are kept")]
    {
        let body = system.result(name).await.json();
        assert_eq!(body["outcome"], outcome, "{body}");
        assert!(body["error"].as_str().expect("a text").contains(told), "{body}");
    }
    assert_eq!(system.result("block").await.body, r#"{"grade":1,"success":true,"work_id":"block"}"#);
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_and_deliveries_are_no_faster_than_their_rates() {
    for rate in ["START_RATE", "NOTIFY_RATE"] {
        let (max, duration) = (format!("{rate}_MAX"), format!("{rate}_DURATION"));
        let system = System::start(&[(&max, "1"), (&duration, "2s")]).await;
        let names = ["a", "b", "c"];
        let began = Instant::now();
        for name in names {
            system.submit(&system.job(name, SAYS_OK)).await;
        }
        join_all(names.map(|name| system.result(name))).await;
        // The first at once, the second and the third 2 s after the one before.
        assert!(began.elapsed() > Duration::from_millis(3900), "{rate}: {:?}", began.elapsed());
        system.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_on_a_tcp_port_is_found_by_each_way_to_name_it() {
    let proxy = Proxy::to_engine().await;
    let options = format!(r#"{{"host": "127.0.0.1", "port": {}}}"#, proxy.port());
    let host = format!("tcp://127.0.0.1:{}", proxy.port());
    // DOCKER_OPTIONS wins, so the host that it hides need not be there.
    for settings in [
        vec![("DOCKER_OPTIONS", options.as_str()), ("DOCKER_HOST", "tcp://127.0.0.1:1")],
        vec![("DOCKER_HOST", &host)],
    ] {
        let before = proxy.carried("/containers/create");
        let system = System::start(&settings).await;
        system.submit(&system.job("tcp", SAYS_OK)).await;
        assert_eq!(system.result("tcp").await.json()["grade"], 1);
        assert!(proxy.carried("/containers/create") > before, "{settings:?}");
        system.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_carry_how_often_they_are_tried_and_ended_jobs_stay_as_many_as_set() {
    let settings = [("NOTIFY_ATTEMPTS", "3"), ("NOTIFY_BACKOFF", "7s"), ("KEEP_COMPLETED", "1")];
    let system = System::start(&settings).await;
    // One refused by the starter, one completed: both add the result.
    let mut refused = system.job("refused", SAYS_OK);
    refused["image"] = json!(7);
    for (name, job) in [("refused", refused), ("graded", system.job("graded", SAYS_OK))] {
        system.submit(&job).await;
        let id = system.result(name).await.webhook_id;
        let options = system.ask(&["hget", &format!("bull:{FINISHED_QUEUE}:{id}"), "opts"]).await;
        let options: Value = serde_json::from_str(&options).expect("JSON");
        assert_eq!(options["attempts"], 3, "{options}");
        assert_eq!(options["backoff"], json!({"type": "exponential", "delay": 7000}));
    }
    for queue in [PENDING_QUEUE, FINISHED_QUEUE] {
        let queue = system.redis.queue(queue);
        let counts = system
            .until("both jobs have ended", async || {
                let counts = queue.counts().await.expect("Redis answers");
                (counts.waiting + counts.active == 0).then_some(counts)
            })
            .await;
        assert_eq!((counts.completed, counts.failed), (1, 0));
    }
    system.end().await;
}
