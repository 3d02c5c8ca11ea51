//! `status` as JSON: one document, whose fields stay as they are.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::gather::{Correction, Gathered};
use crate::callback::shown;
use crate::identity::{ContainerId, EngineId};
use crate::queue::{Delayed, Ended, EngineNotes, Holder, SPANS, Survey};
use crate::tools::terminal::{seconds, time};

/// The names of the spans in documents.
const SPAN_NAMES: [&str; 3] = ["1m", "5m", "15m"];

pub(super) fn told(gathered: &Gathered) -> Value {
    let queues: Map<String, Value> = gathered
        .queues
        .iter()
        .map(|(name, survey)| ((*name).to_owned(), queue(survey, gathered.kept)))
        .collect();
    let of_queue = |place: usize| {
        let (_, survey) = &gathered.queues[place];
        let all: Vec<_> = gathered.corrections[place].iter().map(|it| correction(it, gathered.at)).collect();
        // The line of the running queue is what runs and nobody holds.
        let there = survey.active + if place == 1 { survey.waiting } else { 0 };
        json!({ "shown": all, "more": there.saturating_sub(all.len() as u64) })
    };
    let retries: Map<String, Value> = gathered
        .queues
        .iter()
        .map(|(name, survey)| {
            let shown: Vec<_> = survey.next.iter().map(|job| retry(job, survey.at)).collect();
            let more = survey.delayed.saturating_sub(shown.len() as u64);
            ((*name).to_owned(), json!({ "shown": shown, "more": more }))
        })
        .collect();
    let engines: Vec<_> = gathered.engines.iter().map(|notes| engine(notes, gathered.at)).collect();
    json!({
        "at": time(gathered.at),
        "redis": gathered.redis,
        "prefix": gathered.prefix,
        "instance": gathered.instance,
        "queues": queues,
        "corrections": { "starting": of_queue(0), "running": of_queue(1), "delivering": of_queue(2) },
        "retries": retries,
        "dead_letters": gathered.queues[2].1.failed,
        "engines": engines,
    })
}

fn queue(survey: &Survey, kept: u32) -> Value {
    let oldest = survey.oldest.as_ref().map(
        |(id, since)| json!({ "id": id.as_str(), "since": time(*since), "age": age(*since, survey.at) }),
    );
    let (without_lock, looked_at) = survey.without_lock;
    json!({
        "waiting": survey.waiting,
        "prioritized": survey.prioritized,
        "delayed": survey.delayed,
        "active": survey.active,
        "completed": survey.completed,
        "failed": survey.failed,
        "paused": survey.is_paused,
        "in_paused_line": survey.in_paused_line,
        "concurrency": survey.concurrency,
        "client": survey.client,
        "oldest_waiting": oldest,
        "active_without_lock": without_lock,
        "locks_looked_at": looked_at,
        "completed_per_minute": rates(&survey.completions, survey, survey.completed >= u64::from(kept)),
        "failed_per_minute": rates(&survey.failures, survey, false),
        "times": times(survey),
    })
}

fn rates(ended: &Ended, survey: &Survey, are_cut: bool) -> Value {
    let rates: Map<String, Value> = SPAN_NAMES
        .iter()
        .zip(per_minute(ended, survey.at, are_cut))
        .map(|(name, rate)| ((*name).to_owned(), json!((rate * 100.0).round() / 100.0)))
        .collect();
    rates.into()
}

/// How many ended per minute, over each of the spans. Where older ones were thrown away, what is left covers a
/// shorter time.
pub(super) fn per_minute(ended: &Ended, now: u64, are_cut: bool) -> [f64; 3] {
    let known = Duration::from_millis(now.saturating_sub(ended.first)).max(Duration::from_secs(1));
    let mut rates = [0.0; 3];
    for ((rate, count), span) in rates.iter_mut().zip(ended.within).zip(SPANS) {
        let covered = if are_cut { span.min(known) } else { span };
        #[expect(clippy::cast_precision_loss, reason = "a rate for people and graphs")]
        let count = count as f64;
        *rate = count * 60.0 / covered.as_secs_f64();
    }
    rates
}

fn times(survey: &Survey) -> Value {
    let Some([waited, worked]) = percentiles_of(survey) else { return Value::Null };
    let told = |all: Percentiles| {
        json!({
            "average": seconds(all.average),
            "p50": seconds(all.p50),
            "p95": seconds(all.p95),
            "longest": seconds(all.longest),
        })
    };
    json!({ "of_last": survey.times.len(), "waited": told(waited), "worked_on": told(worked) })
}

/// Some times, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Percentiles {
    pub average: Duration,
    pub p50: Duration,
    pub p95: Duration,
    pub longest: Duration,
}

/// How long the last completed jobs waited, and how long they were at work; nothing where there are none.
pub(super) fn percentiles_of(survey: &Survey) -> Option<[Percentiles; 2]> {
    let (waited, worked): (Vec<_>, Vec<_>) = survey.times.iter().copied().unzip();
    Some([percentiles(waited)?, percentiles(worked)?])
}

fn percentiles(mut all: Vec<Duration>) -> Option<Percentiles> {
    all.sort_unstable();
    // The smallest that so many of a hundred do not exceed.
    let of = |percent: usize| all.get((all.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    let count = u32::try_from(all.len()).ok()?;
    Some(Percentiles {
        average: all.iter().sum::<Duration>().checked_div(count)?,
        p50: of(50)?,
        p95: of(95)?,
        longest: of(100)?,
    })
}

fn correction(it: &Correction, now: u64) -> Value {
    let work_id = it.errand.work_id.as_ref().map(|work_id| {
        // A number that no double holds as its text.
        serde_json::from_str(work_id.0.get()).unwrap_or_else(|_| Value::from(work_id.0.get()))
    });
    let deadline = it.deadline();
    json!({
        "id": it.id.as_str(),
        "name": it.name,
        "work_id": work_id,
        "image": it.image,
        "callback": it.errand.callback.as_deref().map(shown),
        "container_id": it.container.as_ref().map(ContainerId::as_str),
        "engine": it.engine.as_ref().map(EngineId::as_str),
        "since": time(it.since),
        "age": age(it.since, now),
        "timeout": it.timeout.map(seconds),
        "deadline": deadline.and_then(time),
        "time_left": deadline.map(|deadline| signed(now, deadline)),
        "held_by": it.holder.as_ref().map(holder),
    })
}

fn holder(holder: &Holder) -> Value {
    json!({
        "worker": holder.worker,
        "pid": holder.process.as_ref().map(|process| process.pid),
        "machine": holder.process.as_ref().map(|process| process.place.as_str()),
        "this_machine": holder.process.as_ref().map(|process| process.is_here),
        "lock_expires_in": seconds(holder.lock_for),
    })
}

fn retry(job: &Delayed, now: u64) -> Value {
    let (made, all) = job.attempts;
    json!({
        "id": job.id.as_str(),
        "at": time(job.due),
        "in": signed(now, job.due),
        "queued_at": time(job.timestamp),
        "attempts_made": made,
        "attempts": all,
        "start_retries": job.retries,
        "waits_for_permit_or_image": job.is_aside,
        "reason": Some(&job.reason).filter(|reason| !reason.is_empty()),
    })
}

fn engine(notes: &EngineNotes, now: u64) -> Value {
    let starter = notes.starter.as_ref();
    json!({
        "engine": notes.engine.as_str(),
        "permits_used": notes.used(),
        "permits_used_by_starting": notes.starting,
        "permits": starter.and_then(|starter| starter.most),
        "starter_seen": starter.and_then(|starter| time(starter.at)),
        "starter_seen_ago": starter.map(|starter| age(starter.at, now)),
        "completer_seen": notes.watched.and_then(time),
        "completer_seen_ago": notes.watched.map(|watched| age(watched, now)),
        "held_back": starter.and_then(|starter| starter.held_back.as_deref()),
    })
}

/// Seconds since then.
fn age(then: u64, now: u64) -> f64 {
    seconds(Duration::from_millis(now.saturating_sub(then)))
}

/// Seconds from one time to another; negative where that is over.
fn signed(from: u64, to: u64) -> f64 {
    let apart = seconds(Duration::from_millis(from.abs_diff(to)));
    if to < from { -apart } else { apart }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        let all: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        let told = percentiles(all).expect("some");
        let millis = [told.average, told.p50, told.p95, told.longest].map(|it| it.as_micros());
        assert_eq!(millis, [50_500, 50_000, 95_000, 100_000]);
        let one = percentiles(vec![Duration::from_secs(3)]).expect("one");
        assert_eq!((one.p50, one.p95, one.longest), (one.average, one.average, one.average));
        assert_eq!(percentiles(Vec::new()), None);
    }

    #[test]
    fn a_rate_covers_the_time_of_which_anything_is_known() {
        let ended = Ended { first: 970_000, within: [30, 30, 30] };
        let rates = |are_cut| per_minute(&ended, 1_000_000, are_cut).map(|rate| format!("{rate:.1}"));
        assert_eq!(rates(false), ["30.0", "6.0", "2.0"]);
        assert_eq!(
            rates(true),
            ["60.0", "60.0", "60.0"],
            "thirty in thirty seconds, and what was before is gone"
        );
        let nothing = per_minute(&Ended::default(), 1_000_000, true);
        assert!(nothing.iter().all(|rate| rate.abs() < f64::EPSILON), "{nothing:?}");
    }
}
