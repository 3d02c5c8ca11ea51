//! Lines in which what matters stands far behind what does not.

use std::time::Duration;

use correction_runner::identity::JobId;

use super::{KEEP, Place, QUEUE, next, within};

const OVER_STALLED: &str = "job stalled more than allowable limit";

#[tokio::test]
async fn a_job_behind_many_ids_without_a_job_is_taken_at_once_and_in_its_turn() {
    let place = Place::new("ghosts");
    for _ in 0..251 {
        place.add("\"waiting\"").await;
    }
    let mut urgent = super::job("\"prioritised\"");
    urgent.options.priority = 1;
    place.queue.add(&urgent).await.expect("added");
    for ghost in 1..=250 {
        place.ask::<u32>("DEL", &ghost.to_string(), &[]);
    }
    // Nobody wakes the worker: what it learns from the first window has to lead it on.
    place.ask::<u32>("DEL", "marker", &[]);
    let mut worker = place.worker();
    for expected in ["\"waiting\"", "\"prioritised\""] {
        let taken = tokio::time::timeout(Duration::from_secs(2), worker.next()).await;
        let taken = taken.expect("at once").expect("a job");
        assert_eq!(taken.job.data, expected);
        place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    }
    within(worker.close()).await.expect("closed");
}

/// Makes failed jobs `f1` (the oldest) to `f<count>`.
fn fail_many(place: &Place, count: usize) {
    let script = format!(
        "for i = 1, {count} do
            redis.call('HSET', '{0}:{QUEUE}:f' .. i, 'name', 'n', 'data', '{{}}', 'failedReason', 'a bug')
            redis.call('ZADD', '{0}:{QUEUE}:failed', i, 'f' .. i)
        end",
        place.prefix
    );
    place.tell::<()>(&["EVAL", &script, "0"]);
}

#[tokio::test]
async fn an_over_stalled_job_is_revived_however_many_failed_after_it() {
    let place = Place::new("old-overstalled");
    fail_many(&place, 1300);
    // The oldest, one in the middle when the search has passed it, and one that failed just now.
    for old in ["f1", "f700", "f1", "f1300"] {
        if place.ask::<Option<u32>>("ZSCORE", "failed", &[old]).is_none() {
            place.ask::<u32>("ZADD", "failed", &["0", old]);
        }
        place.ask::<u32>("HSET", old, &["failedReason", OVER_STALLED]);
        let mut revived = Vec::new();
        let mut calls = 0;
        while revived.is_empty() && calls < 6 {
            // As a stage does: with clones of one queue.
            revived = place.queue.clone().revive_overstalled().await.expect("revived");
            calls += 1;
        }
        assert_eq!(revived, [JobId::new(old)], "after {calls} calls");
        assert!(calls == 1 || old != "f1300", "a new one is found by the next call, not the {calls}.");
        place.ask::<u32>("LREM", "wait", &["1", old]);
    }
    assert_eq!(place.queue.counts().await.expect("counts").failed, 1297);
}

#[tokio::test]
async fn thousands_that_were_failed_as_over_stalled_are_revived_oldest_first_in_each_window() {
    let place = Place::new("all-overstalled");
    fail_many(&place, 1300);
    for failed in 1..=1300 {
        place.ask::<u32>("HSET", &format!("f{failed}"), &["failedReason", OVER_STALLED]);
    }
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(place.queue.revive_overstalled().await.expect("revived").len());
    }
    assert_eq!(counts, [600, 600, 100, 0]);
    let first = next(&mut super::worker(&place.queue, 1)).await;
    assert_eq!(first.job.id, JobId::new("f1"));
}
