//! `deliveries show`: all that is known of one delivery.

use std::io::Write;

use serde_json::{Value, json};

use super::view::View;
use super::{Answer, DeliveriesError, Place};
use crate::callback::Body;
use crate::config::ShowDelivery;
use crate::identity::JobId;
use crate::job::FinishedJob;
use crate::ledger::{Entry, Said};
use crate::tools::terminal::{Terminal, printable, time};

pub(super) async fn show(
    place: &Place,
    order: &ShowDelivery,
    out: &mut Terminal<'_>,
) -> Result<Answer, DeliveriesError> {
    let Some((record, log)) = place.queue.record(&JobId::new(order.id.as_str())).await? else {
        writeln!(
            out,
            "there is no delivery {:?} (the id of a job in finished_corrections is needed)",
            order.id
        )?;
        return Ok(Answer::No);
    };
    let body = match FinishedJob::parse(&record.data) {
        Ok(job) => Body::of(&job),
        Err(invalid) => Body::of_invalid(&invalid),
    };
    let body = String::from_utf8_lossy(&body.bytes).into_owned();
    let view = View::of(record, place);
    if order.json {
        let mut answer = view.to_json();
        answer["body"] = body.into();
        answer["log"] = log.iter().map(|line| entry(line)).collect();
        out.document(&answer)?;
        return Ok(Answer::Yes);
    }
    let record = &view.record;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let reason = Some(printable(&record.failed_reason)).filter(|reason| !reason.is_empty());
    out.pairs(&[
        ("id", printable(record.id.as_str())),
        ("webhook-id", view.webhook_id.clone()),
        ("state", view.state().to_owned()),
        ("work_id", or_none(view.work_id().map(|work_id| printable(&work_id)))),
        ("callback", or_none(view.callback().map(|callback| printable(&callback)))),
        ("queued", or_none(time(record.timestamp))),
        (if view.state() == "delayed" { "next attempt" } else { "ended" }, or_none(view.at())),
        ("attempts", format!("{} of {}", record.attempts_made, record.attempts)),
        ("reason", or_none(reason)),
        ("body", printable(&body)),
    ])?;
    writeln!(out, "log:")?;
    log.iter().try_for_each(|line| writeln!(out, "  {}", printable(line)))?;
    Ok(Answer::Yes)
}

/// A line of the log for a program: an attempt by its parts, anything else as its text.
fn entry(line: &str) -> Value {
    let Some(entry) = Entry::parse(line) else { return json!({ "line": line }) };
    let (delivered, said) = match entry.said {
        Said::Delivered(said) => (true, said),
        Said::Failed(said) => (false, said),
    };
    json!({
        "at": format!("{:.3}", entry.at),
        "attempt": entry.attempt,
        "attempts": entry.attempts,
        "ms": u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX),
        "status": entry.status,
        "delivered": delivered,
        "said": said,
    })
}
