//! Receivers that are out to harm: endless heads and bodies, one byte a second, noise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use correction_runner::callback::{Courier, Delivery};
use correction_runner::egress::Egress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::courier::{courier, deliver};
use super::within;

/// More than any socket on the way holds.
const MOST_TAKEN: u64 = 32 << 20;

/// What is sent once a request came: the pieces, with a pause after each, the last one again and again up to 1 GiB.
struct Script {
    first: &'static str,
    then: &'static str,
    pause: Duration,
}

/// A receiver that follows a script, and how many bytes it could send. `u64::MAX` is added once it cannot send more.
struct Hostile {
    url: String,
    sent: Arc<AtomicU64>,
    closed: Arc<tokio::sync::Notify>,
}

impl Hostile {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let (sent, closed) = (Arc::new(AtomicU64::new(0)), Arc::new(tokio::sync::Notify::new()));
        let (count, tell) = (Arc::clone(&sent), Arc::clone(&closed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away is what is wanted.
                let _ = speak(stream, &script, &count).await;
                tell.notify_one();
            }
        });
        Self { url, sent, closed }
    }

    /// Waits until the client has closed the connection; answers how many bytes it took by then.
    async fn until_closed(&self) -> u64 {
        within(self.closed.notified()).await;
        self.sent.load(Ordering::SeqCst)
    }
}

async fn speak(mut stream: TcpStream, script: &Script, sent: &AtomicU64) -> std::io::Result<()> {
    stream.read_buf(&mut Vec::with_capacity(65_536)).await?;
    stream.write_all(script.first.as_bytes()).await?;
    let piece = if script.pause.is_zero() { script.then.repeat(4096) } else { script.then.to_owned() };
    while sent.load(Ordering::SeqCst) < 1 << 30 {
        stream.write_all(piece.as_bytes()).await?;
        sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
        tokio::time::sleep(script.pause).await;
    }
    Ok(())
}

const AT_FULL_SPEED: Duration = Duration::ZERO;
const SLOWLY: Duration = Duration::from_secs(1);
const GIBIBYTE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";

/// A courier that does not wait for long.
fn hasty() -> Courier {
    Courier::new(Duration::from_millis(1500), None, Egress::default()).expect("a courier")
}

#[tokio::test]
async fn a_body_of_one_gibibyte_is_a_delivery_at_once_and_hardly_read() {
    let hostile =
        Hostile::start(Script { first: GIBIBYTE, then: "0123456789abcdef", pause: AT_FULL_SPEED }).await;
    let started = Instant::now();
    assert!(deliver(&courier(), &hostile.url).await.is_delivered());
    assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());
    let taken = hostile.until_closed().await;
    assert!(taken < MOST_TAKEN, "{taken} bytes were taken");
}

#[tokio::test]
async fn a_body_at_one_byte_a_second_is_a_delivery_at_once_and_a_failure_at_once() {
    for (first, status) in [(GIBIBYTE, 200), ("HTTP/1.1 503 No\r\ncontent-length: 1000\r\n\r\nsorry", 503)] {
        let hostile = Hostile::start(Script { first, then: "x", pause: SLOWLY }).await;
        let started = Instant::now();
        let delivery = deliver(&courier(), &hostile.url).await;
        assert!(started.elapsed() < Duration::from_millis(800), "{:?}", started.elapsed());
        match delivery {
            Delivery::Delivered { status: 200, .. } => assert_eq!(status, 200),
            Delivery::Refused { status: 503, answer, .. } => assert!(answer.starts_with("sorry"), "{answer}"),
            other => panic!("{other}"),
        }
        hostile.until_closed().await;
    }
}

#[tokio::test]
async fn a_head_at_one_byte_a_second_is_given_up_in_time() {
    for first in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nx: "] {
        let hostile = Hostile::start(Script { first, then: "x", pause: SLOWLY }).await;
        let started = Instant::now();
        let delivery = deliver(&hasty(), &hostile.url).await;
        assert!(!delivery.is_delivered() && delivery.may_heal(), "{first:?}: {delivery}");
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        hostile.until_closed().await;
    }
}

#[tokio::test]
async fn heads_without_an_end_and_noise_are_failures_that_fill_no_memory() {
    for (first, then) in [
        ("HTTP/1.1 200 OK\r\n", "x-more: of the same\r\n"),
        ("HTTP/1.1 200 OK\r\nx: ", "more of the same "),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "noise\r\n"),
        ("+OK\r\n-ERR unknown command 'POST'\r\n", "-ERR\r\n"),
        ("HTTP/9.9 200 OK\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "x"),
    ] {
        let hostile = Hostile::start(Script { first, then, pause: AT_FULL_SPEED }).await;
        let delivery = deliver(&hasty(), &hostile.url).await;
        assert!(!delivery.is_delivered() && delivery.may_heal(), "{first:?}{then:?}: {delivery}");
        let taken = hostile.until_closed().await;
        let is_hints = then.starts_with("HTTP/1.1 1");
        assert!(is_hints || taken < MOST_TAKEN, "{first:?}{then:?}: {taken} bytes were taken");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_request_is_a_failure_that_may_heal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let server = tokio::spawn(async move {
        for cut in ["", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\ncontent-le"] {
            let (mut stream, _) = listener.accept().await.expect("a client");
            stream.read_buf(&mut Vec::with_capacity(65_536)).await.expect("a request");
            stream.write_all(cut.as_bytes()).await.expect("sent");
        }
        listener
    });
    for _ in 0..3 {
        let delivery = deliver(&courier(), &url).await;
        assert!(matches!(delivery, Delivery::Unreachable { .. }), "{delivery}");
    }
    within(server).await.expect("three requests, none of them sent again by itself");
}
