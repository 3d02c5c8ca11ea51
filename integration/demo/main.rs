//! Hands in one submission as a caller of the runner would, and prints the verdict that comes back:
//! a small receiver, a job in `pending_corrections`, and a deadline.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Parser;
use correction_runner::config::{RedisSettings, Secret};
use correction_runner::job::PENDING_QUEUE;
use correction_runner::queue::{JobOptions, NewJob, Redis};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A verdict is small; what is larger is no callback of the runner.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

#[derive(Parser)]
#[command(about = "Hands in one submission and prints the verdict that the runner sends back")]
struct Arguments {
    /// The grader's image
    #[arg(long)]
    image: String,
    /// The submission's file, as the Docker host sees it
    #[arg(long)]
    file: PathBuf,
    /// Seconds that the verdict may take
    #[arg(long, default_value_t = 90)]
    deadline: u64,
    #[arg(long, env = "REDIS_HOST", default_value = "127.0.0.1")]
    redis_host: String,
    #[arg(long, env = "REDIS_PORT", default_value_t = 6379)]
    redis_port: u16,
    #[arg(long, env = "REDIS_DB", default_value_t = 0)]
    redis_db: u32,
    #[arg(long, env = "REDIS_USER", hide_env_values = true)]
    redis_user: Option<String>,
    #[arg(long, env = "REDIS_PASSWORD", hide_env_values = true)]
    redis_password: Option<String>,
    /// Redis speaks TLS
    #[arg(long)]
    redis_tls: bool,
    #[arg(long, env = "QUEUE_PREFIX", default_value = "bull")]
    queue_prefix: String,
}

impl Arguments {
    fn redis(&self) -> RedisSettings {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let password = given(&self.redis_password).map(Secret::new);
        RedisSettings {
            host: self.redis_host.clone(),
            port: self.redis_port,
            username: given(&self.redis_user).filter(|_| password.is_some()),
            password,
            database: self.redis_db,
            tls: self.redis_tls,
            prefix: self.queue_prefix.clone(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match hand_in(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Hands the submission in and waits for its verdict.
async fn hand_in(arguments: &Arguments) -> anyhow::Result<()> {
    let (received, mut verdicts) = mpsc::channel(8);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the receiver")?;
    let callback = format!("http://{}/verdict", listener.local_addr()?);
    println!("    The receiver listens at {callback}");
    tokio::spawn(receive(listener, received));

    let work_id = format!("demo-{}", std::process::id());
    let file = arguments.file.to_str().context("the submission's path is not UTF-8")?;
    let data = serde_json::json!({
        "work_id": work_id, "image": arguments.image, "file": file, "callback": callback, "params": ["OUT_OF=10"],
    });
    let job = NewJob {
        id: None,
        name: format!("Correction {work_id}"),
        data: data.to_string(),
        options: JobOptions::default(),
    };
    let redis = Redis::new(&arguments.redis())?;
    let started = Instant::now();
    let added = redis.queue(PENDING_QUEUE).add(&job).await.context("the job could not be added")?;
    println!("    Added job {} to {}:{PENDING_QUEUE}: {data}", added.id(), arguments.queue_prefix);

    let limit = Duration::from_secs(arguments.deadline);
    let verdict = tokio::time::timeout(limit, async {
        while let Some(body) = verdicts.recv().await {
            match serde_json::from_slice::<serde_json::Value>(&body) {
                Ok(verdict) if verdict["work_id"] == work_id => return Some(verdict),
                _ => println!("    Not our verdict: {}", String::from_utf8_lossy(&body)),
            }
        }
        None
    });
    let Some(verdict) = verdict.await.with_context(|| format!("no verdict came within {limit:?}"))? else {
        bail!("the receiver ended");
    };
    println!("    The verdict came after {} ms:\n", started.elapsed().as_millis());
    println!("{verdict:#}\n");
    if verdict["success"] != true {
        bail!("the example submission was not graded: {}", verdict["error"]);
    }
    Ok(())
}

/// Takes callbacks for as long as the demonstration runs.
async fn receive(listener: TcpListener, received: mpsc::Sender<Bytes>) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = received.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| take(request, received.clone()));
            if let Err(error) = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await
            {
                eprintln!("    The receiver's connection broke: {error}");
            }
        });
    }
}

async fn take(
    request: Request<Incoming>,
    received: mpsc::Sender<Bytes>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let mut response = Response::new(Full::default());
    if request.method() == Method::POST {
        let body = Limited::new(request.into_body(), LARGEST_BODY)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!("the callback's body could not be read: {error}"))?;
        received.send(body.to_bytes()).await.context("nobody waits for a verdict any more")?;
    } else {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    }
    Ok(response)
}
