//! `deliveries list`: one line for each, or JSON.

use std::io::Write;

use serde_json::{Value, json};

use super::view::{View, millis, printable};
use super::{Answer, DeliveriesError, Place, as_json, in_words};
use crate::config::{ListDeliveries, ListedState, Selection};
use crate::queue::State;

/// The widest column but the last.
const WIDEST: usize = 60;

pub(super) async fn list(
    place: &Place,
    order: &ListDeliveries,
    out: &mut impl Write,
) -> Result<Answer, DeliveriesError> {
    let mut views = Vec::new();
    let mut cut = false;
    for state in states(order.state) {
        let wanted = order.limit.saturating_sub(views.len());
        let (found, more) = matching(place, *state, &order.selection, wanted).await?;
        views.extend(found);
        cut |= more;
    }
    let counts = place.queue.counts().await?;
    if order.json {
        let all: Vec<Value> = views.iter().map(View::to_json).collect();
        let answer = json!({ "deliveries": all, "more": cut, "counts": as_json(&counts) });
        writeln!(out, "{answer}")?;
        return Ok(Answer::Yes);
    }
    if !views.is_empty() {
        write_table(&views, out)?;
    }
    if cut {
        writeln!(out, "… and more: --limit, --since and --receiver choose")?;
    }
    writeln!(out, "{}", in_words(&counts))?;
    Ok(Answer::Yes)
}

fn states(listed: ListedState) -> &'static [State] {
    const PENDING: [State; 4] = [State::Active, State::Waiting, State::Prioritized, State::Delayed];
    match listed {
        ListedState::Dead => &[State::Failed],
        ListedState::Pending => &PENDING,
        ListedState::Delivered => &[State::Completed],
        ListedState::All => {
            &[State::Failed, PENDING[0], PENDING[1], PENDING[2], PENDING[3], State::Completed]
        }
    }
}

/// At most so many deliveries of a state that are meant, and whether there are more.
pub(super) async fn matching(
    place: &Place,
    state: State,
    selection: &Selection,
    most: usize,
) -> Result<(Vec<View>, bool), DeliveriesError> {
    let ended = matches!(state, State::Completed | State::Failed);
    let since = selection.since.filter(|_| ended).map_or(0, millis);
    let mut views = Vec::new();
    let mut from = Some(0);
    while let Some(place_in_line) = from {
        let (records, next) = place.queue.records(state, since, place_in_line).await?;
        for view in records.into_iter().map(|record| View::of(record, place)) {
            if !view.is_meant(selection) {
                continue;
            }
            if views.len() == most {
                return Ok((views, true));
            }
            views.push(view);
        }
        from = next;
    }
    Ok((views, false))
}

fn write_table(views: &[View], out: &mut impl Write) -> std::io::Result<()> {
    let heads =
        ["STATE", "ID", "WORK ID", "CALLBACK", "ATTEMPTS", "ENDED, OR DUE", "REASON"].map(String::from);
    let rows: Vec<[String; 7]> = [heads].into_iter().chain(views.iter().map(row)).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        let (last, cells) = row.split_last().unwrap_or((&row[0], &[]));
        for (cell, width) in cells.iter().zip(widths) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{last}")?;
    }
    Ok(())
}

fn row(view: &View) -> [String; 7] {
    let record = &view.record;
    [
        view.state().into(),
        // Whole, since it is what the other commands take.
        printable(record.id.as_str()),
        short(view.work_id()),
        short(view.callback().unwrap_or_else(|| "–".into())),
        format!("{}/{}", record.attempts_made, record.attempts),
        view.at().unwrap_or_else(|| "–".into()),
        printable(&record.failed_reason).chars().take(200).collect(),
    ]
}

fn short(text: String) -> String {
    if text.chars().count() <= WIDEST {
        return text;
    }
    text.chars().take(WIDEST - 1).chain(['…']).collect()
}
