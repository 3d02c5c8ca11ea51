//! `cancel`: ends corrections that wait or run.
//!
//! What waits ends at once. What somebody works on is marked, and looked at until it has ended: the mark is renewed
//! wherever the correction went meanwhile, since a component of the original hands it on without its mark.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Answer;
use super::corrections::{Found, Stage, successor, the_open, whatever_is_named};
use super::premises::{Place, Refused, carried_out};
use super::terminal::{Cell, Column, Style, Table, Terminal, printable};
use crate::config::Cancel;
use crate::fields::raw;
use crate::identity::LockToken;
use crate::job::FinishedJob;
use crate::outcome::{Failure, Outcome};
use crate::queue::{Cancelled, Cancelling, HeldBy, JobOptions, Keep, NewJob};

/// How often it is looked whether a marked correction has ended.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long it is tried to ask for an end, where nobody waits for it: a correction may be between two queues.
const ASKING: Duration = Duration::from_secs(5);
/// How long after its mark a correction is said to be in hands that heed none.
const IGNORED_AFTER: Duration = Duration::from_secs(15);

/// Ends corrections.
pub(super) fn run(cancel: Cancel, out: &mut Terminal<'_>) -> io::Result<Answer> {
    carried_out(cancelled(cancel, out))
}

async fn cancelled(mut cancel: Cancel, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let place = Place::reach(cancel.common.take()).await?;
    let open = the_open(&place, &cancel.name, cancel.by).await?;
    if open.is_empty() {
        return nothing_open(&place, &cancel, out).await;
    }
    if open.len() > 1 && !cancel.all {
        let ids: Vec<String> = open.iter().map(|one| printable(one.record.id.as_str())).collect();
        return Err(Refused::Senseless(format!(
            "{} open corrections have that name: --all cancels all of them, or name one by the id of its job: {}",
            open.len(),
            ids.join(", ")
        )));
    }
    let mut all: Vec<Progress> = open.into_iter().map(Progress::of).collect();
    let until = Instant::now() + if cancel.no_wait { ASKING } else { cancel.timeout };
    loop {
        for one in all.iter_mut().filter(|one| one.fate.is_open()) {
            one.go_on(&place).await?;
        }
        if all.iter().all(|one| one.fate.is_enough(cancel.no_wait)) || Instant::now() >= until {
            break;
        }
        if !cancel.json {
            tell_what_ignores(&mut all)?;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    write(&all, cancel.json, out)?;
    Ok(answer(&all))
}

fn answer(all: &[Progress]) -> Answer {
    if all.iter().any(|one| one.fate.is_open()) {
        Answer::NotYet
    } else if all.iter().all(|one| one.fate == Fate::Cancelled) {
        Answer::Yes
    } else {
        Answer::No
    }
}

/// What became of a wish to have a correction ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// Not asked for yet.
    Unasked,
    /// It is marked, and that is all that is known.
    Marked(HeldBy),
    /// It ended as cancelled.
    Cancelled,
    /// It had ended before, with this outcome.
    TooLate(String),
    /// It is in no queue any more.
    Gone,
}

impl Fate {
    fn is_open(&self) -> bool {
        matches!(self, Self::Unasked | Self::Marked(_))
    }

    /// Whether nothing more is to be done for it.
    fn is_enough(&self, no_wait: bool) -> bool {
        !self.is_open() || no_wait && matches!(self, Self::Marked(_))
    }

    fn for_programs(&self) -> &'static str {
        match self {
            Self::Unasked => "not_asked",
            Self::Marked(_) => "asked",
            Self::Cancelled => "cancelled",
            Self::TooLate(_) => "too_late",
            Self::Gone => "gone",
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Unasked => "not asked for: it was between two queues; try again".into(),
            Self::Marked(HeldBy::Ours) => "asked for; it has not ended yet".into(),
            Self::Marked(HeldBy::Other) => {
                "asked for, but it is in the hands of a client that heeds no cancelling, such as the original's \
                 components: it ends by itself"
                    .into()
            }
            Self::Marked(HeldBy::Nobody) => {
                "asked for; no component has taken it up: is a completer running?".into()
            }
            Self::Cancelled => "cancelled".into(),
            Self::TooLate(outcome) => format!("too late: it had ended ({outcome})"),
            Self::Gone => "it is in no queue any more: somebody removed it".into(),
        }
    }
}

/// One correction on its way to its end.
struct Progress {
    /// Where it was when it was asked for.
    was: &'static str,
    found: Found,
    fate: Fate,
    token: LockToken,
    since: Instant,
    is_told: bool,
}

impl Progress {
    fn of(found: Found) -> Self {
        let (was, token) = (found.state(), LockToken::unique());
        Self { was, found, fate: Fate::Unasked, token, since: Instant::now(), is_told: false }
    }

    /// Asks for its end, or looks how far that is.
    async fn go_on(&mut self, place: &Place) -> Result<(), Refused> {
        if let Some(result) = self.found.result.as_ref() {
            self.fate = fate_of(result);
            return Ok(());
        }
        match end_or_mark(place, &self.found, &self.token, false).await? {
            Cancelled::Now => self.fate = Fate::Cancelled,
            Cancelled::Marked(holder) => self.fate = Fate::Marked(holder),
            Cancelled::Ended | Cancelled::Gone => match successor(place, &self.found).await? {
                Some(next) => {
                    self.token = LockToken::unique();
                    self.found = next;
                    if let Some(result) = self.found.result.as_ref() {
                        self.fate = fate_of(result);
                    }
                }
                None if place.redis.is_done(&self.found.correction).await? => {
                    self.fate = Fate::TooLate("its result is not kept any more".into());
                }
                // A step that is being made; or somebody removed it.
                None if self.since.elapsed() < IGNORED_AFTER => {}
                None => self.fate = Fate::Gone,
            },
            Cancelled::Changed => {
                if let Some((record, _)) = self.found.stage.queue(place).record(&self.found.record.id).await?
                {
                    self.found = Found::of(self.found.stage, record, place);
                }
            }
        }
        Ok(())
    }
}

fn fate_of(result: &FinishedJob) -> Fate {
    match result.outcome.as_deref() {
        Some(outcome) if outcome == Outcome::Cancelled.as_str() => Fate::Cancelled,
        Some(outcome) => Fate::TooLate(printable(outcome)),
        None => Fate::TooLate("a verdict".into()),
    }
}

/// Ends a correction that waits, and marks one that does not; `forget`: without a result.
pub(super) async fn end_or_mark(
    place: &Place,
    found: &Found,
    token: &LockToken,
    forget: bool,
) -> Result<Cancelled, Refused> {
    let record = &found.record;
    if found.stage != Stage::Pending {
        return Ok(place.running.mark(&record.id).await?);
    }
    let job = Cancelling {
        job: record.id.clone(),
        timestamp: record.timestamp,
        generation: record.generation,
        correction: found.correction.clone(),
    };
    let result = NewJob {
        id: Some(found.correction.job_id()),
        name: record.name.clone(),
        data: FinishedJob::of_failure(found.errand.clone(), &Failure::cancelled()).to_data(),
        options: JobOptions::of_delivery(&place.common.deliveries),
    };
    let verb = if forget { "forgotten" } else { "cancelled" };
    let said = raw(&format!("Correction {verb} by a person at {:.3}", jiff::Timestamp::now()));
    let keep = Keep::Count(place.common.retention.completed);
    let result = (!forget).then_some(&result);
    Ok(place.pending.cancel(&job, (&place.finished, result), token, said.get(), keep).await?)
}

/// Says once of each that is in hands which heed no marks.
fn tell_what_ignores(all: &mut [Progress]) -> io::Result<()> {
    for one in all {
        let ignored = matches!(one.fate, Fate::Marked(HeldBy::Other | HeldBy::Nobody));
        if ignored && !one.is_told && one.since.elapsed() >= IGNORED_AFTER {
            one.is_told = true;
            let id = printable(one.found.record.id.as_str());
            writeln!(io::stderr(), "{id}: {}", one.fate.in_words())?;
        }
    }
    Ok(())
}

/// Nothing of that name is open: what is known of it.
async fn nothing_open(place: &Place, cancel: &Cancel, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let ended = whatever_is_named(place, &cancel.name, cancel.by).await?;
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for found in ended.into_iter().rev().filter(|found| found.result.is_some()) {
        if seen.insert(found.correction.clone()) {
            let mut one = Progress::of(found);
            // One that was cancelled before is too late as well.
            one.fate = match one.found.result.as_ref().map(fate_of) {
                Some(Fate::Cancelled) => Fate::TooLate("cancelled".into()),
                Some(fate) => fate,
                None => Fate::Gone,
            };
            all.push(one);
        }
    }
    if all.is_empty() && !cancel.json {
        writeln!(
            out,
            "There is no correction {} (a work_id, or the id of a job or a container).",
            printable(&cancel.name)
        )?;
        return Ok(Answer::No);
    }
    write(&all, cancel.json, out)?;
    Ok(Answer::No)
}

fn write(all: &[Progress], json: bool, out: &mut Terminal<'_>) -> io::Result<()> {
    if json {
        let all: Vec<Value> = all.iter().map(Progress::to_json).collect();
        return out.document(&json!({ "corrections": all }));
    }
    let mut table = Table::new([
        Column::left("CORRECTION"),
        Column::left("WORK ID").at_most(40),
        Column::left("WAS"),
        Column::left("RESULT").at_most(160),
    ]);
    for one in all {
        let style = match one.fate {
            Fate::Cancelled => Style::Good,
            Fate::TooLate(_) | Fate::Gone => Style::Bad,
            Fate::Unasked | Fate::Marked(_) => Style::Warning,
        };
        table.row([
            one.found.correction.as_str().into(),
            one.found.errand.work_id_shown().into(),
            one.was.into(),
            Cell::styled(one.fate.in_words(), style),
        ]);
    }
    out.table(&table)
}

impl Progress {
    fn to_json(&self) -> Value {
        let work_id = self.found.errand.work_id.as_ref();
        json!({
            "correction_id": self.found.correction.as_str(),
            "job_id": self.found.record.id.as_str(),
            "work_id": work_id.map(|work_id| serde_json::from_str::<Value>(work_id.0.get()).unwrap_or_default()),
            "was": self.was,
            "result": self.fate.for_programs(),
            "detail": self.fate.in_words(),
            "container_id": self.found.container.as_ref().map(crate::identity::ContainerId::as_str),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_asked_of_what_was_not() {
        let marked = Fate::Marked(HeldBy::Ours);
        for (fate, no_wait, enough) in [
            (&Fate::Unasked, true, false),
            (&Fate::Unasked, false, false),
            (&marked, true, true),
            (&marked, false, false),
            (&Fate::Cancelled, false, true),
            (&Fate::Gone, true, true),
        ] {
            assert_eq!(fate.is_enough(no_wait), enough, "{fate:?} {no_wait}");
        }
        assert_eq!((Fate::Unasked.for_programs(), marked.for_programs()), ("not_asked", "asked"));
    }
}
