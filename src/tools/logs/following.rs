//! `logs --follow`: goes on until a correction has its result, under another name where it is run again.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::history::{self, History};
use super::live::{Show, show};
use super::why_nothing;
use crate::config::Logs;
use crate::docker::EngineError;
use crate::identity::ContainerId;
use crate::tools::Answer;
use crate::tools::corrections::successor;
use crate::tools::premises::{Place, Refused, engine};
use crate::tools::terminal::{Terminal, printable};

/// How often it is looked whether a correction that waits has been started, or has its result.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// For how long nothing of it may be found: a job may be between two places, or be revived after another client failed it.
const LOST_AFTER: Duration = Duration::from_secs(10);
/// How often it is looked meanwhile: that reads all jobs.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// Shows what its containers print as they print it, then its history.
pub(super) async fn follow(
    place: &Place,
    logs: &Logs,
    mut history: History,
    out: &mut Terminal<'_>,
) -> Result<Answer, Refused> {
    let (mut shown, mut printed): (Option<ContainerId>, bool) = (None, false);
    let mut gone: Option<Instant> = None;
    while !history.has_ended() {
        let container = history.container().filter(|container| shown.as_ref() != Some(container)).cloned();
        if let Some(container) = container {
            printed |= shown_to_its_end(logs, &container, &history, out).await?;
            shown = Some(container);
        }
        let (now, is_open) = history::again(place, history).await?;
        history = now;
        if history.has_ended() {
            break;
        }
        if is_open {
            gone = None;
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let Some(next) = next(place, &history).await? else {
            if gone.get_or_insert_with(Instant::now).elapsed() >= LOST_AFTER {
                break;
            }
            tokio::time::sleep(SEARCH_EVERY).await;
            continue;
        };
        gone = None;
        let note = format!("it is run again, as {}", printable(next.correction().as_str()));
        writeln!(io::stderr(), "{note}")?;
        history = next;
    }
    history.write(printed, &mut Terminal::stdout())?;
    if !history.has_ended() {
        writeln!(
            out,
            "No result of it is to be found, and none of its jobs is open: it was delivered and is not kept \
             (KEEP_COMPLETED), another client failed it, or somebody had it forgotten (queues drain --forget) or removed \
             its jobs."
        )?;
    }
    Ok(Answer::Yes)
}

/// Shows what a container prints until it ends. Where that cannot be, it is told why, and the result is waited for all
/// the same.
async fn shown_to_its_end(
    logs: &Logs,
    container: &ContainerId,
    history: &History,
    out: &mut Terminal<'_>,
) -> Result<bool, Refused> {
    let order = Show { follow: true, tail: logs.tail };
    let shown = async {
        let engine = engine(logs.docker.as_ref())?;
        let printed = show(&engine, container, &order, out).await?;
        let why = if printed { None } else { why_nothing(&engine, history).await? };
        Ok((printed, why))
    };
    match shown.await {
        Ok((printed, why)) => {
            if let Some(why) = why {
                writeln!(io::stderr(), "{why}")?;
            }
            Ok(printed)
        }
        Err(Refused::Engine(error))
            if !matches!(error, EngineError::BadFile { .. } | EngineError::BadEndpoint(_)) =>
        {
            let error = printable(&error.to_string());
            writeln!(io::stderr(), "what it prints cannot be followed; its result is waited for: {error}")?;
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The history of what a correction became of which no job is open, and that has no result under its own name.
async fn next(place: &Place, history: &History) -> Result<Option<History>, Refused> {
    let Some(last) = history.last() else { return Ok(None) };
    let Some(found) = successor(place, last).await? else { return Ok(None) };
    if found.correction == *history.correction() {
        return Ok(None);
    }
    let correction = found.correction.clone();
    Ok(Some(history::of(place, &[found], &correction).await?))
}
