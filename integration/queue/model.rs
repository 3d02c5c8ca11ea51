//! Random operations on a real queue, step by step beside a model of a few lines.

use std::collections::BTreeMap;
use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::queue::{Added, Assignment, Keep, RetryCount, Settled};

use super::{NEXT, Place, job_with_id};

/// What a queue is, in a model's terms.
#[derive(Debug, Default)]
struct Model {
    /// The next to be taken stands last, as in Redis.
    waiting: Vec<String>,
    active: BTreeMap<String, Assignment>,
    completed: Vec<String>,
    failed: Vec<String>,
    handed_over: Vec<String>,
    /// Assignments whose lock was lost: whatever is done with them changes nothing.
    stale: Vec<Assignment>,
}

impl Model {
    fn knows(&self, id: &str) -> bool {
        let lists = [&self.waiting, &self.completed, &self.failed];
        self.active.contains_key(id) || lists.iter().any(|list| list.iter().any(|known| known == id))
    }

    fn check(&self, place: &Place) {
        let list = |key: &str| place.ask::<Vec<String>>("LRANGE", key, &["0", "-1"]);
        let ended = |key: &str| {
            let mut ids: Vec<String> = place.ask("ZRANGE", key, &["0", "-1"]);
            ids.sort_unstable();
            ids
        };
        let sorted = |ids: &[String]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        assert_eq!(list("wait"), self.waiting);
        assert_eq!(sorted(&list("active")), self.active.keys().cloned().collect::<Vec<_>>());
        assert_eq!(ended("completed"), sorted(&self.completed));
        assert_eq!(ended("failed"), sorted(&self.failed));
        for (id, assignment) in &self.active {
            let lock: Option<String> = place.ask("GET", &format!("{id}:lock"), &[]);
            assert_eq!(lock.as_deref(), Some(assignment.job.token.as_str()), "the lock of {id}");
        }
        let locks: Vec<String> = place.tell(&["KEYS", &format!("{}:*:lock", place.prefix)]);
        assert_eq!(locks.len(), self.active.len(), "{locks:?}");
        let next: Vec<String> = place.ask_of(NEXT, "LRANGE", "wait", &["0", "-1"]);
        assert_eq!(next, self.handed_over);
    }
}

/// Takes one of the active assignments out of the model by chance.
fn any_active(random: &mut fastrand::Rng, model: &mut Model) -> Option<(String, Assignment)> {
    let id = random.choice(model.active.keys().cloned().collect::<Vec<_>>())?;
    model.active.remove_entry(&id)
}

async fn step(random: &mut fastrand::Rng, place: &Place, model: &mut Model) {
    let keep = Keep::Count(1000);
    match random.u32(0..9) {
        0 | 1 => {
            let id = format!("j-{}", random.u32(0..30));
            let added = place.queue.add(&job_with_id(&id, "{}")).await.expect("added");
            let known = model.knows(&id);
            assert_eq!(matches!(added, Added::Duplicate(_)), known);
            if !known {
                model.waiting.insert(0, id);
            }
        }
        2 | 3 => {
            let Some(expected) = model.waiting.pop() else { return };
            let assignment = place.take_one().await;
            assert_eq!(assignment.job.id.as_str(), expected);
            model.active.insert(expected, assignment);
        }
        4 => {
            let Some((id, assignment)) = any_active(random, model) else { return };
            for expected in [Settled::Done, Settled::Already] {
                assert_eq!(
                    place.queue.complete(&assignment.job, "1", keep).await.expect("answered"),
                    expected
                );
            }
            model.completed.push(id);
        }
        5 => {
            let Some((id, assignment)) = any_active(random, model) else { return };
            let next = job_with_id(&format!("of-{id}"), "{}");
            let hand_over = || place.queue.hand_over(&assignment.job, &place.next, &next, None, "1", keep);
            assert_eq!(hand_over().await.expect("answered"), Settled::Done);
            assert_eq!(hand_over().await.expect("answered"), Settled::Already);
            model.completed.push(id.clone());
            model.handed_over.insert(0, format!("of-{id}"));
        }
        6 => {
            let Some((id, assignment)) = any_active(random, model) else { return };
            if random.bool() {
                assert_eq!(
                    place.queue.fail(&assignment.job, "why", keep).await.expect("answered"),
                    Settled::Done
                );
                model.failed.push(id);
            } else {
                let again = place
                    .queue
                    .retry_later(&assignment.job, Duration::ZERO, "why", RetryCount::Attempt)
                    .await;
                assert_eq!(again.expect("answered"), Settled::Done);
                model.waiting.insert(0, id);
            }
        }
        7 => {
            let mut back = Vec::new();
            while let Some(entry) = any_active(random, model) {
                back.push(entry);
                if random.bool() {
                    break;
                }
            }
            let pairs: Vec<_> =
                back.iter().map(|(id, held)| (JobId::new(id.clone()), held.job.token.clone())).collect();
            assert_eq!(place.queue.hand_back(&pairs).await.expect("answered"), pairs.len());
            model.waiting.extend(back.iter().rev().map(|(id, _)| id.clone()));
            model.stale.extend(back.into_iter().map(|(_, held)| held));
        }
        _ => {
            let Some((id, assignment)) = any_active(random, model) else { return };
            place.ask::<u32>("DEL", &format!("{id}:lock"), &[]);
            assert_eq!(place.queue.recover().await.expect("recovered"), [JobId::new(id.clone())]);
            model.waiting.push(id);
            model.stale.push(assignment);
        }
    }
    if let Some(stale) = model.stale.pop() {
        assert_eq!(place.queue.complete(&stale.job, "1", keep).await.expect("answered"), Settled::Lost);
    }
}

#[tokio::test]
async fn whatever_is_done_every_job_is_in_exactly_the_one_place_it_should_be() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (place, mut model) = (Place::new("model"), Model::default());
    for _ in 0..400 {
        step(&mut random, &place, &mut model).await;
        model.check(&place);
    }
}
