//! Hands in one submission as a caller of the runner would, and prints the verdict that comes back:
//! a small receiver, a job in `pending_corrections`, and a deadline.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use correction_runner::config::{self, RedisSettings, Request};
use correction_runner::job::PENDING_QUEUE;
use correction_runner::queue::{JobOptions, NewJob, Redis};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A verdict is small; what is larger is no callback of the runner.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

const USAGE: &str =
    "usage: demo IMAGE FILE [SECONDS]   Redis as the runner's settings have it (environment, .env)";

/// What to hand in, and where.
struct Errand {
    image: String,
    /// The submission's path, as the Docker host sees it.
    file: String,
    /// How long the verdict may take.
    deadline: Duration,
    redis: RedisSettings,
}

impl Errand {
    fn read() -> anyhow::Result<Self> {
        let mut arguments = std::env::args().skip(1);
        let (image, file) = (arguments.next().context(USAGE)?, arguments.next().context(USAGE)?);
        let seconds = arguments.next().map_or(Ok(90), |text| text.parse()).context(USAGE)?;
        // The runner's own reading of its settings: then both are sure to mean the same Redis.
        let line = ["correction-runner", "notifier"].map(Into::into);
        let directory = std::env::current_dir().context("the working directory is gone")?;
        let Request::Run(configuration) = config::read(line, std::env::vars_os(), &directory)? else {
            bail!(USAGE)
        };
        let notifier = configuration.notifier.context("the settings have no notifier")?;
        Ok(Self { image, file, deadline: Duration::from_secs(seconds), redis: notifier.common.redis })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = async { hand_in(&Errand::read()?).await };
    match ended.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Hands the submission in and waits for its verdict.
async fn hand_in(errand: &Errand) -> anyhow::Result<()> {
    let (received, mut verdicts) = mpsc::channel(8);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port for the receiver")?;
    let callback = format!("http://{}/verdict", listener.local_addr()?);
    println!("    The receiver listens at {callback}");
    tokio::spawn(receive(listener, received));

    let work_id = format!("demo-{}", std::process::id());
    let data = serde_json::json!({
        "work_id": work_id, "image": errand.image, "file": errand.file, "callback": callback, "params": ["OUT_OF=10"],
    });
    let job = NewJob {
        id: None,
        name: format!("Correction {work_id}"),
        data: data.to_string(),
        options: JobOptions::default(),
    };
    let redis = Redis::new(&errand.redis)?;
    let started = Instant::now();
    let added = redis.queue(PENDING_QUEUE).add(&job).await.context("the job could not be added")?;
    println!("    Added job {} to {}:{PENDING_QUEUE}: {data}", added.id(), errand.redis.prefix);

    let limit = errand.deadline;
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
    request: hyper::Request<Incoming>,
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
