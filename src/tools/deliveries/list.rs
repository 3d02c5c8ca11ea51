//! `deliveries list`: one line for each, or JSON.

use std::io::Write;

use serde_json::{Value, json};

use super::view::View;
use super::{Answer, DeliveriesError, Place, as_json, in_words};
use crate::config::{ListDeliveries, ListedState, Selection};
use crate::queue::{PageStart, State};
use crate::tools::terminal::{Cell, Column, Style, Table, Terminal, millis};

/// The widest of the columns that can be cut, and the last one.
const WIDEST: usize = 60;
const LONGEST_REASON: usize = 200;

pub(super) async fn list(
    place: &Place,
    order: &ListDeliveries,
    out: &mut Terminal<'_>,
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
        out.document(&answer)?;
        return Ok(Answer::Yes);
    }
    out.table(&table(&views))?;
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
    let mut from = Some(PageStart::default());
    while let Some(place_in_line) = from {
        let (records, next) = place.queue.records(state, since, &place_in_line).await?;
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

fn table(views: &[View]) -> Table {
    let mut table = Table::new([
        Column::left("STATE"),
        // Whole, since it is what the other commands take.
        Column::left("ID"),
        Column::left("WORK ID").at_most(WIDEST),
        Column::left("CALLBACK").at_most(WIDEST),
        Column::left("ATTEMPTS"),
        Column::left("ENDED, OR DUE"),
        Column::left("REASON").at_most(LONGEST_REASON),
    ]);
    for view in views {
        let record = &view.record;
        let style = match record.state {
            State::Failed => Style::Bad,
            State::Completed => Style::Good,
            _ => Style::Plain,
        };
        table.row([
            Cell::styled(view.state(), style),
            record.id.as_str().into(),
            Cell::known(view.work_id()),
            Cell::known(view.callback()),
            format!("{}/{}", record.attempts_made, record.attempts).into(),
            Cell::known(view.at()),
            record.failed_reason.as_str().into(),
        ]);
    }
    table
}
