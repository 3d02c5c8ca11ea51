//! Permits to run, and jobs that wait aside for one: on the real sets and in the model.

use std::collections::BTreeSet;

use correction_runner::identity::EngineId;
use correction_runner::queue::{Admitted, Aside, Bound, House};
use deadpool_redis::redis;
use proptest::sample::Index;

use super::lane::{self, For};
use super::taken::HOUR;
use super::world::{PENDING, RUNNING, World};

const ENGINE: &str = "E:1";
const IMAGE: &str = "registry.example:5000/a b:1";
const RULE: &str = "algebra";

impl World<'_> {
    pub fn real_house(most: usize) -> House {
        House { engine: EngineId::new(ENGINE), most: u32::try_from(most).expect("few") }
    }

    /// What a take needs to know of the permits. Those of one millisecond are in no order that the model knows.
    pub fn house(&mut self, most: usize) -> lane::House {
        let members: Vec<String> = redis::cmd("ZRANGE")
            .arg(Self::permits_key(""))
            .arg(&["0", "-1"])
            .query(&mut self.raw)
            .expect("an answer");
        let holders = members.iter().filter_map(|member| member.strip_prefix("job:"));
        lane::House { most, out: self.permits.len(), holders: holders.map(str::to_owned).collect() }
    }

    pub fn aside(&self) -> Aside {
        self.redis.aside_for_image(&EngineId::new(ENGINE), IMAGE)
    }

    fn permits_key(more: &str) -> String {
        format!("{}:correction-runner:running:{ENGINE}{more}", Self::prefix())
    }

    /// What the sets really hold.
    pub fn check_permits(&mut self) {
        let mut real = |more: &str| -> BTreeSet<String> {
            let mut call = redis::cmd("ZRANGE");
            call.arg(Self::permits_key(more)).arg(&["0", "-1"]).query(&mut self.raw).expect("an answer")
        };
        let rule = format!(":rule:{RULE}");
        assert_eq!(real(""), self.permits, "permits of the engine");
        assert_eq!(real(&rule), self.rule, "permits of the rule");
        for (what, key) in [(For::Image, format!(":image:{IMAGE}:aside")), (For::Rule, rule + ":aside")] {
            let expected: BTreeSet<_> = self.lanes[PENDING].standing_aside(what).into_iter().collect();
            assert_eq!(real(&key), expected, "those who wait for {what:?}");
        }
    }

    /// A job that comes to an end in its queue gives up what its hash names.
    pub fn give_up(&mut self, lane: usize, id: &str) {
        let job = self.lanes[lane].job(id);
        let (permit, rule) = (std::mem::take(&mut job.permit), std::mem::take(&mut job.rule));
        let member = if lane == PENDING { format!("job:{id}") } else { id.to_owned() };
        if permit {
            self.permits.remove(&member);
        }
        if rule && self.rule.remove(&member) {
            self.lanes[PENDING].call_back(For::Rule, 1);
        }
    }

    /// The container of a running job runs on.
    pub fn give_up_before_retry(&mut self, lane: usize, id: &str) {
        if lane == PENDING {
            self.give_up(lane, id);
        }
    }

    /// The running job has what the pending one had.
    pub fn pass_on(&mut self, id: &str, correction: &str) {
        let job = self.lanes[PENDING].job(id);
        let (permit, rule) = (std::mem::take(&mut job.permit), std::mem::take(&mut job.rule));
        let running = self.lanes[RUNNING].job(correction);
        (running.permit, running.rule) = (permit, rule);
        for (had, set) in [(permit, &mut self.permits), (rule, &mut self.rule)] {
            if had {
                set.remove(&format!("job:{id}"));
                set.insert(correction.to_owned());
            }
        }
    }

    pub fn put_aside(&mut self, id: &str, token: &str, what: For) {
        let lane = &mut self.lanes[PENDING];
        lane.leave_active(id);
        lane.job(id).set("ended-by", token);
        lane.job(id).aside = Some(what);
        lane.push_delayed(id);
    }

    pub async fn admit(&mut self, pick: Index, most: u32, again: bool) {
        let pending: Vec<_> = (0..self.held.len()).filter(|at| self.held[*at].lane == PENDING).collect();
        if pending.is_empty() {
            return;
        }
        let at = *pick.get(&pending);
        let hold = self.held[at].clone();
        let bound = Bound { engine: EngineId::new(ENGINE), rule: RULE.to_owned(), most };
        let (id, member) = (hold.job.id.as_str(), format!("job:{}", hold.job.id));
        let is_in = self.rule.contains(&member) || self.rule.len() < most as usize;
        let expected = match is_in {
            true => Admitted::In,
            // What was cancelled is to be ended, and not put aside.
            false if self.lanes[PENDING].jobs[id].marked => Admitted::Cancelled,
            false => Admitted::PutAside,
        };
        let queue = self.queues[PENDING].clone();
        for time in 0..=u32::from(again) {
            let admitted = queue.admit(&hold.job, &bound, HOUR).await.expect("an answer");
            assert_eq!(admitted, expected, "time {time}");
        }
        if is_in {
            self.rule.insert(member);
            self.lanes[PENDING].job(id).rule = true;
            let room = (most as usize).saturating_sub(self.rule.len());
            for _ in 0..=u32::from(again) {
                self.lanes[PENDING].call_back(For::Rule, room);
            }
        } else if expected == Admitted::PutAside {
            self.held.remove(at);
            self.give_up(PENDING, id);
            self.put_aside(id, hold.job.token.as_str(), For::Rule);
            self.stale.push(hold);
        }
    }
}
