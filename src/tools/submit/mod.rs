//! `submit`: puts a correction into the queue as the API does, waits for its result and prints it.
//!
//! The correction is followed through the queues, so that it does not matter where the notifier runs: the result is
//! in its finished job. Without `--callback` the job names a receiver of our own on this machine. A notifier that
//! reaches it delivers the result there; from one elsewhere we take the finished job back, so that it never
//! becomes a dead letter.

mod receiver;
mod wait;

use std::io::{self, Write};
use std::path::absolute;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use self::receiver::Receiver;
use self::wait::{Ended, Settled, Waited};
use super::Answer;
use super::premises::{Place, Refused, carried_out};
use super::terminal::{Style, Terminal, printable, seconds, span};
use super::trial::Signals;
use crate::callback::Body;
use crate::config::Submit;
use crate::fields::raw;
use crate::identity::{CorrectionId, JobId};
use crate::job::{Errand, PendingJob, WorkId};
use crate::queue::{JobOptions, NewJob};

/// Submits, and waits.
pub(super) fn run(submit: Submit, out: &mut Terminal<'_>) -> io::Result<Answer> {
    carried_out(submitted(submit, out))
}

async fn submitted(mut submit: Submit, out: &mut Terminal<'_>) -> Result<Answer, Refused> {
    let receiver = match (&submit.callback, submit.no_wait) {
        (Some(_), _) => None,
        (None, true) => {
            let why = "--no-wait needs --callback: nobody would learn of the result";
            return Err(Refused::Senseless(why.into()));
        }
        (None, false) => Some(Receiver::listen().await?),
    };
    let callback = match (&submit.callback, &receiver) {
        (Some(callback), _) => callback.clone(),
        (None, Some(receiver)) => receiver.url(),
        (None, None) => String::new(),
    };
    let (data, work_id) = job_of(&submit, &callback)?;
    let place = Place::reach_to_add(submit.common.take()).await?;
    let begun = Instant::now();
    let timestamp = Timestamp::now().as_millisecond().unsigned_abs();
    let errand = Errand { work_id: Some(WorkId(raw(&work_id))), ..Errand::default() };
    let name = format!("Correction {}", errand.work_id_shown());
    let options = JobOptions {
        priority: submit.priority.unwrap_or(0),
        timestamp: Some(timestamp),
        ..JobOptions::default()
    };
    let job = place.pending.add(&NewJob { id: None, name, data, options }).await?.id().clone();
    let correction = CorrectionId::derive(&place.instance, &job, timestamp, 0);
    let facts = Facts { work_id, job: job.clone(), correction: correction.clone() };
    if submit.no_wait {
        facts.write(&submit, None, begun.elapsed(), out)?;
        return Ok(Answer::Yes);
    }
    let signals = Signals::taken()?;
    let mut person = Terminal::stderr();
    let ended = wait::until_ended(&place, (job, correction, timestamp), begun + submit.timeout, |state| {
        person.progress(&format!("{state} for {}", span(begun.elapsed())))
    });
    let waited = tokio::select! {
        waited = ended => Some(waited),
        () = signals.asked() => None,
    };
    person.progress("")?;
    let Some(waited) = waited.transpose()? else {
        writeln!(io::stderr(), "stopped waiting; {}", what_becomes_of(&facts.job, receiver.is_some()))?;
        facts.write(&submit, None, begun.elapsed(), out)?;
        return Ok(Answer::Interrupted);
    };
    let took = begun.elapsed();
    match waited {
        Waited::Ended(ended) => {
            facts.write(&submit, Some(&ended), took, out)?;
            out.flush()?;
            if receiver.is_some() {
                let settled = tokio::select! {
                    settled = wait::until_settled(&place, &ended.job, &signals) => settled,
                    () = signals.again() => Ok(Settled::InHand),
                };
                if let Some(note) = note_on(&settled, &ended.job) {
                    writeln!(io::stderr(), "{note}")?;
                }
            }
            Ok(ended.answer())
        }
        Waited::Forgotten => {
            let why = "the correction has ended, but Redis does not keep its result (KEEP_COMPLETED is 0, or \
                       somebody removed it)";
            writeln!(io::stderr(), "{why}")?;
            facts.write(&submit, None, took, out)?;
            Ok(Answer::Broken)
        }
        Waited::NotYet => {
            let after = span(submit.timeout);
            let then = what_becomes_of(&facts.job, receiver.is_some());
            writeln!(io::stderr(), "there is no result after {after}; {then}")?;
            facts.write(&submit, None, took, out)?;
            Ok(Answer::NotYet)
        }
    }
}

/// What a person should know of how the result came to this command, which they have by now.
fn note_on(settled: &Result<Settled, Refused>, job: &JobId) -> Option<String> {
    let job = printable(job.as_str());
    match settled {
        Ok(Settled::Delivered) => None,
        Ok(Settled::TakenBack(why)) if why.is_empty() => None,
        Ok(Settled::TakenBack(why)) => Some(format!(
            "the notifier did not deliver the result to this command, which took it from the queue instead (no dead \
             letter is left): {}",
            printable(why)
        )),
        Ok(Settled::InHand) => Some(format!(
            "a notifier tries to deliver the result to this command, which ends: it may become a dead letter \
             (correction-runner deliveries show {job})"
        )),
        Err(error) => Some(format!(
            "whether the result was delivered to this command is not known, and it may become a dead letter \
             (correction-runner deliveries show {job}): {error}"
        )),
    }
}

/// What becomes of a correction for which nobody waits any more.
fn what_becomes_of(job: &JobId, is_ours: bool) -> String {
    let goes_on = format!(
        "the correction goes on: correction-runner logs {job} --by job-id tells of it, and correction-runner cancel \
         {job} --by job-id ends it"
    );
    if !is_ours {
        return goes_on;
    }
    format!(
        "{goes_on}. Its result is for this command alone: it becomes a dead letter (correction-runner deliveries list)"
    )
}

/// The job's data, checked as the starter checks it, and its `work_id`.
fn job_of(submit: &Submit, callback: &str) -> Result<(String, Value), Refused> {
    let file = absolute(&submit.file)?.to_string_lossy().into_owned();
    let made_up = || format!("submit-{}", uuid::Uuid::new_v4().simple());
    let work_id = match &submit.work_id {
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())),
        None => Value::from(made_up()),
    };
    let mut data = json!({ "work_id": work_id, "image": submit.image, "file": file, "callback": callback });
    if !submit.params.is_empty() {
        if let Some(bad) = submit.params.iter().find(|param| !param.contains('=')) {
            let name: String = printable(bad).chars().take(40).collect();
            return Err(Refused::Senseless(format!("--param takes KEY=VALUE, and this has no '=': {name}")));
        }
        data["params"] = json!(submit.params);
    }
    let data = data.to_string();
    PendingJob::parse(&data).map_err(|invalid| Refused::Senseless(invalid.to_string()))?;
    Ok((data, work_id))
}

/// What is known of a submission.
struct Facts {
    work_id: Value,
    job: JobId,
    correction: CorrectionId,
}

impl Facts {
    fn write(
        &self,
        submit: &Submit,
        ended: Option<&Ended>,
        took: Duration,
        out: &mut Terminal<'_>,
    ) -> io::Result<()> {
        let Self { work_id, job, correction } = self;
        if submit.json {
            let body = ended.map(body_of);
            return out.document(&json!({
                "work_id": work_id,
                "job_id": job.as_str(),
                "correction_id": ended.map_or(correction, |ended| &ended.correction).as_str(),
                "result": ended.map_or("none", Ended::for_programs),
                "outcome": ended.and_then(|ended| ended.result.outcome.as_deref()),
                "body": body,
                "waited_seconds": seconds(took),
            }));
        }
        let Some(ended) = ended else {
            let shown =
                serde_json::from_value::<String>(work_id.clone()).unwrap_or_else(|_| work_id.to_string());
            return writeln!(out, "submitted as job {job}, work_id {}", printable(&shown));
        };
        let body = body_of(ended);
        let (word, style) = match ended.answer() {
            Answer::Yes => ("success", Style::Good),
            Answer::No => ("failure", Style::Warning),
            _ => ("not corrected", Style::Bad),
        };
        let grade = body.get("grade").map(|grade| format!(", grade {}", printable(&grade.to_string())));
        let outcome = ended.result.outcome.as_deref().map(|outcome| format!(" ({})", printable(outcome)));
        let said = out.painted(style, word);
        writeln!(
            out,
            "{said}{}{} after {}",
            grade.unwrap_or_default(),
            outcome.unwrap_or_default(),
            span(took)
        )?;
        let texts = |name: &str| match body.get(name) {
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        };
        for text in texts("comments").iter().chain(&texts("error")) {
            for line in text.lines() {
                writeln!(out, "  {}", printable(line))?;
            }
        }
        Ok(())
    }
}

/// What a callback is told.
fn body_of(ended: &Ended) -> Value {
    serde_json::from_slice(&Body::of(&ended.result).bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        submit: Submit,
    }

    fn job(line: &str) -> Result<(String, Value), Refused> {
        let submit = Line::try_parse_from(line.split(' ')).expect("a line").submit;
        job_of(&submit, "http://h/")
    }

    #[test]
    fn the_job_is_what_the_api_puts() {
        let (data, work_id) = job("submit g /f --param A=1=2 --param B= --work-id w7").expect("a job");
        assert_eq!(
            serde_json::from_str::<Value>(&data).expect("JSON"),
            json!({ "work_id": "w7", "image": "g", "file": "/f", "callback": "http://h/", "params": ["A=1=2", "B="] })
        );
        assert_eq!(work_id, json!("w7"));
        assert_eq!(job("submit g /f --work-id 7").expect("a job").1, json!(7));
    }

    #[test]
    fn whoever_stops_waiting_is_told_what_becomes_of_it() {
        let (ours, others) =
            (what_becomes_of(&JobId::new("7"), true), what_becomes_of(&JobId::new("7"), false));
        assert!(ours.contains("cancel 7 --by job-id") && ours.contains("dead letter"), "{ours}");
        assert!(others.contains("cancel 7 --by job-id") && !others.contains("dead letter"), "{others}");
    }

    #[test]
    fn what_no_starter_would_take_is_refused_before_it_is_put() {
        for (line, culprit) in [
            ("submit g /f --param A", "no '=': A"),
            ("submit g /f --param =A", "params"),
            ("submit  /f", "image"),
        ] {
            let why = job(line).expect_err(line).to_string();
            assert!(why.contains(culprit), "{line}: {why}");
        }
    }
}
