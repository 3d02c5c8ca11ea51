//! (b) From a container's death to the instant its result stands in `finished_corrections`.

use std::collections::HashMap;
use std::time::Duration;

use deadpool_redis::redis;
use tokio_util::sync::CancellationToken;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::engine_process::EngineProcess;
use crate::process::Process;
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, SUBMISSION, Template, work_id};
use crate::table;

/// How long each container runs in the steady measurements.
const RUN_TIME: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const EVENTS: &str = "bull:finished_corrections:events";

/// How containers die.
#[derive(Clone, Copy)]
enum Deaths {
    /// So many a second, as evenly as they were submitted.
    Steady(usize),
    /// So many at once.
    Burst(usize),
}

/// Runs it.
///
/// # Errors
/// Where a correction was lost, doubled or wrong.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    table::head(
        "(b) Latency from death to hand-over, and from death to callback",
        &["deaths", "who", "count", "hand-over p50", "p99", "max", "callback p50", "p99", "max"],
    );
    let burst = size.corrections.min(1000);
    for deaths in [Deaths::Steady(50), Deaths::Steady(500), Deaths::Burst(burst)] {
        for node in [true, false] {
            if if node { size.node } else { size.runner } {
                measure(deaths, size.seconds, node).await?;
            }
        }
    }
    println!(
        "\nA hand-over's time is the id of its `added` event: Redis's clock in whole milliseconds, cut off. The \
         figures take the end of that millisecond, so each is up to 1 ms too high and never too low. The \
         times of deaths and callbacks are read from the same machine's clock with a finer resolution."
    );
    Ok(())
}

async fn measure(deaths: Deaths, seconds: usize, node: bool) -> anyhow::Result<()> {
    let (count, run_time) = match deaths {
        Deaths::Steady(rate) => (rate * seconds, RUN_TIME),
        Deaths::Burst(count) => (count, Duration::from_secs(3600)),
    };
    let redis = RedisServer::start().await?;
    let mut engine = EngineProcess::start(run_time).await?;
    let receiver = Receiver::start(count).await?;
    let directory = tempfile::tempdir()?;
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: &engine.socket,
        directory: directory.path(),
        concurrency: 32,
        running: 2000,
        keep: 100_000,
    };
    let mut contestants: Vec<Process> = if node {
        let Some(chain) = contestants::chain(&surroundings).await? else { return Ok(()) };
        chain
    } else {
        vec![contestants::runner("all", &surroundings)?]
    };
    tokio::time::sleep(Duration::from_secs(1)).await; // start-up is not what is measured
    let job = Template { image: "grader".into(), file: SUBMISSION.into(), callback: receiver.url.clone() };
    let stop = CancellationToken::new();
    let added = tokio::spawn(follow(redis.connection(), stop.clone()));
    match deaths {
        Deaths::Steady(rate) => submit_evenly(&redis, &job, count, rate).await?,
        Deaths::Burst(_) => {
            redis.add_pending(0..count, &job).await?;
            engine.until("the start of all", PATIENCE, |seen| seen.alive == count).await?;
            settled(&redis, count).await?;
            engine.end_all().await?;
        }
    }
    receiver.until(count, PATIENCE).await?;
    tokio::time::sleep(Duration::from_millis(300)).await; // a second callback would come now
    receiver.check()?;
    stop.cancel();
    let mut handed_over = HashMap::new();
    for (job, at) in added.await?? {
        handed_over.insert(work_of(&redis, &job).await?, at);
    }
    let callbacks = receiver.times();
    let died: HashMap<String, u64> = engine.deaths().await?.into_iter().collect();
    let (mut to_hand_over, mut to_callback) = (Vec::new(), Vec::new());
    for (number, called) in callbacks.iter().enumerate() {
        let work_id = work_id(number);
        let Some(died) = died.get(&work_id) else { anyhow::bail!("no death of {work_id} was seen") };
        let Some(added) = handed_over.get(&work_id) else {
            anyhow::bail!("no hand-over of {work_id} was seen")
        };
        to_hand_over.push(((added + 1) * 1_000_000).saturating_sub(*died));
        to_callback.push(called.saturating_sub(*died));
    }
    for contestant in &mut contestants {
        contestant.stop().await?;
    }
    print(deaths, if node { "Node chain" } else { "runner" }, to_hand_over, to_callback);
    Ok(())
}

fn print(deaths: Deaths, who: &str, mut to_hand_over: Vec<u64>, mut to_callback: Vec<u64>) {
    to_hand_over.sort_unstable();
    to_callback.sort_unstable();
    let mut cells = vec![
        match deaths {
            Deaths::Steady(rate) => format!("{rate} a second"),
            Deaths::Burst(count) => format!("{count} at once"),
        },
        who.to_owned(),
        to_hand_over.len().to_string(),
    ];
    for sorted in [&to_hand_over, &to_callback] {
        cells.extend([50, 99, 100].map(|percent| table::ms(table::percentile(sorted, percent))));
    }
    table::row(&cells);
}

/// Adds one correction after the other at a steady rate, whatever becomes of them.
async fn submit_evenly(redis: &RedisServer, job: &Template, count: usize, rate: usize) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    for number in 0..count {
        let due = Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(rate)?;
        tokio::time::sleep_until(began + due).await;
        redis.add_pending(number..number + 1, job).await?;
    }
    Ok(())
}

/// Waits until the completer holds all running corrections.
///
/// # Errors
/// Where it does not.
pub async fn settled(redis: &RedisServer, count: usize) -> anyhow::Result<()> {
    let held = async {
        while redis.open_jobs("running_corrections").await?.1 < count {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, held).await??;
    tokio::time::sleep(Duration::from_secs(2)).await; // inspections go on after the last was taken
    Ok(())
}

/// Collects id and time (ms) of every job that is added to `finished_corrections`.
///
/// # Errors
/// Where Redis fails.
pub async fn follow(
    mut connection: redis::aio::MultiplexedConnection,
    stop: CancellationToken,
) -> anyhow::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut after = "-".to_owned();
    loop {
        let last_round = stop.is_cancelled();
        loop {
            let mut range = redis::cmd("XRANGE");
            range.arg(EVENTS).arg(&after).arg("+").arg("COUNT").arg(2000);
            let events: Vec<(String, HashMap<String, String>)> = range.query_async(&mut connection).await?;
            let Some((last, _)) = events.last() else { break };
            after = format!("({last}");
            for (id, mut event) in events {
                if event.get("event").is_some_and(|event| event == "added") {
                    let time = id.split('-').next().unwrap_or_default().parse()?;
                    found.push((event.remove("jobId").unwrap_or_default(), time));
                }
            }
        }
        if last_round {
            return Ok(found);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn work_of(redis: &RedisServer, job: &str) -> anyhow::Result<String> {
    let mut get = redis::cmd("HGET");
    get.arg(format!("bull:finished_corrections:{job}")).arg("data");
    let data: String = get.query_async(&mut redis.connection()).await?;
    let data: serde_json::Value = serde_json::from_str(&data)?;
    Ok(data["work_id"].as_str().unwrap_or_default().to_owned())
}
