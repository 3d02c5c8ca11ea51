//! Hand-overs: all or nothing, once, and only by whoever holds the lock.

use correction_runner::identity::{CorrectionId, JobId};
use correction_runner::queue::{Added, Counts, Keep, RetryCount, Settled};
use std::time::Duration;

use super::{KEEP, NEXT, Place, job, job_with_id, next, within, worker};

#[tokio::test]
async fn a_job_with_an_id_is_added_once_however_often_it_is_added() {
    let place = Place::new("once");
    let first = place.queue.add(&job_with_id("a-1", "{}")).await.expect("added");
    let second = place.queue.add(&job_with_id("a-1", r#"{"other":1}"#)).await.expect("answered");
    assert_eq!(first, Added::New(JobId::new("a-1")));
    assert_eq!(second, Added::Duplicate(JobId::new("a-1")));
    assert_eq!(place.queue.counts().await.expect("counts").waiting, 1);
    assert_eq!(place.take_one().await.job.data, "{}");
}

#[tokio::test]
async fn a_hand_over_completes_one_job_and_adds_the_next_in_one_step() {
    let place = Place::new("over");
    place.add(r#"{"image":"i"}"#).await;
    let taken = place.take_one().await;
    let to = job_with_id("next-1", r#"{"container_id":"c"}"#);
    let settled = place.queue.hand_over(&taken.job, &place.next, &to, None, "\"ok\"", KEEP).await;
    assert_eq!(settled.expect("answered"), Settled::Done);
    let (from, into) =
        (place.queue.counts().await.expect("counts"), place.next.counts().await.expect("counts"));
    assert_eq!((from.active, from.completed, into.waiting), (0, 1, 1));
    let lock: Option<String> = place.ask("GET", "1:lock", &[]);
    assert_eq!(lock, None);
    let ended: (String, String, String) = place.ask("HMGET", "1", &["returnvalue", "atm", "gen"]);
    assert_eq!(ended, ("\"ok\"".into(), "1".into(), "1".into()));
    assert!(taken.job.settlement.is_settled());
}

#[tokio::test]
async fn a_hand_over_whose_reply_was_lost_answers_already_and_adds_nothing() {
    let place = Place::new("already");
    place.add("{}").await;
    let taken = place.take_one().await;
    let (to, done) = (job_with_id("f-1", "{}"), CorrectionId::new("c-1"));
    let hand_over = || place.queue.hand_over(&taken.job, &place.next, &to, Some(&done), "null", KEEP);
    assert_eq!(hand_over().await.expect("answered"), Settled::Done);
    assert_eq!(hand_over().await.expect("answered"), Settled::Already);
    // Even when nobody keeps the completed job, and the next one ended and is gone.
    place.ask::<u32>("DEL", "1", &[]);
    assert_eq!(hand_over().await.expect("answered"), Settled::Already);
    place.ask_of::<u32>(NEXT, "DEL", "f-1", &[]);
    assert_eq!(hand_over().await.expect("answered"), Settled::Already);
    assert_eq!(place.next.counts().await.expect("counts").waiting, 1);
}

#[tokio::test]
async fn without_a_memory_of_done_the_next_job_tells_that_a_reply_was_lost() {
    let place = Place::new("handed-by");
    place.add("{}").await;
    let taken = place.take_one().await;
    let to = job_with_id("r-1", "{}");
    let keep_none = Keep::Count(0);
    let hand_over = || place.queue.hand_over(&taken.job, &place.next, &to, None, "null", keep_none);
    assert_eq!(hand_over().await.expect("answered"), Settled::Done);
    assert_eq!(place.ask::<u32>("EXISTS", "1", &[]), 0);
    assert_eq!(hand_over().await.expect("answered"), Settled::Already);
}

#[tokio::test]
async fn a_correction_that_is_done_is_not_added_a_second_time() {
    let place = Place::new("done");
    place.add("{}").await;
    place.add("{}").await;
    let done = CorrectionId::new("c-1");
    let first = place.take_one().await;
    let to = job_with_id("c-1", "{}");
    place.queue.hand_over(&first.job, &place.next, &to, Some(&done), "null", KEEP).await.expect("answered");
    let delivered = next(&mut worker(&place.next, 1)).await;
    place.next.complete(&delivered.job, "null", Keep::Count(0)).await.expect("answered");
    let second = place.take_one().await;
    let settled = place.queue.hand_over(&second.job, &place.next, &to, Some(&done), "null", KEEP).await;
    assert_eq!(settled.expect("answered"), Settled::Done);
    let counts = place.next.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.completed, counts.active), (0, 0, 0));
    assert_eq!(place.queue.counts().await.expect("counts").completed, 2);
}

#[tokio::test]
async fn a_lost_lock_settles_nothing() {
    let place = Place::new("lost");
    place.add("{}").await;
    let taken = place.take_one().await;
    place.ask::<String>("SET", "1:lock", &["somebody"]);
    let snapshot = || {
        (
            place.ask::<Vec<String>>("LRANGE", "active", &["0", "-1"]),
            place.ask::<Vec<(String, String)>>("HGETALL", "1", &[]),
            place.ask::<String>("GET", "1:lock", &[]),
            place.ask::<u32>("XLEN", "events", &[]),
        )
    };
    let before = snapshot();
    let to = job_with_id("n-1", "{}");
    let (job, queue) = (&taken.job, &place.queue);
    let done = CorrectionId::new("c-1");
    let later = Duration::from_secs(1);
    assert_eq!(
        queue.hand_over(job, &place.next, &to, Some(&done), "1", KEEP).await.expect("answered"),
        Settled::Lost
    );
    assert_eq!(queue.complete(job, "1", KEEP).await.expect("answered"), Settled::Lost);
    assert_eq!(queue.fail(job, "why", KEEP).await.expect("answered"), Settled::Lost);
    assert_eq!(
        queue.retry_later(job, later, "why", RetryCount::Attempt).await.expect("answered"),
        Settled::Lost
    );
    assert_eq!(
        queue.retry_later(job, later, "why", RetryCount::Free).await.expect("answered"),
        Settled::Lost
    );
    let pair = (job.id.clone(), job.token.clone());
    assert_eq!(queue.hand_back(std::slice::from_ref(&pair)).await.expect("answered"), 0);
    assert_eq!(queue.renew(&[pair]).await.expect("answered"), std::slice::from_ref(&job.token));
    assert_eq!(snapshot(), before);
    assert_eq!(place.next.counts().await.expect("counts"), Counts::default());
}

#[tokio::test]
async fn the_token_of_an_earlier_take_of_the_same_job_is_worth_nothing() {
    let place = Place::new("slept");
    place.add("{}").await;
    let slept = place.take_one().await;
    place.ask::<u32>("DEL", "1:lock", &[]);
    assert_eq!(place.queue.recover().await.expect("recovered"), [JobId::new("1")]);
    let again = place.take_one().await;
    assert_eq!(again.job.stalled, 1);
    assert_ne!(slept.job.token, again.job.token);
    assert_eq!(place.queue.complete(&slept.job, "1", KEEP).await.expect("answered"), Settled::Lost);
    assert_eq!(place.queue.complete(&again.job, "2", KEEP).await.expect("answered"), Settled::Done);
}

#[tokio::test]
async fn of_two_workers_no_two_ever_get_the_same_job() {
    let place = Place::new("two");
    for _ in 0..300 {
        place.add("{}").await;
    }
    let mut seen = std::collections::HashSet::new();
    let mut workers = [worker(&place.queue, 20), worker(&place.queue, 20), worker(&place.queue, 20)];
    let [first, second, third] = &mut workers;
    for _ in 0..300 {
        let assignment = within(async {
            tokio::select! {
                job = first.next() => job,
                job = second.next() => job,
                job = third.next() => job,
            }
        });
        let assignment = assignment.await.expect("a job");
        assert!(seen.insert(assignment.job.id.clone()), "{} was given out twice", assignment.job.id);
        place.queue.complete(&assignment.job, "null", Keep::Count(500)).await.expect("answered");
    }
    assert_eq!(place.queue.counts().await.expect("counts").completed, 300);
}

#[tokio::test]
async fn free_retries_leave_the_attempts_and_are_forgotten_when_the_job_completes() {
    let place = Place::new("free");
    place.add("{}").await;
    let wait = Duration::from_millis(5);
    for retries in 0..3 {
        let taken = place.take_one().await;
        assert_eq!((taken.job.retries, taken.job.attempts_made), (retries, 0));
        // What it waits beyond the waits that were meant is not counted.
        let counted = taken.job.tried_for;
        assert!(counted >= wait * retries && counted < (wait + Duration::from_millis(200)) * (retries + 1));
        let settled = place.queue.retry_later(&taken.job, wait, "away", RetryCount::Free);
        assert_eq!(settled.await.expect("answered"), Settled::Done);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let taken = place.take_one().await;
    // As the version before this one notes it.
    place.ask::<u32>("HSET", "1", &["retrying-since", "1"]);
    place.queue.complete(&taken.job, "null", KEEP).await.expect("answered");
    let left: Vec<Option<u64>> = place.ask("HMGET", "1", &["retries", "tried-for", "retrying-since"]);
    assert_eq!(left, [None; 3]);
    assert_eq!(place.queue.complete(&taken.job, "null", KEEP).await.expect("answered"), Settled::Already);
}

#[tokio::test]
async fn a_clock_that_is_set_an_hour_ahead_makes_no_try_longer() {
    let place = Place::new("clock-step");
    place.add("{}").await;
    let taken = place.take_one().await;
    // As if it had been taken an hour before by the clock that everybody can read.
    let begun: i64 = place.ask("HGET", "1", &["processedOn"]);
    place.ask::<u32>("HSET", "1", &["processedOn", &(begun - 3_600_000).to_string()]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let settled = place.queue.retry_later(&taken.job, Duration::ZERO, "away", RetryCount::Free);
    assert_eq!(settled.await.expect("answered"), Settled::Done);
    let counted = place.take_one().await.job.tried_for;
    assert!(counted >= Duration::from_millis(100) && counted < Duration::from_secs(60), "{counted:?}");
}

#[tokio::test]
async fn ended_jobs_beyond_what_is_kept_are_removed_with_their_logs() {
    let place = Place::new("keep");
    for _ in 0..5 {
        place.add("{}").await;
    }
    let mut worker = place.worker();
    for _ in 0..5 {
        let taken = next(&mut worker).await;
        place.queue.log(&taken.job.id, "a line").await.expect("logged");
        place.queue.complete(&taken.job, "null", Keep::Count(2)).await.expect("answered");
        // BullMQ keeps by the millisecond of the end.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(place.ask::<Vec<String>>("ZRANGE", "completed", &["0", "-1"]), ["4", "5"]);
    assert_eq!(place.ask::<u32>("EXISTS", "1", &[]) + place.ask::<u32>("EXISTS", "1:logs", &[]), 0);
    assert_eq!(place.ask::<u32>("EXISTS", "5:logs", &[]), 1);
}

#[tokio::test]
async fn a_log_keeps_its_last_hundred_lines() {
    let place = Place::new("log");
    let id = place.add("{}").await;
    for line in 0..130 {
        place.queue.log(&id, &format!("line {line}")).await.expect("logged");
    }
    place.queue.log(&JobId::new("not-there"), "line").await.expect("no error");
    let lines: Vec<String> = place.ask("LRANGE", "1:logs", &["0", "-1"]);
    assert_eq!((lines.len(), lines[0].as_str(), lines[99].as_str()), (100, "line 30", "line 129"));
    assert_eq!(place.ask::<u32>("EXISTS", "not-there:logs", &[]), 0);
}

#[tokio::test]
async fn an_id_whose_job_is_gone_is_dropped_and_harms_no_other() {
    let place = Place::new("ghost");
    place.add("{}").await;
    let good = place.queue.add(&job("{}")).await.expect("added");
    place.ask::<u32>("DEL", "1", &[]);
    assert_eq!(&place.take_one().await.job.id, good.id());
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "active", &["0", "-1"]), ["2"]);
}
