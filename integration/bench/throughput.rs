//! (a) Corrections a second through all three components, beside the chain of Node workers.

use std::time::Duration;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::engine_process::EngineProcess;
use crate::process::{self, Process};
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, SUBMISSION, Template};
use crate::table;

/// Starts and deliveries in flight, for both.
const CONCURRENCY: usize = 32;
/// What the chain's completer may hold at once: more than ever run.
const RUNNING: usize = 1000;
/// How long nothing may come before it is called lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// One contestant's result.
struct Result {
    rate: f64,
    /// Seconds of processor time a thousand corrections: name and amount.
    costs: Vec<(&'static str, f64)>,
    peak: u64,
    /// Made to the receiver of callbacks.
    connections: usize,
}

/// Runs it.
///
/// # Errors
/// Where a correction was lost, doubled or wrong.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    table::head(
        "(a) Throughput: pre-loaded corrections through starter, completer and notifier",
        &[
            "run time",
            "who",
            "corrections",
            "a second",
            "ratio",
            "CPU s per 1,000 corrections",
            "peak memory",
            "connections to the receiver",
        ],
    );
    for run_time in [Duration::ZERO, Duration::from_millis(50)] {
        let mut other = None;
        if size.node {
            other = measure(size.corrections, run_time, true).await?;
            print("Node chain", size.corrections, run_time, other.as_ref(), None);
        }
        if !size.runner {
            continue;
        }
        let ours = measure(size.corrections, run_time, false).await?;
        print("runner", size.corrections, run_time, ours.as_ref(), other.as_ref());
    }
    Ok(())
}

fn print(who: &str, count: usize, run_time: Duration, result: Option<&Result>, other: Option<&Result>) {
    let Some(result) = result else { return };
    let costs: Vec<String> = result.costs.iter().map(|(name, cost)| format!("{name} {cost:.2}")).collect();
    table::row(&[
        format!("{} ms", run_time.as_millis()),
        who.to_owned(),
        count.to_string(),
        format!("{:.0}", result.rate),
        other.map_or_else(String::new, |other| format!("{:.1}", result.rate / other.rate)),
        costs.join(", "),
        table::mib(result.peak),
        result.connections.to_string(),
    ]);
}

async fn measure(count: usize, run_time: Duration, node: bool) -> anyhow::Result<Option<Result>> {
    let redis = RedisServer::start().await?;
    let mut engine = EngineProcess::start(run_time).await?;
    let receiver = Receiver::start(count).await?;
    let job = Template { image: "grader".into(), file: SUBMISSION.into(), callback: receiver.url.clone() };
    redis.add_pending(0..count, &job).await?;
    let before = (redis.process.cpu()?, process::own_cpu()?);
    let directory = tempfile::tempdir()?;
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: &engine.socket,
        directory: directory.path(),
        concurrency: CONCURRENCY,
        running: RUNNING,
        keep: 1000,
    };
    let mut contestants: Vec<Process> = if node {
        let Some(chain) = contestants::chain(&surroundings).await? else { return Ok(None) };
        chain
    } else {
        vec![contestants::runner("all", &surroundings)?]
    };
    let last = receiver.until(count, PATIENCE).await?;
    let mut costs = Vec::new();
    let mut peak = 0;
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    let per_thousand = |used: Duration| used.as_secs_f64() * 1000.0 / count as f64;
    for contestant in &contestants {
        costs.push((contestant.name, per_thousand(contestant.cpu()?)));
        peak += contestant.memory()?.1;
    }
    costs.push(("redis", per_thousand(redis.process.cpu()?.saturating_sub(before.0))));
    costs.push(("engine", per_thousand(engine.process.cpu()?)));
    costs.push(("receiver", per_thousand(process::own_cpu()?.saturating_sub(before.1))));
    let counted =
        engine.until("the removal of all containers", PATIENCE, |seen| seen.removed >= seen.created).await?;
    receiver.check()?;
    anyhow::ensure!(
        counted.created == count && counted.max_starts_of_one == 1,
        "containers were created or started more than once: {counted:?}"
    );
    redis.until_drained(PATIENCE).await?;
    for contestant in &mut contestants {
        contestant.stop().await?;
    }
    let time = Duration::from_nanos(last.saturating_sub(counted.first_start));
    let connections = receiver.connections();
    Ok(Some(Result { rate: table::rate(count, time), costs, peak, connections }))
}
