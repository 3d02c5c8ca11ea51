//! The notifier on a real Redis, with real receivers.

mod courier;
mod dead_letters;
mod hostile;
mod isolation;
pub mod names;
mod proxied;
mod real_proxy;
pub mod receiver;
mod refused;
mod settings;
mod signatures;
mod tls;
mod verifiers;

use std::collections::HashMap;
use std::time::Duration;

use correction_runner::config::{CommonSettings, DeliveryRetries, NotifierSettings, Retention};
use correction_runner::egress::{Egress, parse_all};
use correction_runner::heartbeat::Hearts;
use correction_runner::identity::JobId;
use correction_runner::job::FINISHED_QUEUE;
use correction_runner::metrics::ReceiverState;
use correction_runner::notifier;
use correction_runner::queue::{Counts, JobOptions, NewJob, Queue};
use correction_runner::signing::SigningKeys;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::receiver::{Answer, Receiver};
use crate::queue::Place;
use crate::support::redis::{RedisServer, free_port};

const ID: &str = "0a1b2c3d-0000-4000-8000-000000000001";

/// Does not wait for ever.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), work).await.expect("within two minutes")
}

/// A notifier of a test's own, on the shared Redis.
struct System {
    place: Place,
    queue: Queue,
    shutdown: CancellationToken,
    notifier: JoinHandle<anyhow::Result<()>>,
    hearts: Hearts,
    _stop: DropGuard,
}

impl System {
    fn start(test: &str, timeout: Duration) -> Self {
        Self::start_with(test, timeout, |_| ())
    }

    fn start_with(test: &str, timeout: Duration, change: impl FnOnce(&mut NotifierSettings)) -> Self {
        let place = Place::new(test);
        let mut settings = NotifierSettings {
            common: CommonSettings {
                redis: RedisServer::shared().settings(&place.prefix),
                instance: None,
                retention: Retention { completed: 100, failed: 100 },
                deliveries: DeliveryRetries {
                    attempts: 10,
                    backoff: Duration::from_secs(5),
                    schedule: Vec::new(),
                },
                connect_wait: None,
            },
            concurrency: CONCURRENCY,
            rate: None,
            timeout,
            ca_file: None,
            egress: Egress::default(),
            signing: SigningKeys::default(),
        };
        change(&mut settings);
        let shutdown = CancellationToken::new();
        let (hearts, stop) = (Hearts::default(), shutdown.clone());
        let beating = hearts.clone();
        let run = Box::pin(notifier::run(settings, stop));
        let run = async move { beating.loop_of("notifier", run).await };
        let notifier = tokio::spawn(run);
        let queue = place.redis.queue(FINISHED_QUEUE);
        Self { place, queue, notifier, hearts, _stop: shutdown.clone().drop_guard(), shutdown }
    }

    async fn add(&self, data: &str, attempts: u32, backoff: Duration) {
        self.add_as(Some(ID), data, attempts, backoff).await;
    }

    async fn add_as(&self, id: Option<&str>, data: &str, attempts: u32, backoff: Duration) {
        let options =
            JobOptions { attempts: Some(attempts), backoff: Some(backoff), ..JobOptions::default() };
        let id = id.map(JobId::new);
        let job = NewJob { id, name: "Correction w0".into(), data: data.into(), options };
        self.queue.add(&job).await.expect("added");
    }

    /// Waits until so many receivers are known to be so.
    async fn until_receivers(&self, state: ReceiverState, wanted: impl Fn(f64) -> bool) {
        within(async {
            while !self.hearts.metrics().receivers.of(state).get().is_some_and(&wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// Waits until the queue's counts are as wanted.
    async fn until(&self, wanted: impl Fn(&Counts) -> bool) {
        within(async {
            while !wanted(&self.queue.counts().await.expect("counts")) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    fn hash(&self, id: &str) -> HashMap<String, String> {
        self.place.ask_of(FINISHED_QUEUE, "HGETALL", id, &[])
    }

    fn log(&self, id: &str) -> Vec<String> {
        self.place.ask_of(FINISHED_QUEUE, "LRANGE", &format!("{id}:logs"), &["0", "-1"])
    }

    /// How long from now on a delayed job waits, in milliseconds.
    fn waits(&self, id: &str) -> f64 {
        let score: f64 = self.place.ask_of(FINISHED_QUEUE, "ZSCORE", "delayed", &[id]);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        (score / 4096.0).floor() - now.as_secs_f64() * 1000.0
    }
}

fn verdict(callback: &str) -> String {
    format!(
        r#"{{"work_id":"w0","error":false,"correction_data":{{"success":true,"grade":7.50,"comments":["ok"]}},"callback":"{callback}"}}"#
    )
}

const VERDICT_BODY: &str = r#"{"comments":["ok"],"grade":7.5,"success":true,"work_id":"w0"}"#;
const CONCURRENCY: usize = 20;
const PATIENT: Duration = Duration::from_secs(30);
const NO_WAIT: Duration = Duration::ZERO;

#[tokio::test]
async fn a_result_is_delivered_byte_for_byte_and_its_job_completed() {
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let system = System::start("delivered", PATIENT);
    system.add(&verdict(&receiver.url("/c?token=x")), 1, NO_WAIT).await;
    let asked = receiver.next().await;
    assert_eq!(asked.body, VERDICT_BODY);
    assert_eq!((asked.header("content-type"), asked.header("webhook-id")), ("application/json", ID));
    let failure = json!({ "work_id": "w0", "error": true, "correction_data": "The dog ate my correction", "callback": receiver.url("/") });
    system.add_as(Some("b"), &failure.to_string(), 1, NO_WAIT).await;
    let expected = r#"{"error":"The dog ate my correction","success":false,"work_id":"w0"}"#;
    assert_eq!(receiver.next().await.body, expected);
    system.until(|counts| counts.completed == 2).await;
    let said: String = serde_json::from_str(&system.hash(ID)["returnvalue"]).expect("JSON text");
    assert!(said.starts_with(&format!("Notification sent to {} at 20", receiver.url("/c?…"))), "{said}");
    assert!(receiver.came().is_none());
}

#[tokio::test]
async fn numbered_jobs_of_the_original_are_delivered_under_one_name_each() {
    let mut receiver = Receiver::start(|_, count| Answer::status(if count == 0 { 500 } else { 200 })).await;
    let system = System::start("numbered", PATIENT);
    system.add_as(None, &verdict(&receiver.url("/1")), 2, NO_WAIT).await;
    let (first, second) = (receiver.next().await, receiver.next().await);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(first.header("webhook-id").len(), 36);
    system.add_as(None, &verdict(&receiver.url("/2")), 1, NO_WAIT).await;
    assert_ne!(receiver.next().await.header("webhook-id"), first.header("webhook-id"));
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_as_the_job_wants_and_logged_on_it() {
    let mut receiver = Receiver::start(|_, count| match count {
        0 => Answer::Say(500, vec![], "database is down"),
        _ => Answer::status(202),
    })
    .await;
    let system = System::start("again", PATIENT);
    system.add(&verdict(&receiver.url("/")), 3, Duration::from_millis(1)).await;
    system.until(|counts| counts.completed == 1).await;
    assert_eq!(
        (receiver.next().await.body, receiver.next().await.body),
        (VERDICT_BODY.into(), VERDICT_BODY.into())
    );
    let [line, _] = &system.log(ID)[..] else { panic!("two lines: {:?}", system.log(ID)) };
    let expected = "Error sending notification: the receiver answered with status 500: database is down";
    assert!(
        line.starts_with("20") && line.contains("Z Attempt 1 of 3, ") && line.contains(expected),
        "{line}"
    );
}

#[tokio::test]
async fn the_wait_is_the_jobs_own_or_the_receivers_wish_if_that_is_longer() {
    let receiver = Receiver::start(|asked, _| match asked.path.as_str() {
        "/wish" => Answer::Say(429, vec![("retry-after", "600".into())], ""),
        _ => Answer::Say(503, vec![("retry-after", "1".into())], ""),
    })
    .await;
    let system = System::start("wish", PATIENT);
    system.add_as(Some("a"), &verdict(&receiver.url("/own")), 3, Duration::from_secs(20)).await;
    system.add_as(Some("b"), &verdict(&receiver.url("/wish")), 3, Duration::from_secs(20)).await;
    system.until(|counts| counts.delayed == 2).await;
    let (own, wish) = (system.waits("a"), system.waits("b"));
    assert!((15_000.0..=22_000.0).contains(&own), "{own}");
    assert!((595_000.0..=660_000.0).contains(&wish), "{wish}");
    assert_eq!(system.hash("a")["atm"], "1");
}

#[tokio::test]
async fn when_the_attempts_are_used_up_the_job_fails_and_says_why() {
    let gone = format!("http://user:secret@127.0.0.1:{}/c", free_port());
    let silent = Receiver::start(|_, _| Answer::Never).await;
    let elsewhere = Receiver::start(|_, _| Answer::to(302, "/login".into())).await;
    let system = System::start("used-up", Duration::from_millis(300));
    system.add_as(Some("a"), &verdict(&gone), 2, NO_WAIT).await;
    system.add_as(Some("b"), &verdict(&silent.url("/")), 1, NO_WAIT).await;
    system.add_as(Some("c"), &verdict(&elsewhere.url("/")), 1, NO_WAIT).await;
    system.until(|counts| counts.failed == 3).await;
    for (id, expected) in [
        ("a", "gave up after 2 attempts: the receiver cannot be reached: "),
        ("b", "the receiver did not answer within 0.3 s (NOTIFY_TIMEOUT)"),
        ("c", "status 302 and points to /login, which would drop the result; only 307 and 308 are followed"),
    ] {
        let hash = system.hash(id);
        assert!(hash["failedReason"].contains(expected), "{}", hash["failedReason"]);
        assert!(!format!("{hash:?}{:?}", system.log(id)).replace(&gone, "").contains("secret"));
    }
    assert_eq!(system.log("a").len(), 2);
}

#[tokio::test]
async fn gone_and_refused_are_dead_letters_at_once_and_a_name_without_an_address_is_tried_again() {
    let receiver = Receiver::start(|_, _| Answer::Say(410, vec![("retry-after", "1".into())], "moved")).await;
    let deny = parse_all("denied.example").expect("a rule");
    let system = System::start_with("gone", PATIENT, |settings| settings.egress.deny = deny);
    for (id, callback, expected) in [
        (
            "a",
            receiver.url("/"),
            "status 410 (gone), which ends all attempts: moved; callback http://127.0.0.1",
        ),
        (
            "b",
            "http://169.254.169.254/latest".into(),
            "the callback is refused: 169.254.169.254 is a link-local",
        ),
        (
            "c",
            "https://u:secret@denied.example/".into(),
            "denied.example is denied by CALLBACK_DENY (denied.example)",
        ),
    ] {
        system.add_as(Some(id), &verdict(&callback), 10, NO_WAIT).await;
        system.until(|counts| counts.failed > 0 && counts.active + counts.waiting == 0).await;
        let hash = system.hash(id);
        assert!(hash["failedReason"].contains(expected), "{}", hash["failedReason"]);
        assert!(!hash["failedReason"].contains("secret") && hash["atm"] == "1", "{hash:?}");
    }
    system.add_as(Some("d"), &verdict("http://no-such-host.invalid/"), 2, Duration::from_secs(60)).await;
    system.until(|counts| counts.delayed == 1).await;
    assert!(system.hash("d")["failedReason"].contains("cannot be found"), "{:?}", system.hash("d"));
}

#[tokio::test]
async fn a_schedule_is_kept_wait_by_wait() {
    let receiver = Receiver::start(|_, _| Answer::status(500)).await;
    let system = System::start("schedule", PATIENT);
    let schedule = [Duration::from_millis(1), Duration::from_secs(100), Duration::from_secs(1)];
    let retries = DeliveryRetries { attempts: 1, backoff: NO_WAIT, schedule: schedule.to_vec() };
    let options = JobOptions::of_delivery(&retries);
    let job =
        NewJob { id: Some(JobId::new(ID)), name: String::new(), data: verdict(&receiver.url("/")), options };
    system.queue.add(&job).await.expect("added");
    within(async {
        while system.hash(ID).get("atm").is_none_or(|made| made != "2") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let waits = system.waits(ID);
    assert!((95_000.0..=110_000.0).contains(&waits), "{waits}");
}

#[tokio::test]
async fn what_can_never_be_delivered_fails_at_once_and_the_rest_is_told_to_its_callback() {
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let system = System::start("never", PATIENT);
    for (id, data, expected) in [
        ("a", "undefined".to_owned(), "the result cannot be delivered: the job's data is not a JSON object"),
        ("b", r#"{"error":true,"correction_data":"x"}"#.into(), "no field \"callback\""),
        ("c", verdict("ftp://h/"), "the callback's URL cannot be used: it is not an http or https URL"),
    ] {
        system.add_as(Some(id), &data, 10, NO_WAIT).await;
        system.until(|counts| counts.failed > 0 && counts.active + counts.waiting == 0).await;
        let hash = system.hash(id);
        assert!(hash["failedReason"].contains(expected), "{}", hash["failedReason"]);
        assert_eq!(hash["atm"], "1", "one attempt");
    }
    let wrong = json!({ "work_id": 7, "error": false, "correction_data": 8, "callback": receiver.url("/") });
    system.add_as(Some("d"), &wrong.to_string(), 10, NO_WAIT).await;
    let told = receiver.next().await.body;
    assert!(
        told.contains("correction_data")
            && told.contains(r#""outcome":"invalid_job","success":false,"work_id":7"#),
        "{told}"
    );
    system.until(|counts| counts.completed == 1).await;
}

#[tokio::test]
async fn asked_to_stop_it_hands_back_what_is_in_flight() {
    let mut silent = Receiver::start(|_, _| Answer::Never).await;
    let system = System::start("stop", PATIENT);
    system.add(&verdict(&silent.url("/")), 3, NO_WAIT).await;
    silent.next().await;
    system.shutdown.cancel();
    let started = std::time::Instant::now();
    within(system.notifier).await.expect("no panic").expect("stopped as asked");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let counts = system.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.active), (1, 0));
    let made: Option<String> = system.place.ask_of(FINISHED_QUEUE, "HGET", ID, &["atm"]);
    assert_eq!(made.unwrap_or("0".into()), "0", "no attempt was counted");
}

#[tokio::test]
async fn a_result_that_stalled_too_often_is_delivered_all_the_same() {
    let mut receiver = Receiver::start(|_, _| Answer::status(200)).await;
    let system = System::start("stalled", PATIENT);
    // The field that a BullMQ 6 client leaves on a job that it wants its next taker to fail.
    let reason = "job stalled more than allowable limit";
    let _: u64 = system.place.ask_of(
        FINISHED_QUEUE,
        "HSET",
        "stuck",
        &[
            "name",
            "n",
            "data",
            &verdict(&receiver.url("/")),
            "opts",
            "{}",
            "timestamp",
            "1",
            "delay",
            "0",
            "priority",
            "0",
            "defa",
            reason,
        ],
    );
    let _: u64 = system.place.ask_of(FINISHED_QUEUE, "LPUSH", "wait", &["stuck"]);
    assert_eq!(receiver.next().await.body, VERDICT_BODY);
    system.until(|counts| counts.completed == 1).await;
}
