//! The model of one queue: which job is where, what its hash says, which events were told.

use std::collections::{BTreeMap, BTreeSet};

use correction_runner::queue::LineState;

pub const OVER_STALLED: &str = "job stalled more than allowable limit";
/// The limiter of the takes that have one.
pub const RATE_MAX: usize = 3;

/// A job: the fields of its hash that are compared, its lock, and what its options say.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Job {
    pub fields: BTreeMap<&'static str, String>,
    pub lock: Option<String>,
    pub priority: u32,
    pub lifo: bool,
    pub timestamp: u64,
    /// Whether its hash names the engine's permits, and the rule's.
    pub permit: bool,
    pub rule: bool,
    /// Whom it waits or waited for when it was last put aside.
    pub aside: Option<For>,
    /// Whether a person wants it to end.
    pub marked: bool,
}

/// What a job that was put aside waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Image,
    Rule,
}

/// How many permits there are, how many are out, and the pending jobs that have one, in order.
pub struct House {
    pub most: usize,
    pub out: usize,
    pub holders: Vec<String>,
}

impl Job {
    pub fn number(&self, field: &str) -> u64 {
        self.fields.get(field).map_or(0, |text| text.parse().expect("a number"))
    }

    pub fn count(&mut self, field: &'static str) {
        let next = self.number(field) + 1;
        self.set(field, next.to_string());
    }

    pub fn set(&mut self, field: &'static str, value: impl Into<String>) {
        self.fields.insert(field, value.into());
    }

    pub fn is_over_stalled(&self) -> bool {
        self.fields.get("failedReason").is_some_and(|reason| reason == OVER_STALLED)
    }
}

/// A queue. Of a list the last is taken next, as in Redis.
#[derive(Debug, Default)]
pub struct Lane {
    pub jobs: BTreeMap<String, Job>,
    pub wait: Vec<String>,
    pub paused: Vec<String>,
    pub active: Vec<String>,
    /// With what they are ordered by.
    pub prioritized: BTreeSet<(u32, u64, String)>,
    pub due: Vec<String>,
    pub later: Vec<String>,
    pub completed: BTreeSet<String>,
    pub failed: BTreeSet<String>,
    /// In no list, by the renaming of lists of BullMQ 5.12.
    pub astray: BTreeSet<String>,
    pub is_paused: bool,
    pub concurrency: Option<usize>,
    pub limiter: usize,
    /// Work may wait without a marker: a limit kept it away, or BullMQ itself.
    pub muffled: bool,
    pub events: Vec<(&'static str, String)>,
    turn: u64,
}

impl Lane {
    pub fn tell(&mut self, event: &'static str, id: &str) {
        self.events.push((event, id.to_owned()));
    }

    pub fn job(&mut self, id: &str) -> &mut Job {
        self.jobs.get_mut(id).unwrap_or_else(|| panic!("the model has no job {id}"))
    }

    pub fn has_line(&self) -> bool {
        !(self.wait.is_empty() && self.paused.is_empty() && self.prioritized.is_empty())
    }

    /// Whether a job that waits has to have a marker.
    pub fn must_be_marked(&self) -> bool {
        self.has_line() && !self.is_paused && !self.muffled
    }

    fn line(&mut self) -> &mut Vec<String> {
        if self.is_paused && self.wait.is_empty() { &mut self.paused } else { &mut self.wait }
    }

    pub fn push_last(&mut self, id: &str, lifo: bool) {
        let priority = self.job(id).priority;
        if priority > 0 {
            self.turn += 1;
            self.prioritized.insert((priority, self.turn, id.to_owned()));
        } else if lifo {
            self.line().push(id.to_owned());
        } else {
            self.line().insert(0, id.to_owned());
        }
    }

    pub fn push_first(&mut self, id: &str, priority: u32) {
        if priority > 0 {
            self.prioritized.insert((priority, 0, id.to_owned()));
        } else {
            self.line().push(id.to_owned());
        }
    }

    pub fn add(&mut self, id: &str, job: Job, delayed: bool) {
        let lifo = job.lifo;
        assert!(self.jobs.insert(id.to_owned(), job).is_none(), "{id} is there already");
        self.tell("added", id);
        if delayed {
            self.push_delayed(id);
        } else {
            self.push_last(id, lifo);
            self.tell("waiting", id);
        }
    }

    pub fn push_delayed(&mut self, id: &str) {
        self.later.push(id.to_owned());
        self.tell("delayed", id);
    }

    /// A limiter gets back what the take of a job cost that nobody tried.
    pub fn forgive_one(&mut self) {
        self.limiter = self.limiter.saturating_sub(1);
    }

    /// What a take gives, in order, and why no more.
    pub fn take(&mut self, count: usize, limited: bool, house: Option<&House>) -> (Vec<String>, LineState) {
        let mut first = Vec::new();
        for id in std::mem::take(&mut self.due) {
            if self.job(&id).permit || self.job(&id).aside.is_some() {
                first.push(id.clone());
            } else {
                self.push_last(&id, false);
            }
            self.tell("waiting", &id);
        }
        for id in first.into_iter().rev() {
            let priority = self.job(&id).priority;
            self.push_first(&id, priority);
        }
        let mut wanted = count;
        if limited {
            let left = RATE_MAX.saturating_sub(self.limiter);
            if left == 0 {
                return (Vec::new(), LineState::Limited(std::time::Duration::ZERO));
            }
            wanted = wanted.min(left);
        }
        if self.is_paused {
            return (Vec::new(), LineState::Paused);
        }
        if let Some(most) = self.concurrency {
            let room = most.saturating_sub(self.active.len());
            if room == 0 {
                return (Vec::new(), LineState::Full);
            }
            wanted = wanted.min(room);
        }
        let mut ids = Vec::new();
        if let Some(house) = house {
            for id in &house.holders {
                if ids.len() < wanted && self.leave_line(id) {
                    ids.push(id.clone());
                }
            }
            let room = house.most.saturating_sub(house.out);
            if room == 0 && ids.is_empty() {
                return (Vec::new(), LineState::Crowded);
            }
            wanted = wanted.min(ids.len() + room);
        }
        for list in [&mut self.paused, &mut self.wait] {
            while ids.len() < wanted {
                let Some(id) = list.pop() else { break };
                ids.push(id);
            }
        }
        // Whether the plain line gave all that was wanted decides, even where nothing more is there.
        let mut exhausted = false;
        while ids.len() < wanted && !exhausted {
            match self.prioritized.pop_first() {
                Some((.., id)) => ids.push(id),
                None => exhausted = true,
            }
        }
        if limited {
            self.limiter += ids.len();
        }
        for id in &ids {
            self.active.insert(0, id.clone());
            self.job(id).count("ats");
            self.job(id).permit |= house.is_some();
            self.job(id).aside = None;
            self.tell("active", id);
        }
        (ids, if exhausted { LineState::Empty } else { LineState::More })
    }

    /// Leaves whatever other place it stands in.
    pub fn leave_sets(&mut self, id: &str) {
        for list in [&mut self.due, &mut self.later, &mut self.active] {
            list.retain(|other| other != id);
        }
        for set in [&mut self.failed, &mut self.astray] {
            set.remove(id);
        }
    }

    /// Whether it stood in line.
    pub fn leave_line(&mut self, id: &str) -> bool {
        let before = self.wait.len() + self.paused.len() + self.prioritized.len();
        self.wait.retain(|other| other != id);
        self.paused.retain(|other| other != id);
        self.prioritized.retain(|(.., other)| other != id);
        before > self.wait.len() + self.paused.len() + self.prioritized.len()
    }

    /// Those who wait aside, in their order.
    pub fn standing_aside(&self, what: For) -> Vec<String> {
        let mut ids: Vec<_> = self
            .due
            .iter()
            .chain(&self.later)
            .filter(|id| self.jobs[*id].aside == Some(what))
            .cloned()
            .collect();
        ids.sort_by_key(|id| (self.jobs[id].priority.min(2047), self.jobs[id].timestamp, id.clone()));
        ids
    }

    /// Puts the first of those who wait aside back in line.
    pub fn call_back(&mut self, what: For, most: usize) -> usize {
        let mut ids = self.standing_aside(what);
        ids.truncate(most);
        for id in ids.iter().rev() {
            self.due.retain(|other| other != id);
            self.later.retain(|other| other != id);
            let priority = self.job(id).priority;
            self.push_first(id, priority);
            self.tell("waiting", id);
        }
        ids.len()
    }

    pub fn leave_active(&mut self, id: &str) {
        let at = self.active.iter().position(|active| active == id).expect("it is active");
        self.active.remove(at);
        self.job(id).lock = None;
    }

    /// An end, in the state of that event.
    pub fn finish(&mut self, id: &str, event: &'static str, token: &str, gone: bool) {
        if gone {
            self.jobs.remove(id);
        } else {
            let job = self.job(id);
            job.count("atm");
            job.set("ended-by", token);
            job.marked = false;
            let ended = if event == "completed" { &mut self.completed } else { &mut self.failed };
            ended.insert(id.to_owned());
        }
        self.tell(event, id);
        if self.wait.is_empty() && self.active.is_empty() && self.prioritized.is_empty() {
            self.tell("drained", "");
        }
    }

    pub fn complete(&mut self, id: &str, token: &str, gone: bool) {
        self.leave_active(id);
        let job = self.job(id);
        job.fields.remove("retries");
        job.count("gen");
        self.finish(id, "completed", token, gone);
    }

    /// Active jobs whose lock is gone, as they are put back: the newest first.
    pub fn recover(&mut self) -> Vec<String> {
        let lost: Vec<_> = self.active.iter().filter(|id| self.jobs[*id].lock.is_none()).cloned().collect();
        for id in &lost {
            self.leave_active(id);
            self.job(id).count("stc");
            self.push_first(id, 0);
            self.tell("waiting", id);
            self.tell("stalled", id);
        }
        lost
    }

    /// What BullMQ's own pause and resume do: 5.12's rename a list over the other.
    pub fn pause_by_five(&mut self) {
        if !self.wait.is_empty() {
            self.astray.extend(std::mem::replace(&mut self.paused, std::mem::take(&mut self.wait)));
        }
        self.is_paused = true;
    }

    pub fn resume_by_five(&mut self) {
        // It wakes for what it renames, and for nothing that 6.x left in `wait`.
        self.muffled |= self.paused.is_empty() && self.prioritized.is_empty() && !self.wait.is_empty();
        if !self.paused.is_empty() {
            self.astray.extend(std::mem::replace(&mut self.wait, std::mem::take(&mut self.paused)));
        }
        self.is_paused = false;
    }

    pub fn resume_by_six(&mut self) {
        self.wait.append(&mut self.paused);
        self.is_paused = false;
    }
}
