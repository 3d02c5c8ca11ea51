//! (e) What each component costs when there is nothing to do.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::engine_process::EngineProcess;
use crate::process::Process;
use crate::redis_server::RedisServer;
use crate::table;

/// Longer than the time between two sweeps (30 s).
const WATCHED: Duration = Duration::from_secs(35);

/// Runs it: every component with a Redis and an engine of its own, all at the same time.
///
/// # Errors
/// Where a component does not start.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    table::head(
        "(e) Cost of idling",
        &[
            "component",
            "Redis commands a second",
            "within scripts",
            "CPU of a core",
            "engine calls a minute",
            "most frequent commands",
        ],
    );
    let watched = if size.quick { Duration::from_secs(10) } else { WATCHED };
    let components = ["starter", "completer", "notifier", "all"];
    let rows = futures::future::try_join_all(components.map(|component| measure(component, watched))).await?;
    for row in rows {
        table::row(&row);
    }
    Ok(())
}

async fn measure(component: &'static str, watched: Duration) -> anyhow::Result<Vec<String>> {
    let redis = RedisServer::start().await?;
    let mut engine = EngineProcess::start(Duration::ZERO).await?;
    let directory = tempfile::tempdir()?;
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: &engine.socket,
        directory: directory.path(),
        concurrency: 8,
        running: 0,
        keep: 1000,
    };
    let mut process: Process = contestants::runner(component, &surroundings)?;
    tokio::time::sleep(Duration::from_secs(3)).await; // start-up is not idling
    let (cpu, calls) = (process.cpu()?, engine.counted().await?.calls);
    let monitor = redis.client()?.get_async_monitor().await?;
    let (mut sent, mut within) = (BTreeMap::<String, usize>::new(), 0_usize);
    let mut lines = monitor.into_on_message::<String>();
    let deadline = tokio::time::Instant::now() + watched;
    while let Ok(Some(line)) = tokio::time::timeout_at(deadline, lines.next()).await {
        // 1339518083.107412 [0 127.0.0.1:60866] "evalsha" …; commands within scripts say [0 lua].
        let Some((source, command)) = line.split_once("] \"") else { continue };
        if source.ends_with(" lua") {
            within += 1;
        } else {
            let command = command.split('"').next().unwrap_or_default().to_ascii_lowercase();
            *sent.entry(command).or_default() += 1;
        }
    }
    let (used, called) = (process.cpu()?.saturating_sub(cpu), engine.counted().await?.calls - calls);
    process.stop().await?;
    let mut frequent: Vec<(&String, &usize)> = sent.iter().collect();
    frequent.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let frequent: Vec<String> =
        frequent.iter().take(4).map(|(command, count)| format!("{command} {count}")).collect();
    Ok(vec![
        component.to_owned(),
        format!("{:.2}", table::rate(sent.values().sum(), watched)),
        format!("{:.2}", table::rate(within, watched)),
        format!("{:.2} %", 100.0 * used.as_secs_f64() / watched.as_secs_f64()),
        format!("{:.1}", table::rate(usize::try_from(called)?, watched) * 60.0),
        frequent.join(", "),
    ])
}
