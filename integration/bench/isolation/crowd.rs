//! The receivers beside the one that is measured, most of which hang, and their results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_redis::redis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::{add, now};
use crate::table;

/// How often each of the others gets one more result.
const ONE_MORE_EVERY: Duration = Duration::from_secs(2);

/// What the others do with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
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
pub(super) struct Others {
    pub count: usize,
    /// How many results each has waiting.
    pub waiting: usize,
    pub manner: Manner,
}

/// The other receivers and whoever adds their results: on a thread of their own, so that they delay neither the
/// stream that is measured nor its clock.
pub(super) struct Crowd {
    pub begins_at: Option<oneshot::Sender<Instant>>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
    ended: oneshot::Sender<()>,
}

impl Crowd {
    pub fn start(
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

    pub fn end(self) -> anyhow::Result<()> {
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
pub(super) struct Wellness {
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

    pub fn told(&self) -> String {
        let (since, asked) = (self.since.load(Ordering::SeqCst), self.asked.load(Ordering::SeqCst));
        match asked.checked_sub(since) {
            Some(after) => format!("asked after {}", table::ms(after)),
            None => "not asked again".to_owned(),
        }
    }
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
