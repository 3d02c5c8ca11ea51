//! Since when the oldest job waits, wherever it stands.

use std::time::Duration;

use correction_runner::identity::{EngineId, JobId};
use correction_runner::queue::{Bound, Due, JobOptions, NewJob, RetryCount, Turns};

use super::{Place, job, next, worker};

const HOUR: Duration = Duration::from_secs(3600);

impl Place {
    /// A job that was added at that time.
    async fn add_of(&self, timestamp: u64) -> JobId {
        let id = self.add("{}").await;
        self.ask::<u32>("HSET", id.as_str(), &["timestamp", &timestamp.to_string()]);
        id
    }

    /// One whose producer wants it later.
    async fn add_later(&self, timestamp: u64) -> JobId {
        let options = JobOptions { delay: HOUR, ..JobOptions::default() };
        let id = self.queue.add(&NewJob { options, ..job("{}") }).await.expect("added").id().clone();
        self.ask::<u32>("HSET", id.as_str(), &["timestamp", &timestamp.to_string()]);
        id
    }

    /// Who waits for the longest time and since when, as the survey and the metric have it.
    async fn oldest(&self) -> Option<(String, u64)> {
        let survey = self.queue.survey(10, false).await.expect("a survey");
        let since = self.queue.oldest_waiting().await.expect("answered");
        assert_eq!(survey.oldest.as_ref().map(|(_, since)| *since), since);
        survey.oldest.map(|(id, since)| (id.as_str().to_owned(), since))
    }
}

#[tokio::test]
async fn who_stands_aside_waits_and_whom_a_producer_wants_later_waits_from_that_time_on() {
    let place = Place::new("oldest-aside");
    assert_eq!(place.oldest().await, None);
    let later = place.add_later(1_000).await;
    assert_eq!(place.oldest().await, None, "its time has not come");
    // Due at last, and nobody is there who takes it.
    place.ask::<u32>("ZADD", "delayed", &["4096000", later.as_str()]);
    assert_eq!(place.oldest().await, Some((later.as_str().to_owned(), 1_000)));
    // What somebody wrote where a job should be harms nothing.
    place.ask::<u32>("RPUSH", "wait", &["odd"]);
    place.ask::<u32>("SADD", "odd", &["1"]);
    assert_eq!(place.oldest().await, Some((later.as_str().to_owned(), 1_000)));
    for key in ["odd", "wait", "delayed"] {
        place.ask::<u32>("DEL", key, &[]);
    }

    // For a permit of a rule of which there is one.
    let bound = Bound { engine: EngineId::new("AB:CD"), rule: "few".into(), most: 1 };
    for timestamp in [2_000, 4_000, 3_000] {
        place.add_of(timestamp).await;
    }
    assert_eq!(place.oldest().await, Some(("2".into(), 2_000)));
    let mut ours = worker(&place.queue, 3);
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.push(next(&mut ours).await);
        place.queue.admit(&taken[taken.len() - 1].job, &bound, HOUR).await.expect("answered");
    }
    let counts = place.queue.counts().await.expect("counts");
    assert_eq!((counts.waiting, counts.active, counts.delayed), (0, 1, 2));
    assert_eq!(place.oldest().await, Some(("4".into(), 3_000)));
}

#[tokio::test]
async fn who_was_put_off_untried_waits_and_whose_attempt_failed_does_not_before_its_time() {
    let place = Place::new("oldest-put-off");
    place.add_of(1_000).await;
    place.add_of(2_000).await;
    let mut ours = worker(&place.queue, 2);
    let (first, second) = (next(&mut ours).await, next(&mut ours).await);
    let turns = Turns::of(place.queue.clone());
    turns.put_back(&second.job, Due::after(HOUR, &second.job.id)).await.expect("answered");
    place.queue.retry_later(&first.job, HOUR, "refused", RetryCount::Attempt).await.expect("answered");
    assert_eq!(place.queue.counts().await.expect("counts").delayed, 2);
    assert_eq!(place.oldest().await, Some(("2".into(), 2_000)));
}

#[tokio::test]
async fn among_very_many_that_are_put_off_the_oldest_aside_is_found() {
    let place = Place::new("oldest-of-many");
    // Two thousand of a producer's own that are due sooner, and a thousand aside of which the oldest is in the middle.
    let script = format!(
        "local base, aside = '{0}:pending_corrections:', '{0}:correction-runner:running:E:rule:few:aside'
        for i = 1, 2000 do
            redis.call('HSET', base .. 'p' .. i, 'name', 'n', 'data', '{{}}', 'timestamp', 5)
            redis.call('ZADD', base .. 'delayed', 9000000000000000 + i, 'p' .. i)
        end
        for i = 1, 1000 do
            local timestamp = i == 500 and 7 or 1000 + i
            redis.call('HSET', base .. 'a' .. i, 'name', 'n', 'data', '{{}}', 'timestamp', timestamp, 'aside', aside)
            redis.call('ZADD', base .. 'delayed', 9000000000100000 + i, 'a' .. i)
            redis.call('ZADD', aside, timestamp, 'a' .. i)
        end
        redis.call('ZADD', aside, 1, 'gone')",
        place.prefix
    );
    place.tell::<()>(&["EVAL", &script, "0"]);
    assert_eq!(place.oldest().await, Some(("a500".into(), 7)));
}
