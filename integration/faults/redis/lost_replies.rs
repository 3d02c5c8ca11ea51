//! The reply of a script is lost after it ran, at each of our scripts; scripts are flushed meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE};
use correction_runner::queue::{JobOptions, NewJob, PageStart, Redis, State};
use deadpool_redis::redis;
use serde_json::json;
use tokio::time::Instant;

use super::relay::Relay;
use super::wire::Wire;
use super::{lasts, prepare, start};
use crate::faults::campaign::{Campaign, Expected};
use crate::faults::figures::{note, note_times};
use crate::support::simulated_engine::{Call, Fault, Options, Present, SimulatedEngine, script};
use crate::support::system::System;

/// Which replies of a script are lost, of those that it is worth to lose.
const LOST: &[usize] = &[1, 2, 5, 9];

/// They run where there are limits of what runs at once; a row of their own loses their replies.
const OF_PERMITS: &[&str] = &["ADMIT", "ASIDE", "CALL_BACK", "RECONCILE"];

/// What only a person's commands ask for, or what hangs or is cancelled brings about. That these may be asked again is
/// shown by the model of the queues, which calls `CANCEL`, `MARK` and `PUT_BACK` twice; the others change nothing, or
/// nothing more the second time.
const SELDOM: &[&str] = &[
    "CALL_FORTH",
    "CANCEL",
    "MARK",
    "MARKED",
    "OLDEST",
    "PUT_BACK",
    "RIGHTS",
    "RUNNING",
    "SURVEY",
    "WITHDRAW",
];

/// Loses a record that somebody holds: one that ended meanwhile would be half a job for ever.
const LOSE: &str = "local lock = KEYS[1] .. ':lock'
    return redis.call('EXISTS', lock) == 1 and redis.call('DEL', KEYS[1], lock)";

/// The digest of each of our scripts, by name, as Redis makes them of what `scripts.rs` joins.
async fn digests(port: u16) -> BTreeMap<String, String> {
    let client = redis::Client::open(("127.0.0.1", port)).expect("usable settings");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it listens");
    let mut digests = BTreeMap::new();
    for line in include_str!("../../../src/queue/scripts.rs").lines() {
        let Some((name, parts)) = line.trim().split_once(" = ") else { continue };
        let Some(parts) = parts.strip_suffix(';').filter(|parts| parts.starts_with('"')) else { continue };
        let mut text = String::new();
        for part in parts.split_whitespace() {
            let path = format!("{}/src/queue/scripts/{}", env!("CARGO_MANIFEST_DIR"), part.trim_matches('"'));
            text += &std::fs::read_to_string(path).expect("a script");
            text.push('\n');
        }
        let mut load = redis::cmd("SCRIPT");
        let digest: String = load.arg("LOAD").arg(text).query_async(&mut connection).await.expect("a digest");
        digests.insert(name.to_owned(), digest);
    }
    digests
}

/// A runner that reaches Redis through a relay, and the digests of the scripts.
async fn behind_a_relay(campaign: &mut Campaign) -> (Relay, BTreeMap<String, String>) {
    let relay = Relay::to(campaign.system.server.port()).await;
    let digests = digests(campaign.system.server.port()).await;
    campaign.system.set(&[("REDIS_PORT", &relay.port().to_string())]);
    (relay, digests)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lost_reply_of_any_script_loses_and_doubles_nothing() {
    let (engine, mut campaign) = prepare(&[]).await;
    let (relay, digests) = behind_a_relay(&mut campaign).await;
    campaign.allow_repeats();
    campaign.system.set(&[("NOTIFY_ATTEMPTS", "2"), ("CALLBACK_POLICY", "private")]);
    for digest in digests.values() {
        relay.swallow(digest, LOST, 0);
    }
    // What adds and counts is a client of ours.
    let mut settings = campaign.system.server.settings("bull");
    settings.port = relay.port();
    let through = Redis::new(&settings).expect("usable settings");
    campaign.system.spawn("all");
    // A start that is tried again, a result that cannot be delivered, a record that is lost.
    engine.inject(Call::Start, Fault::Refuse(500, "not now".to_owned()), 2);
    // Locks are renewed only of what is held for seconds.
    campaign.submit(4, Duration::from_secs(15)).await;
    let load = campaign.submit_steadily(40, Duration::from_millis(1500), Duration::from_millis(50));
    for number in 0..6 {
        let mut undeliverable = campaign.system.job("nobody", "exit 0");
        undeliverable["callback"] = json!(format!("http://127.0.0.1:1/{number}"));
        campaign.system.submit(&undeliverable).await;
    }
    for round in 0..12 {
        let _ = through.queue(PENDING_QUEUE).counts().await;
        let job = NewJob {
            id: Some(JobId::new(format!("twice-{}", round / 4))),
            name: String::new(),
            data: String::from("no submission"),
            options: JobOptions::default(),
        };
        let another = through.queue("another");
        let _ = another.add(&job).await;
        // What a person asks for: it is in line, and stays there.
        let id = JobId::new("twice-0");
        let _ = another.record(&id).await;
        let _ = another.records(State::Waiting, 0, &PageStart::default()).await;
        let _ = another.put_back(&id, &job.data, &job.data, "asked for", None).await;
        lasts(Duration::from_millis(100)).await;
    }
    let running = async || {
        let ids = campaign.system.ask(&["LRANGE", "bull:running_corrections:active", "0", "3"]).await;
        (ids.lines().count() == 4).then_some(ids)
    };
    for id in campaign.system.until("some run", running).await.lines() {
        let key = format!("bull:running_corrections:{id}");
        campaign.system.ask(&["EVAL", LOSE, "1", &key]).await;
    }
    load.await.expect("all are submitted");
    let failed = async || {
        let counts = campaign.system.redis.queue(FINISHED_QUEUE).counts().await.ok()?;
        (counts.failed == 6).then_some(())
    };
    campaign.system.until("what cannot be delivered is a dead letter", failed).await;
    // A stop hands back and wakes others, and a start recovers.
    campaign.system.stop("all").await;
    campaign.system.spawn("all");
    let counts = campaign.system.redis.queue("another").counts().await.expect("answered");
    assert_eq!(counts.waiting, 3, "adding twice is adding once");
    let starts = engine.stats();
    assert_eq!(starts.max_starts_of_one, 1);
    let proof = campaign.prove().await;
    assert_eq!(engine.stats().started, 50, "{:?}", engine.stats());
    let swallowed: BTreeMap<_, _> =
        digests.iter().map(|(name, digest)| (name.as_str(), relay.swallowed(digest))).collect();
    println!("{swallowed:?}");
    let unused = |name: &str| OF_PERMITS.contains(&name) || SELDOM.contains(&name);
    let never: Vec<_> = swallowed.iter().filter(|(name, times)| **times == 0 && !unused(name)).collect();
    assert!(swallowed.len() >= 20 && never.is_empty(), "{swallowed:?}");
    note("replies lost", "of all scripts", swallowed.values().sum::<usize>());
    note("replies lost", "results repeated of 44", proof.repeats);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lost_reply_of_a_script_of_the_permits_loses_and_doubles_nothing() {
    const MOST: u64 = 4;
    let images = Present::Only(vec!["near/grader:1".to_owned()]);
    let engine = SimulatedEngine::start(Options { images, ..Options::default() }).await;
    engine.allow_pull("far/grader:1");
    let mut campaign = Campaign::of(System::prepare_on(&engine).await);
    campaign.allow_repeats();
    let (relay, digests) = behind_a_relay(&mut campaign).await;
    let rules = "[[rule]]\nimages = [\"near/*\"]\nmost_running = 2\n\n[[rule]]\nimages = [\"**\"]\n";
    let policy = campaign.system.submission(rules);
    campaign.system.set(&[
        ("MAX_RUNNING", &MOST.to_string()),
        ("POLICY_FILE", &policy.display().to_string()),
        ("DOCKER_PULL", "yes"),
    ]);
    for name in OF_PERMITS {
        relay.swallow(&digests[*name], &LOST[..2], 0);
    }
    for number in 0..24 {
        let name = format!("p{number}");
        let mut data = campaign.system.job(&name, "");
        data["image"] = json!(if number % 3 == 0 { "far/grader:1" } else { "near/grader:1" });
        let verdict = format!(r#"{{"success":true,"grade":{number}}}"#);
        data["params"] = json!([format!("{}=200", script::RUN_MS), format!("{}={verdict}", script::STDOUT)]);
        campaign.submit_one(&name, &data, Expected::Grade(number)).await;
    }
    campaign.system.spawn("all");
    campaign.prove().await;
    let stats = engine.stats();
    assert_eq!((stats.started, stats.max_starts_of_one), (24, 1), "{stats:?}");
    assert!(stats.max_alive <= MOST, "{stats:?}");
    for name in OF_PERMITS {
        assert!(relay.swallowed(&digests[*name]) > 0, "{name} was not used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_whose_reply_was_lost_is_given_back_at_once() {
    let (engine, mut campaign) = prepare(&[]).await;
    let (relay, digests) = behind_a_relay(&mut campaign).await;
    // Only a reply with a job in it is so long.
    relay.swallow(&digests["TAKE"], &[1], 200);
    campaign.system.spawn("all");
    let begun = Instant::now();
    campaign.submit(1, Duration::from_millis(10)).await;
    campaign.until_delivered(1).await;
    assert_eq!(relay.swallowed(&digests["TAKE"]), 1);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?} is as long as locks live");
    note_times("take's reply lost", "submission to result", vec![took]);
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_flushed_again_and_again_lose_and_double_nothing() {
    let (engine, mut campaign) = start(&[]).await;
    let load = campaign.submit_steadily(150, Duration::from_millis(100), Duration::from_millis(20));
    let mut wire = Wire::open(campaign.system.server.port()).await.expect("it listens");
    for _ in 0..300 {
        assert_eq!(wire.say("SCRIPT FLUSH SYNC").await.as_deref(), Some("+OK"));
        lasts(Duration::from_millis(10)).await;
    }
    load.await.expect("all are submitted");
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), 150);
}
