//! A place before the receiver that fails as its row wants: what it takes it hands on to the receiver, so
//! that the proof sees just what was received.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::receiver::Receiver;

/// What becomes of one POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Taken, answered 200.
    Take,
    /// Not taken, answered with this status.
    Refuse(u16),
    /// Taken, and the connection is cut without an answer.
    TakeAndCut,
    /// Taken, and answered 200 once [`Front::release`] is called.
    TakeAndHold,
    /// Taken, never answered.
    TakeAndSayNothing,
    /// Taken; the answer comes at three bytes a second, its head too.
    TakeAndTrickle,
    /// Taken, the head of the answer at once; then a body at three bytes a second, without an end.
    TakeAndTrickleBody,
}

/// One POST as it came, taken or not.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The correction's name.
    pub name: String,
    /// The `webhook-id` header.
    pub webhook_id: String,
}

type Plan = Box<dyn Fn(&str, usize) -> Act + Send + Sync>;

struct Shared {
    plan: Mutex<Plan>,
    attempts: Mutex<Vec<Attempt>>,
    held: Mutex<VecDeque<oneshot::Sender<()>>>,
    receiver: String,
}

/// The place before the receiver; it ends when dropped.
pub struct Front {
    shared: Arc<Shared>,
    port: u16,
    server: Option<JoinHandle<()>>,
}

impl Front {
    /// Takes everything at first.
    pub async fn before(receiver: &Receiver) -> Self {
        let url = receiver.url("");
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let shared = Arc::new(Shared {
            plan: Mutex::new(Box::new(|_, _| Act::Take)),
            attempts: Mutex::default(),
            held: Mutex::default(),
            receiver: address,
        });
        let mut front = Self { shared, port: 0, server: None };
        front.come_back().await;
        front
    }

    /// Where a correction's result is to go.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// What becomes of a POST, by the correction's name and how many POSTs of it came before.
    pub fn plan(&self, plan: impl Fn(&str, usize) -> Act + Send + Sync + 'static) {
        *self.shared.plan.lock().expect("no panic") = Box::new(plan);
    }

    /// Answers all that is held with 200.
    pub fn release(&self) {
        self.release_first(usize::MAX);
    }

    /// Answers what is held the longest.
    pub fn release_first(&self, count: usize) {
        let mut held = self.shared.held.lock().expect("no panic");
        let count = count.min(held.len());
        // One whose client has gone needs no answer.
        for one in held.drain(..count) {
            let _ = one.send(());
        }
    }

    /// How many POSTs are held, those of clients that have gone too.
    pub fn holding(&self) -> usize {
        self.shared.held.lock().expect("no panic").len()
    }

    /// All POSTs so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.shared.attempts.lock().expect("no panic").clone()
    }

    /// Of how many corrections a POST came.
    pub fn names(&self) -> usize {
        let names: BTreeSet<_> = self.attempts().into_iter().map(|one| one.name).collect();
        names.len()
    }

    /// How many POSTs came.
    pub fn count(&self) -> usize {
        self.shared.attempts.lock().expect("no panic").len()
    }

    /// Nobody listens any more: connections are refused.
    pub async fn go_down(&mut self) {
        if let Some(server) = self.server.take() {
            server.abort();
            // The socket is closed once the task is gone.
            let _ = server.await;
        }
    }

    /// Listens, on the same port as before.
    pub async fn come_back(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.expect("the port is free");
        self.port = listener.local_addr().expect("bound").port();
        let shared = Arc::clone(&self.shared);
        self.server = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&shared), stream));
            }
        }));
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

/// One request a connection. A client that goes away is what some rows are about.
async fn serve(shared: Arc<Shared>, mut stream: TcpStream) -> Option<()> {
    let (head, request) = read_request(&mut stream).await?;
    let name = head.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let webhook_id = header(&head, "webhook-id").unwrap_or_default().to_owned();
    let attempt = Attempt { name: name.clone(), webhook_id };
    let before = {
        let mut attempts = shared.attempts.lock().expect("no panic");
        let before = attempts.iter().filter(|one| one.name == name).count();
        attempts.push(attempt);
        before
    };
    let act = (shared.plan.lock().expect("no panic"))(&name, before);
    if !matches!(act, Act::Refuse(_)) {
        hand_on(&shared.receiver, &request).await.expect("the receiver takes everything");
    }
    let thanks = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nthanks";
    match act {
        Act::Take => stream.write_all(thanks.as_bytes()).await.ok()?,
        Act::Refuse(status) => {
            let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
        Act::TakeAndCut => {}
        Act::TakeAndHold => {
            let (release, released) = oneshot::channel();
            shared.held.lock().expect("no panic").push_back(release);
            released.await.ok()?;
            stream.write_all(thanks.as_bytes()).await.ok()?;
        }
        // Until the client gives up.
        Act::TakeAndSayNothing => drop(stream.read(&mut [0]).await),
        Act::TakeAndTrickle => trickle(&mut stream, thanks.as_bytes()).await?,
        Act::TakeAndTrickleBody => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\nconnection: close\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            trickle(&mut stream, &vec![b'x'; 1_000_000]).await?;
        }
    }
    Some(())
}

/// Three bytes a second.
async fn trickle(stream: &mut TcpStream, bytes: &[u8]) -> Option<()> {
    for piece in bytes.chunks(1) {
        stream.write_all(piece).await.ok()?;
        tokio::time::sleep(Duration::from_millis(333)).await;
    }
    Some(())
}

/// A header of a request.
fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

/// A request's head, and the whole of it.
async fn read_request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut request = Vec::new();
    loop {
        let end = request.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            let length: usize = header(&head, "content-length")?.parse().ok()?;
            if request.len() >= end + 4 + length {
                return Some((head, request));
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// Posts a request to the receiver as it came, and waits for its answer.
async fn hand_on(receiver: &str, request: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(receiver).await?;
    stream.write_all(request).await?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Ok(())
}
