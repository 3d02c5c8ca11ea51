//! `status`: the queues, what runs, and what holds it up, once or again and again.

mod gather;
mod screen;
mod told;

use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::Answer;
use super::terminal::{Style, Terminal, printable};
use crate::config::Status;
use crate::queue::{QueueError, Redis};

use gather::Gathered;

/// How often it is looked anew.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Shows it.
pub(super) fn show(status: &Status, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let Some(settings) = &status.redis else {
        return Ok(Answer::Senseless("there are no settings of Redis".into()));
    };
    let redis = match Redis::new(settings) {
        Ok(redis) => redis,
        Err(error) => return Ok(Answer::Senseless(error.to_string())),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match gather::gather(&redis, status).await {
            Ok(gathered) if !status.watch => once(&gathered, status, out),
            Ok(gathered) => watch(gathered, &redis, status, out).await,
            Err(QueueError::BadSettings(why)) => Ok(Answer::Senseless(why)),
            Err(error) => Ok(Answer::Unreachable(error.to_string())),
        }
    })
}

fn once(gathered: &Gathered, status: &Status, out: &mut Terminal<'_>) -> io::Result<Answer> {
    if status.json {
        out.document(&told::told(gathered))?;
    } else {
        screen::draw(gathered, out)?;
    }
    Ok(Answer::Yes)
}

/// Until somebody presses Ctrl-C, or nobody reads any more. That Redis goes away is told, and ends nothing.
async fn watch(
    first: Gathered,
    redis: &Redis,
    status: &Status,
    out: &mut Terminal<'_>,
) -> io::Result<Answer> {
    let stop = crate::shutdown::Stop::on_signals()?;
    if !status.json {
        out.clear()?;
    }
    let mut look: Result<_, String> = Ok(first);
    loop {
        match &look {
            Ok(gathered) if status.json => out.line(&told::told(gathered))?,
            Ok(gathered) => out.screen(|out| screen::draw(gathered, out))?,
            Err(error) if status.json => {
                out.line(&json!({ "at": format!("{:.3}", Timestamp::now()), "error": error }))?;
            }
            Err(error) => out.screen(|out| {
                let line = out.painted(Style::Bad, &printable(error));
                writeln!(out, "{line}")
            })?,
        }
        tokio::select! {
            () = stop.asked.cancelled() => return Ok(Answer::Yes),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        look = tokio::select! {
            () = stop.asked.cancelled() => return Ok(Answer::Yes),
            look = gather::gather(redis, status) => look.map_err(|error| error.to_string()),
        };
    }
}
