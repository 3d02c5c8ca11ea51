//! The history of a correction: what its jobs in the three queues tell of it.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::callback::{Body, shown};
use crate::identity::CorrectionId;
use crate::ledger::{Entry, Said};
use crate::queue::State;
use crate::tools::corrections::{Found, Stage};
use crate::tools::premises::{Place, Refused};
use crate::tools::terminal::{Terminal, printable, time};

/// What is known of a correction.
pub(super) struct History {
    correction: CorrectionId,
    jobs: Vec<Found>,
    /// The lines of the finished job's log.
    log: Vec<String>,
}

/// Gathers it: the jobs that were found, and those that have the correction's id.
pub(super) async fn of(
    place: &Place,
    found: &[Found],
    correction: &CorrectionId,
) -> Result<History, Refused> {
    let mut jobs: Vec<Found> = found.iter().filter(|job| job.correction == *correction).cloned().collect();
    let mut log = Vec::new();
    for stage in [Stage::Running, Stage::Finished] {
        if let Some((record, lines)) = stage.queue(place).record(&correction.job_id()).await? {
            jobs.retain(|job| job.stage != stage);
            jobs.push(Found::of(stage, record, place));
            if stage == Stage::Finished {
                log = lines;
            }
        }
    }
    Ok(History { correction: correction.clone(), jobs, log })
}

/// Looks again at each of its jobs, and tells whether one of them is open. One that is gone stays as it was seen last.
pub(super) async fn again(place: &Place, before: History) -> Result<(History, bool), Refused> {
    let mut jobs = Vec::new();
    // Before those that it becomes: it ends in the same moment in which they are there.
    if let Some(pending) = before.job(Stage::Pending)
        && let Some((record, _)) = place.pending.record(&pending.record.id).await?
    {
        jobs.push(Found::of(Stage::Pending, record, place));
    }
    let now = of(place, &jobs, &before.correction).await?;
    let is_open = now.jobs.iter().any(Found::is_open);
    Ok((now.or(before), is_open))
}

impl History {
    /// The same with what was known before of jobs that were not looked at again.
    fn or(mut self, before: Self) -> Self {
        for job in before.jobs {
            if !self.jobs.iter().any(|known| known.stage == job.stage) {
                self.jobs.push(job);
            }
        }
        self
    }

    pub fn job(&self, stage: Stage) -> Option<&Found> {
        self.jobs.iter().find(|job| job.stage == stage)
    }

    /// The job that shows how far it has come.
    pub fn last(&self) -> Option<&Found> {
        self.jobs.iter().max_by_key(|job| job.stage)
    }

    pub fn correction(&self) -> &CorrectionId {
        &self.correction
    }

    /// Whether there is a result.
    pub fn has_ended(&self) -> bool {
        self.job(Stage::Finished).is_some()
    }

    /// Its events in order: when, in milliseconds of Unix time, and what.
    fn events(&self) -> Vec<(u64, String)> {
        let mut events = Vec::new();
        if let Some(pending) = self.job(Stage::Pending) {
            let image = pending.image.as_deref().map(|image| format!(", image {}", printable(image)));
            events.push((pending.record.timestamp, format!("submitted{}", image.unwrap_or_default())));
            if pending.record.state == State::Delayed {
                events.extend(pending.record.at.map(|at| (at, "to be tried again".to_owned())));
            }
        }
        if let Some(running) = self.job(Stage::Running) {
            let container = running.container.as_ref().map_or("?", |container| container.short());
            events.push((running.record.timestamp, format!("started, container {}", printable(container))));
        }
        if let Some(finished) = self.job(Stage::Finished) {
            let outcome = finished.result.as_ref().and_then(|result| result.outcome.as_deref());
            events.push((
                finished.record.timestamp,
                format!("ended: {}", printable(outcome.unwrap_or("a verdict"))),
            ));
            if finished.record.state == State::Delayed {
                events.extend(finished.record.at.map(|at| (at, "to be delivered again".to_owned())));
            }
        }
        for line in &self.log {
            let Some(entry) = Entry::parse(line) else { continue };
            let said = match &entry.said {
                Said::Delivered(_) => "delivered".to_owned(),
                Said::Failed(why) => format!("not delivered: {}", printable(why)),
            };
            let at = entry.at.as_millisecond().unsigned_abs();
            events.push((at, format!("attempt {} of {}: {said}", entry.attempt, entry.attempts)));
        }
        events.sort_by_key(|(at, _)| *at);
        events
    }

    /// The result's body, as its callback is told it.
    fn body(&self) -> Option<Value> {
        let result = self.job(Stage::Finished)?.result.as_ref()?;
        serde_json::from_slice(&Body::of(result).bytes).ok()
    }

    pub fn to_json(&self, printed: Option<&str>) -> Value {
        let job = self.last();
        let errand = job.map(|job| &job.errand);
        let id = |stage| self.job(stage).map(|job| job.record.id.as_str());
        let work_id = errand.and_then(|errand| errand.work_id.as_ref());
        let events: Vec<Value> =
            self.events().iter().map(|(at, what)| json!({ "at": time(*at), "event": what })).collect();
        json!({
            "correction_id": self.correction.as_str(),
            "work_id": work_id.map(|work_id| serde_json::from_str::<Value>(work_id.0.get()).unwrap_or_default()),
            "state": job.map(Found::state),
            "pending_job_id": id(Stage::Pending),
            "running_job_id": id(Stage::Running),
            "finished_job_id": id(Stage::Finished),
            "container_id": self.job(Stage::Running).and_then(|job| job.container.as_ref()).map(crate::identity::ContainerId::as_str),
            "engine": self.job(Stage::Running).and_then(|job| job.engine.as_ref()).map(crate::identity::EngineId::as_str),
            "image": self.job(Stage::Pending).and_then(|job| job.image.as_deref()),
            "callback": errand.and_then(|errand| errand.callback.as_deref()).map(shown),
            "events": events,
            "body": self.body(),
            "output": printed,
        })
    }

    /// Writes it; `printed` = what the container printed stands above.
    pub fn write(&self, printed: bool, out: &mut Terminal<'_>) -> io::Result<()> {
        if printed {
            writeln!(out)?;
        }
        let job = self.last();
        let errand = job.map(|job| &job.errand);
        let unknown = || "–".to_owned();
        let callback = errand.and_then(|errand| errand.callback.as_deref());
        let mut pairs = vec![
            ("correction", self.correction.to_string()),
            ("work_id", errand.map_or_else(unknown, |errand| printable(&errand.work_id_shown()))),
            ("state", job.map_or_else(unknown, |job| job.state().to_owned())),
            ("callback", callback.map_or_else(unknown, |callback| printable(&shown(callback)))),
        ];
        if let Some(body) = self.body() {
            pairs.push(("result", printable(&body.to_string())));
        }
        out.pairs(&pairs)?;
        for (at, what) in self.events() {
            writeln!(out, "{}  {what}", time(at).unwrap_or_else(unknown))?;
        }
        if !printed && !self.has_ended() && self.job(Stage::Running).is_none() {
            writeln!(out, "It has not been started yet: --follow waits for it.")?;
        }
        Ok(())
    }
}
