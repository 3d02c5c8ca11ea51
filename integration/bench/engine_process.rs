//! The simulated engine in a process of its own, so that its cost is not the runner's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};

use crate::process::Process;
use crate::simulated_engine::reading::Lag;
use crate::simulated_engine::{Options, SimulatedEngine};

/// The argument that asks for an engine whose connections are narrow.
pub const NARROW: &str = "narrow-engine";

/// What the engine counted (see the simulated engine's own statistics).
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "as there")]
pub struct Counted {
    pub created: usize,
    pub started: u64,
    pub max_starts_of_one: u64,
    pub died: u64,
    pub removed: usize,
    pub alive: usize,
    pub max_alive: u64,
    pub calls: u64,
    pub first_start: u64,
    pub last_death: u64,
    pub last_create: String,
}

/// The engine's process as its parent sees it.
pub struct EngineProcess {
    /// Its process.
    pub process: Process,
    /// Where it listens.
    pub socket: PathBuf,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    _directory: tempfile::TempDir,
}

impl EngineProcess {
    /// Starts it: this very program with the argument `engine`.
    ///
    /// # Errors
    /// Where it does not say that it listens.
    pub async fn start(run_time: Duration) -> anyhow::Result<Self> {
        Self::start_as("engine", run_time).await
    }

    /// The same, measuring how long events wait for their reader: its event streams are narrow.
    ///
    /// # Errors
    /// Where it does not say that it listens.
    pub async fn start_narrow(run_time: Duration) -> anyhow::Result<Self> {
        Self::start_as(NARROW, run_time).await
    }

    async fn start_as(mode: &str, run_time: Duration) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("docker.sock");
        let arguments = [mode.to_owned(), socket.display().to_string(), run_time.as_millis().to_string()];
        let mut process =
            Process::start("engine", std::env::current_exe()?, arguments, &[], directory.path(), true)?;
        let questions = process.child.stdin.take().context("no stdin")?;
        let answers = BufReader::new(process.child.stdout.take().context("no stdout")?).lines();
        let mut engine = Self { process, socket, questions, answers, _directory: directory };
        engine.answer().await?;
        Ok(engine)
    }

    /// What it counted until now.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn counted(&mut self) -> anyhow::Result<Counted> {
        self.ask("counted").await
    }

    /// The deaths since the last call: note of the container, nanoseconds of Unix time.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn deaths(&mut self) -> anyhow::Result<Vec<(String, u64)>> {
        self.ask("deaths").await
    }

    /// Ends every running container at once.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn end_all(&mut self) -> anyhow::Result<usize> {
        self.ask("end-all").await
    }

    /// Ends every running container, evenly within a time.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn end_all_within(&mut self, time: Duration) -> anyhow::Result<()> {
        self.ask(&format!("end-all-within {}", time.as_millis())).await
    }

    /// How long events waited for their reader since the last call.
    ///
    /// # Errors
    /// Where it does not answer.
    pub async fn lag(&mut self) -> anyhow::Result<Lag> {
        self.ask("lag").await
    }

    /// Waits until its counts are as wanted.
    ///
    /// # Errors
    /// Where they are not within `patience`.
    pub async fn until(
        &mut self,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Counted) -> bool,
    ) -> anyhow::Result<Counted> {
        let began = std::time::Instant::now();
        loop {
            let counted = self.counted().await?;
            if wanted(&counted) {
                return Ok(counted);
            }
            anyhow::ensure!(began.elapsed() < patience, "{what} did not come: {counted:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn ask<T: for<'a> Deserialize<'a>>(&mut self, question: &str) -> anyhow::Result<T> {
        self.questions.write_all(format!("{question}\n").as_bytes()).await?;
        Ok(serde_json::from_str(&self.answer().await?)?)
    }

    async fn answer(&mut self) -> anyhow::Result<String> {
        self.answers.next_line().await?.context("the simulated engine ended")
    }
}

/// What the child process does: an engine that answers its parent's questions, line by line.
///
/// # Errors
/// Where its parent is gone.
pub async fn be_engine(mode: &str, socket: &str, run_time: &str) -> anyhow::Result<()> {
    let engine = SimulatedEngine::start(Options {
        socket: Some(Path::new(socket).to_owned()),
        run_time: Duration::from_millis(run_time.parse()?),
        record_deaths: true,
        measure_reading: mode == NARROW,
        ..Options::default()
    })
    .await;
    let mut output = tokio::io::stdout();
    output.write_all(b"listening\n").await?;
    output.flush().await?;
    let mut questions = BufReader::new(tokio::io::stdin()).lines();
    while let Some(question) = questions.next_line().await? {
        let mut answer = match question.as_str() {
            "deaths" => {
                let deaths = engine.deaths().into_iter().map(|death| (death.note, nanoseconds(death.time)));
                serde_json::to_string(&deaths.collect::<Vec<_>>())?
            }
            "end-all" => serde_json::to_string(&engine.end_all(0))?,
            "lag" => serde_json::to_string(&engine.lag())?,
            other => match other.strip_prefix("end-all-within ") {
                Some(time) => {
                    engine.end_all_within(Duration::from_millis(time.parse()?), 0).await;
                    "null".to_owned()
                }
                None => serde_json::to_string(&counted(&engine))?,
            },
        };
        answer.push('\n');
        output.write_all(answer.as_bytes()).await?;
        output.flush().await?;
    }
    Ok(())
}

fn counted(engine: &SimulatedEngine) -> Counted {
    let stats = engine.stats();
    Counted {
        created: usize::try_from(stats.created).unwrap_or(usize::MAX),
        started: stats.started,
        max_starts_of_one: stats.max_starts_of_one,
        died: stats.died,
        removed: usize::try_from(stats.removed).unwrap_or(usize::MAX),
        alive: usize::try_from(stats.alive).unwrap_or(usize::MAX),
        max_alive: stats.max_alive,
        calls: stats.all_calls(),
        first_start: nanoseconds(stats.first_start),
        last_death: nanoseconds(stats.last_death),
        last_create: String::from_utf8_lossy(&stats.last_create).into_owned(),
    }
}

fn nanoseconds(time: i128) -> u64 {
    u64::try_from(time).unwrap_or(0)
}
