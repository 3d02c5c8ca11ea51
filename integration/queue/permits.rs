//! Permits to run: never more than there are, given on in the order of the line, lost by nobody's death.

use std::time::Duration;

use correction_runner::identity::{CorrectionId, EngineId, JobId, LockToken};
use correction_runner::queue::{
    Admitted, Assignment, Bound, House, JobOptions, LineState, Living, NewJob, Reconciled, Settled, Worker,
    WorkerOptions,
};
use tokio::time::{Instant, timeout};

use super::{KEEP, NEXT, Place, job, job_with_id, next, within};

const ENGINE: &str = "AB:CD";
/// Shorter than the time after which a worker looks unasked.
const WOKEN: Duration = Duration::from_secs(3);

fn engine() -> EngineId {
    EngineId::new(ENGINE)
}

fn house(most: u32) -> House {
    House { engine: engine(), most }
}

fn worker_for(place: &Place, house: House) -> Worker {
    let options = WorkerOptions { concurrency: 8, batch: 8, rate: None, name: "ours".into() };
    Worker::start_for(place.queue.clone(), options, Some(house), false)
}

impl Place {
    fn permits(&self) -> Vec<String> {
        let key = format!("{}:correction-runner:running:{ENGINE}", self.prefix);
        self.tell(&["ZRANGE", &key, "0", "-1"])
    }

    /// All permits were taken an hour ago.
    fn let_permits_age(&self) {
        let key = format!("{}:correction-runner:running:{ENGINE}", self.prefix);
        for member in self.permits() {
            self.tell::<String>(&["ZINCRBY", &key, "-3600000", &member]);
        }
    }

    async fn take_none(&self, most: u32) -> LineState {
        let tokens = [LockToken::unique()];
        let taken = self.queue.take_for(&tokens, "ours", None, Some(&house(most))).await.expect("taken");
        assert!(taken.jobs.is_empty());
        taken.state
    }

    async fn hand_over(&self, assignment: &Assignment, correction: &str) {
        let to = job_with_id(correction, "{}");
        let settled = self.queue.hand_over(&assignment.job, &self.next, &to, None, "1", KEEP).await;
        assert_eq!(settled.expect("answered"), Settled::Done);
    }

    /// A completer's part.
    async fn finish(&self, correction: &str) {
        let mut completer = super::worker(&self.next, 1);
        let running = next(&mut completer).await;
        assert_eq!(running.job.id, JobId::new(correction));
        let to = job_with_id(correction, "{}");
        let finished = self.redis.queue("finished_corrections");
        let done = CorrectionId::new(correction);
        self.next.hand_over(&running.job, &finished, &to, Some(&done), "1", KEEP).await.expect("answered");
    }
}

#[tokio::test]
async fn no_more_is_taken_than_there_are_permits_and_a_release_brings_the_next_at_once() {
    let place = Place::new("house");
    let mut worker = worker_for(&place, house(2));
    for _ in 0..5 {
        place.add("{}").await;
    }
    let (first, second) = (next(&mut worker).await, next(&mut worker).await);
    assert!(timeout(Duration::from_millis(300), worker.next()).await.is_err(), "both permits are out");
    assert_eq!(place.permits(), ["job:1", "job:2"]);
    place.hand_over(&first, "c-1").await;
    assert_eq!(place.permits(), ["job:2", "c-1"], "the container runs");
    assert!(timeout(Duration::from_millis(300), worker.next()).await.is_err());
    let freed = Instant::now();
    place.finish("c-1").await;
    let third = within(worker.next()).await.expect("a job");
    assert!(freed.elapsed() < WOKEN, "{:?}", freed.elapsed());
    assert_eq!(third.job.id, JobId::new("3"));
    // A submission that is refused, and one that is tried later, give theirs up too.
    place.queue.complete(&second.job, "1", KEEP).await.expect("answered");
    let fourth = within(worker.next()).await.expect("a job");
    let minute = Duration::from_secs(60);
    place.queue.retry_start(&third.job, minute, "why", false).await.expect("answered");
    within(worker.next()).await.expect("the fifth");
    place.queue.retry_start(&fourth.job, minute, "why", true).await.expect("answered");
    assert_eq!(place.permits(), ["job:4", "job:5"], "whose container may run keeps it");
}

#[tokio::test]
async fn the_line_keeps_its_order_where_permits_are_few() {
    let place = Place::new("house-order");
    for (id, priority) in [("late", 9), ("early", 1), ("middle", 5)] {
        let options = JobOptions { priority, ..JobOptions::default() };
        let new = NewJob { id: Some(JobId::new(id)), options, ..job("{}") };
        place.queue.add(&new).await.expect("added");
    }
    place.queue.add(&job_with_id("first", "{}")).await.expect("added");
    let mut worker = worker_for(&place, house(1));
    let mut order = Vec::new();
    for _ in 0..4 {
        let one = within(worker.next()).await.expect("a job");
        order.push(one.job.id.to_string());
        place.queue.complete(&one.job, "1", KEEP).await.expect("answered");
    }
    assert_eq!(order, ["first", "early", "middle", "late"]);
}

#[tokio::test]
async fn what_a_dead_starter_held_is_taken_again_with_its_permit_even_from_the_end_of_a_long_line() {
    let place = Place::new("house-crash");
    let options = JobOptions { priority: 7, ..JobOptions::default() };
    place.queue.add(&NewJob { options, ..job("{}") }).await.expect("added");
    let held = {
        let mut worker = worker_for(&place, house(1));
        next(&mut worker).await
    };
    for _ in 0..1000 {
        place.add("{}").await;
    }
    place.ask::<u32>("DEL", "1:lock", &[]);
    assert_eq!(place.queue.recover().await.expect("recovered"), [JobId::new("1")]);
    assert_eq!(place.permits(), ["job:1"]);
    let mut worker = worker_for(&place, house(1));
    let again = within(worker.next()).await.expect("a job");
    assert_eq!(again.job.id, held.job.id, "the thousand before it have no permit");
    assert!(timeout(Duration::from_millis(300), worker.next()).await.is_err());
    assert_eq!(place.permits(), ["job:1"]);
    // The same for a job that waits for its time, and for one that is handed back.
    place.queue.retry_start(&again.job, Duration::from_millis(50), "why", true).await.expect("answered");
    let again = within(worker.next()).await.expect("a job");
    assert_eq!((again.job.id.as_str(), place.permits()), ("1", vec!["job:1".to_owned()]));
    drop(again);
    worker.close().await.expect("closed");
    let mut worker = worker_for(&place, house(1));
    let again = within(worker.next()).await.expect("a job");
    assert_eq!((again.job.id.as_str(), place.permits()), ("1", vec!["job:1".to_owned()]));
}

#[tokio::test]
async fn starters_of_another_engine_are_not_held_up_by_a_full_one() {
    let place = Place::new("houses");
    let mut full = worker_for(&place, house(1));
    let mut other = worker_for(&place, House { engine: EngineId::new("other"), most: 100 });
    let mut here = Vec::new();
    for _ in 0..20 {
        let added = Instant::now();
        place.add("{}").await;
        tokio::select! {
            one = full.next() => here.push(one.expect("a job")),
            one = other.next() => { let one = one.expect("a job"); place.queue.complete(&one.job, "1", KEEP).await.expect("answered"); }
        }
        assert!(added.elapsed() < WOKEN, "{:?}", added.elapsed());
    }
    assert!(here.len() <= 1, "{}", here.len());
}

#[tokio::test]
async fn each_starter_keeps_to_its_own_number_where_they_differ() {
    let place = Place::new("house-differ");
    for _ in 0..10 {
        place.add("{}").await;
    }
    let (mut few, mut many) = (worker_for(&place, house(2)), worker_for(&place, house(5)));
    let mut held = Vec::new();
    while held.len() < 5 {
        let one = tokio::select! { one = few.next() => one, one = many.next() => one };
        held.push(one.expect("a job"));
    }
    let more = async {
        tokio::select! { one = few.next() => one, one = many.next() => one }
    };
    assert!(timeout(Duration::from_millis(500), more).await.is_err());
    // Without a number nothing is counted, and what others count stays as it is.
    let mut free = super::worker(&place.queue, 8);
    for _ in 0..5 {
        held.push(next(&mut free).await);
    }
    assert_eq!(place.permits().len(), 5);
}

#[tokio::test]
async fn a_job_that_another_engines_starter_takes_gives_up_its_permit_here() {
    let place = Place::new("house-moves");
    place.add("{}").await;
    let here = {
        let mut worker = worker_for(&place, house(1));
        next(&mut worker).await
    };
    place.ask::<u32>("DEL", "1:lock", &[]);
    place.queue.recover().await.expect("recovered");
    let mut there = worker_for(&place, House { engine: EngineId::new("other"), most: 1 });
    assert_eq!(within(there.next()).await.expect("a job").job.id, here.job.id);
    assert!(place.permits().is_empty());
}

#[tokio::test]
async fn permits_that_nothing_stands_behind_are_dropped_and_missing_ones_are_made() {
    let place = Place::new("reconcile");
    let mut worker = worker_for(&place, house(100));
    let mut taken = Vec::new();
    for number in 1..=6 {
        place.add("{}").await;
        let one = next(&mut worker).await;
        if number > 2 {
            place.hand_over(&one, &format!("c-{number}")).await;
        }
        taken.push(one);
    }
    let reconcile =
        async |living: &[Living]| place.redis.reconcile(&engine(), living).await.expect("an answer");
    let alive = |correction: &str, job: &str| Living {
        correction: CorrectionId::new(correction),
        job: JobId::new(job),
    };
    // A person removed a pending job and a running one; another client ended a running one.
    place.ask::<u32>("DEL", "2", &["2:lock"]);
    place.ask_of::<u32>(NEXT, "DEL", "c-3", &[]);
    place.ask_of::<u32>(NEXT, "HSET", "c-4", &["finishedOn", "1"]);
    // Of this one Redis has lost the record, and its container runs.
    place.ask_of::<u32>(NEXT, "DEL", "c-5", &[]);
    let living = [alive("c-1", "1"), alive("c-5", "5"), alive("c-6", "6")];
    assert_eq!(reconcile(&living).await, Reconciled::default(), "not yet");
    place.let_permits_age();
    assert_eq!(reconcile(&living).await, Reconciled { dropped: 3, added: 0 });
    let mut left = place.permits();
    left.sort();
    assert_eq!(left, ["c-5", "c-6", "job:1"]);

    // All of it is forgotten. What is done by now gets no permit again, though its container is still listed.
    place.redis.reset().await.expect("reset");
    assert!(place.permits().is_empty());
    place.next.add(&job_with_id("c-7", "{}")).await.expect("added");
    place.tell::<String>(&["SET", &format!("{}:correction-runner:done:c-8", place.prefix), "x"]);
    let living = [alive("c-5", "5"), alive("c-7", "7"), alive("c-8", "8")];
    assert_eq!(reconcile(&living).await, Reconciled { dropped: 0, added: 2 });
    assert_eq!(reconcile(&living).await, Reconciled::default());
    assert_eq!(place.permits().len(), 2);
    place.finish("c-7").await;
    assert_eq!(place.permits(), ["c-5"], "its record knows of the permit now");
    assert_eq!(place.take_none(1).await, LineState::Crowded);
}

#[tokio::test]
async fn a_rule_that_has_no_permit_left_holds_up_only_its_own_and_calls_them_back_in_order() {
    let place = Place::new("rule");
    let mut worker = worker_for(&place, house(3));
    let bound = |most| Bound { engine: engine(), rule: "algebra".into(), most };
    let hour = Duration::from_secs(3600);
    for _ in 1..=6 {
        place.add("{}").await;
    }
    let mut inside = Vec::new();
    for number in 1..=6 {
        let one = within(worker.next()).await.expect("what is aside takes no room");
        let admitted = place.queue.admit(&one.job, &bound(2), hour).await.expect("answered");
        assert_eq!(admitted == Admitted::In, number <= 2, "{number}");
        if admitted == Admitted::In {
            inside.push(one);
        }
    }
    assert_eq!(place.queue.counts().await.expect("counts").delayed, 4);
    assert_eq!(place.permits(), ["job:1", "job:2"]);
    place.add("{}").await;
    let of_no_rule = within(worker.next()).await.expect("a job");
    assert_eq!(of_no_rule.job.id, JobId::new("7"));

    place.hand_over(&inside[0], "c-1").await;
    let freed = Instant::now();
    place.finish("c-1").await;
    let third = within(worker.next()).await.expect("a job");
    assert!(freed.elapsed() < WOKEN, "{:?}", freed.elapsed());
    assert_eq!(third.job.id, JobId::new("3"));
    assert_eq!(third.job.tried_for, Duration::ZERO, "to wait for a permit is no try");
    assert_eq!(place.queue.admit(&third.job, &bound(2), hour).await.expect("answered"), Admitted::In);
    // More are allowed from now on: the next that asks brings the others.
    place.queue.complete(&inside[1].job, "1", KEEP).await.expect("answered");
    let fourth = within(worker.next()).await.expect("a job");
    assert_eq!(fourth.job.id, JobId::new("4"));
    assert_eq!(place.queue.admit(&fourth.job, &bound(9), hour).await.expect("answered"), Admitted::In);
    place.queue.complete(&third.job, "1", KEEP).await.expect("answered");
    let fifth = within(worker.next()).await.expect("a job");
    assert_eq!(fifth.job.id, JobId::new("5"));
}

#[tokio::test]
async fn a_job_that_stood_aside_tells_how_long_it_waited_where_that_counts() {
    let place = Place::new("aside");
    place.add("{}").await;
    let aside = place.redis.aside_for_image(&engine(), "i:1");
    let one = place.take_one().await;
    place.queue.put_aside(&one.job, &aside, Duration::from_secs(3600), true).await.expect("answered");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(place.queue.call_back(&aside, 10).await.expect("answered"), 1);
    assert_eq!(place.queue.call_back(&aside, 10).await.expect("answered"), 0);
    let again = place.take_one().await;
    assert_eq!((one.job.takes_before, again.job.takes_before), (0, 1));
    let waited = again.job.tried_for;
    assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(60), "{waited:?}");
    // Nobody calls it back, and it is dragged into the line by hand: its place is not kept.
    place.queue.put_aside(&again.job, &aside, Duration::from_millis(100), true).await.expect("answered");
    let mut worker = super::worker(&place.queue, 1);
    let by_itself = within(worker.next()).await.expect("a job");
    let waited = by_itself.job.tried_for.saturating_sub(waited);
    assert!(waited <= Duration::from_millis(100), "no longer than was meant: {waited:?}");
    assert_eq!(place.queue.call_back(&aside, 10).await.expect("answered"), 0);
}
