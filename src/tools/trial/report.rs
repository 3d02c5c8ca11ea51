//! What came of a trial, for whoever writes the grader.

use std::io::{self, Write};

use serde_json::Value;

use super::super::terminal::{Style, Terminal, bytes, printable, span};
use super::bench::{Course, Ran};
use super::finding::Finding;
use super::pointing::{Spot, place_of};
use crate::config::Trial;
use crate::ending::{LAST_LINES, signal};
use crate::output::{Output, Shown, visible};
use crate::profile::Profile;
use crate::seal::Seal;
use crate::usage::Memory;
use crate::verdict::{NoVerdict, Tried, Verdict, faults};

/// How much of each stream is shown: so many bytes, and of those so many lines.
const MOST: (usize, usize) = (8 << 10, 60);
/// What begins a block, but for its dashes.
const BEGIN: &str = "BEGIN CORRECTOMATIC RESPONSE";

/// Writes all of it.
pub(super) fn write(trial: &Trial, course: &Course, out: &mut Terminal<'_>) -> io::Result<()> {
    headline(course, out)?;
    for hint in &course.remedies {
        let hint = out.painted(Style::Note, &printable(hint));
        writeln!(out, "{hint}")?;
    }
    candidates(course, out)?;
    facts(trial, course, out)?;
    if let Some(output) = &course.output {
        stream("standard output", &output.stdout_shown(MOST.0), output.seal(), out)?;
        stream("standard error", &output.stderr_shown(MOST.0), output.seal(), out)?;
    }
    heading("the callback's body, byte for byte", out)?;
    writeln!(out, "{}", visible(&String::from_utf8_lossy(&course.body)))
}

fn heading(text: &str, out: &mut Terminal<'_>) -> io::Result<()> {
    let text = out.painted(Style::Strong, text);
    writeln!(out, "\n{text}")
}

/// What it comes to, in a line or two.
fn headline(course: &Course, out: &mut Terminal<'_>) -> io::Result<()> {
    let (style, word) = match course.finding() {
        Finding::Pass => (Style::Good, "PASS"),
        Finding::Fail => (Style::Warning, "FAIL"),
        Finding::Broken => (Style::Bad, "BROKEN GRADER"),
        Finding::Senseless => (Style::Bad, "NOT TRIED"),
        Finding::Infrastructure => (Style::Bad, "INFRASTRUCTURE"),
    };
    let word = out.painted(style, word);
    match &course.told {
        Ok(verdict) => {
            writeln!(
                out,
                "{word}  {}",
                if verdict.success { "the verdict is success" } else { "the verdict is a failure" }
            )?;
            of_verdict(verdict, out)
        }
        Err(failure) => {
            let told = failure.text.split(LAST_LINES).next().unwrap_or_default();
            writeln!(out, "{word}  {}\n{}", failure.outcome, visible(told))
        }
    }
}

/// What the verdict says to a student.
fn of_verdict(verdict: &Verdict, out: &mut Terminal<'_>) -> io::Result<()> {
    let fields: Value = serde_json::from_str(verdict.json.get()).unwrap_or_default();
    let mut pairs = Vec::new();
    if let Some(grade) = fields.get("grade") {
        pairs.push(("grade", grade.to_string()));
    }
    if let Some(error) = fields.get("error").and_then(Value::as_str) {
        pairs.push(("error", printable(error)));
    }
    let comments = fields.get("comments").and_then(Value::as_array);
    pairs.extend(
        comments.into_iter().flatten().filter_map(|comment| Some(("comment", printable(comment.as_str()?)))),
    );
    out.pairs(&pairs)
}

/// What was looked at for a verdict, and what is wrong with it.
fn candidates(course: &Course, out: &mut Terminal<'_>) -> io::Result<()> {
    let found = course.tried.iter().find(|tried| tried.problem.is_none());
    if let Some(tried) = found {
        return out.pairs(&[("found in", tried.candidate.to_string())]);
    }
    if course.tried.is_empty() {
        return Ok(());
    }
    heading("where a verdict was looked for, in this order", out)?;
    for (number, tried) in (1..).zip(&course.tried) {
        let Some(problem) = &tried.problem else { continue };
        writeln!(out, "{number}. {}", tried.candidate)?;
        for line in told(tried, problem, course.output.as_ref()) {
            writeln!(out, "   {line}")?;
        }
    }
    Ok(())
}

/// What is wrong with a candidate, with its place.
fn told(tried: &Tried, problem: &NoVerdict, output: Option<&Output>) -> Vec<String> {
    let text = tried.text.as_deref().unwrap_or_default();
    match problem {
        NoVerdict::NotJson { line, column, reason, .. } => {
            let place = Spot::at(text, *line, *column).lines();
            [format!("it is not JSON: line {line}, column {column}: {reason}")]
                .into_iter()
                .chain(place)
                .collect()
        }
        NoVerdict::Invalid { .. } => faults(text)
            .into_iter()
            .flat_map(|fault| {
                let pointer = if fault.pointer.is_empty() { "the whole" } else { &fault.pointer };
                let place = Spot::of(text, place_of(text, &fault.pointer)).lines();
                [format!("{}: {}", printable(pointer), printable(&fault.problem))].into_iter().chain(place)
            })
            .collect(),
        NoVerdict::ManyBlocks { .. } => {
            let begins = output.map(beginnings).unwrap_or_default();
            [printable(&problem.to_string())].into_iter().chain(begins).collect()
        }
        _ => vec![printable(&problem.to_string())],
    }
}

/// The lines in which blocks begin.
fn beginnings(output: &Output) -> Vec<String> {
    let lines = |name: &str, text: Option<&[u8]>| {
        let text = String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
        let of_begin = (1..).zip(text.lines()).filter(|(_, line)| line.contains(BEGIN));
        of_begin
            .map(|(number, _)| format!("a block begins in line {number} of the {name}"))
            .take(10)
            .collect::<Vec<_>>()
    };
    [lines("standard output", output.stdout()), lines("standard error", output.stderr())].concat()
}

/// What is known of the run.
fn facts(trial: &Trial, course: &Course, out: &mut Terminal<'_>) -> io::Result<()> {
    heading("the run", out)?;
    let mut pairs = vec![("image", image(trial, course)), ("file", printable(&course.file))];
    if let Some(ran) = &course.ran {
        pairs.extend(of_run(ran, course.profile.as_ref()));
    }
    if let Some(profile) = &course.profile {
        pairs.push(("network", printable(&profile.network)));
        pairs.push(("rule", printable(profile.rule.as_str())));
    }
    if let Some(output) = &course.output {
        let cut = if output.was_cut() { ", of which not all was kept (CONTAINER_OUTPUT_LIMIT)" } else { "" };
        pairs.push(("output", format!("{}{cut}", bytes(output.total()))));
    }
    out.pairs(&pairs)
}

fn image(trial: &Trial, course: &Course) -> String {
    let id = course
        .image_id
        .as_deref()
        .map(|id| id.trim_start_matches("sha256:").chars().take(12).collect::<String>());
    let id = id.unwrap_or_else(|| "not here".to_owned());
    format!("{} ({})", printable(&trial.image), printable(&id))
}

fn of_run(ran: &Ran, profile: Option<&Profile>) -> Vec<(&'static str, String)> {
    let of = |limit: Option<String>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let mut pairs = Vec::new();
    if let Some(took) = ran.took {
        pairs.push(("time", span(took) + &of(profile.and_then(|profile| profile.timeout).map(span))));
    }
    if let Some(code) = ran.exit_code {
        let signal = signal(code).map(|(name, _)| format!(" ({name})")).unwrap_or_default();
        pairs.push(("exit code", format!("{code}{signal}")));
    }
    let limit = profile.and_then(|profile| profile.memory).map(bytes);
    match ran.memory {
        Some(Memory::Peak(most)) => {
            pairs.push((
                "memory",
                format!("up to {}{}, until shortly before its end", bytes(most), of(limit)),
            ));
        }
        // The engine tells no peak: between two looks there may have been more.
        Some(Memory::Now(seen)) => {
            pairs.push(("memory", format!("at least {}{}, seen now and then", bytes(seen), of(limit))));
        }
        None => {}
    }
    if ran.oom_killed {
        pairs.push(("memory", "a process was killed for want of it".to_owned()));
    }
    pairs
}

/// What was written to a stream, each line of it marked.
fn stream(name: &str, shown: &Shown, seal: Option<&Seal>, out: &mut Terminal<'_>) -> io::Result<()> {
    if shown.head.is_empty() && shown.tail.is_empty() {
        return Ok(());
    }
    heading(name, out)?;
    let [head, tail] = [&shown.head, &shown.tail].map(|text| {
        let text = visible(text);
        // Escapes within the secret would have kept it from being known for one.
        seal.map_or_else(|| text.clone(), |seal| seal.redacted_piece(&text))
    });
    let (head, tail): (Vec<&str>, Vec<&str>) = (head.lines().collect(), tail.lines().collect());
    let mark = out.painted(Style::Faint, "│ ");
    let half = if tail.is_empty() { MOST.1 } else { MOST.1 / 2 };
    let more_lines = head.len().saturating_sub(half) + tail.len().saturating_sub(half);
    for line in head.iter().take(half) {
        writeln!(out, "{mark}{line}")?;
    }
    let left_out = match (more_lines, shown.left_out) {
        (0, 0) => None,
        (lines, 0) => Some(format!("… {lines} more lines; all of them with --json")),
        (_, count) => Some(format!("… {} in between", bytes(count))),
    };
    if let Some(left_out) = left_out {
        let left_out = out.painted(Style::Faint, &left_out);
        writeln!(out, "{left_out}")?;
    }
    for line in tail.iter().skip(tail.len().saturating_sub(half)) {
        writeln!(out, "{mark}{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_told_as_one_and_what_was_only_seen_as_a_least() {
        let of = |memory| of_run(&Ran { memory, ..Ran::default() }, None);
        let told = |text: &str| vec![("memory", text.to_owned())];
        assert_eq!(of(Some(Memory::Peak(40 << 20))), told("up to 40 MiB, until shortly before its end"));
        assert_eq!(of(Some(Memory::Now(40 << 20))), told("at least 40 MiB, seen now and then"));
        assert_eq!(of(None), []);
    }

    #[test]
    fn a_secret_with_escapes_in_it_is_not_put_together_for_a_terminal() {
        let seal = crate::seal::tests::seal(0x5a);
        let (start, end) = seal.reveal().split_at(20);
        let shown = Shown { head: format!("it is {start}\u{1b}[1m{end}.\n"), ..Shown::default() };
        let mut written = Vec::new();
        stream("standard output", &shown, Some(&seal), &mut Terminal::plain(&mut written)).expect("written");
        let written = String::from_utf8(written).expect("text");
        assert!(written.contains("it is [secret]."), "{written}");
    }
}
