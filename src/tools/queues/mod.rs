//! `queues`: what is in them, emptying them, and trying again what failed.

mod drain;
mod reset;
mod retry;

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Answer;
use super::premises::{Place, Refused, carried_out};
use super::terminal::{Cell, Column, Style, Table, Terminal};
use crate::config::{Queues, QueuesOrder};
use crate::queue::{Counts, Queue};

/// Does what is ordered.
pub(super) fn run(queues: Queues, out: &mut Terminal<'_>) -> io::Result<Answer> {
    carried_out(carry_out(queues, out))
}

async fn carry_out(queues: Queues, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let place = Place::reach(queues.common).await?;
    match queues.order {
        QueuesOrder::List(order) => {
            let all = counted(&place).await?;
            if order.json {
                out.document(&json!({ "target": place.target(), "queues": as_json(&all) }))?;
            } else {
                writeln!(out, "Redis {}", place.target())?;
                out.table(&table(&all))?;
            }
            Ok(Answer::Yes)
        }
        QueuesOrder::Reset(order) => reset::reset(&place, &order, out).await,
        QueuesOrder::Drain(order) => drain::drain(&place, &order, out).await,
        QueuesOrder::RetryFailed(order) => retry::retry(&place, &order, out).await,
    }
}

/// How many jobs are in which state of the three queues.
async fn counted(place: &Place) -> Result<Vec<(&'static str, Counts)>, Refused> {
    let mut all = Vec::new();
    for queue in [&place.pending, &place.running, &place.finished] {
        all.push((Queue::name(queue), queue.counts().await?));
    }
    Ok(all)
}

fn table(all: &[(&'static str, Counts)]) -> Table {
    let mut table = Table::new([
        Column::left("QUEUE"),
        Column::right("WAITING"),
        Column::right("PRIORITIZED"),
        Column::right("ACTIVE"),
        Column::right("DELAYED"),
        Column::right("COMPLETED"),
        Column::right("FAILED"),
        Column::left(""),
    ]);
    for (name, counts) in all {
        let failed = if counts.failed > 0 { Style::Bad } else { Style::Plain };
        table.row([
            Cell::from(*name),
            counts.waiting.to_string().into(),
            counts.prioritized.to_string().into(),
            counts.active.to_string().into(),
            counts.delayed.to_string().into(),
            counts.completed.to_string().into(),
            Cell::styled(counts.failed.to_string(), failed),
            Cell::styled(if counts.paused { "paused" } else { "" }, Style::Warning),
        ]);
    }
    table
}

fn as_json(all: &[(&'static str, Counts)]) -> Value {
    all.iter()
        .map(|(name, counts)| {
            let Counts { waiting, prioritized, active, delayed, completed, failed, paused } = counts;
            json!({
                "queue": name, "waiting": waiting, "prioritized": prioritized, "active": active, "delayed": delayed,
                "completed": completed, "failed": failed, "paused": paused,
            })
        })
        .collect()
}
