//! Finding corrections by a `work_id`, by the id of a job, or by a container.
//!
//! A `work_id` stands in the jobs' data, so that all jobs are looked at, a page at a time. They move on meanwhile,
//! mostly forward: so the queues are gone through in that direction, and once more where nothing was found.

use super::{Found, Stage};
use crate::config::NamedBy;
use crate::identity::{CONTAINER_NAME_PREFIX, JobId};
use crate::queue::{PageStart, State};
use crate::tools::premises::{Place, Refused};

/// The states of a job that has not ended, in the order in which it goes through them.
const OPEN: &[State] = &[State::Delayed, State::Prioritized, State::Waiting, State::Active];
const ENDED: &[State] = &[State::Failed, State::Completed];

/// How many characters of a container's id are enough.
const SHORT_ID: usize = 12;

/// What a name turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tools) enum Kind {
    WorkId,
    Job,
    Container,
}

impl Kind {
    fn in_words(self) -> &'static str {
        match self {
            Self::WorkId => "a work_id (--by work-id)",
            Self::Job => "the id of a job (--by job-id)",
            Self::Container => "a container (--by container)",
        }
    }

    fn is_meant(self, by: Option<NamedBy>) -> bool {
        by.is_none_or(|by| {
            matches!(
                (by, self),
                (NamedBy::WorkId, Self::WorkId)
                    | (NamedBy::JobId, Self::Job)
                    | (NamedBy::Container, Self::Container)
            )
        })
    }
}

/// As what a name means this job, if it does.
fn kind_of(found: &Found, name: &str, by: Option<NamedBy>) -> Option<Kind> {
    let is_container = || {
        let id = found.container.as_ref().map(crate::identity::ContainerId::as_str);
        let is_id = id.is_some_and(|id| id == name || name.len() >= SHORT_ID && id.starts_with(name));
        is_id || name.strip_prefix(CONTAINER_NAME_PREFIX) == Some(found.correction.as_str())
    };
    let tests: [(Kind, &dyn Fn() -> bool); 3] = [
        (Kind::Job, &|| found.record.id.as_str() == name || found.correction.as_str() == name),
        (Kind::WorkId, &|| found.has_work_id(name)),
        (Kind::Container, &is_container),
    ];
    tests.into_iter().find(|(kind, is_so)| kind.is_meant(by) && is_so()).map(|(kind, _)| kind)
}

/// The open corrections of a name, each once.
pub(in crate::tools) async fn the_open(
    place: &Place,
    name: &str,
    by: Option<NamedBy>,
) -> Result<Vec<Found>, Refused> {
    let mut all = Vec::new();
    for _ in 0..2 {
        for stage in [Stage::Pending, Stage::Running] {
            scan(place, stage, OPEN, (name, by), &mut all).await?;
        }
        if !all.is_empty() {
            break;
        }
    }
    let found = of_one_kind(all, name)?;
    // The original's starter hands on in two steps, between which both jobs are open.
    let made: Vec<Found> = found.iter().filter(|one| one.is_foreign).cloned().collect();
    // One that moved on while it was looked for counts where it was seen last.
    let mut latest: Vec<Found> = Vec::new();
    for one in found.into_iter().filter(|one| !made.iter().any(|running| running.is_made_of(one))) {
        match latest.iter_mut().find(|other| other.correction == one.correction) {
            Some(other) if other.stage < one.stage => *other = one,
            Some(_) => {}
            None => latest.push(one),
        }
    }
    if latest.is_empty() {
        latest = that_went_on(place, name, by).await?;
    }
    Ok(latest)
}

/// The open corrections that an ended pending job of that name became: its id is what its submitter was told.
async fn that_went_on(place: &Place, name: &str, by: Option<NamedBy>) -> Result<Vec<Found>, Refused> {
    let mut all = Vec::new();
    scan(place, Stage::Pending, ENDED, (name, by), &mut all).await?;
    let mut open: Vec<Found> = Vec::new();
    for ended in of_one_kind(all, name)? {
        let Some(next) = successor(place, &ended).await? else { continue };
        if next.is_open() && !open.iter().any(|other| other.correction == next.correction) {
            open.push(next);
        }
    }
    Ok(open)
}

/// All jobs of a name, ended or not, in the order of the queues.
pub(in crate::tools) async fn whatever_is_named(
    place: &Place,
    name: &str,
    by: Option<NamedBy>,
) -> Result<Vec<Found>, Refused> {
    let mut all = Vec::new();
    for stage in [Stage::Pending, Stage::Running, Stage::Finished] {
        for states in [OPEN, ENDED] {
            scan(place, stage, states, (name, by), &mut all).await?;
        }
    }
    of_one_kind(all, name)
}

/// Refuses a name that means one thing of one correction and another of another one.
fn of_one_kind(all: Vec<(Kind, Found)>, name: &str) -> Result<Vec<Found>, Refused> {
    let mut kinds: Vec<(Kind, &Found)> = Vec::new();
    for (kind, found) in &all {
        let is_known = kinds.iter().any(|(_, other)| other.correction == found.correction);
        if !is_known && !kinds.iter().any(|(other, _)| other == kind) {
            kinds.push((*kind, found));
        }
    }
    if kinds.len() > 1 {
        let words: Vec<&str> = kinds.iter().map(|(kind, _)| kind.in_words()).collect();
        return Err(Refused::Senseless(format!("{name} is {}: say which is meant", words.join(" and "))));
    }
    Ok(all.into_iter().map(|(_, found)| found).collect())
}

async fn scan(
    place: &Place,
    stage: Stage,
    states: &[State],
    (name, by): (&str, Option<NamedBy>),
    all: &mut Vec<(Kind, Found)>,
) -> Result<(), Refused> {
    for state in states {
        let mut from = Some(PageStart::default());
        while let Some(at) = from {
            let (records, next) = stage.queue(place).records(*state, 0, &at).await?;
            for record in records {
                let found = Found::of(stage, record, place);
                let is_new =
                    !all.iter().any(|(_, other)| other.stage == stage && other.record.id == found.record.id);
                if let Some(kind) = kind_of(&found, name, by).filter(|_| is_new) {
                    all.push((kind, found));
                }
            }
            from = next;
        }
    }
    Ok(())
}

/// Where a correction went that is not in its queue any more: on to the next one, to its result, or to be run again.
/// `None` = that cannot be found.
pub(in crate::tools) async fn successor(place: &Place, of: &Found) -> Result<Option<Found>, Refused> {
    let id = of.correction.job_id();
    for stage in [Stage::Finished, Stage::Running] {
        if stage <= of.stage {
            continue;
        }
        if let Some((record, _)) = stage.queue(place).record(&id).await? {
            return Ok(Some(Found::of(stage, record, place)));
        }
    }
    let again = JobId::new(format!("rerun-of-{id}"));
    if let Some((record, _)) = place.pending.record(&again).await? {
        return Ok(Some(Found::of(Stage::Pending, record, place)));
    }
    of_another_client(place, of).await
}

/// The same where a component of the original handed it on, under an id that tells nothing: by what its caller sent.
async fn of_another_client(place: &Place, of: &Found) -> Result<Option<Found>, Refused> {
    let Some(work_id) = &of.errand.work_id else { return Ok(None) };
    let name = work_id.0.get();
    let mut all = Vec::new();
    for (stage, states) in [(Stage::Running, OPEN), (Stage::Finished, OPEN), (Stage::Finished, ENDED)] {
        if stage > of.stage {
            scan(place, stage, states, (name, Some(NamedBy::WorkId)), &mut all).await?;
        }
    }
    let same = |found: &Found| {
        found.errand.callback == of.errand.callback && found.record.timestamp >= of.record.timestamp
    };
    Ok(all.into_iter().map(|(_, found)| found).find(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_meant_where_none_is_named_or_that_one() {
        assert!(Kind::Job.is_meant(None));
        assert!(Kind::Job.is_meant(Some(NamedBy::JobId)) && !Kind::Job.is_meant(Some(NamedBy::WorkId)));
        assert!(Kind::Container.is_meant(Some(NamedBy::Container)));
    }
}
