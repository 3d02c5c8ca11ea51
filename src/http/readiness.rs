//! Whether the process is ready, and if not, what is wrong: Redis, Docker, each component, each loop.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Watched;
use crate::heartbeat::{Beat, Hearts, Standing, State};
use crate::metrics::{Format, Metrics};
use crate::version;

/// What is known of a service.
pub(super) type Known = Result<(), String>;

/// What is said before anybody has looked.
const NOT_YET: &str = "not looked at yet";

/// Everything that the answers are made of.
#[derive(Debug)]
pub(super) struct Observed {
    pub watched: Watched,
    pub hearts: Hearts,
    stop: CancellationToken,
    seen: Mutex<Seen>,
}

/// What the looks saw last.
#[derive(Debug)]
pub(super) struct Seen {
    pub redis: Known,
    pub docker: Known,
    /// For how long the executor has run no task, where that is long.
    pub blocked: Option<Duration>,
}

/// One thing that has to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    name: String,
    /// What is wrong.
    problem: Option<String>,
}

impl Check {
    fn of(name: impl Into<String>, problem: Option<String>) -> Self {
        Self { name: name.into(), problem }
    }
}

/// All that has to be well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Readiness(Vec<Check>);

impl Observed {
    pub fn new(watched: Watched, hearts: Hearts, stop: CancellationToken) -> Self {
        let unknown = || Err(NOT_YET.to_owned());
        let seen = Seen { redis: unknown(), docker: unknown(), blocked: None };
        Self { watched, hearts, stop, seen: Mutex::new(seen) }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is now.
    pub fn readiness(&self) -> Readiness {
        let beats = self.hearts.snapshot();
        let seen = self.seen();
        let mut checks = vec![Check::of("process", self.problem_of_process(&seen))];
        for (name, known, is_used) in [
            ("redis", &seen.redis, self.watched.redis.is_some()),
            ("docker", &seen.docker, self.watched.docker.is_some()),
        ] {
            if is_used {
                checks.push(Check::of(name, known.clone().err()));
            }
        }
        drop(seen);
        let standings = self.hearts.standings();
        for component in &self.watched.components {
            let problem = match standings.borrow().get(component.name()) {
                None => Some("it takes no work yet: it is starting".to_owned()),
                Some(Standing::Waiting(why)) => Some(format!("it takes no work yet: {why}")),
                Some(Standing::Taking) => None,
            };
            checks.push(Check::of(component.name(), problem));
        }
        for beat in &beats {
            let (name, problem) = (format!("loop {}", beat.name), problem_of_loop(beat));
            match checks.iter_mut().find(|check| check.name == name) {
                Some(check) => check.problem = check.problem.take().or(problem),
                None => checks.push(Check::of(name, problem)),
            }
        }
        Readiness(checks)
    }

    fn problem_of_process(&self, seen: &Seen) -> Option<String> {
        if self.stop.is_cancelled() {
            return Some("stopping".to_owned());
        }
        seen.blocked.map(|time| format!("its executor has run no task for {} s", time.as_secs()))
    }

    /// The page of all metrics, as they are now.
    pub fn page(&self, format: Format) -> String {
        let metrics: Metrics = self.hearts.metrics();
        super::process::tell(&metrics);
        let readiness = self.readiness();
        metrics.ready.flag(readiness.is_ready());
        let Readiness(checks) = readiness;
        let up = |check: Check| (vec![check.name], f64::from(u8::from(check.problem.is_none())));
        metrics.checks.are(checks.into_iter().map(up));
        let component = self.watched.component.name().to_owned();
        let [version, revision] = [version::NUMBER, version::REVISION].map(str::to_owned);
        metrics.build.are([(vec![version, revision, component], 1.0)]);
        metrics.page(format)
    }
}

fn problem_of_loop(beat: &Beat) -> Option<String> {
    let seconds = beat.since.as_secs();
    match beat.state {
        State::Working | State::Idle => None,
        State::Stuck => Some(format!("stuck for {seconds} s: {}", beat.doing)),
        State::Panicked => Some("it panicked".to_owned()),
        State::Ended => Some("it ended although nobody asked it to".to_owned()),
    }
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        self.0.iter().all(|check| check.problem.is_none())
    }

    /// In lines for a person: first what is wrong, then all there is.
    pub fn to_lines(&self) -> String {
        let wrong: Vec<&str> =
            self.0.iter().filter(|check| check.problem.is_some()).map(|check| check.name.as_str()).collect();
        let mut text = if wrong.is_empty() {
            "ready\n".to_owned()
        } else {
            format!("not ready: {}\n", wrong.join(", "))
        };
        for Check { name, problem } in &self.0 {
            let _ = match problem {
                None => writeln!(text, "[+] {name}"),
                Some(problem) => writeln!(text, "[-] {name}: {problem}"),
            };
        }
        text
    }

    /// The same for a program.
    pub fn to_json(&self) -> String {
        let check = |Check { name, problem }: &Check| match problem {
            None => json!({ "name": name, "ready": true }),
            Some(problem) => json!({ "name": name, "ready": false, "problem": problem }),
        };
        let checks: Vec<Value> = self.0.iter().map(check).collect();
        format!("{}\n", json!({ "ready": self.is_ready(), "checks": checks }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_first_and_told_with_the_rest() {
        let readiness = Readiness(vec![
            Check::of("process", None),
            Check::of("redis", Some("it \"cannot\" be reached".to_owned())),
            Check::of("loop a", Some("stuck for 7 s: take".to_owned())),
        ]);
        assert!(!readiness.is_ready());
        assert_eq!(
            readiness.to_lines(),
            "not ready: redis, loop a\n[+] process\n[-] redis: it \"cannot\" be reached\n[-] loop a: stuck for 7 s: take\n"
        );
        let read: Value = serde_json::from_str(&readiness.to_json()).expect("JSON");
        assert_eq!(read["ready"], false);
        assert_eq!(
            read["checks"][1],
            json!({"name": "redis", "ready": false, "problem": "it \"cannot\" be reached"})
        );
        assert_eq!(Readiness(vec![Check::of("process", None)]).to_lines(), "ready\n[+] process\n");
    }
}
