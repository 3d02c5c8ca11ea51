//! `logs`: what a running correction prints, and the history of one that has ended.

mod following;
mod history;
mod live;

use std::io::{self, Write};

use serde_json::json;

use self::history::History;
use self::live::{Show, show};
use super::Answer;
use super::corrections::{Found, Stage, whatever_is_named};
use super::premises::{Place, Refused, carried_out, engine};
use super::terminal::{Terminal, printable};
use crate::config::Logs;
use crate::docker::Engine;
use crate::identity::{ContainerId, CorrectionId};

/// Shows what is asked for.
pub(super) fn run(logs: Logs, out: &mut Terminal<'_>) -> io::Result<Answer> {
    carried_out(shown(logs, out))
}

async fn shown(mut logs: Logs, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let place = Place::reach(logs.common.take()).await?;
    // What has ended is told also where no engine can be.
    let made = || engine(logs.docker.as_ref());
    let jobs = whatever_is_named(&place, &logs.name, logs.by).await?;
    let Some(correction) = the_latest(&jobs) else {
        return unknown(&made()?, &logs, out).await;
    };
    let corrections = how_many(&jobs);
    if corrections > 1 && !logs.json {
        let note = format!("{corrections} corrections have that name; this is the latest, {correction}");
        writeln!(io::stderr(), "{note}")?;
    }
    let history = history::of(&place, &jobs, &correction).await?;
    if logs.json {
        let printed = match history.container() {
            Some(container) => {
                let captured = async { live::captured(&made()?, container, logs.tail).await };
                unless_ended(&history, captured.await)?.flatten()
            }
            None => None,
        };
        out.document(&history.to_json(printed.as_deref()))?;
        return Ok(Answer::Yes);
    }
    if logs.follow && !history.has_ended() {
        return following::follow(&place, &logs, history, out).await;
    }
    let mut printed = false;
    let mut elsewhere = None;
    if let Some(container) = history.container() {
        let order = Show { follow: false, tail: logs.tail };
        let shown = async {
            let engine = made()?;
            let printed = show(&engine, container, &order, out).await?;
            let elsewhere = if printed { None } else { why_nothing(&engine, &history).await? };
            Ok((printed, elsewhere))
        };
        (printed, elsewhere) = unless_ended(&history, shown.await)?.unwrap_or_default();
    }
    if printed && !history.has_ended() {
        return Ok(Answer::Yes);
    }
    history.write(printed, &mut Terminal::stdout())?;
    if let Some(why) = elsewhere.filter(|_| !history.has_ended()) {
        writeln!(out, "{why}")?;
    }
    Ok(Answer::Yes)
}

/// Why an engine has nothing to show of a correction that has a container.
async fn why_nothing(engine: &Engine, history: &History) -> Result<Option<String>, Refused> {
    let Some(running) = history.job(Stage::Running) else { return Ok(None) };
    let container = running.container.as_ref().map_or("?", |container| container.short());
    let here = engine.about().await?.id;
    let there = running.engine.as_ref().filter(|there| **there != here);
    Ok(Some(match there {
        Some(there) => format!(
            "Its container, {}, is on the Docker engine {}, not on this one ({here}): run this where that one is, or lead \
             DOCKER_HOST (--docker-host) to it. correction-runner status lists the engines.",
            printable(container),
            printable(there.as_str()),
        ),
        None => format!(
            "Its container, {}, is not on this Docker engine ({here}): it is gone, and a result follows, or it is on another \
             one (DOCKER_HOST, --docker-host).",
            printable(container),
        ),
    }))
}

/// What has ended has a history whether the engine answers or not.
fn unless_ended<T>(history: &History, asked: Result<T, Refused>) -> Result<Option<T>, Refused> {
    match asked {
        Err(Refused::Engine(_)) if history.has_ended() => Ok(None),
        asked => asked.map(Some),
    }
}

/// A container may be there of which no job tells any more.
async fn unknown(engine: &Engine, logs: &Logs, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let inspected = if logs.name.bytes().all(legal) && !logs.name.is_empty() {
        engine.inspect(&logs.name).await?
    } else {
        None
    };
    // Those of others are nobody's business here.
    let ours = inspected.filter(|found| crate::labels::Labels::from_map(&found.labels).is_some());
    let Some(found) = ours else {
        let name = printable(&logs.name);
        writeln!(out, "There is no correction {name} (a work_id, or the id of a job or a container).")?;
        return Ok(Answer::No);
    };
    if logs.json {
        let printed = live::captured(engine, &found.id, logs.tail).await?;
        out.document(&json!({ "container_id": found.id.as_str(), "output": printed }))?;
    } else {
        show(engine, &found.id, &Show { follow: logs.follow, tail: logs.tail }, out).await?;
    }
    Ok(Answer::Yes)
}

/// The correction that was submitted last.
fn the_latest(jobs: &[Found]) -> Option<CorrectionId> {
    // A running job and a result are younger than the job that asked for them.
    let open = jobs.iter().filter(|job| job.is_open()).max_by_key(|job| job.record.timestamp);
    let latest = open.or_else(|| jobs.iter().max_by_key(|job| (job.record.timestamp, job.stage)))?;
    Some(latest.correction.clone())
}

fn how_many(jobs: &[Found]) -> usize {
    let mut all: Vec<&CorrectionId> = jobs.iter().map(|job| &job.correction).collect();
    all.sort_unstable();
    all.dedup();
    all.len()
}

impl History {
    /// The container, where one is known.
    fn container(&self) -> Option<&ContainerId> {
        self.job(Stage::Running)?.container.as_ref()
    }
}
