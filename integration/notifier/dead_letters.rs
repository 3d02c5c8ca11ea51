//! The ledger of attempts, and deliveries that were given up: they stay, are told, and are made anew by a person.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::FINISHED_QUEUE;
use correction_runner::ledger::{Entry, Said};
use serde_json::{Value, json};

use super::receiver::{Answer, Receiver};
use super::{ID, NO_WAIT, PATIENT, System, VERDICT_BODY, verdict, within};
use crate::queue::Place;
use crate::support::node::{Node, Version};
use crate::support::redis::{RedisServer, free_port};

/// A receiver that answers with a status that can be changed.
async fn switchable() -> (Receiver, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(500));
    let answered = Arc::clone(&status);
    let receiver = Receiver::start(move |_, _| {
        Answer::Say(answered.load(Ordering::SeqCst), vec![], "first line\nsecond line")
    });
    (receiver.await, status)
}

impl System {
    /// Runs `correction-runner deliveries`: exit code, standard output, standard error.
    async fn deliveries(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.arg("deliveries").args(arguments).env_clear();
        command.env("REDIS_PORT", RedisServer::shared().port().to_string());
        command.env("QUEUE_PREFIX", &self.place.prefix);
        let output = command.output().await.expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    async fn deliveries_json(&self, arguments: &[&str]) -> Value {
        let (code, told, errors) = self.deliveries(&[arguments, &["--json"]].concat()).await;
        assert_eq!(code, Some(0), "{told}{errors}");
        serde_json::from_str(&told).expect("JSON")
    }

    fn entries(&self, id: &str) -> Vec<Entry> {
        let log = self.log(id);
        log.iter().map(|line| Entry::parse(line).unwrap_or_else(|| panic!("no entry: {line}"))).collect()
    }
}

fn ids(list: &Value) -> Vec<&str> {
    let all = list["deliveries"].as_array().expect("a list");
    all.iter().map(|one| one["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn each_attempt_is_a_line_on_its_job_the_successful_one_too() {
    let receiver = Receiver::start(|_, count| match count {
        0 => Answer::Say(503, vec![], "first line\nsecond line"),
        1 => Answer::Close,
        _ => Answer::Say(201, vec![], "thanks"),
    })
    .await;
    let system = System::start("ledger", PATIENT);
    system.add(&verdict(&receiver.url("/")), 5, Duration::from_millis(1)).await;
    system.until(|counts| counts.completed == 1).await;
    let [first, second, third] = &system.entries(ID)[..] else { panic!("{:?}", system.log(ID)) };
    let numbers = |entry: &Entry| (entry.attempt, entry.attempts, entry.status);
    assert_eq!(
        (numbers(first), numbers(second), numbers(third)),
        ((1, 5, Some(503)), (2, 5, None), (3, 5, Some(201)))
    );
    assert!(matches!(&first.said, Said::Failed(why) if why.contains("first line")), "{first}");
    assert!(matches!(&second.said, Said::Failed(why) if why.contains("cannot be reached")), "{second}");
    assert!(matches!(third.said, Said::Delivered(_)), "{third}");
    assert!(first.at <= second.at && second.at <= third.at);
    // As a dashboard sees it.
    let asked = json!({ "prefix": system.place.prefix, "queue": FINISHED_QUEUE });
    let board = Node::shared(Version::Six).call("board", asked).await;
    assert_eq!(board["logs"].as_array().map(Vec::len), Some(3), "{board}");
}

#[tokio::test]
async fn a_dead_letter_is_listed_shown_and_redelivered_under_the_same_name_with_all_its_attempts() {
    let (mut receiver, status) = switchable().await;
    let system = System::start("redeliver", PATIENT);
    system.add(&verdict(&receiver.url("/c?token=canary")), 2, NO_WAIT).await;
    system.until(|counts| counts.failed == 1).await;
    let name = receiver.next().await.header("webhook-id").to_owned();
    assert_eq!(receiver.next().await.header("webhook-id"), name);

    let (code, told, _) = system.deliveries(&["list"]).await;
    assert_eq!(code, Some(0));
    for part in [ID, "w0", "2/2", "gave up after 2 attempts", "\n1 dead letter; 0 wait"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("canary"), "{told}");
    let shown = system.deliveries_json(&["show", ID]).await;
    assert_eq!((shown["state"].as_str(), shown["body"].as_str()), (Some("dead"), Some(VERDICT_BODY)));
    assert_eq!((&shown["webhook_id"], &shown["log"][1]["status"]), (&json!(name), &json!(500)));
    assert_eq!(shown["log"][1]["delivered"], json!(false));

    // Still broken: all its attempts are made anew, and it is a dead letter again.
    let (code, told, _) = system.deliveries(&["redeliver", ID]).await;
    assert!(code == Some(0) && told.contains(&format!("{ID}  redelivered")), "{told}");
    system.until(|counts| counts.failed == 1).await;
    assert_eq!(receiver.next().await.header("webhook-id"), name);
    assert_eq!(receiver.next().await.header("webhook-id"), name);
    assert_eq!(system.log(ID).len(), 5, "four attempts and a person: {:?}", system.log(ID));

    status.store(200, Ordering::SeqCst);
    let (code, told, _) = system.deliveries(&["redeliver", "--all", "--dry-run"]).await;
    assert!(code == Some(0) && told.contains("1 would be redelivered; now: 1 dead letter;"), "{told}");
    let redelivered = system.deliveries_json(&["redeliver", "--all"]).await;
    assert_eq!(redelivered["deliveries"], json!([{ "id": ID, "result": "redelivered" }]));
    system.until(|counts| counts.completed == 1).await;
    let last = receiver.next().await;
    assert_eq!((last.header("webhook-id"), last.body.as_str()), (name.as_str(), VERDICT_BODY));
    assert!(receiver.came().is_none(), "once");
    let (code, told, _) = system.deliveries(&["redeliver", "--all"]).await;
    assert!(code == Some(0) && told.starts_with("0 redelivered"), "{told}");
}

#[tokio::test]
async fn what_was_delivered_since_it_was_listed_is_not_delivered_again_with_all_others() {
    use correction_runner::queue::{PutBack, State};
    let (mut receiver, status) = switchable().await;
    let system = System::start("meanwhile", PATIENT);
    let data = verdict(&receiver.url("/"));
    system.add(&data, 1, NO_WAIT).await;
    system.until(|counts| counts.failed == 1).await;
    receiver.next().await;
    let id = JobId::new(ID);
    let put_back = || system.queue.put_back(&id, &data, &data, "asked for", Some(State::Failed));
    status.store(200, Ordering::SeqCst);
    assert_eq!(put_back().await.expect("answered"), PutBack::From(State::Failed));
    system.until(|counts| counts.completed == 1).await;
    receiver.next().await;
    let log = system.log(ID);
    // As a second `redeliver --all` does that has listed it before.
    assert_eq!(put_back().await.expect("answered"), PutBack::Elsewhere(State::Completed));
    assert_eq!(system.log(ID), log, "nothing was changed");
    system.until(|counts| counts.completed == 1 && counts.waiting + counts.active == 0).await;
    assert!(receiver.came().is_none());
}

#[tokio::test]
async fn a_jobs_own_options_never_drop_the_dead_letters_of_others() {
    let system = System::start("own-options", PATIENT);
    for id in ["a", "b"] {
        system.add_as(Some(id), &verdict("ftp://nowhere/"), 1, NO_WAIT).await;
    }
    system.until(|counts| counts.failed == 2).await;
    for (id, keep) in
        [("c", json!(1)), ("d", json!({ "age": 1 })), ("e", json!({ "count": 1 })), ("f", json!(true))]
    {
        tokio::time::sleep(Duration::from_millis(600)).await;
        let data: Value = serde_json::from_str(&verdict("ftp://nowhere/")).expect("JSON");
        let options = json!({ "jobId": id, "removeOnFail": keep });
        let asked =
            json!({ "prefix": system.place.prefix, "queue": FINISHED_QUEUE, "data": data, "opts": options });
        Node::shared(Version::Six).call("add", asked).await;
    }
    system.until(|counts| counts.failed == 5 && counts.waiting + counts.active == 0).await;
    let mut left: Vec<String> = system.place.ask_of(FINISHED_QUEUE, "ZRANGE", "failed", &["0", "-1"]);
    left.sort();
    assert_eq!(left, ["a", "b", "c", "d", "e"], "only the one that is not to be kept itself is gone");
}

#[tokio::test]
async fn a_dashboards_retry_delivers_under_the_same_name_too() {
    for (version, test) in [(Version::Five, "retry-5"), (Version::Six, "retry-6")] {
        let (mut receiver, status) = switchable().await;
        let system = System::start(test, PATIENT);
        system.add_as(None, &verdict(&receiver.url("/")), 1, NO_WAIT).await;
        system.until(|counts| counts.failed == 1).await;
        let name = receiver.next().await.header("webhook-id").to_owned();
        status.store(200, Ordering::SeqCst);
        let retry = json!({
            "prefix": system.place.prefix, "queue": FINISHED_QUEUE, "id": "1", "method": "retry", "args": [],
        });
        Node::shared(version).call("jobCall", retry).await;
        assert_eq!(receiver.next().await.header("webhook-id"), name);
        system.until(|counts| counts.completed == 1).await;
        assert_eq!(system.deliveries_json(&["show", "1"]).await["webhook_id"], json!(name));
    }
}

#[tokio::test]
async fn what_waits_is_listed_with_its_next_attempt_and_can_be_delivered_now() {
    let (mut receiver, status) = switchable().await;
    let system = System::start("waits", PATIENT);
    system.add(&verdict(&receiver.url("/")), 3, Duration::from_secs(600)).await;
    system.until(|counts| counts.delayed == 1).await;
    receiver.next().await;
    let list = system.deliveries_json(&["list", "--state", "pending"]).await;
    assert_eq!((ids(&list), list["counts"]["delayed"].as_u64()), (vec![ID], Some(1)));
    let one = &list["deliveries"][0];
    assert_eq!((one["state"].as_str(), one["attempts_made"].as_u64()), (Some("delayed"), Some(1)));
    assert!(one["next_attempt_at"].as_str().is_some_and(|at| at.starts_with("20")), "{one}");
    assert!(ids(&system.deliveries_json(&["list"]).await).is_empty(), "no dead letter");
    status.store(200, Ordering::SeqCst);
    system.deliveries_json(&["redeliver", ID]).await;
    assert_eq!(receiver.next().await.header("webhook-id"), ID);
    system.until(|counts| counts.completed == 1 && counts.delayed == 0).await;
    assert_eq!(ids(&system.deliveries_json(&["list", "--state", "delivered"]).await), [ID]);
}

#[tokio::test]
async fn dead_letters_are_chosen_by_receiver_and_time_and_can_go_to_a_new_place() {
    let gone = format!("127.0.0.1:{}", free_port());
    let (receiver, _) = switchable().await;
    let mut new = Receiver::start(|_, _| Answer::status(200)).await;
    let system = System::start("chosen", PATIENT);
    system.add_as(Some("a"), &verdict(&format!("http://u:canary@{gone}/a?q=1")), 1, NO_WAIT).await;
    system.add_as(Some("b"), &verdict(&receiver.url("/b")), 1, NO_WAIT).await;
    system.add_as(Some("c"), &verdict("ftp://nowhere/"), 1, NO_WAIT).await;
    system.until(|counts| counts.failed == 3).await;
    let of_gone = system.deliveries_json(&["list", "--receiver", &gone]).await;
    assert_eq!(ids(&of_gone), ["a"]);
    let recent = system.deliveries_json(&["list", "--since", "1h"]).await;
    assert_eq!(ids(&recent).len(), 3);
    assert!(ids(&system.deliveries_json(&["list", "--since", "2100-01-01"]).await).is_empty());
    let cut = system.deliveries_json(&["list", "--limit", "1"]).await;
    assert_eq!((ids(&cut).len(), cut["more"].as_bool()), (1, Some(true)));

    let origin = new.url("");
    let moved = ["redeliver", "--all", "--receiver", &gone, "--to-origin", &origin];
    assert_eq!(ids(&system.deliveries_json(&moved).await), ["a"]);
    let asked = new.next().await;
    assert_eq!((asked.path.as_str(), asked.body.as_str()), ("/a?q=1", VERDICT_BODY));
    assert!(asked.header("authorization").starts_with("Basic "), "its credentials go along");
    let whole = new.url("/whole");
    system.deliveries_json(&["redeliver", "c", "--to", &whole]).await;
    assert_eq!(new.next().await.path, "/whole");
    system.until(|counts| counts.completed == 2 && counts.failed == 1).await;
    let log = system.log("a").join("\n");
    assert!(
        log.contains("Redelivery asked for by a person: the callback was http://") && !log.contains("canary"),
        "{log}"
    );

    let (code, told, _) = system.deliveries(&["redeliver", "nobody", "b"]).await;
    assert!(code == Some(1) && told.contains("nobody  unknown: there is no such job"), "{told}");
    let (code, told, _) = system.deliveries(&["show", "nobody"]).await;
    assert!(code == Some(1) && told.contains("there is no delivery \"nobody\""), "{told}");
    for (wrong, expected) in [
        (&["redeliver"][..], "--all"),
        (&["redeliver", "b", "--since", "1h"], "--since and --receiver choose among --all"),
        (&["redeliver", "b", "--to", "ftp://h"], "--to is not an http or https URL"),
        (&["redeliver", "--all", "--since", "yesterday"], "a span such as 2h"),
    ] {
        let (code, _, told) = system.deliveries(wrong).await;
        assert!(code == Some(64) && told.contains(expected), "{wrong:?}: {told}");
    }
}

#[tokio::test]
async fn redis_away_is_an_exit_code_of_its_own() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    command.args(["deliveries", "list", "--redis-port", &free_port().to_string()]).env_clear();
    let output = command.output().await.expect("the binary starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(69) && told.contains("cannot be reached"), "{told}");
}

#[tokio::test]
async fn dead_letters_are_not_pushed_out_by_their_number_while_they_are_young() {
    let system = System::start_with("young", PATIENT, |settings| settings.common.retention.failed = 1);
    for id in ["a", "b", "c", "d"] {
        system.add_as(Some(id), &verdict("ftp://nowhere/"), 1, NO_WAIT).await;
    }
    system.until(|counts| counts.failed == 4).await;
    // Two of them are a month old by now.
    let month = 31.0 * 24.0 * 3.6e6;
    for id in ["a", "b"] {
        let ended: f64 = system.place.ask_of(FINISHED_QUEUE, "ZSCORE", "failed", &[id]);
        let _: u64 =
            system.place.ask_of(FINISHED_QUEUE, "ZADD", "failed", &[&(ended - month).to_string(), id]);
    }
    system.add_as(Some("e"), &verdict("ftp://nowhere/"), 1, NO_WAIT).await;
    system.until(|counts| counts.failed == 3).await;
    // Two that failed in the same millisecond or at once stand in any order.
    let mut left: Vec<String> = system.place.ask_of(FINISHED_QUEUE, "ZRANGE", "failed", &["0", "-1"]);
    left.sort();
    assert_eq!(left, ["c", "d", "e"]);
    assert!(system.hash("a").is_empty() && system.log("a").is_empty());
}

#[tokio::test]
async fn a_dead_letter_is_an_error_in_the_log_and_so_is_one_that_is_not_kept() {
    let place = Place::new("alarm");
    let folder = tempfile::tempdir().expect("a folder");
    let asked = |id: &str, options: Value| {
        let data = json!({
            "work_id": format!("w-{id}"), "error": true, "correction_data": "x",
            "callback": "ftp://u:canary@nowhere/c?t=canary",
        });
        let mut options = options;
        options["jobId"] = id.into();
        json!({ "prefix": place.prefix, "queue": FINISHED_QUEUE, "data": data, "opts": options })
    };
    let node = Node::shared(Version::Six);
    node.call("add", asked("kept", json!({}))).await;
    node.call("add", asked("not-kept", json!({ "removeOnFail": true }))).await;
    let start = |path: &Path| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_correction-runner"))
            .arg("notifier")
            .env_clear()
            .env("REDIS_PORT", RedisServer::shared().port().to_string())
            .env("QUEUE_PREFIX", &place.prefix)
            .env("LOG_FILE", path)
            .current_dir(folder.path())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts")
    };
    let path = folder.path().join("log");
    let mut notifier = start(&path);
    let log = || std::fs::read_to_string(&path).unwrap_or_default();
    within(async {
        while !log().contains("no longer kept") || log().matches("is given up").count() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    notifier.kill().await.expect("ended");
    let log = log();
    let errors: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["level"] == "error")
        .collect();
    assert_eq!(errors.len(), 3, "{log}");
    for error in &errors {
        let id = error["job_id"].as_str().expect("which");
        assert_eq!(error["work_id"], json!(format!("w-{id}")), "{error}");
        assert_eq!(error["receiver"], json!("ftp://nowhere/c?…"), "{error}");
    }
    assert!(!log.contains("canary"), "{log}");

    // The next one gave none up, and tells of those that there are.
    let path = folder.path().join("next");
    let _next = start(&path);
    let told = within(async {
        loop {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            let mut whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = whole.find(|line| line.contains("results that nobody took")) {
                break serde_json::from_str::<Value>(line).expect("JSON");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!((&told["level"], &told["dead_letters"]), (&json!("warn"), &json!(1)), "{told}");
}
