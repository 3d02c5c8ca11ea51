//! `queues drain`: cancels all corrections that wait for a container. What is being started, or runs, goes on.

use std::collections::HashSet;
use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use crate::config::DrainQueue;
use crate::identity::LockToken;
use crate::queue::{Cancelled, PageStart, State};
use crate::tools::Answer;
use crate::tools::cancel::end_or_mark;
use crate::tools::corrections::{Found, Stage};
use crate::tools::premises::{Place, Refused, is_confirmed};
use crate::tools::terminal::Terminal;

/// The places in which a pending job waits.
const WAITING: [State; 3] = [State::Waiting, State::Prioritized, State::Delayed];

/// What came of it.
#[derive(Default)]
struct Drained {
    cancelled: u64,
    /// A starter took them meanwhile: they end as cancelled, too, in a moment.
    marked: u64,
    /// They were submitted after the question, and are left.
    younger: u64,
}

pub(super) async fn drain(
    place: &Place,
    order: &DrainQueue,
    out: &mut Terminal<'_>,
) -> Result<Answer, Refused> {
    let target = place.target();
    // Whoever confirms means what they were told of.
    let asked_at = Timestamp::now().as_millisecond().unsigned_abs();
    let counts = place.pending.counts().await?;
    let waiting = counts.waiting + counts.prioritized + counts.delayed;
    if order.yes_drain.is_none() && waiting > 0 {
        let what = if order.forget {
            "are to be forgotten: nobody is told of them, and no callback is made"
        } else {
            "are to be cancelled: each callback is told so (outcome cancelled)"
        };
        writeln!(Terminal::stderr(), "{waiting} corrections that wait in {target} {what}.")?;
    }
    // A wrong name is told even where there is nothing to be done.
    let is_to_be_asked = waiting > 0 || order.yes_drain.is_some();
    if is_to_be_asked && !is_confirmed("--yes-drain", order.yes_drain.as_deref(), &target)? {
        return Ok(Answer::No);
    }
    let drained = match waiting {
        0 => Drained::default(),
        _ => all_that_wait(place, order.forget, asked_at).await?,
    };
    if order.json {
        out.document(&json!({
            "target": target, "cancelled": drained.cancelled, "being_started": drained.marked, "forget": order.forget,
            "left": drained.younger,
        }))?;
    } else {
        let verb = if order.forget { "forgotten" } else { "cancelled" };
        writeln!(out, "{} corrections {verb}.", drained.cancelled)?;
        if drained.marked > 0 {
            let count = drained.marked;
            writeln!(
                out,
                "{count} were taken by a starter meanwhile, and are cancelled in a moment, with a result."
            )?;
        }
        if drained.younger > 0 {
            writeln!(out, "{} were submitted meanwhile, and are left.", drained.younger)?;
        }
        if counts.active > 0 {
            writeln!(out, "What was being started, or runs, goes on: correction-runner cancel ends it.")?;
        }
    }
    Ok(Answer::Yes)
}

async fn all_that_wait(place: &Place, forget: bool, asked_at: u64) -> Result<Drained, Refused> {
    let (mut drained, mut younger) = (Drained::default(), HashSet::new());
    for state in WAITING {
        // What is cancelled leaves its place, so that the first page is always the next one; what stays (a starter has
        // it, or it is another by now) is passed over.
        let mut stays = PageStart::default();
        loop {
            let (records, next) = place.pending.records(state, 0, &stays).await?;
            if records.is_empty() {
                // Ids without a job may stand before others.
                let Some(next) = next else { break };
                stays = next;
                continue;
            }
            if records.iter().all(|record| record.timestamp > asked_at) {
                younger.extend(records.into_iter().map(|record| record.id));
                let Some(next) = next else { break };
                stays = next;
                continue;
            }
            let mut left = 0;
            for record in records {
                if record.timestamp > asked_at {
                    younger.insert(record.id);
                    continue;
                }
                let found = Found::of(Stage::Pending, record, place);
                match end_or_mark(place, &found, &LockToken::unique(), forget).await? {
                    Cancelled::Now => {
                        drained.cancelled += 1;
                        left += 1;
                    }
                    Cancelled::Ended => left += 1,
                    Cancelled::Marked(_) => drained.marked += 1,
                    Cancelled::Changed | Cancelled::Gone => {}
                }
            }
            if left == 0 {
                stays.passed += 1;
            }
        }
    }
    drained.younger = younger.len() as u64;
    Ok(drained)
}
