//! Streams of events as no engine of ours sends them: too long an event, and a stream that always breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use correction_runner::docker::{Notice, Rhythm, Watch};
use correction_runner::identity::ContainerId;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::engine_at;

const PATIENCE: Duration = Duration::from_secs(60);

const VERSION: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 44\r\n\r\n\
                       {\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\"}";
const STREAM: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

/// An engine of which there are only events: each of its streams says the same once it may.
struct Teller {
    folder: TempDir,
    may_speak: watch::Sender<bool>,
    streams: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Teller {
    /// With the words of every stream, after which it ends or stays open.
    fn of(words: String, ends: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("s")).expect("a socket");
        let (may_speak, streams, words) =
            (watch::Sender::new(false), Arc::<AtomicUsize>::default(), Arc::new(words));
        let (speaking, opened) = (may_speak.clone(), Arc::clone(&streams));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (opened, words) = (Arc::clone(&opened), Arc::clone(&words));
                tokio::spawn(tell(stream, speaking.subscribe(), opened, words, ends));
            }
        });
        Self { folder, may_speak, streams, task }
    }

    fn watch(&self, rhythm: Rhythm) -> Watch {
        let engine = engine_at(self.folder.path().join("s"));
        Watch::with_rhythm(&engine, &CancellationToken::new(), rhythm).unwrap()
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request. A client that goes is no failure.
async fn tell(
    mut stream: UnixStream,
    mut speaking: watch::Receiver<bool>,
    opened: Arc<AtomicUsize>,
    words: Arc<String>,
    ends: bool,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    if !String::from_utf8_lossy(&request).contains("/events?") {
        return stream.write_all(VERSION.as_bytes()).await;
    }
    opened.fetch_add(1, Ordering::Relaxed);
    stream.write_all(STREAM.as_bytes()).await?;
    if speaking.wait_for(|may| *may).await.is_err() {
        return Ok(());
    }
    stream.write_all(words.as_bytes()).await?;
    if !ends {
        // Until the client goes.
        let _ = stream.read_u8().await;
    }
    Ok(())
}

/// Far ahead: this is the last sign of life, whenever the stream was opened.
const AT: i64 = 4_000_000_000;

fn death(container: &str, label: &str) -> String {
    let line = serde_json::json!({
        "Type": "container", "Action": "die", "time": AT,
        "Actor": { "ID": container, "Attributes": { "exitCode": "7", "label": label } },
    });
    format!("{line}\n")
}

async fn next(watch: &Watch) -> Notice {
    timeout(PATIENCE, watch.next()).await.expect("something is told")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_long_is_a_look_at_everything_and_breaks_nothing() {
    let words = death("long", &"x".repeat(2 << 20)) + &death("short", "");
    let teller = Teller::of(words, false);
    let watch = teller.watch(Rhythm::default());
    assert_eq!(next(&watch).await, Notice::Resync { outage: None });
    teller.may_speak.send_replace(true);
    assert_eq!(next(&watch).await, Notice::Resync { outage: None }, "for the event that was passed over");
    match next(&watch).await {
        Notice::Died { container, .. } => assert_eq!(container, ContainerId::new("short")),
        other => panic!("{other:?}"),
    }
    assert_eq!(teller.streams.load(Ordering::Relaxed), 1, "the stream is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_after_each_event_is_opened_ever_more_slowly() {
    let teller = Teller::of(death("c", "") + "no JSON\n", true);
    teller.may_speak.send_replace(true);
    let begun = Instant::now();
    let longest_wait = Duration::from_millis(500);
    let watch =
        teller.watch(Rhythm { first_wait: Duration::from_millis(1), longest_wait, ..Rhythm::default() });
    let opened = async {
        while teller.streams.load(Ordering::Relaxed) < 20 {
            next(&watch).await;
        }
    };
    timeout(PATIENCE, opened).await.expect("it is tried again and again");
    // Ten waits of 250 ms in the mean, and shorter ones before; those after a healthy stream have half a
    // millisecond.
    assert!(begun.elapsed() > Duration::from_millis(800), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_is_told_before_the_stream_is_open_again() {
    let teller = Teller::of(death("c", ""), true);
    let hour = Duration::from_secs(3600);
    let watch = teller.watch(Rhythm { first_wait: hour, longest_wait: hour, ..Rhythm::default() });
    assert_eq!(next(&watch).await, Notice::Resync { outage: None });
    teller.may_speak.send_replace(true);
    let mut told = next(&watch).await;
    if matches!(told, Notice::Died { .. }) {
        told = next(&watch).await;
    }
    assert_eq!(told, Notice::Broken { from: Timestamp::from_second(AT).unwrap() });
    assert_eq!(teller.streams.load(Ordering::Relaxed), 1);
}
