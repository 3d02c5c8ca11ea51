//! (c) Corrections a second on the real Docker engine, beside a bare loop of the same calls.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use deadpool_redis::redis;

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::docker::{self, GRADER_IMAGE};
use crate::engine_process::EngineProcess;
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, Template};
use crate::socket_client::SocketClient;
use crate::table;

const SOCKET: &str = "/var/run/docker.sock";
/// Starts in flight of the runner, and loops of the bare loop.
const CONCURRENCY: usize = 8;
const PATIENCE: Duration = Duration::from_secs(120);
const SUBMISSION: &str = "echo '{\"success\":true,\"grade\":7.5,\"comments\":[\"ok\"]}'\n";

/// Corrections a second until the last verdict was in hand, and until the last container was removed.
#[derive(Clone, Copy)]
struct Rates {
    verdicts: f64,
    removals: f64,
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
    let spec = what_the_runner_creates(&submission).await?;
    table::head(
        &format!(
            "(c) Real engine: {} corrections a round, {CONCURRENCY} at a time, busybox grader",
            size.containers
        ),
        &[
            "round",
            "bare: verdicts/s",
            "runner: verdicts/s",
            "ratio",
            "bare: removed/s",
            "runner: removed/s",
            "ratio",
        ],
    );
    let mut ratios = Vec::new();
    for round in 0..size.rounds {
        // Who goes first alternates, so that a machine that slows down favours neither.
        let (bare, ours) = if round % 2 == 0 {
            let bare = bare_loop(size.containers, &spec).await?;
            (bare, through_the_runner(size.containers, &submission).await?)
        } else {
            let ours = through_the_runner(size.containers, &submission).await?;
            (bare_loop(size.containers, &spec).await?, ours)
        };
        let rates =
            [bare.verdicts, ours.verdicts, ours.verdicts / bare.verdicts, bare.removals, ours.removals];
        let mut cells = vec![(round + 1).to_string()];
        cells.extend(rates.map(|rate| format!("{rate:.2}")));
        cells.push(format!("{:.2}", ours.removals / bare.removals));
        table::row(&cells);
        ratios.push(ours.verdicts / bare.verdicts);
    }
    ratios.sort_by(f64::total_cmp);
    println!("\nMedian ratio of verdicts a second: {:.3}.", ratios[ratios.len() / 2]);
    Ok(())
}

/// The body of the create call that the runner makes, taken down by the simulated engine: the bare loop
/// is to make the very same containers.
async fn what_the_runner_creates(submission: &Path) -> anyhow::Result<String> {
    let redis = RedisServer::start().await?;
    let mut engine = EngineProcess::start(Duration::ZERO).await?;
    let receiver = Receiver::start(1).await?;
    let directory = tempfile::tempdir()?;
    let surroundings = surroundings(&redis, &engine.socket, directory.path());
    let mut runner = contestants::runner("all", &surroundings)?;
    redis.add_pending(0..1, &template(submission, &receiver)).await?;
    receiver.until(1, PATIENCE).await?;
    let body = engine.counted().await?.last_create;
    runner.stop().await?;
    Ok(body)
}

fn surroundings<'a>(redis: &RedisServer, socket: &'a Path, directory: &'a Path) -> Surroundings<'a> {
    Surroundings {
        redis_port: redis.port,
        socket,
        directory,
        concurrency: CONCURRENCY,
        running: 1000,
        keep: 1000,
    }
}

fn template(submission: &Path, receiver: &Receiver) -> Template {
    Template {
        image: GRADER_IMAGE.into(),
        file: submission.display().to_string(),
        callback: receiver.url.clone(),
    }
}

async fn bare_loop(count: usize, spec: &str) -> anyhow::Result<Rates> {
    let names: VecDeque<String> =
        (0..count).map(|number| format!("bare-{}-{number}", std::process::id())).collect();
    let names = Arc::new(Mutex::new(names));
    let last_verdict = Arc::new(Mutex::new(Duration::ZERO));
    let began = Instant::now();
    let loops = (0..CONCURRENCY).map(|_| {
        let (names, last_verdict, spec) = (Arc::clone(&names), Arc::clone(&last_verdict), spec.to_owned());
        tokio::spawn(async move {
            let mut client = SocketClient::connect(Path::new(SOCKET)).await?;
            let next = || names.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            while let Some(name) = next() {
                ask(&mut client, "POST", &format!("create?name={name}"), &spec).await?;
                ask(&mut client, "POST", &format!("{name}/start"), "").await?;
                ask(&mut client, "POST", &format!("{name}/wait"), "").await?;
                let logs = ask(&mut client, "GET", &format!("{name}/logs?stdout=1&stderr=1"), "").await?;
                anyhow::ensure!(logs.contains(r#"{"success":true"#), "{name} said {logs:?}");
                *last_verdict.lock().unwrap_or_else(PoisonError::into_inner) = began.elapsed();
                ask(&mut client, "DELETE", &name, "").await?;
            }
            anyhow::Ok(())
        })
    });
    for task in loops.collect::<Vec<_>>() {
        task.await??;
    }
    let verdicts = *last_verdict.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Rates { verdicts: table::rate(count, verdicts), removals: table::rate(count, began.elapsed()) })
}

async fn ask(client: &mut SocketClient, method: &str, what: &str, body: &str) -> anyhow::Result<String> {
    let (status, answer) = client.call(method, &format!("/v1.41/containers/{what}"), body).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    anyhow::ensure!(status.is_success(), "{method} {what}: {status} {answer}");
    Ok(answer)
}

async fn through_the_runner(count: usize, submission: &Path) -> anyhow::Result<Rates> {
    let redis = RedisServer::start().await?;
    let receiver = Receiver::start(count).await?;
    let directory = tempfile::tempdir()?;
    let mut runner = contestants::runner("all", &surroundings(&redis, Path::new(SOCKET), directory.path()))?;
    tokio::time::sleep(Duration::from_secs(1)).await; // start-up is not what is measured
    let (began, began_at) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?);
    redis.add_pending(0..count, &template(submission, &receiver)).await?;
    let last = Duration::from_nanos(receiver.until(count, PATIENCE).await?);
    receiver.check()?;
    until_removed(&redis).await?;
    let removals = began.elapsed();
    redis.until_drained(PATIENCE).await?;
    runner.stop().await?;
    let verdicts = last.saturating_sub(began_at);
    Ok(Rates { verdicts: table::rate(count, verdicts), removals: table::rate(count, removals) })
}

/// Waits until the installation behind this Redis has no container any more.
///
/// # Errors
/// The engine fails, or containers are left.
pub async fn until_removed(redis: &RedisServer) -> anyhow::Result<()> {
    let mut get = redis::cmd("GET");
    let instance: String =
        get.arg("bull:correction-runner:instance").query_async(&mut redis.connection()).await?;
    let filters =
        serde_json::json!({ "label": [format!("org.correctomatic.instance={instance}")] }).to_string();
    let filters: String = url::form_urlencoded::byte_serialize(filters.as_bytes()).collect();
    let mut client = SocketClient::connect(Path::new(SOCKET)).await?;
    let gone = async {
        loop {
            let list = ask(&mut client, "GET", &format!("json?all=1&filters={filters}"), "").await?;
            if list.trim() == "[]" {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.context("containers were left behind")?
}
