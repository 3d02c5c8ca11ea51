//! What became of a mixed fleet's corrections: lost, doubled, and by whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use serde_json::Value;
use tokio::time::Instant;

use super::fleet::Fleet;
use crate::faults::figures::note;
use crate::support::system::PATIENCE;

/// The count of a fleet's run.
#[derive(Debug, Default)]
pub struct Tally {
    submitted: usize,
    lost: BTreeSet<String>,
    /// Started twice where a starter of Node's took part: it has no way to know of its first start.
    doubled_by_node: BTreeSet<String>,
    /// Started twice by ours alone.
    doubled_by_us: BTreeSet<String>,
    /// POSTs beyond a correction's first of a result that a notifier of Node's had POSTed, but not recorded.
    posted_again_after_node: usize,
    /// The same where ours had POSTed it.
    posted_again_after_us: usize,
    /// Containers of Node's starters that nobody knows of, and those that its completer left.
    left_by_node: usize,
}

impl Tally {
    /// Waits until all is delivered and settled, ends the fleet, and counts.
    pub async fn of(mut fleet: Fleet) -> Self {
        until_all_came(&fleet, PATIENCE).await;
        until_settled(&fleet).await;
        // Where a completer of the original's is in place of ours, what it leaves when it dies is left.
        if fleet.system.running_components().iter().any(|member| member == "completer-ours") {
            let ours_left = async || {
                let left = fleet.engine.containers().iter().filter(|seen| is_ours(seen)).count();
                (left == 0).then_some(())
            };
            fleet.system.until("no container of ours is left", ours_left).await;
        }
        fleet.end_node().await;
        fleet.system.stop_all().await;
        let locks = fleet.system.ask(&["--scan", "--pattern", "bull:*:lock"]).await;
        assert!(locks.is_empty(), "locks are left: {locks}");
        Self::count(fleet).await
    }

    /// The same for a fleet without us, of which nothing is expected.
    pub async fn of_the_original(mut fleet: Fleet) -> Self {
        until_all_came(&fleet, PATIENCE / 3).await;
        fleet.end_node().await;
        Self::count(fleet).await
    }

    async fn count(fleet: Fleet) -> Self {
        let mut tally = Self { submitted: fleet.submitted.len(), ..Self::default() };
        tally.left_by_node = fleet.engine.containers().len();
        tally.count_posts(&fleet).await;
        tally
    }

    async fn count_posts(&mut self, fleet: &Fleet) {
        let results = results_of(fleet).await;
        let mut posts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in fleet.system.receiver.all() {
            let name = one.path.trim_start_matches('/').to_owned();
            let place = fleet.submitted.iter().position(|known| *known == name).expect("it was submitted");
            let body = one.json();
            assert_eq!(
                (&body["success"], &body["grade"]),
                (&Value::from(true), &Value::from(place + 1)),
                "{name}"
            );
            posts.entry(name).or_default().push(one.webhook_id);
        }
        let none = BTreeSet::new();
        for name in &fleet.submitted {
            let Some(ids) = posts.get(name) else {
                self.lost.insert(name.clone());
                continue;
            };
            let finished = results.get(name).unwrap_or(&none);
            if finished.len() > 1 {
                // Only what a starter of ours began has the id that we derive, which looks like a UUID.
                let by_node = finished.iter().any(|id| uuid::Uuid::parse_str(id).is_err() || id.len() != 36);
                let doubled = if by_node { &mut self.doubled_by_node } else { &mut self.doubled_by_us };
                doubled.insert(name.clone());
            }
            // As many as there are results beyond the first are no repetitions.
            let again = ids.len().saturating_sub(finished.len());
            // Ours sends an id with each POST; the original sends none.
            let after_us = ids[..ids.len() - 1].iter().filter(|id| !id.is_empty()).count().min(again);
            self.posted_again_after_us += after_us;
            self.posted_again_after_node += again - after_us;
            let own: BTreeSet<_> = ids.iter().filter(|id| !id.is_empty()).collect();
            assert!(own.len() <= finished.len(), "{name}: one result under several ids: {own:?}");
        }
    }

    /// Notes the figures of a fleet with members of ours, and fails where anything is lost, or doubled by
    /// us. A notifier of ours that was not killed has posted nothing that was posted again.
    pub fn prove(&self, row: &str, our_notifier_died: bool) {
        self.note(row);
        assert!(self.lost.is_empty(), "lost: {:?}", self.lost);
        assert!(self.doubled_by_us.is_empty(), "doubled by us: {:?}", self.doubled_by_us);
        assert!(our_notifier_died || self.posted_again_after_us == 0, "{self:?}");
    }

    /// Notes the figures.
    pub fn note(&self, row: &str) {
        let doubled = self.doubled_by_node.len() + self.doubled_by_us.len();
        let value = format!(
            "submitted {}, lost {}, two results {doubled} (ours {}), posted again {} (after a POST of ours {}), \
             containers left by Node {}",
            self.submitted,
            self.lost.len(),
            self.doubled_by_us.len(),
            self.posted_again_after_node + self.posted_again_after_us,
            self.posted_again_after_us,
            self.left_by_node,
        );
        note(row, "mixed-fleet losses", value);
    }

    /// A fleet without us has nothing of ours in it.
    pub fn assert_none_of_it_is_ours(&self) {
        assert_eq!(self.doubled_by_us.len() + self.posted_again_after_us, 0, "{self:?}");
    }

    /// Nothing was done twice, by anybody.
    pub fn assert_nothing_twice(&self) {
        let twice = self.doubled_by_node.len() + self.posted_again_after_node + self.posted_again_after_us;
        assert_eq!(twice + self.left_by_node, 0, "{self:?}");
    }
}

fn is_ours(seen: &crate::support::simulated_engine::Seen) -> bool {
    seen.labels.keys().any(|label| label.starts_with("org.correctomatic"))
}

async fn until_all_came(fleet: &Fleet, patience: Duration) {
    let missing = || {
        let come: BTreeSet<_> = fleet
            .system
            .receiver
            .all()
            .into_iter()
            .map(|one| one.path.trim_start_matches('/').to_owned())
            .collect();
        fleet.submitted.iter().filter(|name| !come.contains(*name)).cloned().collect::<Vec<_>>()
    };
    let deadline = Instant::now() + patience;
    // What is lost is counted, not waited for without end.
    while !missing().is_empty() && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if !missing().is_empty() {
        println!("missing {:?}; logs:\n{}", missing(), fleet.system.logs());
    }
}

async fn until_settled(fleet: &Fleet) {
    for name in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
        let queue = fleet.system.redis.queue(name);
        let settled = async || {
            let counts = queue.counts().await.ok()?;
            (counts.waiting + counts.prioritized + counts.active + counts.delayed == 0).then_some(())
        };
        fleet.system.until(&format!("{name} has nothing left to do"), settled).await;
    }
}

/// The finished jobs of each correction, by its callback's path.
async fn results_of(fleet: &Fleet) -> BTreeMap<String, BTreeSet<String>> {
    let mut results: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for state in ["completed", "failed"] {
        let set = format!("bull:{FINISHED_QUEUE}:{state}");
        for id in fleet.system.ask(&["ZRANGE", &set, "0", "-1"]).await.lines() {
            let data = fleet.system.ask(&["HGET", &format!("bull:{FINISHED_QUEUE}:{id}"), "data"]).await;
            let data: Value = serde_json::from_str(&data).expect("a finished job's data is JSON");
            let callback = data["callback"].as_str().expect("a callback");
            let name = callback.rsplit('/').next().expect("a path").to_owned();
            results.entry(name).or_default().insert(id.to_owned());
        }
    }
    results
}
