//! `status` for people: tables, what is wrong first.

use std::io::{self, Write};
use std::time::Duration;

use super::gather::{Correction, Gathered};
use super::told::{per_minute, percentiles_of};
use crate::callback::shown;
use crate::identity::{ContainerId, EngineId};
use crate::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use crate::queue::{Holder, Survey};
use crate::tools::terminal::{Cell, Column, Style, Table, Terminal, ago, printable, span, time};

/// A waiting time and a lock that are worth a colour.
const LONG_WAIT: Duration = Duration::from_secs(5 * 60);
const SHORT_LOCK: Duration = Duration::from_secs(5);
/// A completer looks more often than this, unless somebody set another interval.
const SEEN_LONG_AGO: u64 = 120_000;
/// The widest of the columns that can be cut.
const WIDEST: usize = 60;
/// How many retries are shown of each queue.
const RETRIES: usize = 5;

pub(super) fn draw(gathered: &Gathered, out: &mut Terminal<'_>) -> io::Result<()> {
    let at = time(gathered.at).unwrap_or_default();
    let head = format!("Redis {}, prefix {}, {at}", gathered.redis, gathered.prefix);
    writeln!(out, "{}", out.painted(Style::Faint, &printable(&head)))?;
    for (style, line) in remarks(gathered) {
        let line = out.painted(style, &printable(&line));
        writeln!(out, "{line}")?;
    }
    writeln!(out)?;
    out.table(&queues(gathered))?;
    let titles = ["being started", "running", "being delivered"];
    for (place, title) in titles.into_iter().enumerate() {
        let corrections = &gathered.corrections[place];
        if corrections.is_empty() {
            continue;
        }
        let survey = &gathered.queues[place].1;
        let there = survey.active + if place == 1 { survey.waiting } else { 0 };
        let more = there.saturating_sub(corrections.len() as u64);
        let more = if more > 0 { format!(", and {more} more (--limit)") } else { String::new() };
        let title = out.painted(Style::Strong, title);
        writeln!(out, "\n{title} ({there}{more})")?;
        out.table(&corrections_table(corrections, place == 1, gathered.at))?;
    }
    retries(gathered, out)?;
    if !gathered.engines.is_empty() {
        let title = out.painted(Style::Strong, "Docker engines");
        writeln!(out, "\n{title}")?;
        out.table(&engines(gathered))?;
    }
    Ok(())
}

/// What a person should know at once.
fn remarks(gathered: &Gathered) -> Vec<(Style, String)> {
    let mut remarks = Vec::new();
    let [(_, pending), (_, running), (_, finished)] = &gathered.queues;
    for (name, survey) in &gathered.queues {
        if survey.is_paused {
            remarks.push((Style::Warning, format!("{name} is paused: nothing is taken from it")));
        } else if survey.in_paused_line > 0 {
            let count = survey.in_paused_line;
            remarks.push((
                Style::Note,
                format!("{name} is not paused, but {count} stand in the line of a pause"),
            ));
        }
        let (without, _) = survey.without_lock;
        if without > 0 {
            let words = "in hand, but nobody holds them any more: they are taken anew by whoever runs";
            remarks.push((Style::Warning, format!("{name}: {without} {words}")));
        }
    }
    if finished.failed > 0 {
        let what = if finished.failed == 1 { "dead letter" } else { "dead letters" };
        let count = finished.failed;
        remarks
            .push((Style::Bad, format!("{count} {what}: see correction-runner deliveries list, redeliver")));
    }
    let waits = pending.waiting + pending.prioritized > 0 && !pending.is_paused;
    if waits && gathered.engines.iter().all(|notes| notes.starter.is_none()) {
        let words = "submissions wait, and no starter was seen within a minute";
        remarks.push((Style::Bad, words.to_owned()));
    }
    if running.waiting > 0 && running.active == 0 && !running.is_paused {
        remarks.push((Style::Bad, "containers run, and no completer watches them".to_owned()));
    }
    for notes in &gathered.engines {
        if let Some(why) = notes.starter.as_ref().and_then(|starter| starter.held_back.as_ref()) {
            remarks.push((Style::Bad, format!("nothing is started on {}: {why}", notes.engine)));
        }
    }
    remarks
}

fn queues(gathered: &Gathered) -> Table {
    let mut table = Table::new([
        Column::left("QUEUE"),
        Column::right("WAITING"),
        Column::right("DELAYED"),
        Column::right("ACTIVE"),
        Column::right("DONE"),
        Column::right("FAILED"),
        Column::right("OLDEST"),
        Column::right("PER MIN: 1M"),
        Column::right("5M"),
        Column::right("15M"),
        Column::right("WAITED 50/95%"),
        Column::right("TOOK 50/95%"),
    ]);
    for (name, survey) in &gathered.queues {
        let short = match *name {
            PENDING_QUEUE => "pending",
            RUNNING_QUEUE => "running",
            FINISHED_QUEUE => "finished",
            other => other,
        };
        let name = if survey.is_paused { format!("{short} (paused)") } else { short.to_owned() };
        let style = if survey.is_paused { Style::Warning } else { Style::Strong };
        let mut cells = vec![
            Cell::styled(name, style),
            number(survey.waiting + survey.prioritized, Style::Plain),
            number(survey.delayed, Style::Plain),
            number(survey.active, Style::Plain),
            number(survey.completed, Style::Plain),
            number(survey.failed, Style::Bad),
            oldest(survey),
        ];
        let are_cut = survey.completed >= u64::from(gathered.kept);
        cells.extend(per_minute(&survey.completions, survey.at, are_cut).map(rate));
        let times = percentiles_of(survey);
        cells.extend([0, 1].map(|place| {
            let told = times.map(|times| format!("{} / {}", span(times[place].p50), span(times[place].p95)));
            Cell::known(told)
        }));
        table.row(cells);
    }
    table
}

fn number(count: u64, style: Style) -> Cell {
    Cell::styled(count.to_string(), if count == 0 { Style::Faint } else { style })
}

/// Of what ended per minute.
fn rate(rate: f64) -> Cell {
    let digits = usize::from(rate < 10.0);
    Cell::styled(format!("{rate:.digits$}"), if rate > 0.0 { Style::Plain } else { Style::Faint })
}

fn oldest(survey: &Survey) -> Cell {
    let Some((_, since)) = &survey.oldest else { return Cell::known(None::<&str>) };
    let waited = Duration::from_millis(survey.at.saturating_sub(*since));
    Cell::styled(span(waited), if waited > LONG_WAIT { Style::Warning } else { Style::Plain })
}

fn corrections_table(corrections: &[Correction], are_running: bool, now: u64) -> Table {
    let mut columns = vec![
        Column::left("ID").at_most(WIDEST),
        Column::left("WORK ID").at_most(WIDEST),
        Column::left("IMAGE").at_most(WIDEST),
        Column::right("AGE"),
    ];
    if are_running {
        columns.extend([
            Column::right("LEFT"),
            Column::left("CONTAINER"),
            Column::left("ENGINE").at_most(WIDEST),
        ]);
    }
    columns.extend([Column::left("HELD BY"), Column::left("CALLBACK").at_most(WIDEST)]);
    let mut table = Table::new(columns);
    for it in corrections {
        let work_id = Some(it.errand.work_id_shown()).filter(|work_id| !work_id.is_empty());
        let mut cells = vec![
            it.id.as_str().into(),
            Cell::known(work_id),
            Cell::known(it.image.as_deref()),
            span(Duration::from_millis(now.saturating_sub(it.since))).into(),
        ];
        if are_running {
            cells.extend([
                left(it, now),
                Cell::known(it.container.as_ref().map(ContainerId::short)),
                Cell::known(it.engine.as_ref().map(EngineId::as_str)),
            ]);
        }
        cells.extend([held_by(it), Cell::known(it.errand.callback.as_deref().map(shown))]);
        table.row(cells);
    }
    table
}

/// How much time a container has left.
fn left(it: &Correction, now: u64) -> Cell {
    match it.deadline() {
        Some(deadline) if deadline < now => {
            let over = Duration::from_millis(now - deadline);
            Cell::styled(format!("-{}", span(over)), Style::Bad)
        }
        Some(deadline) => span(Duration::from_millis(deadline - now)).into(),
        None => Cell::known(None::<&str>),
    }
}

fn held_by(it: &Correction) -> Cell {
    match &it.holder {
        Some(holder) if holder.lock_for < SHORT_LOCK => Cell::styled(name(holder), Style::Warning),
        Some(holder) => name(holder).into(),
        None => Cell::styled(if it.is_active { "nobody any more" } else { "nobody yet" }, Style::Warning),
    }
}

fn name(holder: &Holder) -> String {
    let worker = holder.worker.as_deref().unwrap_or("another client");
    match &holder.process {
        Some(process) if process.is_here => format!("{worker}, process {}", process.pid),
        Some(process) => format!("{worker}, process {} of machine {}", process.pid, process.place),
        None => worker.to_owned(),
    }
}

fn retries(gathered: &Gathered, out: &mut Terminal<'_>) -> io::Result<()> {
    let mut table = Table::new([
        Column::left("QUEUE"),
        Column::left("ID"),
        Column::left("WHEN"),
        Column::right("ATTEMPTS"),
        Column::left("WHY").at_most(2 * WIDEST),
    ]);
    let (mut shown, mut there) = (0, 0);
    for (name, survey) in &gathered.queues {
        there += survey.delayed;
        for job in survey.next.iter().take(RETRIES) {
            shown += 1;
            let (made, all) = job.attempts;
            let attempts = if job.retries > 0 { job.retries.to_string() } else { format!("{made}/{all}") };
            let aside = "waits for a permit or for its image";
            let why = if job.reason.is_empty() && job.is_aside { aside } else { &job.reason };
            table.row([
                name.trim_end_matches("_corrections").into(),
                job.id.as_str().into(),
                ago(job.due, survey.at).into(),
                attempts.into(),
                why.into(),
            ]);
        }
    }
    if table.is_empty() {
        return Ok(());
    }
    let more = if there > shown { format!(", the next {shown} of which are") } else { String::new() };
    let title = out.painted(Style::Strong, "waiting for their time");
    writeln!(out, "\n{title} ({there}{more})")?;
    out.table(&table)
}

fn engines(gathered: &Gathered) -> Table {
    let mut table = Table::new([
        Column::left("ENGINE"),
        Column::right("PERMITS"),
        Column::right("STARTING"),
        Column::left("STARTER SEEN"),
        Column::left("COMPLETER SEEN"),
        Column::left("HELD BACK").at_most(2 * WIDEST),
    ]);
    for notes in &gathered.engines {
        let starter = notes.starter.as_ref();
        let permits = match starter.map(|starter| starter.most) {
            Some(Some(most)) => format!("{} of {most}", notes.permits),
            Some(None) => format!("{}, no limit", notes.used()),
            None => notes.used().to_string(),
        };
        let is_full = starter.and_then(|it| it.most).is_some_and(|most| notes.permits >= u64::from(most));
        let seen = |at: Option<u64>, long_ago: u64| match at {
            Some(at) if gathered.at.saturating_sub(at) > long_ago => {
                Cell::styled(ago(at, gathered.at), Style::Warning)
            }
            Some(at) => ago(at, gathered.at).into(),
            None => Cell::styled("not lately", Style::Warning),
        };
        table.row([
            notes.engine.as_str().into(),
            Cell::styled(permits, if is_full { Style::Warning } else { Style::Plain }),
            number(notes.starting, Style::Plain),
            seen(starter.map(|starter| starter.at), u64::MAX),
            seen(notes.watched, SEEN_LONG_AGO),
            Cell::styled(starter.and_then(|it| it.held_back.as_deref()).unwrap_or_default(), Style::Bad),
        ]);
    }
    table
}
