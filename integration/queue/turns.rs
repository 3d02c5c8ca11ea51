//! Jobs that are put back untried, and called before they are due.

use std::time::Duration;

use correction_runner::config::RateLimit;
use correction_runner::identity::{JobId, LockToken};
use correction_runner::queue::{Due, QueueError, Settled, TakenJob, Turns, Worker, WorkerOptions};
use futures::future::join_all;

use super::{KEEP, Place, next};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn jobs_that_are_put_back_together_wait_for_their_time_uncounted_and_cost_nothing_of_the_rate() {
    const MANY: usize = 100;
    let place = Place::new("together");
    let rate = Some(RateLimit { max: 1000, duration: HOUR });
    let options = WorkerOptions { concurrency: MANY, batch: MANY, rate, name: "ours".to_owned() };
    let mut worker = Worker::start(place.queue.clone(), options);
    for _ in 0..MANY {
        place.add("{}").await;
    }
    let mut taken = Vec::new();
    while taken.len() < MANY {
        taken.push(next(&mut worker).await);
    }
    let turns = Turns::of(place.queue.clone());
    let due = Due::after(HOUR, &JobId::new("")).at;
    let each = taken.iter().map(|it| turns.put_back(&it.job, Due { at: due, job: it.job.id.clone() }));
    for settled in join_all(each).await {
        assert_eq!(settled.expect("answered"), Settled::Done);
    }
    let again = turns.put_back(&taken[7].job, Due { at: due, job: taken[7].job.id.clone() }).await;
    assert_eq!(again.expect("answered"), Settled::Already);
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.active, counts.waiting, counts.delayed), (0, 0, MANY as u64));
    for assignment in &taken {
        let id = assignment.job.id.as_str();
        let fields: Vec<Option<u64>> = place.ask("HMGET", id, &["atm", "ats", "retries"]);
        assert_eq!(fields, [None, Some(0), None], "{id}");
        let tried_for: u64 = place.ask("HGET", id, &["tried-for"]);
        assert!((3_590_000..3_700_000).contains(&tried_for), "{id}: {tried_for}");
        let score: f64 = place.ask("ZSCORE", "delayed", &[id]);
        assert_eq!((score / 4096.0).floor().to_string(), due.to_string(), "{id}");
        assert_eq!(place.ask::<u32>("EXISTS", &format!("{id}:lock"), &[]), 0);
    }
    assert_eq!(place.ask::<u32>("GET", "limiter", &[]), 0);
}

#[tokio::test]
async fn one_of_those_that_are_put_back_together_may_be_somebody_elses_by_now() {
    let place = Place::new("lost-turn");
    let mut worker = place.worker();
    place.add("{}").await;
    place.add("{}").await;
    let (first, second) = (next(&mut worker).await, next(&mut worker).await);
    place.ask::<String>("SET", "1:lock", &["somebody"]);
    let turns = Turns::of(place.queue.clone());
    let put_back = |job| turns.put_back(job, Due::after(HOUR, &job.id));
    let (lost, done) = tokio::join!(put_back(&first.job), put_back(&second.job));
    assert_eq!((lost.expect("answered"), done.expect("answered")), (Settled::Lost, Settled::Done));
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "active", &["0", "-1"]), ["1"]);
    assert_eq!(place.ask::<Vec<String>>("ZRANGE", "delayed", &["0", "-1"]), ["2"]);
}

/// The next job, without a worker: nobody else waits for the marker.
async fn take(place: &Place) -> TakenJob {
    let taken = place.queue.take(&[LockToken::unique()], "ours", None).await.expect("answered");
    taken.jobs.into_iter().next().expect("a job")
}

#[tokio::test]
async fn jobs_are_called_forth_unless_somebody_moved_them_meanwhile() {
    let place = Place::new("called");
    let turns = Turns::of(place.queue.clone());
    let mut put_back = Vec::new();
    for _ in 0..4 {
        place.add("{}").await;
        let taken = take(&place).await;
        let due = Due::after(HOUR, &taken.id);
        turns.put_back(&taken, due.clone()).await.expect("answered");
        put_back.push(due);
    }
    // One was promoted by a person, one put off for another reason, one removed.
    place.ask::<u32>("ZREM", "delayed", &["1"]);
    place.ask::<u32>("RPUSH", "wait", &["1"]);
    place.ask::<u32>("ZADD", "delayed", &["1", "2"]);
    place.ask::<u32>("DEL", "3", &[]);
    place.ask::<u32>("DEL", "marker", &[]);
    assert_eq!(turns.call_forth(&put_back).await.expect("answered"), 1);
    assert_eq!(place.ask::<Vec<String>>("LRANGE", "wait", &["0", "-1"]), ["4", "1"]);
    assert_eq!(place.ask::<Vec<String>>("ZRANGE", "delayed", &["0", "-1"]), ["2"]);
    assert_eq!(place.ask::<Vec<String>>("ZRANGE", "marker", &["0", "-1"]), ["0"], "somebody is woken");
    // It did not wait for as long as it was put back.
    let tried_for: u64 = place.ask("HGET", "4", &["tried-for"]);
    assert!(tried_for < 300_000, "{tried_for}");
    assert_eq!(turns.call_forth(&put_back).await.expect("answered"), 0);
}

#[tokio::test]
async fn how_long_a_job_was_put_back_for_is_over_with_its_end_so_that_a_persons_retry_begins_anew() {
    let place = Place::new("over");
    let turns = Turns::of(place.queue.clone());
    let left = |id: &str| place.ask::<u32>("HEXISTS", id, &["tried-for"]);
    for id in ["1", "2"] {
        place.add("{}").await;
        let taken = take(&place).await;
        let due = Due::after(HOUR, &taken.id);
        turns.put_back(&taken, due.clone()).await.expect("answered");
        assert_eq!(turns.call_forth(&[due]).await.expect("answered"), 1);
        assert_eq!(left(id), 1);
        let again = take(&place).await;
        let settled = match id {
            "1" => place.queue.fail(&again, "nobody took it", KEEP).await,
            _ => place.queue.complete(&again, "null", KEEP).await,
        };
        assert_eq!(settled.expect("answered"), Settled::Done);
        assert_eq!(left(id), 0, "{id}");
    }
}

#[tokio::test]
async fn whoever_waits_is_told_of_a_job_that_is_due_before_all_others_and_of_no_later_one() {
    let place = Place::new("first-due");
    let turns = Turns::of(place.queue.clone());
    for (delay, told) in [(HOUR, true), (HOUR * 2, false), (HOUR / 2, true)] {
        place.add("{}").await;
        let taken = take(&place).await;
        place.ask::<u32>("DEL", "marker", &[]);
        turns.put_back(&taken, Due::after(delay, &taken.id)).await.expect("answered");
        let marker: Vec<String> = place.ask("ZRANGE", "marker", &["0", "-1"]);
        assert_eq!(!marker.is_empty(), told, "{delay:?}: {marker:?}");
    }
}

#[tokio::test]
async fn whoever_shares_a_call_that_fails_is_told_why() {
    let place = Place::new("shared-failure");
    let turns = Turns::of(place.queue.clone());
    let mut taken = Vec::new();
    for _ in 0..3 {
        place.add("{}").await;
        taken.push(take(&place).await);
    }
    place.ask::<u32>("DEL", "active", &[]);
    place.ask::<String>("SET", "active", &["no list"]);
    for told in join_all(taken.iter().map(|job| turns.put_back(job, Due::after(HOUR, &job.id)))).await {
        assert!(matches!(told, Err(QueueError::Refused { .. })), "{told:?}");
    }
    // Nobody is left in the line who would be put back with the next call.
    place.ask::<u32>("DEL", "active", &[]);
    place.ask::<u32>("RPUSH", "active", &["1", "2", "3"]);
    let settled = turns.put_back(&taken[0], Due::after(HOUR, &taken[0].id)).await;
    assert_eq!(settled.expect("answered"), Settled::Done);
    assert_eq!(place.ask::<Vec<String>>("ZRANGE", "delayed", &["0", "-1"]), ["1"]);
}
