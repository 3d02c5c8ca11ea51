//! Reads the history of a campaign and proves the total: nothing lost, nothing started, handed over or
//! delivered twice, nothing left. Pure: it knows no service, only what was recorded.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// How far the clocks of those who recorded may be apart, in microseconds: all are this machine's, but
/// Redis has milliseconds, and a busy machine notes late.
const CLOCKS: i64 = 100_000;
/// How many of a kind are shown.
const SHOWN: usize = 3;
/// How long after its death a process's last request may still be on its way to a receiver, in microseconds.
const ON_ITS_WAY: i64 = 1_000_000;

/// What the one result of a correction has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A success with this grade.
    Grade(u64),
    /// A failure with this outcome.
    Outcome(&'static str),
}

impl Wanted {
    fn is_met_by(self, body: &str) -> bool {
        let Ok(body) = serde_json::from_str::<Value>(body) else { return false };
        match self {
            Self::Grade(grade) => body["success"] == true && body["grade"] == grade,
            Self::Outcome(outcome) => body["success"] == false && body["outcome"] == outcome,
        }
    }
}

/// Something that happened to a correction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was submitted; what has to become of it.
    Submitted(Wanted),
    /// A container was created for it.
    Created(String),
    /// A container of it is of the run with this correction's id.
    OfRun { container: String, run: String },
    /// A fault of the host ended a container of it.
    Failed(String),
    /// A container of it was started.
    Started(String),
    /// A container of it ended.
    Died(String),
    /// A container of it was removed.
    Removed(String),
    /// Its result was put into the finished queue, under this id.
    HandedOver(String),
    /// Its result was POSTed under this id with this body, and the receiver answered with success.
    Delivered { id: String, body: String },
    /// Redis took note that its result is delivered.
    Settled,
}

/// A crash of a process that delivers results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// When it was seen, in microseconds of Unix time.
    pub at: i64,
}

/// What was recorded, in no order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When (microseconds of Unix time), to which correction, what.
    pub facts: Vec<(i64, String, Fact)>,
    /// The crashes that may have fallen between a receiver's answer and our record of it.
    pub crashes: Vec<Crash>,
}

/// What contradicts the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// It was submitted, and no result was delivered.
    Lost,
    /// A container of it was started twice, or two containers of one run were.
    StartedTwice,
    /// It was run again although no fault of the host had ended the run before.
    RunAgain,
    /// Its result was handed over twice.
    HandedOverTwice,
    /// A result was handed over while its container ran.
    HandedOverEarly,
    /// A result was delivered that was never handed over, or before it was, or under another id.
    DeliveredUnknown,
    /// Its result was delivered again without a crash that would explain it.
    DeliveredTwice,
    /// Its result was delivered again with another id or body.
    DeliveredOtherwise,
    /// What was delivered is not the result that it has to have.
    Wrong,
    /// A container of it is still there.
    Leaked,
    /// Something happened to a correction that nobody submitted, or twice.
    Stray,
}

/// Contradictions, each with the correction and what is known of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Refuted(pub Vec<(Violation, String)>);

impl fmt::Display for Refuted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown: BTreeMap<Violation, usize> = BTreeMap::new();
        for (violation, about) in &self.0 {
            let before = shown.entry(*violation).or_default();
            *before += 1;
            if *before <= SHOWN {
                writeln!(formatter, "{violation:?}: {about}")?;
            }
        }
        write!(formatter, "{} in all", self.0.len())
    }
}

/// What a history that holds counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Corrections submitted, each of which got its one right result.
    pub corrections: usize,
    /// Containers created.
    pub containers: usize,
    /// Containers started.
    pub starts: usize,
    /// Runs that a fault of the host ended, each of which was followed by another.
    pub reruns: usize,
    /// Results handed over.
    pub handed_over: usize,
    /// POSTs beyond the first of a result.
    pub repeats: usize,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.corrections += other.corrections;
        self.containers += other.containers;
        self.starts += other.starts;
        self.reruns += other.reruns;
        self.handed_over += other.handed_over;
        self.repeats += other.repeats;
    }
}

/// Proves the total of a history.
///
/// # Errors
/// All that contradicts it.
pub fn check(history: &History) -> Result<Totals, Refuted> {
    let mut by_correction: BTreeMap<&str, Vec<(i64, &Fact)>> = BTreeMap::new();
    for (at, correction, fact) in &history.facts {
        by_correction.entry(correction).or_default().push((*at, fact));
    }
    let (mut totals, mut refuted) = (Totals::default(), Vec::new());
    for (correction, mut facts) in by_correction {
        facts.sort_by_key(|(at, _)| *at);
        let one = Correction { facts: &facts, crashes: &history.crashes };
        let found = one.violations();
        refuted.extend(found.into_iter().map(|violation| (violation, format!("{correction}: {facts:?}"))));
        totals += one.totals();
    }
    if refuted.is_empty() { Ok(totals) } else { Err(Refuted(refuted)) }
}

/// All that is known of one correction, in the order of time.
struct Correction<'a> {
    facts: &'a [(i64, &'a Fact)],
    crashes: &'a [Crash],
}

impl<'a> Correction<'a> {
    fn all<T>(&self, pick: impl Fn(&'a Fact) -> Option<T>) -> Vec<(i64, T)> {
        self.facts.iter().filter_map(|(at, fact)| Some((*at, pick(fact)?))).collect()
    }

    fn submitted(&self) -> Vec<(i64, Wanted)> {
        self.all(|fact| if let Fact::Submitted(wanted) = fact { Some(*wanted) } else { None })
    }

    fn created(&self) -> Vec<(i64, &'a str)> {
        self.all(|fact| if let Fact::Created(id) = fact { Some(id.as_str()) } else { None })
    }

    fn started(&self) -> Vec<(i64, &'a str)> {
        self.all(|fact| if let Fact::Started(id) = fact { Some(id.as_str()) } else { None })
    }

    fn failed(&self) -> Vec<(i64, &'a str)> {
        self.all(|fact| if let Fact::Failed(id) = fact { Some(id.as_str()) } else { None })
    }

    /// Which run a container is of: where nothing is known of it, all are of one.
    fn run_of(&self, wanted: &str) -> &'a str {
        let runs = self.all(|fact| match fact {
            Fact::OfRun { container, run } if container == wanted => Some(run.as_str()),
            _ => None,
        });
        runs.first().map_or("", |(_, run)| *run)
    }

    /// No run has two starts.
    fn started_once_each(&self) -> bool {
        let mut runs: Vec<&str> =
            self.started().iter().map(|(_, container)| self.run_of(container)).collect();
        runs.sort_unstable();
        runs.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// Each start but the first comes after a fault of the host that ended the run before it.
    fn run_again_for_a_reason(&self) -> bool {
        let failed = self.failed();
        self.started().windows(2).all(|pair| {
            let [(_, before), (at, after)] = pair else { return true };
            let ended = failed.iter().any(|(end, container)| container == before && *end <= at + CLOCKS);
            ended || self.run_of(before) == self.run_of(after)
        })
    }

    fn died(&self) -> Vec<(i64, &'a str)> {
        self.all(|fact| if let Fact::Died(id) = fact { Some(id.as_str()) } else { None })
    }

    fn removed(&self) -> Vec<(i64, &'a str)> {
        self.all(|fact| if let Fact::Removed(id) = fact { Some(id.as_str()) } else { None })
    }

    fn handed_over(&self) -> Vec<(i64, &'a str)> {
        self.all(|fact| if let Fact::HandedOver(id) = fact { Some(id.as_str()) } else { None })
    }

    fn delivered(&self) -> Vec<(i64, (&'a str, &'a str))> {
        self.all(|fact| {
            if let Fact::Delivered { id, body } = fact { Some((id.as_str(), body.as_str())) } else { None }
        })
    }

    fn settled(&self) -> Option<i64> {
        self.facts.iter().find(|(_, fact)| **fact == Fact::Settled).map(|(at, _)| *at)
    }

    fn totals(&self) -> Totals {
        Totals {
            corrections: self.submitted().len(),
            containers: self.created().len(),
            starts: self.started().len(),
            reruns: self.failed().len(),
            handed_over: self.handed_over().len(),
            repeats: self.delivered().len().saturating_sub(1),
        }
    }

    fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut demand = |holds: bool, otherwise: Violation| {
            if !holds {
                found.push(otherwise);
            }
        };
        let (handed_over, delivered) = (self.handed_over(), self.delivered());
        demand(self.submitted().len() == 1, Violation::Stray);
        demand(!delivered.is_empty(), Violation::Lost);
        demand(self.started_once_each(), Violation::StartedTwice);
        demand(self.run_again_for_a_reason(), Violation::RunAgain);
        demand(handed_over.len() <= 1, Violation::HandedOverTwice);
        demand(self.handed_over_in_time(), Violation::HandedOverEarly);
        for (at, (id, body)) in &delivered {
            let known = handed_over.iter().any(|(before, handed)| handed == id && *before <= at + CLOCKS);
            demand(known, Violation::DeliveredUnknown);
            let right = self.submitted().iter().all(|(_, wanted)| wanted.is_met_by(body));
            demand(right, Violation::Wrong);
        }
        for pair in delivered.windows(2) {
            let [(first, as_first), (second, as_second)] = pair else { continue };
            demand(as_first == as_second, Violation::DeliveredOtherwise);
            demand(self.crash_explains(*first, *second), Violation::DeliveredTwice);
        }
        let removed = self.removed();
        for (_, container) in self.created() {
            demand(removed.iter().any(|(_, gone)| *gone == container), Violation::Leaked);
        }
        found
    }

    /// Each container that ever was started had ended when the result was handed over.
    fn handed_over_in_time(&self) -> bool {
        let died = self.died();
        self.handed_over().iter().all(|(at, _)| {
            let ended = |container| died.iter().any(|(end, dead)| *dead == container && *end <= at + CLOCKS);
            self.started().iter().all(|(_, container)| ended(*container))
        })
    }

    /// Whether a process that delivers died after the first POST was sent and before the second, while
    /// Redis did not know of the first.
    fn crash_explains(&self, first: i64, second: i64) -> bool {
        let settled = self.settled();
        self.crashes.iter().any(|crash| {
            first <= crash.at + ON_ITS_WAY
                && crash.at <= second
                && settled.is_none_or(|at| crash.at <= at + CLOCKS)
        })
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
