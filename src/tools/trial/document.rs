//! What came of a trial as one JSON document (`--json`). Its fields are stable; more may be added.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::terminal::seconds;
use super::bench::{Course, Ran};
use super::pointing::{Spot, place_of};
use crate::config::Trial;
use crate::output::{Output, Shown};
use crate::usage::Memory;
use crate::verdict::{NoVerdict, Tried, faults};

/// How many bytes of each stream are told at most.
const MOST: usize = 64 << 10;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    /// `pass`, `fail`, `broken_grader`, `not_tried` or `infrastructure`.
    result: &'static str,
    /// The outcome as the callback has it; `null` = there is a verdict.
    outcome: Option<&'static str>,
    /// What the caller is told in the place of a verdict.
    error: Option<&'a str>,
    /// What helps.
    hints: &'a [String],
    image: &'a str,
    image_id: Option<&'a str>,
    file: &'a str,
    params: &'a [String],
    /// The grader's verdict, as it wrote it.
    verdict: Option<&'a RawValue>,
    /// Where it was found, by the name of a candidate.
    verdict_from: Option<&'static str>,
    /// What was looked at, in this order.
    candidates: Vec<Candidate>,
    /// The run of its container; `null` = it was not started.
    run: Option<Run>,
    /// The rule that decided, and what the container gets by the keys of policy files; `null` = it may not run.
    rule: Option<&'a str>,
    container: Option<Value>,
    output: Option<Streams>,
    /// The bytes that a callback would receive.
    callback_body: String,
}

#[derive(Serialize)]
struct Candidate {
    from: &'static str,
    valid: bool,
    problem: Option<String>,
    faults: Vec<Fault>,
}

/// A place in a candidate's text.
#[derive(Serialize)]
struct Fault {
    /// RFC 6901; `null` where the text is no JSON.
    pointer: Option<String>,
    problem: String,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Run {
    exit_code: Option<i64>,
    signal: Option<&'static str>,
    oom_killed: bool,
    started_at: Option<String>,
    seconds: Option<f64>,
    /// The most that it was seen to use; one that ends at once may not be seen.
    memory_bytes_seen: Option<u64>,
    /// `peak`: what the kernel noted as the most until the last look; `samples`: the highest of some looks, between
    /// which there may have been more; `null` = not seen.
    memory_seen_as: Option<&'static str>,
}

#[derive(Serialize)]
struct Streams {
    stdout: Stream,
    stderr: Stream,
    /// How much it wrote in all.
    bytes: u64,
    /// Whether more was written than `CONTAINER_OUTPUT_LIMIT` keeps.
    cut: bool,
}

#[derive(Serialize)]
struct Stream {
    /// All of it, or its beginning.
    text: String,
    bytes_left_out: u64,
    /// Its end, where something is left out.
    end: String,
}

/// The document.
pub(super) fn of<'a>(trial: &'a Trial, course: &'a Course) -> Document<'a> {
    let failure = course.told.as_ref().err();
    let found = course.tried.iter().find(|tried| tried.problem.is_none());
    Document {
        result: course.finding().name(),
        outcome: failure.map(|failure| failure.outcome.as_str()),
        error: failure.map(|failure| failure.text.as_str()),
        hints: &course.remedies,
        image: &trial.image,
        image_id: course.image_id.as_deref(),
        file: &course.file,
        params: &trial.params,
        verdict: course.told.as_ref().ok().map(|verdict| &*verdict.json),
        verdict_from: found.map(|tried| tried.candidate.name()),
        candidates: course.tried.iter().map(candidate).collect(),
        run: course.ran.as_ref().map(Run::of),
        rule: course.profile.as_ref().map(|profile| profile.rule.as_str()),
        container: course.profile.as_ref().map(super::super::policy::container),
        output: course.output.as_ref().map(Streams::of),
        callback_body: String::from_utf8_lossy(&course.body).into_owned(),
    }
}

fn candidate(tried: &Tried) -> Candidate {
    let text = tried.text.as_deref().unwrap_or_default();
    let faults = match &tried.problem {
        Some(NoVerdict::NotJson { line, column, reason, .. }) => {
            vec![Fault { pointer: None, problem: reason.clone(), line: *line, column: *column }]
        }
        Some(NoVerdict::Invalid { .. }) => faults(text)
            .into_iter()
            .map(|fault| {
                let Spot { line, column, .. } = Spot::of(text, place_of(text, &fault.pointer));
                Fault { pointer: Some(fault.pointer), problem: fault.problem, line, column }
            })
            .collect(),
        _ => Vec::new(),
    };
    let problem = tried.problem.as_ref().map(ToString::to_string);
    Candidate { from: tried.candidate.name(), valid: problem.is_none(), problem, faults }
}

impl Run {
    fn of(ran: &Ran) -> Self {
        Self {
            exit_code: ran.exit_code,
            signal: ran.exit_code.and_then(crate::ending::signal).map(|(name, _)| name),
            oom_killed: ran.oom_killed,
            started_at: ran.started_at.map(|at| format!("{at:.3}")),
            seconds: ran.took.map(seconds),
            memory_bytes_seen: ran.memory.map(Memory::bytes),
            memory_seen_as: ran.memory.map(|memory| match memory {
                Memory::Peak(_) => "peak",
                Memory::Now(_) => "samples",
            }),
        }
    }
}

impl Streams {
    fn of(output: &Output) -> Self {
        Self {
            stdout: output.stdout_shown(MOST).into(),
            stderr: output.stderr_shown(MOST).into(),
            bytes: output.total(),
            cut: output.was_cut(),
        }
    }
}

impl From<Shown> for Stream {
    fn from(shown: Shown) -> Self {
        Self { text: shown.head, bytes_left_out: shown.left_out, end: shown.tail }
    }
}
