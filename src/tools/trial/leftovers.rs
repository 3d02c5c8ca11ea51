//! Whose containers are a `try`'s (or a `doctor`'s), and the removal of those whose `try` is dead.
//!
//! They carry an instance id of their own, so that no runner that shares the engine takes them for its own, and a
//! sign of the process that made them. One whose process is gone is removed by the next `try`. Of a process that
//! cannot be seen from here (on another host, or in another container) it is gone once its time is long over.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;

use super::super::terminal::Terminal;
use super::watching::say;
use crate::docker::{Engine, EngineError, Removed};
use crate::identity::{ContainerId, CorrectionId, InstanceId, JobId};
use crate::job::Errand;
use crate::labels::Labels;
use crate::profile::Profile;

/// The instance id of all containers of `try`.
pub(super) const INSTANCE: &str = InstanceId::OF_TRIALS;
/// How long after its time a container of a process that cannot be seen is left alone; the same where it has no limit.
const GRACE: (Duration, Duration) = (Duration::from_secs(600), Duration::from_secs(24 * 3600));
/// How often, and how far apart, a removal is tried.
const TRIES: (u32, Duration) = (20, Duration::from_millis(250));

/// The process that made a container: where it runs, its number, and when that number was given to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    place: String,
    process: u32,
    began: u64,
}

impl Owner {
    /// This process.
    pub(super) fn this() -> Self {
        let process = std::process::id();
        Self { place: place(), process, began: beginning_of(process).unwrap_or_default() }
    }

    /// Reads what [`Owner::told`] wrote.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let place = parts.next()?.to_owned();
        Some(Self { place, process: parts.next()?.parse().ok()?, began: parts.next()?.parse().ok()? })
    }

    /// As it stands in a label.
    pub(super) fn told(&self) -> String {
        format!("{} {} {}", self.place, self.process, self.began)
    }

    /// Whether it is alive; `None` where that cannot be seen from here.
    fn is_alive(&self) -> Option<bool> {
        (self.place == place()).then(|| beginning_of(self.process) == Some(self.began))
    }
}

/// Which kernel, since when, and which numbering of its processes.
fn place() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let numbering = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let numbering: String = numbering.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{}/{numbering}", boot.trim())
}

/// When a process began, in ticks since the start of its kernel (proc(5), field 22 of `stat`).
fn beginning_of(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name stands in brackets and may hold anything.
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// What a container says about itself: that it belongs to no installation, and which process made it.
pub(in crate::tools) fn labels(name: &str, errand: Errand, profile: &Profile) -> Labels {
    let (instance, number) = (InstanceId::new(INSTANCE), JobId::new(uuid::Uuid::new_v4().to_string()));
    let timestamp = Timestamp::now().as_millisecond().unsigned_abs();
    Labels {
        correction: CorrectionId::derive(&instance, &number, timestamp, 0),
        instance,
        job: number,
        name: name.to_owned(),
        timestamp,
        generation: 0,
        attempt: Owner::this().told(),
        timeout_ms: profile.timeout_ms(),
        disk: profile.disk,
        // Nobody is to be told of it, whoever reads this.
        errand: Errand { callback: None, ..errand },
        rerun: None,
        seal: None,
    }
}

/// Removes what dead ones left.
///
/// # Errors
/// The engine failed.
pub(in crate::tools) async fn remove(engine: &Engine, aside: &mut Terminal<'_>) -> Result<(), EngineError> {
    let now = engine.now().as_second();
    let left = engine
        .list(&InstanceId::new(INSTANCE), |listed| {
            let age = Duration::from_secs(u64::try_from(now - listed.created).unwrap_or_default());
            listed.labels.filter(|labels| is_left(labels, age)).map(|_| listed.id)
        })
        .await?;
    let mut gone = 0;
    for container in &left {
        match removed(engine, container).await {
            Ok(()) => gone += 1,
            Err(error) => tell_left(container.short(), &error, aside),
        }
    }
    match gone {
        0 => {}
        1 => say(aside, "removed a container that an earlier try had left behind"),
        count => say(aside, &format!("removed {count} containers that earlier tries had left behind")),
    }
    Ok(())
}

fn is_left(labels: &Labels, age: Duration) -> bool {
    let alive = Owner::read(&labels.attempt).and_then(|owner| owner.is_alive());
    let over = labels.timeout().map_or(GRACE.1, |timeout| timeout + GRACE.0);
    alive.map_or(age > over, |alive| !alive)
}

/// Removes a container by its name or id, whatever it does. That it is not there is well.
///
/// # Errors
/// It is still there.
pub(in crate::tools) async fn remove_by_name(engine: &Engine, name: &str) -> Result<(), EngineError> {
    match engine.inspect(name).await? {
        Some(inspected) => removed(engine, &inspected.id).await,
        None => Ok(()),
    }
}

async fn removed(engine: &Engine, container: &ContainerId) -> Result<(), EngineError> {
    let mut last = None;
    for _ in 0..TRIES.0 {
        match engine.remove(container, true).await {
            Ok(Removed::Done | Removed::Gone) => return Ok(()),
            Ok(Removed::Running | Removed::InProgress) => {}
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(TRIES.1).await;
    }
    last.map_or(Ok(()), Err)
}

/// Says that a container could not be removed, and how a person does it.
pub(super) fn tell_left(name: &str, error: &EngineError, aside: &mut Terminal<'_>) {
    say(aside, &format!("the container could not be removed ({error}): docker rm --force --volumes {name}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(owner: &Owner, timeout_ms: u64) -> Labels {
        Labels { attempt: owner.told(), timeout_ms, ..Labels::of_correction("c") }
    }

    #[test]
    fn what_a_living_process_made_is_left_alone_and_what_a_dead_one_made_is_not() {
        let this = Owner::this();
        assert_eq!(Owner::read(&this.told()).as_ref(), Some(&this));
        assert_eq!(this.is_alive(), Some(true));
        let earlier = Owner { began: this.began - 1, ..this.clone() };
        let none = Owner { process: u32::MAX, ..this.clone() };
        for (owner, left) in [(&this, false), (&earlier, true), (&none, true)] {
            assert_eq!(is_left(&labels(owner, 1000), Duration::ZERO), left, "{owner:?}");
        }
    }

    #[test]
    fn of_a_process_elsewhere_the_time_decides() {
        let elsewhere = Owner { place: "x/1".into(), ..Owner::this() };
        let left =
            |timeout_ms, seconds| is_left(&labels(&elsewhere, timeout_ms), Duration::from_secs(seconds));
        assert!(!left(5000, 605) && left(5000, 606));
        assert!(!left(0, 24 * 3600) && left(0, 24 * 3600 + 1));
        let unreadable = Labels { attempt: "x".into(), ..Labels::of_correction("c") };
        assert!(!is_left(&unreadable, Duration::from_secs(3600)));
    }
}
