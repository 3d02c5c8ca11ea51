//! `containers`: lists those of corrections, and removes those that nobody needs any more.
//!
//! Nobody needs a container whose correction is done, and Redis tells of its own installation which are. One whose
//! result is not told yet is left to the completer. Of another installation, and of the original, Redis knows nothing:
//! their containers are left while they run, and for an hour after their end.

mod prune;
mod view;

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::view::{View, table};
use super::Answer;
use super::premises::{Place, Refused, carried_out, engine};
use super::terminal::Terminal;
use crate::config::{Containers, ContainersOrder, Whose};
use crate::docker::{Engine, Inhabitant, Inspected, Owner, State};
use crate::identity::InstanceId;
use crate::queue::{PageStart, Standing, State as JobState};

/// How long a container that Redis knows nothing of is left alone after its end, where nobody names another time.
const UNKNOWN_FOR: Duration = Duration::from_secs(3600);

/// Does what is ordered.
pub(super) fn run(containers: Containers, out: &mut Terminal<'_>) -> io::Result<Answer> {
    carried_out(carry_out(containers, out))
}

async fn carry_out(containers: Containers, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let Containers { order, common, docker } = containers;
    let engine = engine(docker.as_ref())?;
    // Asked first: its clock tells how old containers are.
    engine.about().await?;
    let place = Place::reach(common).await?;
    match order {
        ContainersOrder::List(order) => {
            let all = views(&place, &engine, &order.whose).await?;
            if order.json {
                let all: Vec<Value> = all.iter().map(View::to_json).collect();
                out.document(&json!({ "containers": all }))?;
            } else if all.is_empty() {
                writeln!(out, "There are no containers of {}.", target(&place, &order.whose))?;
            } else {
                out.table(&table(&all))?;
            }
            Ok(Answer::Yes)
        }
        ContainersOrder::Prune(order) => prune::prune(&place, &engine, &order, out).await,
    }
}

/// Whose containers are meant, as it has to be named to remove them.
fn target(place: &Place, whose: &Whose) -> String {
    match owner(place, whose) {
        Owner::Instance(_) if !place.has_instance && whose.instance.is_none() => {
            "this system, which has no id yet".into()
        }
        Owner::Instance(instance) => instance.to_string(),
        Owner::AllInstances => "all-instances".into(),
        Owner::Original => "original".into(),
    }
}

fn owner(place: &Place, whose: &Whose) -> Owner {
    match &whose.instance {
        _ if whose.original => Owner::Original,
        _ if whose.all_instances => Owner::AllInstances,
        Some(instance) => Owner::Instance(InstanceId::new(instance)),
        None => Owner::Instance(place.instance.clone()),
    }
}

/// Why a container may go, or is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Its result is safe.
    Done,
    /// A job of it is open.
    Live,
    /// It has a result that is not told yet, which a completer tells.
    Untold,
    /// It was never started, and no job knows of it.
    NeverStarted,
    /// Redis knows nothing of it, and it may still be needed.
    Unknown,
    /// Redis knows nothing of it, and it ended some time ago.
    Old,
}

impl Need {
    fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::NeverStarted | Self::Old)
    }

    fn for_programs(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Live => "live",
            Self::Untold => "untold",
            Self::NeverStarted => "never_started",
            Self::Unknown => "unknown",
            Self::Old => "old",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Live => "open",
            Self::Untold => "result not told yet",
            Self::NeverStarted => "never started",
            Self::Unknown => "not known here",
            Self::Old => "not known here, old",
        }
    }
}

/// `rests`: how long ago it ended, or was made and not started; `None` = it may still run. `least`: after so long one
/// that Redis knows nothing of is old.
fn need_of(
    standing: Option<Standing>,
    (state, age): (State, Duration),
    rests: Option<Duration>,
    least: Duration,
) -> Need {
    match standing {
        Some(Standing::Done) => Need::Done,
        Some(Standing::Live) => Need::Live,
        Some(Standing::Orphan) if state == State::Created && age >= UNKNOWN_FOR => Need::NeverStarted,
        Some(Standing::Orphan) => Need::Untold,
        None if rests.is_some_and(|rests| rests >= least) => Need::Old,
        None => Need::Unknown,
    }
}

/// How long ago a container of which Redis knows nothing came to rest; asks the engine where that matters.
async fn rest_of(
    engine: &Engine,
    one: &Inhabitant,
    age: Duration,
    least: Duration,
) -> Result<Option<Duration>, Refused> {
    match one.state {
        State::Created => Ok(Some(age)),
        // It ended no longer ago than it was made.
        State::Exited | State::Dead if age >= least => {
            let inspected = engine.inspect(one.id.as_str()).await?;
            Ok(inspected.and_then(|inspected| rest_by(&inspected, age, engine.now())))
        }
        _ => Ok(None),
    }
}

fn rest_by(inspected: &Inspected, age: Duration, now: Timestamp) -> Option<Duration> {
    match (inspected.state, inspected.finished_at) {
        (State::Exited | State::Dead, Some(end)) => {
            Some(Duration::try_from(now.duration_since(end)).unwrap_or_default())
        }
        // One that never ran has no end.
        (State::Exited | State::Dead, None) => Some(age),
        _ => None,
    }
}

/// The containers that are meant, the oldest first, each with whether it is needed.
async fn views(place: &Place, engine: &Engine, whose: &Whose) -> Result<Vec<View>, Refused> {
    let now = engine.now().as_second();
    let mut all = engine.inhabitants(&owner(place, whose)).await?;
    all.sort_by_key(|one| one.created);
    let of_originals = open_containers(place, whose.original).await?;
    let least = whose.older_than.unwrap_or(UNKNOWN_FOR);
    let mut views = Vec::new();
    for one in all {
        let age = Duration::from_secs(u64::try_from(now - one.created).unwrap_or(0));
        if whose.older_than.is_some_and(|least| age < least) {
            continue;
        }
        let own = one.labels.as_ref().filter(|labels| labels.instance == place.instance);
        let standing = match own {
            Some(labels) => place.redis.standing(std::slice::from_ref(&**labels)).await?.first().copied(),
            None if of_originals.contains(&one.id) => Some(Standing::Live),
            None => None,
        };
        let rests = match standing {
            None => rest_of(engine, &one, age, least).await?,
            Some(_) => None,
        };
        views.push(View { need: need_of(standing, (one.state, age), rests, least), age, one });
    }
    Ok(views)
}

/// The containers of open running jobs, where that is asked: no label tells of the original's.
async fn open_containers(place: &Place, asked: bool) -> Result<Vec<crate::identity::ContainerId>, Refused> {
    let mut ids = Vec::new();
    if !asked {
        return Ok(ids);
    }
    for state in [JobState::Delayed, JobState::Prioritized, JobState::Waiting, JobState::Active] {
        let mut from = Some(PageStart::default());
        while let Some(at) = from {
            let (records, next) = place.running.records(state, 0, &at).await?;
            let jobs = records.iter().filter_map(|record| crate::job::RunningJob::parse(&record.data).ok());
            ids.extend(jobs.map(|job| job.container));
            from = next;
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_needs_may_go() {
        let (young, old) = (Duration::from_secs(3599), UNKNOWN_FOR);
        for (standing, state, age, over) in [
            (Some(Standing::Done), State::Running, young, true),
            (Some(Standing::Live), State::Exited, old, false),
            (Some(Standing::Orphan), State::Exited, old, false),
            (Some(Standing::Orphan), State::Created, young, false),
            (Some(Standing::Orphan), State::Created, old, true),
        ] {
            let need = need_of(standing, (state, age), None, UNKNOWN_FOR);
            assert_eq!(need.is_over(), over, "{standing:?} {state:?} {age:?}");
        }
    }

    #[test]
    fn what_redis_knows_nothing_of_is_left_for_an_hour_after_its_end_however_old_it_is() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let long_ago = Duration::from_secs(5 * 3600);
        for (state, ended_ago, least, over) in [
            (State::Exited, Some(60), UNKNOWN_FOR, false),
            (State::Exited, Some(3600), UNKNOWN_FOR, true),
            (State::Dead, Some(3599), UNKNOWN_FOR, false),
            (State::Exited, None, UNKNOWN_FOR, true),
            // What a person names counts from the end, too.
            (State::Exited, Some(60), Duration::from_secs(30), true),
            (State::Exited, Some(60), Duration::from_secs(61), false),
            // The list is only a hint: it runs.
            (State::Running, Some(7200), UNKNOWN_FOR, false),
        ] {
            let finished_at = ended_ago.map(|ago| Timestamp::from_second(1_000_000 - ago).expect("a time"));
            let inspected = Inspected { finished_at, ..Inspected::of(state, 0) };
            let rests = rest_by(&inspected, long_ago, now);
            let need = need_of(None, (State::Exited, long_ago), rests, least);
            assert_eq!(need.is_over(), over, "{state:?} {ended_ago:?} {least:?}");
        }
    }
}
