//! `queues retry-failed`: failed jobs of one queue back in line.
//!
//! A pending job becomes a correction anew. A running one's container is looked at again, and a result is delivered
//! again, as `deliveries redeliver --all` does.

use std::io::Write;

use jiff::Timestamp;
use serde_json::json;

use crate::config::{QueueName, RetryFailed};
use crate::queue::{PageStart, PutBack, State};
use crate::tools::Answer;
use crate::tools::corrections::Stage;
use crate::tools::premises::{Place, Refused};
use crate::tools::terminal::{Terminal, printable};

pub(super) async fn retry(
    place: &Place,
    order: &RetryFailed,
    out: &mut Terminal<'_>,
) -> Result<Answer, Refused> {
    let queue = match order.queue {
        QueueName::Pending => Stage::Pending,
        QueueName::Running => Stage::Running,
        QueueName::Finished => Stage::Finished,
    }
    .queue(place);
    let mut failed = Vec::new();
    let mut from = Some(PageStart::default());
    while let Some(at) = from {
        let (records, next) = queue.records(State::Failed, 0, &at).await?;
        failed.extend(records);
        from = next;
    }
    let (mut done, mut others) = (Vec::new(), 0_u64);
    // Those that failed first are tried first.
    for record in failed.iter().rev() {
        if order.dry_run {
            done.push(record.id.clone());
            continue;
        }
        let line = format!("{:.3} Put back in line by a person", Timestamp::now());
        let put_back = if order.queue == QueueName::Pending {
            queue.begin_anew(&record.id, &record.data, &line).await?
        } else {
            queue.put_back(&record.id, &record.data, &record.data, &line, Some(State::Failed)).await?
        };
        match put_back {
            PutBack::From(_) => done.push(record.id.clone()),
            // Somebody else dealt with it.
            PutBack::Waits | PutBack::AtWork | PutBack::Elsewhere(_) | PutBack::Changed | PutBack::Gone => {
                others += 1;
            }
        }
    }
    if order.json {
        let ids: Vec<&str> = done.iter().map(crate::identity::JobId::as_str).collect();
        let answer = json!({
            "queue": queue.name(), "put_back": ids, "dealt_with_by_others": others, "dry_run": order.dry_run,
        });
        out.document(&answer)?;
        return Ok(Answer::Yes);
    }
    for id in &done {
        writeln!(out, "{}", printable(id.as_str()))?;
    }
    let verb = if order.dry_run { "would be put back" } else { "put back" };
    writeln!(out, "{} failed jobs of {} {verb} in line.", done.len(), queue.name())?;
    Ok(Answer::Yes)
}
