//! (h) What receivers that hang cost one that answers.

mod crowd;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use deadpool_redis::redis;
use tokio::time::{Instant, sleep_until};

use self::crowd::{Crowd, Manner, Others, Wellness};
use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, work_id};
use crate::table;

/// Results a second for the receiver that answers.
const RATE: usize = 50;
/// Results that each of the others has waiting from the start.
const WAITING: usize = 20;
/// So short that deliveries time out while it is measured.
const NOTIFY_TIMEOUT: &str = "5s";
const QUEUE: &str = "bull:finished_corrections";

/// Runs it: the same stream of results to a receiver that answers, alone and beside others. All of them in each round,
/// so that a noisy minute of the machine is not one row's alone.
///
/// # Errors
/// Where a result was lost, doubled or wrong.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    table::head(
        "(h) Delivery to a receiver that answers, beside others that do not",
        &[
            "others",
            "their results at the start",
            "count",
            "p50",
            "p99",
            "p99 to that alone",
            "of each round",
            "max",
            "late ones by second",
            "notifier CPU",
            "redis CPU",
        ],
    );
    let of = |count, waiting, manner| Others { count, waiting, manner };
    let many = size.corrections / 3;
    let alone = of(0, WAITING, Manner::BlackHole);
    let all = [
        alone,
        of(1, WAITING, Manner::BlackHole),
        of(10, WAITING, Manner::BlackHole),
        of(100, WAITING, Manner::BlackHole),
        of(100, WAITING, Manner::Drip),
        of(100, WAITING, Manner::GoesDark),
        of(100, WAITING, Manner::OneRecovers),
        of(1, many, Manner::BlackHole),
        alone,
        of(100, WAITING, Manner::Answers),
        of(1, many, Manner::Answers),
    ];
    // Each round takes about four and a half minutes.
    let mut rows: Vec<Vec<Measured>> = all.iter().map(|_| Vec::new()).collect();
    for _ in 0..size.rounds {
        for (row, others) in rows.iter_mut().zip(all) {
            row.push(measure(others, size.seconds).await?);
        }
    }
    if let [alone, ..] = rows.as_slice() {
        for (row, others) in rows.iter().zip(all) {
            tell(row, others, alone);
        }
    }
    Ok(())
}

/// What one round of one row came to.
struct Measured {
    /// How long each result took, in nanoseconds, in the order in which they were added.
    took: Vec<u64>,
    /// Of the notifier, and of Redis, since the first second, and how long that was.
    cpu: (Duration, Duration),
    watched: Duration,
    recovery: String,
}

fn sorted(rounds: &[Measured]) -> Vec<u64> {
    let mut took: Vec<u64> = rounds.iter().flat_map(|round| round.took.iter().copied()).collect();
    took.sort_unstable();
    took
}

#[allow(clippy::cast_precision_loss, reason = "printed with two decimals")]
fn tell(rounds: &[Measured], others: Others, alone: &[Measured]) {
    let took = sorted(rounds);
    let p99 = |rounds: &[Measured]| table::percentile(&sorted(rounds), 99).max(1);
    let ratio =
        |these: &[Measured], alone: &[Measured]| format!("{:.2}", p99(these) as f64 / p99(alone) as f64);
    let each = rounds.iter().zip(alone);
    let each = each.map(|(round, alone)| ratio(std::slice::from_ref(round), std::slice::from_ref(alone)));
    let total = |of: fn(&Measured) -> Duration| rounds.iter().map(of).sum::<Duration>().as_secs_f64();
    let watched = total(|round| round.watched);
    let Others { count: number, waiting, manner } = others;
    let recoveries: Vec<_> = rounds.iter().map(|round| round.recovery.as_str()).collect();
    table::row(&[
        match (number, manner) {
            (0, _) => "none".to_owned(),
            (_, Manner::BlackHole) => format!("{number} black holes"),
            (_, Manner::Drip) => format!("{number} at a byte a second"),
            (_, Manner::GoesDark) => format!("{number} that answered before and go dark together"),
            (_, Manner::OneRecovers) => format!("{number}, one of which recovers: {}", recoveries.join(", ")),
            (_, Manner::Answers) => format!("for comparison: {number} that answer"),
        },
        if number == 0 { String::new() } else { (number * waiting).to_string() },
        took.len().to_string(),
        table::ms(table::percentile(&took, 50)),
        table::ms(p99(rounds)),
        ratio(rounds, alone),
        each.collect::<Vec<_>>().join(", "),
        table::ms(took.last().copied().unwrap_or_default()),
        late_by_second(rounds, p99(alone)),
        format!("{:.1} %", 100.0 * total(|round| round.cpu.0) / watched),
        format!("{:.1} %", 100.0 * total(|round| round.cpu.1) / watched),
    ]);
}

async fn measure(others: Others, seconds: usize) -> anyhow::Result<Measured> {
    let redis = RedisServer::start().await?;
    let directory = tempfile::tempdir()?;
    // The first second is not measured: the notifier meets the receiver that answers.
    let count = RATE * (seconds + 1);
    let receiver = Receiver::start(count).await?;
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: directory.path(),
        directory: directory.path(),
        concurrency: 50,
        running: 0,
        keep: 1000,
    };
    let more = [("NOTIFY_TIMEOUT", NOTIFY_TIMEOUT.to_owned())];
    let mut notifier = contestants::runner_with("notifier", &surroundings, &more)?;
    let well = Arc::new(Wellness::default());
    let mut crowd = Crowd::start(others, redis.client()?, Arc::clone(&well), seconds)?;
    let mut connection = redis.connection();
    let mut added = Vec::with_capacity(count);
    let began = Instant::now();
    if let Some(begins_at) = crowd.begins_at.take() {
        let _ = begins_at.send(began);
    }
    let (mut cpu, mut redis_cpu, mut watched_since) = (Duration::ZERO, Duration::ZERO, began);
    for number in 0..count {
        if number == RATE {
            (cpu, redis_cpu) = (notifier.cpu()?, redis.process.cpu()?);
            watched_since = Instant::now();
        }
        sleep_until(began + Duration::from_secs(1).mul_f64(number_to_seconds(number))).await;
        added.push(now()?);
        add(&mut connection, &format!("good-{number}"), &receiver.url, &work_id(number)).await?;
    }
    receiver.until(count, Duration::from_secs(60)).await.context("a result for the receiver that answers")?;
    let cpu = (notifier.cpu()?.saturating_sub(cpu), redis.process.cpu()?.saturating_sub(redis_cpu));
    let watched = watched_since.elapsed();
    receiver.check()?;
    let times = receiver.times();
    let took = times.iter().zip(&added).skip(RATE).map(|(at, added)| at.saturating_sub(*added)).collect();
    notifier.stop().await?;
    crowd.end()?;
    Ok(Measured { took, cpu, watched, recovery: well.told() })
}

/// How many took more than one and a half times as long as 99 of 100 take alone, in which second since the others'
/// results were added, in all rounds.
fn late_by_second(rounds: &[Measured], alone: u64) -> String {
    let mut seconds = BTreeMap::<usize, usize>::new();
    let numbered = rounds.iter().flat_map(|round| round.took.iter().enumerate());
    for (number, _) in numbered.filter(|(_, took)| **took > alone + alone / 2) {
        *seconds.entry(number / RATE).or_default() += 1;
    }
    let told: Vec<_> = seconds.iter().map(|(second, count)| format!("{second}: {count}")).collect();
    told.join(", ")
}

#[allow(clippy::cast_precision_loss, reason = "thousands")]
fn number_to_seconds(number: usize) -> f64 {
    number as f64 / RATE as f64
}

/// Nanoseconds of Unix time.
fn now() -> anyhow::Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    Ok(u64::try_from(now)?)
}

/// Puts a result into the queue, as a completer would.
async fn add(
    connection: &mut redis::aio::MultiplexedConnection,
    id: &str,
    callback: &str,
    work_id: &str,
) -> anyhow::Result<()> {
    let verdict = serde_json::json!({ "success": true, "grade": 7.5, "comments": ["ok"] });
    let data = serde_json::json!({
        "work_id": work_id, "error": false, "correction_data": verdict, "callback": callback,
    });
    let now = jiff::Timestamp::now().as_millisecond().to_string();
    let fields = [
        ("name", format!("Correction {work_id}")),
        ("data", data.to_string()),
        ("opts", r#"{"attempts":10,"backoff":{"type":"exponential","delay":5000}}"#.to_owned()),
        ("timestamp", now),
        ("delay", "0".to_owned()),
        ("priority", "0".to_owned()),
    ];
    let mut pipe = redis::pipe();
    pipe.atomic();
    pipe.hset_multiple(format!("{QUEUE}:{id}"), &fields).ignore();
    pipe.lpush(format!("{QUEUE}:wait"), id).ignore();
    pipe.cmd("ZADD").arg(format!("{QUEUE}:marker")).arg(0).arg("0").ignore();
    pipe.exec_async(connection).await?;
    Ok(())
}
