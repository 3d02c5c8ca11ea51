//! (d) Resident memory of `all`, idle and with very many running corrections.

use std::time::Duration;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::engine_process::EngineProcess;
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, SUBMISSION, Template};
use crate::table;

const HOUR: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(120);
/// Long enough for a sweep (every 30 s) to have seen them all.
const SETTLING: Duration = Duration::from_secs(35);

/// Runs it.
///
/// # Errors
/// Where corrections do not start.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    let redis = RedisServer::start().await?;
    let mut engine = EngineProcess::start(HOUR).await?;
    let receiver = Receiver::start(size.running).await?;
    let directory = tempfile::tempdir()?;
    let socket = engine.socket.clone();
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: &socket,
        directory: directory.path(),
        concurrency: 32,
        running: size.running,
        keep: 1000,
    };
    let mut runner = contestants::runner("all", &surroundings)?;
    table::head("(d) Resident memory of `all`", &["state", "now", "at its most"]);
    let print =
        |state: String, (now, peak): (u64, u64)| table::row(&[state, table::mib(now), table::mib(peak)]);
    tokio::time::sleep(if size.quick { Duration::from_secs(3) } else { SETTLING }).await;
    print("idle".to_owned(), runner.memory()?);
    let job = Template { image: "grader".into(), file: SUBMISSION.into(), callback: receiver.url.clone() };
    redis.add_pending(0..size.running, &job).await?;
    engine.until("the start of all", PATIENCE, |seen| seen.alive == size.running).await?;
    tokio::time::sleep(if size.quick { Duration::from_secs(3) } else { SETTLING }).await;
    let held = redis.open_jobs("running_corrections").await?;
    anyhow::ensure!(held == (0, size.running), "{held:?} running corrections wait and are held");
    print(format!("{} corrections running", size.running), runner.memory()?);
    let stopped = runner.stop().await?;
    let began = std::time::Instant::now();
    let mut runner = contestants::runner("all", &surroundings)?;
    while redis.open_jobs("running_corrections").await?.1 < size.running {
        anyhow::ensure!(began.elapsed() < PATIENCE, "the corrections were not taken over");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let taken_over = began.elapsed();
    tokio::time::sleep(if size.quick { Duration::from_secs(3) } else { SETTLING }).await;
    print(format!("{} corrections taken over after a restart", size.running), runner.memory()?);
    engine.end_all().await?;
    receiver.until(size.running, PATIENCE).await?;
    receiver.check()?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    print("after all of them ended at once".to_owned(), runner.memory()?);
    runner.stop().await?;
    println!(
        "\nWith {} corrections running, `all` stopped and handed them back within {stopped:.1?}; the next one held them all {taken_over:.1?} after its start.",
        size.running
    );
    Ok(())
}
