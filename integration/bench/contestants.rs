//! Who is measured: the runner, and a minimal chain of three Node BullMQ workers.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::process::Process;

/// What both of them are told.
pub struct Surroundings<'a> {
    /// Redis's port on this machine.
    pub redis_port: u16,
    /// The engine's socket.
    pub socket: &'a Path,
    /// A directory without a `.env` file.
    pub directory: &'a Path,
    /// Starts and deliveries in flight.
    pub concurrency: usize,
    /// How many corrections run at once at most (the chain's completer must allow that many).
    pub running: usize,
    /// How many ended jobs stay in Redis.
    pub keep: usize,
}

/// Starts a component of the runner (`starter`, `completer`, `notifier` or `all`).
///
/// # Errors
/// Where it cannot be started.
pub fn runner(component: &'static str, surroundings: &Surroundings<'_>) -> anyhow::Result<Process> {
    runner_with(component, surroundings, &[])
}

/// The same with more settings.
///
/// # Errors
/// Where it cannot be started.
pub fn runner_with(
    component: &'static str,
    surroundings: &Surroundings<'_>,
    more: &[(&'static str, String)],
) -> anyhow::Result<Process> {
    let options = serde_json::json!({ "socketPath": surroundings.socket });
    let mut environment = vec![
        ("REDIS_PORT", surroundings.redis_port.to_string()),
        ("DOCKER_OPTIONS", options.to_string()),
        ("CONCURRENT_STARTERS", surroundings.concurrency.to_string()),
        ("CONCURRENT_NOTIFIERS", surroundings.concurrency.to_string()),
        ("CONTAINER_TIMEOUT", "2h".to_owned()),
        ("MAX_RUNNING", "0".to_owned()),
        ("MIN_FREE_DISK", "0".to_owned()),
        ("MIN_FREE_MEMORY", "0".to_owned()),
        ("KEEP_COMPLETED", surroundings.keep.to_string()),
        ("LOG_LEVEL", std::env::var("BENCH_LOG_LEVEL").unwrap_or_else(|_| "warn".to_owned())),
        ("LOG_FORMAT", "json".to_owned()),
        ("LOG_FILE", surroundings.directory.join(format!("{component}.log")).display().to_string()),
    ];
    environment.extend_from_slice(more);
    let program = std::env::var_os("BENCH_RUNNER")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_correction-runner")), PathBuf::from);
    Process::start(component, program, [component], &environment, surroundings.directory, false)
}

/// Starts the three Node workers and waits until each is ready. `None` where its packages are missing.
///
/// # Errors
/// Where one cannot be started.
pub async fn chain(surroundings: &Surroundings<'_>) -> anyhow::Result<Option<Vec<Process>>> {
    let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/node");
    if !node.join("node_modules/bullmq6").exists() {
        eprintln!("the Node chain is left out: run `npm ci --prefix integration/node` first");
        return Ok(None);
    }
    let environment = [
        ("REDIS_PORT", surroundings.redis_port.to_string()),
        ("DOCKER_SOCKET", surroundings.socket.display().to_string()),
        ("CONCURRENCY", surroundings.concurrency.to_string()),
        ("RUNNING_CONCURRENCY", surroundings.running.to_string()),
        ("KEEP", surroundings.keep.to_string()),
        ("NODE_ENV", "production".to_owned()),
    ];
    let mut chain = Vec::new();
    for (name, script) in
        [("node notifier", "notifier"), ("node completer", "completer"), ("node starter", "starter")]
    {
        let script = node.join("chain").join(script).with_extension("mjs");
        let mut process = Process::start(name, "node", [script], &environment, surroundings.directory, true)?;
        if let Some(output) = process.child.stdout.take() {
            let line = BufReader::new(output).lines().next_line().await?;
            anyhow::ensure!(line.as_deref() == Some("ready"), "{name} is not ready: {line:?}");
        }
        chain.push(process);
    }
    Ok(Some(chain))
}
