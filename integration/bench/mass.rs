//! (f) Ten thousand corrections that run at once: their locks, their hand-back, their end within one second.

use std::time::Duration;

use deadpool_redis::redis;
use tokio_util::sync::CancellationToken;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::engine_process::EngineProcess;
use crate::latency::{follow, settled};
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, SUBMISSION, Template};
use crate::table;

const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than two rounds of lock renewal (5 s).
const RENEWALS: Duration = Duration::from_secs(11);
/// A lock's time in milliseconds, as a renewal sends it.
const LOCK: &str = "15000";

/// An entry of Redis's slow log: id, seconds of Unix time, microseconds, arguments.
type Entry = (u64, u64, u64, Vec<String>);

/// Runs it.
///
/// # Errors
/// Where a correction was lost, doubled or wrong.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    let columns = [
        "deaths",
        "last death to last hand-over",
        "to last callback",
        "reader's lag at its most",
        "longest blocked write",
        "the engine's own lag",
        "handed back on a stop",
        "stop took",
        "peak memory, before the stop",
        "after it",
    ];
    table::head(&format!("(f) {} corrections running at once", size.running), &columns);
    let mut notes = Vec::new();
    for within in [Duration::from_secs(1), Duration::ZERO] {
        notes.push(measure(size.running, within).await?);
    }
    for note in notes {
        println!("\n{note}");
    }
    Ok(())
}

async fn measure(count: usize, within: Duration) -> anyhow::Result<String> {
    let redis = RedisServer::start().await?;
    let mut engine = EngineProcess::start_narrow(HOUR).await?;
    let receiver = Receiver::start(count).await?;
    let directory = tempfile::tempdir()?;
    let socket = engine.socket.clone();
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: &socket,
        directory: directory.path(),
        concurrency: 32,
        running: count,
        keep: 100_000,
    };
    let mut runner = contestants::runner("all", &surroundings)?;
    let job = Template { image: "grader".into(), file: SUBMISSION.into(), callback: receiver.url.clone() };
    redis.add_pending(0..count, &job).await?;
    engine.until("the start of all", PATIENCE, |seen| seen.alive == count).await?;
    settled(&redis, count).await?;
    let renewals = renewals(&redis).await?;
    let before_stop = runner.memory()?.1;
    let stopped = runner.stop().await?;
    let handed_back = redis.open_jobs("running_corrections").await?.0;
    anyhow::ensure!(handed_back == count, "only {handed_back} of {count} were handed back");
    let mut runner = contestants::runner("all", &surroundings)?;
    settled(&redis, count).await?;
    engine.lag().await?;
    let stop = CancellationToken::new();
    let added = tokio::spawn(follow(redis.connection(), stop.clone()));
    engine.end_all_within(within).await?;
    let last_callback = receiver.until(count, PATIENCE).await?;
    let lag = engine.lag().await?;
    tokio::time::sleep(Duration::from_millis(300)).await; // a second callback would come now
    receiver.check()?;
    stop.cancel();
    let added = added.await??;
    anyhow::ensure!(added.len() == count, "{} results were added for {count} corrections", added.len());
    let last_added = added.iter().map(|(_, at)| (at + 1) * 1_000_000).max().unwrap_or(0);
    let last_death = engine.counted().await?.last_death;
    let peak = runner.memory()?.1;
    runner.stop().await?;
    table::row(&[
        if within.is_zero() { "at once".to_owned() } else { format!("within {} ms", within.as_millis()) },
        table::ms(last_added.saturating_sub(last_death)),
        table::ms(last_callback.saturating_sub(last_death)),
        table::ms(lag.reader),
        table::ms(lag.blocked),
        table::ms(lag.engine),
        handed_back.to_string(),
        format!("{stopped:.1?}"),
        table::mib(before_stop),
        table::mib(peak),
    ]);
    Ok(renewals)
}

/// Watches a few rounds in which all locks are renewed.
async fn renewals(redis: &RedisServer) -> anyhow::Result<String> {
    // The slow log is long.
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = redis.client()?.get_multiplexed_async_connection_with_config(&config).await?;
    let mut pipe = redis::pipe();
    for (name, value) in [("slowlog-log-slower-than", "0"), ("slowlog-max-len", "100000")] {
        pipe.cmd("CONFIG").arg("SET").arg(name).arg(value).ignore();
    }
    pipe.cmd("SLOWLOG").arg("RESET").ignore();
    pipe.exec_async(&mut connection).await?;
    tokio::time::sleep(RENEWALS).await;
    let entries: Vec<redis::Value> =
        redis::cmd("SLOWLOG").arg("GET").arg(-1).query_async(&mut connection).await?;
    redis::cmd("CONFIG")
        .arg("SET")
        .arg("slowlog-log-slower-than")
        .arg(-1)
        .exec_async(&mut connection)
        .await?;
    let mut calls: Vec<(u64, u64)> = Vec::new();
    for entry in entries {
        // Id, seconds of Unix time, microseconds, arguments; then the client.
        let fields: Vec<redis::Value> = redis::from_redis_value(entry)?;
        let [id, at, took, arguments] =
            fields.get(..4).and_then(|fields| fields.to_vec().try_into().ok()).unwrap_or_default();
        let (_, at, took, arguments): Entry = (
            redis::from_redis_value(id)?,
            redis::from_redis_value(at)?,
            redis::from_redis_value(took)?,
            redis::from_redis_value(arguments)?,
        );
        let renews = arguments.first().is_some_and(|name| name.eq_ignore_ascii_case("evalsha"))
            && arguments.get(3).is_some_and(|key| key.contains("running_corrections"))
            && arguments.get(4).is_some_and(|time| time == LOCK)
            && arguments.len() > 6;
        if renews {
            calls.push((at, took));
        }
    }
    calls.sort_unstable();
    let mut rounds: Vec<Vec<(u64, u64)>> = Vec::new();
    for call in calls {
        match rounds.last_mut() {
            Some(round) if round.last().is_some_and(|last| call.0 <= last.0 + 2) => round.push(call),
            _ => rounds.push(vec![call]),
        }
    }
    let told: Vec<String> = rounds
        .iter()
        .map(|round| {
            let (sum, most) =
                (round.iter().map(|call| call.1).sum::<u64>(), round.iter().map(|call| call.1).max());
            let (sum, most) = (table::ms(sum * 1000), table::ms(most.unwrap_or(0) * 1000));
            format!("{} calls, {sum} of Redis's time in all, {most} the longest", round.len())
        })
        .collect();
    Ok(format!("Rounds of lock renewal within {} s: {}.", RENEWALS.as_secs(), told.join("; ")))
}
