//! A reset while components still run: nothing of the old installation comes back into the emptied queues.

use correction_runner::identity::{InstanceId, JobId};
use correction_runner::job::FINISHED_QUEUE;
use correction_runner::queue::{Finished, Standing};

use super::standing::{labels, settle_in};
use super::{Place, job, within};
use crate::support::redis::RedisServer;

#[tokio::test]
async fn an_orphan_of_another_installation_or_of_none_is_left_alone() {
    let place = Place::new("orphan-of-old");
    let finished = place.redis.queue(FINISHED_QUEUE);
    let orphan = labels(&JobId::new("77"), 5, 0);
    let refused = Finished::Not(Standing::Live);
    assert_eq!(place.redis.finish_orphan(&orphan, &job("{}")).await.expect("told"), refused);
    place.redis.instance(Some(&InstanceId::new("another"))).await.expect("set");
    assert_eq!(place.redis.finish_orphan(&orphan, &job("{}")).await.expect("told"), refused);
    assert_eq!(finished.counts().await.expect("counts").waiting, 0);
    // Not remembered as done either.
    assert_eq!(place.redis.standing(std::slice::from_ref(&orphan)).await.expect("told"), [Standing::Orphan]);
    settle_in(&place).await;
    assert_eq!(place.redis.finish_orphan(&orphan, &job("{}")).await.expect("told"), Finished::Added);
}

#[tokio::test]
async fn a_reset_that_breaks_off_has_taken_the_id_before_anything_else() {
    let server = RedisServer::start(&["--rename-command", "SCAN", ""]);
    let place = Place::on(&server, "broken-off");
    settle_in(&place).await;
    place.redis.reset().await.expect_err("no SCAN");
    let orphan = labels(&JobId::new("77"), 5, 0);
    let answer = place.redis.finish_orphan(&orphan, &job("{}")).await.expect("told");
    assert_eq!(answer, Finished::Not(Standing::Live));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_during_a_reset_finishes_nothing_and_its_new_id_stays() {
    let server = RedisServer::start(&[]);
    let place = Place::on(&server, "swept");
    settle_in(&place).await;
    // So many that the reset takes a while.
    let bulk =
        format!("for i = 1, 50000 do redis.call('SET', '{}:{}:' .. i, 'x') end", place.prefix, super::QUEUE);
    place.tell::<()>(&["EVAL", &bulk, "0"]);
    let redis = place.redis.clone();
    let reset = tokio::spawn(async move { redis.reset().await });
    let key = format!("{}:correction-runner:instance", place.prefix);
    within(async {
        while place.tell::<u32>(&["EXISTS", &key]) == 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What a completer's sweep does that began before.
    let new = place.redis.instance(None).await.expect("an id");
    let answer = place.redis.finish_orphan(&labels(&JobId::new("77"), 5, 0), &job("{}")).await.expect("told");
    assert_eq!(answer, Finished::Not(Standing::Live));
    let removed = reset.await.expect("no panic").expect("reset");
    assert_eq!((removed.pending, removed.finished, removed.own), (50_000, 0, 1));
    assert_eq!(place.redis.instance(None).await.expect("an id"), new);
}
