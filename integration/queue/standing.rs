//! Where a correction stands whose container was found, and what becomes of an orphan.

use correction_runner::identity::{CorrectionId, InstanceId, JobId};
use correction_runner::job::{Errand, FINISHED_QUEUE};
use correction_runner::labels::Labels;
use correction_runner::queue::{Cancelled, Finished, PutBack, Standing, State};

use super::{KEEP, NEXT, Place, job, job_with_id, next, worker};

const INSTANCE: &str = "i";

/// Gives the place's installation the id of the labels made here.
pub async fn settle_in(place: &Place) {
    place.redis.instance(Some(&InstanceId::new(INSTANCE))).await.expect("set");
}

/// Labels of a container of the installation that [`settle_in`] makes the place's.
pub fn labels(job: &JobId, timestamp: u64, generation: u64) -> Labels {
    let instance = InstanceId::new(INSTANCE);
    Labels {
        correction: CorrectionId::derive(&instance, job, timestamp, generation),
        instance,
        job: job.clone(),
        name: "Correction 1".into(),
        timestamp,
        generation,
        attempt: "t".into(),
        timeout_ms: 0,
        disk: None,
        errand: Errand::default(),
        rerun: None,
        seal: None,
    }
}

#[tokio::test]
async fn a_correction_is_live_while_its_pending_or_running_job_is_and_done_afterwards() {
    let place = Place::new("standing");
    settle_in(&place).await;
    let standing =
        async |labels: &Labels| place.redis.standing(std::slice::from_ref(labels)).await.expect("told")[0];
    let finished = place.redis.queue(FINISHED_QUEUE);
    place.add("{}").await;
    let pending = place.take_one().await;
    let labels = labels(&pending.job.id, pending.job.timestamp, pending.job.generation);
    assert_eq!(standing(&labels).await, Standing::Live);

    let running = job_with_id(labels.correction.as_str(), "{}");
    place.queue.hand_over(&pending.job, &place.next, &running, None, "null", KEEP).await.expect("answered");
    assert_eq!(standing(&labels).await, Standing::Live);
    assert_eq!(
        place.redis.finish_orphan(&labels, &job("{}")).await.expect("told"),
        Finished::Not(Standing::Live)
    );

    let taken = next(&mut worker(&place.next, 1)).await;
    place
        .next
        .hand_over(&taken.job, &finished, &running, Some(&labels.correction), "null", KEEP)
        .await
        .expect("answered");
    assert_eq!(standing(&labels).await, Standing::Done);
    assert_eq!(
        place.redis.finish_orphan(&labels, &job("{}")).await.expect("told"),
        Finished::Not(Standing::Done)
    );
    assert_eq!(finished.counts().await.expect("counts").waiting, 1);
}

#[tokio::test]
async fn an_orphan_is_finished_once_under_its_own_id() {
    let place = Place::new("orphan");
    settle_in(&place).await;
    let finished = place.redis.queue(FINISHED_QUEUE);
    let orphan = labels(&JobId::new("77"), 5, 0);
    let others: Vec<_> = (0..3).map(|number| labels(&JobId::new(number.to_string()), 5, 0)).collect();
    let all = [&others[..], std::slice::from_ref(&orphan)].concat();
    assert_eq!(place.redis.standing(&all).await.expect("told"), [Standing::Orphan; 4]);
    assert_eq!(
        place.redis.finish_orphan(&orphan, &job(r#"{"error":true}"#)).await.expect("told"),
        Finished::Added
    );
    assert_eq!(
        place.redis.finish_orphan(&orphan, &job("{}")).await.expect("told"),
        Finished::Not(Standing::Done)
    );
    let taken = next(&mut worker(&finished, 1)).await;
    assert_eq!((taken.job.id, taken.job.data.as_str()), (orphan.correction.job_id(), r#"{"error":true}"#));
}

#[tokio::test]
async fn that_a_correction_is_done_is_remembered_for_as_long_as_its_container_is_seen() {
    let place = Place::new("remembered");
    let (noted, completed) = (labels(&JobId::new("8"), 5, 0), labels(&JobId::new("9"), 5, 0));
    let key = |labels: &Labels| format!("{}:correction-runner:done:{}", place.prefix, labels.correction);
    let days_left = |labels: &Labels| place.tell::<i64>(&["TTL", &key(labels)]) / (24 * 3600);
    place.tell::<()>(&["SET", &key(&noted), "a token", "PX", "60000"]);
    place.next.add(&job_with_id(completed.correction.as_str(), "{}")).await.expect("added");
    let taken = next(&mut worker(&place.next, 1)).await;
    place.next.complete(&taken.job, "null", KEEP).await.expect("answered");

    let standing = place.redis.standing(&[noted.clone(), completed.clone()]).await.expect("told");
    assert_eq!(standing, [Standing::Done; 2]);
    assert!(days_left(&noted) >= 6 && days_left(&completed) >= 6);
    assert_eq!(place.tell::<String>(&["GET", &key(&noted)]), "a token");
}

#[tokio::test]
async fn a_persons_retry_of_an_ended_pending_job_is_another_correction() {
    let place = Place::new("generation");
    let id = place.add("{}").await;
    let first = place.take_one().await;
    let labels_of_first = labels(&id, first.job.timestamp, first.job.generation);
    place.queue.complete(&first.job, "null", KEEP).await.expect("answered");
    // What a dashboard's retry does.
    place.ask::<u32>("ZREM", "completed", &["1"]);
    place.ask::<u32>("HDEL", "1", &["finishedOn", "processedOn", "returnvalue"]);
    place.ask::<u32>("LPUSH", "wait", &["1"]);
    let second = place.take_one().await;
    assert_eq!((first.job.generation, second.job.generation), (0, 1));
    let labels_of_second = labels(&id, second.job.timestamp, second.job.generation);
    let standing = place.redis.standing(&[labels_of_first, labels_of_second]).await.expect("told");
    assert_eq!(standing, [Standing::Orphan, Standing::Live]);
}

#[tokio::test]
async fn a_running_job_that_another_client_completed_is_done_and_one_it_failed_is_not() {
    let place = Place::new("running-ended");
    let (completed, failed) = (labels(&JobId::new("8"), 5, 0), labels(&JobId::new("9"), 5, 0));
    for labels in [&completed, &failed] {
        place.next.add(&job_with_id(labels.correction.as_str(), "{}")).await.expect("added");
    }
    let mut worker = worker(&place.next, 2);
    for _ in 0..2 {
        let taken = next(&mut worker).await;
        if taken.job.id == completed.correction.job_id() {
            place.next.complete(&taken.job, "null", KEEP).await.expect("answered");
        } else {
            place.next.fail(&taken.job, "a bug", KEEP).await.expect("answered");
        }
    }
    let standing = place.redis.standing(&[completed, failed.clone()]).await.expect("told");
    assert_eq!(standing, [Standing::Done, Standing::Orphan]);
    // Failed for having stalled is no end: it is revived.
    let reason = "job stalled more than allowable limit";
    place.ask_of::<u32>(NEXT, "HSET", failed.correction.as_str(), &["failedReason", reason]);
    assert_eq!(place.redis.standing(&[failed]).await.expect("told"), [Standing::Live]);
}

/// Its container may run, and the sweep revives it: with another generation there would be two results.
#[tokio::test]
async fn a_failed_job_that_is_begun_anew_is_another_correction_unless_it_had_only_stalled() {
    let place = Place::new("anew");
    for (reason, generation) in [("a bug", 1), ("job stalled more than allowable limit", 0)] {
        let id = place.add("{}").await;
        let taken = place.take_one().await;
        place.queue.fail(&taken.job, reason, KEEP).await.expect("answered");
        let put_back = place.queue.begin_anew(&id, "{}", "put back").await.expect("answered");
        assert_eq!(put_back, PutBack::From(State::Failed));
        let again = place.take_one().await;
        assert_eq!((again.job.id.clone(), again.job.generation), (id, generation), "{reason}");
        place.queue.complete(&again.job, "null", KEEP).await.expect("answered");
    }
}

/// A component of the original ends a marked job and leaves the mark in its hash: a later retry is no cancelled one.
#[tokio::test]
async fn a_mark_that_outlived_its_job_is_gone_once_the_job_is_retried_or_found_to_have_ended() {
    const MARKS: &str = "correction-runner:cancels";
    let place = Place::new("stale-mark");
    let id = place.add("{}").await;
    let end_as_others_do = async |id: &JobId| {
        place.queue.mark(id).await.expect("answered");
        let since: String = place.ask("HGET", id.as_str(), &["cancel"]);
        let marks: String = place.ask("HGET", id.as_str(), &["cancel-in"]);
        assert!(marks.ends_with(MARKS), "{marks}");
        let taken = place.take_one().await;
        place.queue.fail(&taken.job, "a bug", KEEP).await.expect("answered");
        place.ask::<u32>("HSET", id.as_str(), &["cancel", &since, "cancel-in", &marks]);
        let member = format!("{}:{}:{id}", place.prefix, super::QUEUE);
        place.tell::<u32>(&["ZADD", &marks, &since, &member]);
        marks
    };
    let marks = end_as_others_do(&id).await;
    assert_eq!(place.queue.mark(&id).await.expect("answered"), Cancelled::Ended);
    assert_eq!(
        (place.tell::<u32>(&["ZCARD", &marks]), place.ask::<u32>("HEXISTS", "1", &["cancel"])),
        (0, 0)
    );

    let second = place.add("{}").await;
    end_as_others_do(&second).await;
    place.queue.begin_anew(&second, "{}", "put back").await.expect("answered");
    assert_eq!(place.tell::<u32>(&["ZCARD", &marks]), 0);
    assert!(!place.take_one().await.job.cancelled);
}
