//! What a completer's hand-over does beside handing over: putting a correction back, and noting what it leaves.

use std::time::Duration;

use correction_runner::identity::{ContainerId, CorrectionId, EngineId, InstanceId, JobId};
use correction_runner::job::PENDING_QUEUE;
use correction_runner::queue::{
    Conclusion, Finished, JobOptions, Leftover, NewJob, Settled, Standing, UsedFile,
};

use super::standing::{labels, settle_in};
use super::{KEEP, Place, job_with_id, next, worker};

const DELAY: Duration = Duration::from_secs(600);

/// The pending job of a further run.
fn again(delay: Duration) -> NewJob {
    NewJob {
        id: Some(JobId::new("rerun-of-c")),
        name: "Correction 1".to_owned(),
        data: "{}".to_owned(),
        options: JobOptions { delay, timestamp: Some(5), priority: 3, ..JobOptions::default() },
    }
}

#[tokio::test]
async fn a_correction_that_is_put_back_waits_its_time_and_keeps_its_first_timestamp() {
    let place = Place::new("put-back");
    let correction = CorrectionId::new("c");
    let conclusion = Conclusion::of(&correction, "null", KEEP);
    place.next.add(&job_with_id("c", "{}")).await.expect("added");
    let running = next(&mut worker(&place.next, 1)).await;
    let later = again(DELAY);
    let put_back = || place.next.conclude(&running.job, &place.queue, &later, &conclusion);
    assert_eq!(put_back().await.expect("answered"), Settled::Done);
    assert_eq!(put_back().await.expect("answered"), Settled::Already, "the reply was lost");
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.delayed, counts.waiting), (1, 0));
    assert_eq!(place.ask::<u64>("HGET", "rerun-of-c", &["timestamp"]), 5);
    assert!(place.redis.is_done(&correction).await.expect("told"), "the old one is at its end");
    assert_eq!(place.next.counts().await.expect("counts").completed, 1);
}

/// Redis may forget its last second: what is made again is the same job, and so the same correction.
#[tokio::test]
async fn a_hand_over_that_was_forgotten_and_is_made_again_makes_the_same_correction() {
    let place = Place::new("made-again");
    let (instance, correction) = (InstanceId::new("i"), CorrectionId::new("c"));
    let mut identities = Vec::new();
    for _ in 0..2 {
        place.next.add(&job_with_id("c", "{}")).await.expect("added");
        let running = next(&mut worker(&place.next, 1)).await;
        let conclusion = Conclusion::of(&correction, "null", KEEP);
        let settled =
            place.next.conclude(&running.job, &place.queue, &again(Duration::ZERO), &conclusion).await;
        assert_eq!(settled.expect("answered"), Settled::Done);
        let taken = next(&mut worker(&place.queue, 1)).await.job;
        assert_eq!(taken.priority, 3);
        identities.push(CorrectionId::derive(&instance, &taken.id, taken.timestamp, taken.generation));
        let keys: Vec<String> = place.tell(&["KEYS", &format!("{}:*", place.prefix)]);
        let command: Vec<&str> = ["DEL"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        place.tell::<u64>(&command);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(identities[0], identities[1]);
}

#[tokio::test]
async fn an_orphan_is_put_back_once() {
    let place = Place::new("orphan-back");
    settle_in(&place).await;
    let orphan = labels(&JobId::new("77"), 5, 0);
    let end =
        || async { place.redis.end_orphan(&orphan, PENDING_QUEUE, &again(DELAY), None).await.expect("told") };
    assert_eq!(end().await, Finished::Added);
    assert_eq!(end().await, Finished::Not(Standing::Done));
    assert_eq!(place.queue.counts().await.expect("counts").delayed, 1);
}

#[tokio::test]
async fn what_a_result_leaves_is_noted_with_it_until_it_is_forgotten() {
    let place = Place::new("leaves");
    let (correction, engine) = (CorrectionId::new("c"), EngineId::new("e"));
    let leftover = Leftover { engine: engine.clone(), container: ContainerId::new("k") };
    let file = UsedFile { engine: engine.clone(), path: "/srv/a file".to_owned(), submitted: 7 };
    let conclusion = Conclusion {
        leaves: Some(&leftover),
        file: Some(&file),
        ..Conclusion::of(&correction, "null", KEEP)
    };
    place.queue.add(&job_with_id("p", "{}")).await.expect("added");
    let taken = next(&mut worker(&place.queue, 1)).await;
    let files = async |ago| place.redis.used_files(&engine, ago).await.expect("told");
    assert!(files(Duration::ZERO).await.is_empty());
    let settled = place.queue.conclude(&taken.job, &place.next, &job_with_id("c", "{}"), &conclusion).await;
    assert_eq!(settled.expect("answered"), Settled::Done);
    assert_eq!(place.redis.leftovers(&engine).await.expect("told"), [leftover]);
    assert_eq!(files(Duration::ZERO).await, std::slice::from_ref(&file));
    assert!(files(Duration::from_secs(60)).await.is_empty(), "it was noted just now");
    place.redis.put_off_used_files(&engine, &[&file]).await.expect("told");
    assert_eq!(files(Duration::ZERO).await, std::slice::from_ref(&file));
    place.redis.forget_used_files(&engine, &[&file]).await.expect("told");
    place.redis.put_off_used_files(&engine, &[&file]).await.expect("told");
    assert!(files(Duration::ZERO).await.is_empty());
}

#[tokio::test]
async fn only_images_that_were_pulled_are_noted_and_the_longest_unused_come_first() {
    let place = Place::new("images");
    let engine = EngineId::new("e");
    let images = async || place.redis.pulled_images(&engine).await.expect("told");
    place.redis.note_image_use(&engine, "somebody-elses:1").await.expect("told");
    assert!(images().await.is_empty());
    for (name, id) in [("a:1", "sha256:a"), ("b:1", "sha256:b")] {
        place.redis.note_pulled(&engine, name, id).await.expect("told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    place.redis.note_image_use(&engine, "a:1").await.expect("told");
    let found = images().await;
    let names: Vec<_> = found.iter().map(|image| (image.name.as_str(), image.id.as_deref())).collect();
    assert_eq!(names, [("b:1", Some("sha256:b")), ("a:1", Some("sha256:a"))]);
    place.redis.forget_image(&engine, "b:1").await.expect("told");
    assert_eq!(images().await.len(), 1);
    // A reset forgets them too.
    place.redis.reset().await.expect("told");
    assert!(images().await.is_empty());
}
