//! Data goes through as it came: every byte between Node and us, in both directions.

use correction_runner::queue::NewJob;
use serde_json::{Value, json};

use super::{KEEP, NEXT, Place, QUEUE, job, job_with_id, next};
use crate::support::node::{Node, Version};

/// Texts that a decoder and encoder on the way would change.
const TEXTS: &[&str] = &[
    r#"{"grade":7.98,"zero":0.0,"hundred":100.0,"big":12345678901234567890,"small":1e-7,"exp":1E+2}"#,
    r#"{"text":"ünïcödé 漢字 🎓 \u00e9 \ud83c\udf93 \/ \\ \"","nul":"\u0000"}"#,
    r#"{"nothing":null,"empty":{},"list":[],"nested":{"a":[{"b":[null,true,false,[]]}]}}"#,
    "{ \"spaces\" :\t1 ,\r\n \"twice\":1, \"twice\":2 }",
    "[]",
    "null",
    "\"text\"",
    "7.980",
];

/// Texts that are not JSON at all, which only other clients than Node's could add.
const NOT_JSON: &[&str] = &["", "not JSON", "{\"cut\":", "{'a':1}", "\"\\ud83c\"", "\u{0}\u{1}", "NaN"];

#[tokio::test]
async fn every_text_reaches_the_next_queue_byte_for_byte() {
    let place = Place::new("bytes");
    let mut worker = super::worker(&place.queue, 1);
    let mut following = super::worker(&place.next, 1);
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let long = format!("\"{}\"", "x".repeat(1 << 20));
    let texts = TEXTS.iter().chain(NOT_JSON).copied().chain([deep.as_str(), long.as_str()]);
    for (number, text) in texts.enumerate() {
        place.queue.add(&NewJob { name: text.into(), ..job(text) }).await.expect("added");
        let taken = next(&mut worker).await;
        assert_eq!((taken.job.data.as_str(), taken.job.name.as_str()), (text, text));
        let to = job_with_id(&format!("n-{number}"), &taken.job.data);
        let value = "{\"v\":7.980}";
        place.queue.hand_over(&taken.job, &place.next, &to, None, value, KEEP).await.expect("answered");
        assert_eq!(place.ask::<String>("HGET", taken.job.id.as_str(), &["returnvalue"]), value);
        let arrived = next(&mut following).await;
        assert_eq!(arrived.job.data, text);
        place.next.complete(&arrived.job, "null", KEEP).await.expect("answered");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_harm_only_their_own_job() {
    let place = Place::new("no-text");
    place.add("1").await;
    place.add("2").await;
    place.ask_bytes("HSET", "1", &[b"data", b"\xff\xfe{\"a\":1}"]);
    place.ask_bytes("HSET", "1", &[b"opts", b"\xff"]);
    place.ask_bytes("HSET", "1", &[b"timestamp", b"yesterday"]);
    let mut worker = place.worker();
    let odd = next(&mut worker).await;
    assert_eq!((odd.job.data.as_str(), odd.job.timestamp), ("\u{fffd}\u{fffd}{\"a\":1}", 0));
    assert_eq!(next(&mut worker).await.job.data, "2");
}

async fn node_and_we_agree(version: Version) {
    let (node, place) = (Node::shared(version), Place::new("agree"));
    let values = json!([
        { "grade": 7.98, "big": 9_007_199_254_740_991_u64, "small": 1e-7, "minus": -0.5, "null": null },
        { "text": "ünïcödé 漢字 🎓 \u{2028} \\ \" \u{0}", "": [[], {}, [{ "deep": [1, [2, [3]]] }]] },
        "just text",
        [1, 2.5, null, true],
    ]);
    let mut worker = super::worker(&place.queue, 1);
    for value in values.as_array().expect("a list") {
        let add = json!({ "prefix": place.prefix, "queue": QUEUE, "data": value });
        let id = node.call("add", add).await;
        let taken = next(&mut worker).await;
        assert_eq!(&serde_json::from_str::<Value>(&taken.job.data).expect("JSON"), value);
        let to = job_with_id(&format!("n-{}", id.as_str().expect("an id")), &taken.job.data);
        let stored = taken.job.data.clone();
        place.queue.hand_over(&taken.job, &place.next, &to, None, &stored, KEEP).await.expect("answered");
        let job = |queue: &str, id: &Value| json!({ "prefix": place.prefix, "queue": queue, "id": id });
        assert_eq!(&node.call("job", job(QUEUE, &id)).await["returnvalue"], value);
        let following = json!(to.id.as_ref().expect("an id").as_str());
        assert_eq!(&node.call("job", job(NEXT, &following)).await["data"], value);
    }
}

#[tokio::test]
async fn node_5_and_we_read_the_same_values() {
    node_and_we_agree(Version::Five).await;
}

#[tokio::test]
async fn node_6_and_we_read_the_same_values() {
    node_and_we_agree(Version::Six).await;
}
