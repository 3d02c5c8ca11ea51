//! (g) How many starts in flight are worth it, on the real Docker engine: throughput and how long each start takes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use deadpool_redis::redis;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::docker::{self, GRADER_IMAGE};
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, Template};
use crate::table;

const SOCKET: &str = "/var/run/docker.sock";
const IN_FLIGHT: [usize; 6] = [1, 2, 4, 8, 16, 32];
const PATIENCE: Duration = Duration::from_secs(300);
const SUBMISSION: &str = "echo '{\"success\":true,\"grade\":7.5,\"comments\":[\"ok\"]}'\n";

/// What one number of starts in flight gave.
struct Measured {
    /// Verdicts a second.
    rate: f64,
    /// From the take of each submission to its hand-over to running, in nanoseconds, sorted.
    starts: Vec<u64>,
}

/// Runs it.
///
/// # Errors
/// Where the engine fails, or a correction was lost, doubled or wrong.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    docker::build_images().await;
    let directory = tempfile::tempdir()?;
    let submission = directory.path().join("submission.sh");
    std::fs::write(&submission, SUBMISSION)?;
    table::head(
        &format!("(g) Starts in flight: {} corrections each, real engine, busybox grader", size.containers),
        &["round", "starts in flight", "verdicts/s", "start p50", "start p99", "start max"],
    );
    for round in 0..size.rounds {
        // There and back again, so that a machine that slows down favours none.
        let mut order = IN_FLIGHT;
        if round % 2 == 1 {
            order.reverse();
        }
        for in_flight in order {
            let Measured { rate, starts } =
                measure(in_flight, size.containers, &submission.display().to_string()).await?;
            let mut cells = vec![(round + 1).to_string(), in_flight.to_string(), format!("{rate:.2}")];
            let at = |percent| table::percentile(&starts, percent);
            cells.extend([at(50), at(99), starts.last().copied().unwrap_or(0)].map(table::ms));
            table::row(&cells);
        }
    }
    Ok(())
}

async fn measure(in_flight: usize, count: usize, submission: &str) -> anyhow::Result<Measured> {
    let redis = RedisServer::start().await?;
    let receiver = Receiver::start(count).await?;
    let directory = tempfile::tempdir()?;
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: SOCKET.as_ref(),
        directory: directory.path(),
        concurrency: in_flight,
        running: 1000,
        keep: count + 1,
    };
    let mut runner = contestants::runner("all", &surroundings)?;
    tokio::time::sleep(Duration::from_secs(1)).await; // start-up is not what is measured
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let job =
        Template { image: GRADER_IMAGE.into(), file: submission.to_owned(), callback: receiver.url.clone() };
    redis.add_pending(0..count, &job).await?;
    let last = Duration::from_nanos(receiver.until(count, PATIENCE).await?);
    receiver.check()?;
    let starts = starts_of(&redis, count).await?;
    crate::real_engine::until_removed(&redis).await?;
    redis.until_drained(PATIENCE).await?;
    runner.stop().await?;
    Ok(Measured { rate: table::rate(count, last.saturating_sub(began)), starts })
}

/// How long each submission was in the starter's hands.
async fn starts_of(redis: &RedisServer, count: usize) -> anyhow::Result<Vec<u64>> {
    let mut starts = Vec::with_capacity(count);
    for id in 1..=count {
        let mut get = redis::cmd("HMGET");
        get.arg(format!("bull:pending_corrections:{id}")).arg(&["processedOn", "finishedOn"]);
        let (taken, handed_over): (u64, u64) = get.query_async(&mut redis.connection()).await?;
        starts.push(handed_over.saturating_sub(taken) * 1_000_000);
    }
    starts.sort_unstable();
    Ok(starts)
}
