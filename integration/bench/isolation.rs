//! (h) What receivers that hang cost one that answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use deadpool_redis::redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::Size;
use crate::contestants::{self, Surroundings};
use crate::receiver::Receiver;
use crate::redis_server::{RedisServer, work_id};
use crate::table;

/// Results a second for the receiver that answers.
const RATE: usize = 50;
/// Results that each of the others has waiting from the start, and how often it gets one more.
const WAITING: usize = 20;
const ONE_MORE_EVERY: Duration = Duration::from_secs(2);
/// So short that deliveries time out while it is measured.
const NOTIFY_TIMEOUT: &str = "5s";
const QUEUE: &str = "bull:finished_corrections";

/// What the others do with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Nothing.
    BlackHole,
    /// One byte of the answer's head a second.
    Drip,
    /// An answer at once in the first second, and nothing from then on.
    GoesDark,
    /// Nothing; but one of them answers from the half of the time on.
    OneRecovers,
    /// An answer at once.
    Answers,
}

/// Those beside the one that is measured.
#[derive(Clone, Copy)]
struct Others {
    count: usize,
    /// How many results each has waiting.
    waiting: usize,
    manner: Manner,
}

/// Runs it: the same stream of results to a receiver that answers, alone and beside others.
///
/// # Errors
/// Where a result was lost, doubled or wrong.
pub async fn run(size: &Size) -> anyhow::Result<()> {
    table::head(
        "(h) Delivery to a receiver that answers, beside others that do not",
        &[
            "others",
            "their results at the start",
            "count",
            "p50",
            "p99",
            "p99 to that alone",
            "max",
            "late ones by second",
            "notifier CPU",
            "redis CPU",
        ],
    );
    // With eleven cases of it the whole run takes about four minutes.
    let seconds = size.seconds;
    let of = |count, waiting, manner| Others { count, waiting, manner };
    let alone = measure(of(0, WAITING, Manner::BlackHole), seconds, None).await?;
    let many = size.corrections / 3;
    let all = [
        of(1, WAITING, Manner::BlackHole),
        of(10, WAITING, Manner::BlackHole),
        of(100, WAITING, Manner::BlackHole),
        of(100, WAITING, Manner::Drip),
        of(100, WAITING, Manner::GoesDark),
        of(100, WAITING, Manner::OneRecovers),
        of(1, many, Manner::BlackHole),
        of(0, WAITING, Manner::BlackHole),
        of(100, WAITING, Manner::Answers),
        of(1, many, Manner::Answers),
    ];
    for others in all {
        measure(others, seconds, Some(alone)).await?;
    }
    Ok(())
}

/// Answers the p99 in nanoseconds.
async fn measure(others: Others, seconds: usize, alone: Option<u64>) -> anyhow::Result<u64> {
    let redis = RedisServer::start().await?;
    let directory = tempfile::tempdir()?;
    // The first second is not measured: the notifier meets the receiver that answers.
    let count = RATE * (seconds + 1);
    let receiver = Receiver::start(count).await?;
    let surroundings = Surroundings {
        redis_port: redis.port,
        socket: directory.path(),
        directory: directory.path(),
        concurrency: 50,
        running: 0,
        keep: 1000,
    };
    let more = [("NOTIFY_TIMEOUT", NOTIFY_TIMEOUT.to_owned())];
    let mut notifier = contestants::runner_with("notifier", &surroundings, &more)?;
    let well = Arc::new(Wellness::default());
    let mut crowd = Crowd::start(others, redis.client()?, Arc::clone(&well), seconds)?;
    let mut connection = redis.connection();
    let mut added = Vec::with_capacity(count);
    let began = Instant::now();
    if let Some(begins_at) = crowd.begins_at.take() {
        let _ = begins_at.send(began);
    }
    let (mut cpu, mut redis_cpu) = (Duration::ZERO, Duration::ZERO);
    for number in 0..count {
        if number == RATE {
            (cpu, redis_cpu) = (notifier.cpu()?, redis.process.cpu()?);
        }
        sleep_until(began + Duration::from_secs(1).mul_f64(number_to_seconds(number))).await;
        added.push(now()?);
        add(&mut connection, &format!("good-{number}"), &receiver.url, &work_id(number)).await?;
    }
    receiver.until(count, Duration::from_secs(60)).await.context("a result for the receiver that answers")?;
    let used = (notifier.cpu()?.saturating_sub(cpu), redis.process.cpu()?.saturating_sub(redis_cpu));
    receiver.check()?;
    let in_order: Vec<u64> =
        receiver.times().iter().zip(&added).skip(RATE).map(|(at, added)| at.saturating_sub(*added)).collect();
    let mut took = in_order.clone();
    notifier.stop().await?;
    crowd.end()?;
    took.sort_unstable();
    let p99 = table::percentile(&took, 99);
    let late = late_by_second(&in_order, alone.unwrap_or(p99));
    let watched = Duration::from_secs(u64::try_from(seconds)?).as_secs_f64();
    #[allow(clippy::cast_precision_loss, reason = "printed with two decimals")]
    let ratio = alone.map_or(String::new(), |alone| format!("{:.2}", p99 as f64 / alone.max(1) as f64));
    let Others { count: number, waiting, manner } = others;
    table::row(&[
        match (number, manner) {
            (0, _) => "none".to_owned(),
            (_, Manner::BlackHole) => format!("{number} black holes"),
            (_, Manner::Drip) => format!("{number} at a byte a second"),
            (_, Manner::GoesDark) => format!("{number} that answered before and go dark together"),
            (_, Manner::OneRecovers) => format!("{number}, one of which recovers: {}", well.told()),
            (_, Manner::Answers) => format!("for comparison: {number} that answer"),
        },
        if number == 0 { String::new() } else { (number * waiting).to_string() },
        took.len().to_string(),
        table::ms(table::percentile(&took, 50)),
        table::ms(p99),
        ratio,
        table::ms(took.last().copied().unwrap_or_default()),
        late,
        format!("{:.1} %", 100.0 * used.0.as_secs_f64() / watched),
        format!("{:.1} %", 100.0 * used.1.as_secs_f64() / watched),
    ]);
    Ok(p99)
}

/// How many took more than one and a half times as long as 99 of 100 take alone, in which second since the others'
/// results were added.
fn late_by_second(in_order: &[u64], alone: u64) -> String {
    let mut seconds = BTreeMap::<usize, usize>::new();
    for (number, _) in in_order.iter().enumerate().filter(|(_, took)| **took > alone + alone / 2) {
        *seconds.entry(number / RATE).or_default() += 1;
    }
    let told: Vec<_> = seconds.iter().map(|(second, count)| format!("{second}: {count}")).collect();
    told.join(", ")
}

/// The other receivers and whoever adds their results: on a thread of their own, so that they delay neither the
/// stream that is measured nor its clock.
struct Crowd {
    begins_at: Option<oneshot::Sender<Instant>>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
    ended: oneshot::Sender<()>,
}

impl Crowd {
    fn start(
        others: Others,
        redis: redis::Client,
        well: Arc<Wellness>,
        seconds: usize,
    ) -> anyhow::Result<Self> {
        let (begins_at, begins) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let connection = redis.get_multiplexed_async_connection().await?;
                let mut urls = Vec::new();
                well.all.store(matches!(others.manner, Manner::GoesDark | Manner::Answers), Ordering::SeqCst);
                for number in 0..others.count {
                    urls.push(hang(others.manner, number == 0, Arc::clone(&well)).await?);
                }
                let began: Instant = begins.await?;
                Feed { connection, urls, added: 0 }.run(others, &well, began, seconds).await?;
                let _ = end.await;
                Ok(())
            })
        });
        Ok(Self { begins_at: Some(begins_at), thread, ended })
    }

    fn end(self) -> anyhow::Result<()> {
        let _ = self.ended.send(());
        self.thread.join().map_err(|_| anyhow::anyhow!("the others panicked"))?
    }
}

/// Adds the results of the others.
struct Feed {
    connection: redis::aio::MultiplexedConnection,
    urls: Vec<String>,
    added: usize,
}

impl Feed {
    async fn run(
        &mut self,
        others: Others,
        well: &Wellness,
        began: Instant,
        seconds: usize,
    ) -> anyhow::Result<()> {
        let second = Duration::from_secs(1);
        if others.manner == Manner::GoesDark {
            // So often each of them answers before it goes dark.
            for step in 0..9 {
                sleep_until(began + Duration::from_millis(60) * step).await;
                self.one_each().await?;
            }
        }
        sleep_until(began + second).await;
        if others.manner != Manner::Answers {
            well.all.store(false, Ordering::SeqCst);
        }
        for _ in 0..others.waiting {
            self.one_each().await?;
        }
        let end = began + second * u32::try_from(seconds + 1)?;
        let half = began + second * u32::try_from(seconds + 1)? / 2;
        let mut next = began + ONE_MORE_EVERY;
        while next < end {
            if next >= half && well.since.load(Ordering::SeqCst) == 0 {
                sleep_until(half).await;
                well.first.store(others.manner == Manner::OneRecovers, Ordering::SeqCst);
                well.since.store(now()?, Ordering::SeqCst);
            }
            sleep_until(next).await;
            self.one_each().await?;
            next += ONE_MORE_EVERY;
        }
        Ok(())
    }

    async fn one_each(&mut self) -> anyhow::Result<()> {
        for url in &self.urls {
            let number = self.added;
            add(&mut self.connection, &format!("other-{number}"), url, &format!("o{number}")).await?;
            self.added += 1;
        }
        Ok(())
    }
}

/// Who of the others answers.
#[derive(Default)]
struct Wellness {
    all: AtomicBool,
    first: AtomicBool,
    /// Since when the first does, and when it was asked first since then; nanoseconds of Unix time.
    since: AtomicU64,
    asked: AtomicU64,
}

impl Wellness {
    fn answers(&self, is_first: bool) -> bool {
        self.all.load(Ordering::SeqCst) || (is_first && self.first.load(Ordering::SeqCst))
    }

    fn told(&self) -> String {
        let (since, asked) = (self.since.load(Ordering::SeqCst), self.asked.load(Ordering::SeqCst));
        match asked.checked_sub(since) {
            Some(after) => format!("asked after {}", table::ms(after)),
            None => "not asked again".to_owned(),
        }
    }
}

/// Nanoseconds of Unix time.
fn now() -> anyhow::Result<u64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    Ok(u64::try_from(now)?)
}

#[allow(clippy::cast_precision_loss, reason = "thousands")]
fn number_to_seconds(number: usize) -> f64 {
    number as f64 / RATE as f64
}

/// Puts a result into the queue, as a completer would.
async fn add(
    connection: &mut redis::aio::MultiplexedConnection,
    id: &str,
    callback: &str,
    work_id: &str,
) -> anyhow::Result<()> {
    let verdict = serde_json::json!({ "success": true, "grade": 7.5, "comments": ["ok"] });
    let data = serde_json::json!({
        "work_id": work_id, "error": false, "correction_data": verdict, "callback": callback,
    });
    let now = jiff::Timestamp::now().as_millisecond().to_string();
    let fields = [
        ("name", format!("Correction {work_id}")),
        ("data", data.to_string()),
        ("opts", r#"{"attempts":10,"backoff":{"type":"exponential","delay":5000}}"#.to_owned()),
        ("timestamp", now),
        ("delay", "0".to_owned()),
        ("priority", "0".to_owned()),
    ];
    let mut pipe = redis::pipe();
    pipe.atomic();
    pipe.hset_multiple(format!("{QUEUE}:{id}"), &fields).ignore();
    pipe.lpush(format!("{QUEUE}:wait"), id).ignore();
    pipe.cmd("ZADD").arg(format!("{QUEUE}:marker")).arg(0).arg("0").ignore();
    pipe.exec_async(connection).await?;
    Ok(())
}

/// A receiver that hangs; answers its URL.
async fn hang(manner: Manner, is_first: bool, well: Arc<Wellness>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/callback", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(keep_waiting(stream, manner, is_first, Arc::clone(&well)));
        }
    });
    Ok(url)
}

/// Until the client goes away.
async fn keep_waiting(
    mut stream: TcpStream,
    manner: Manner,
    is_first: bool,
    well: Arc<Wellness>,
) -> Option<()> {
    let mut request = [0; 4096];
    // The requests are short: head and body come together, or the body right after, where nobody minds.
    if matches!(manner, Manner::GoesDark | Manner::OneRecovers | Manner::Answers)
        && stream.read(&mut request).await.ok()? > 0
        && well.answers(is_first)
    {
        if let (true, Ok(now)) = (manner == Manner::OneRecovers, now()) {
            let _ = well.asked.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.ok()?;
        return stream.shutdown().await.ok();
    }
    if manner == Manner::Drip && stream.read(&mut request).await.ok()? > 0 {
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain(std::iter::repeat(&b'x')) {
            stream.write_all(&[*byte]).await.ok()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    while stream.read(&mut request).await.ok()? > 0 {}
    Some(())
}
