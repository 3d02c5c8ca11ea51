//! A Redis of the measurement's own, and the jobs that are put into it.

use std::time::Duration;

use anyhow::Context as _;
use deadpool_redis::redis::{self, aio::MultiplexedConnection};

use crate::process::Process;

/// Jobs in one pipeline.
const BATCH: usize = 500;

/// A server on a free port, with an append-only file (`everysec`) in a directory of its own.
pub struct RedisServer {
    /// Its process.
    pub process: Process,
    /// Its port on this machine.
    pub port: u16,
    connection: MultiplexedConnection,
    _directory: tempfile::TempDir,
}

impl RedisServer {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// Where it does not within 10 s.
    pub async fn start() -> anyhow::Result<Self> {
        loop {
            if let Some(server) = Self::try_start().await? {
                return Ok(server);
            }
        }
    }

    /// `None` where somebody else took the port before our server did.
    async fn try_start() -> anyhow::Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let port_text = port.to_string();
        let arguments = ["--port", &port_text, "--bind", "127.0.0.1", "--appendonly", "yes"];
        let more = ["--appendfsync", "everysec", "--save", "", "--loglevel", "warning"];
        let mut process = Process::start(
            "redis",
            "redis-server",
            arguments.iter().chain(&more),
            &[],
            directory.path(),
            false,
        )?;
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}/"))?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        let mut connection = loop {
            if process.child.try_wait()?.is_some() {
                return Ok(None);
            }
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => break connection,
                Err(error) if tokio::time::Instant::now() > deadline => {
                    return Err(error).context("redis-server does not answer");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let ours =
            info.lines().any(|line| line.strip_prefix("process_id:") == Some(&process.pid().to_string()));
        Ok(ours.then_some(Self { process, port, connection, _directory: directory }))
    }

    /// A connection.
    pub fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// A plain client.
    ///
    /// # Errors
    /// Never: the address is sound.
    pub fn client(&self) -> anyhow::Result<redis::Client> {
        Ok(redis::Client::open(format!("redis://127.0.0.1:{}/", self.port))?)
    }

    /// Puts corrections `numbers` into `pending_corrections`, as any BullMQ client would.
    ///
    /// # Errors
    /// Where Redis fails.
    pub async fn add_pending(&self, numbers: std::ops::Range<usize>, job: &Template) -> anyhow::Result<()> {
        let mut connection = self.connection();
        let numbers: Vec<usize> = numbers.collect();
        for batch in numbers.chunks(BATCH) {
            let mut pipe = redis::pipe();
            pipe.atomic();
            pipe.hset_multiple("bull:pending_corrections:meta", &META).ignore();
            for number in batch {
                job.add(*number, &mut pipe);
            }
            pipe.cmd("ZADD").arg("bull:pending_corrections:marker").arg(0).arg("0").ignore();
            pipe.exec_async(&mut connection).await?;
        }
        Ok(())
    }

    /// How many jobs of a queue wait or are worked on.
    ///
    /// # Errors
    /// Where Redis fails.
    pub async fn open_jobs(&self, queue: &str) -> anyhow::Result<(usize, usize)> {
        let mut pipe = redis::pipe();
        pipe.llen(format!("bull:{queue}:wait")).llen(format!("bull:{queue}:active"));
        Ok(pipe.query_async(&mut self.connection()).await?)
    }

    /// Waits until no queue has a job that waits or is worked on.
    ///
    /// # Errors
    /// Where that does not come within `patience`.
    pub async fn until_drained(&self, patience: Duration) -> anyhow::Result<()> {
        let began = std::time::Instant::now();
        for queue in ["pending_corrections", "running_corrections", "finished_corrections"] {
            loop {
                let open = self.open_jobs(queue).await?;
                if open == (0, 0) {
                    break;
                }
                anyhow::ensure!(
                    began.elapsed() < patience,
                    "{queue} has {open:?} jobs waiting and active at the end"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

const META: [(&str, &str); 2] = [("opts.maxLenEvents", "10000"), ("version", "bullmq:6.7.0")];

/// A file that is there and may be bound; no simulated engine reads it.
pub const SUBMISSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

/// What the corrections of a measurement have in common.
pub struct Template {
    /// The grader's image.
    pub image: String,
    /// The submission's path.
    pub file: String,
    /// Where results go.
    pub callback: String,
}

impl Template {
    fn add(&self, number: usize, pipe: &mut redis::Pipeline) {
        let (work_id, id) = (work_id(number), (number + 1).to_string());
        let data = serde_json::json!({
            "work_id": work_id, "image": self.image, "file": self.file, "callback": self.callback,
            "params": [format!("SIMULATED_NOTE={work_id}")],
        });
        let name = format!("Correction {work_id}");
        let fields = [
            ("name", name.as_str()),
            ("data", &data.to_string()),
            ("opts", r#"{"attempts":0}"#),
            ("timestamp", &jiff::Timestamp::now().as_millisecond().to_string()),
            ("delay", "0"),
            ("priority", "0"),
        ];
        pipe.cmd("INCR").arg("bull:pending_corrections:id").ignore();
        pipe.hset_multiple(format!("bull:pending_corrections:{id}"), &fields).ignore();
        pipe.lpush("bull:pending_corrections:wait", &id).ignore();
    }
}

/// The work id of a correction.
pub fn work_id(number: usize) -> String {
    format!("w{number}")
}
