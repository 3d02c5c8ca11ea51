//! What the search for jobs in no list costs the others, and when it is left.

use std::time::Duration;

use correction_runner::identity::JobId;

use super::{Place, QUEUE, within};
use crate::support::redis::RedisServer;

/// How often the command was sent, refused or not.
fn asked(place: &Place, command: &str) -> u64 {
    let info: String = place.tell(&["INFO", "commandstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    line.unwrap_or_default()
        .split(',')
        .filter_map(|field| {
            field.trim().strip_prefix("calls=").or(field.trim().strip_prefix("rejected_calls="))
        })
        .map(|number| number.parse::<u64>().expect("a number"))
        .sum()
}

/// How many errors there were that have no name of their own.
fn unknown(place: &Place) -> u64 {
    let info: String = place.tell(&["INFO", "errorstats"]);
    let line = info.lines().find_map(|line| line.strip_prefix("errorstat_ERR:count="));
    line.map_or(0, |count| count.trim().parse().expect("a number"))
}

/// Jobs of which only the hash is left, `lost1` to `lost<count>`.
fn lose(place: &Place, count: usize) {
    let script = format!(
        "for i = 1, {count} do
            redis.call('HSET', '{}:{QUEUE}:lost' .. i, 'name', 'n', 'data', '{{}}', 'timestamp', '1')
        end",
        place.prefix
    );
    place.tell::<()>(&["EVAL", &script, "0"]);
}

#[tokio::test]
async fn a_search_among_many_keys_is_not_repeated_however_often_the_queue_is_resumed() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "many-keys");
    place.tell::<()>(&["EVAL", "for i = 1, 60000 do redis.call('SET', 'done:' .. i, '1') end", "0"]);
    let worker = place.worker();
    within(async {
        while asked(&place, "scan") < 120 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for _ in 0..10 {
        // As BullMQ does it, with what wakes a worker that waits.
        place.ask::<u32>("HSET", "meta", &["paused", "1"]);
        place.ask::<u32>("ZADD", "marker", &["0", "0"]);
        tokio::time::sleep(Duration::from_millis(500)).await;
        place.ask::<u32>("HDEL", "meta", &["paused"]);
        place.ask::<u32>("ZADD", "marker", &["0", "0"]);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let scans = asked(&place, "scan");
    assert!(scans < 200, "{scans} steps: a search has 120 or a few more");
    within(worker.close()).await.expect("closed");
}

#[tokio::test]
async fn where_a_search_is_not_allowed_it_is_not_tried_again_and_again() {
    let renamed = RedisServer::start(&["--rename-command", "SCAN", ""]);
    let forbidden = RedisServer::start(&[]);
    let places = [Place::on(&renamed, "no-scan"), Place::on(&forbidden, "no-scan")];
    places[1].tell::<()>(&["ACL", "SETUSER", "default", "-scan"]);
    let workers = places.each_ref().map(Place::worker);
    for place in &places {
        place.add("{}").await;
    }
    tokio::time::sleep(Duration::from_secs(7)).await;
    let [absent, denied] = &places;
    assert_eq!(asked(denied, "scan"), 1);
    // A command that is not there is counted among the errors only, and so is what asking itself costs.
    let (errors, more) = (unknown(absent), unknown(absent));
    assert_eq!(errors - (more - errors), 1);
    // What else is looked for is found as ever.
    for place in &places {
        place.ask::<u32>("HSET", "over", &["name", "n", "data", "{}", "timestamp", "1"]);
        let reason = "job stalled more than allowable limit";
        place.ask::<u32>("HSET", "over", &["failedReason", reason, "finishedOn", "1"]);
        place.ask::<u32>("ZADD", "failed", &["1", "over"]);
    }
    within(async {
        while places.iter().any(|place| place.ask::<u32>("ZCARD", "failed", &[]) > 0) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for worker in workers {
        within(worker.close()).await.expect("closed");
    }
}

#[tokio::test]
async fn one_search_finds_a_thousand_at_most_and_the_next_ones_the_rest() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "thousands-astray");
    lose(&place, 1500);
    for expected in [1000, 500, 0] {
        let found = place.queue.astray().await.expect("found");
        assert_eq!(found.len(), expected);
        assert_eq!(place.queue.bring_back(&found).await.expect("back").len(), expected);
    }
    assert_eq!(place.queue.counts().await.expect("counts").waiting, 1500);
}

#[tokio::test]
async fn while_very_many_stand_in_line_nothing_is_put_back_and_nobody_is_held_up() {
    let place = Place::new("long-line");
    lose(&place, 1);
    let line = format!("{}:{QUEUE}:wait", place.prefix);
    let fill = "for i = 1, 20001 do redis.call('LPUSH', KEYS[1], 'w' .. i) end";
    place.tell::<()>(&["EVAL", fill, "1", &line]);
    let lost = [JobId::new("lost1")];
    assert_eq!(place.queue.astray().await.expect("found"), []);
    assert_eq!(place.queue.bring_back(&lost).await.expect("asked"), []);
    place.ask::<String>("RPOP", "wait", &[]);
    assert_eq!(place.queue.bring_back(&lost).await.expect("asked"), lost);
}
