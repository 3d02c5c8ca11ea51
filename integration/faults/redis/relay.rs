//! A relay between the runner and Redis that understands what passes: it swallows the reply of a certain
//! script and breaks the connection, or answers in place of Redis.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The relay; it ends when dropped.
pub struct Relay {
    port: u16,
    rules: Arc<Mutex<Rules>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Rules {
    answer: Option<String>,
    answered_itself: usize,
    /// By a script's digest: which of its replies are swallowed, counted from 1, and how long they have
    /// to be at least to count.
    swallow: BTreeMap<String, (BTreeSet<usize>, usize)>,
    /// How many replies there were that count, and how many were swallowed.
    seen: BTreeMap<String, (usize, usize)>,
}

/// Whose answer a client waits for.
enum Awaited {
    /// Redis's, to the script of this digest where it was one.
    Redis(Option<String>),
    /// Ours.
    Relay(Vec<u8>),
}

impl Relay {
    /// A relay to a Redis on this machine.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let rules = Arc::<Mutex<Rules>>::default();
        let shared = Arc::clone(&rules);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let rules = Arc::clone(&shared);
                tokio::spawn(async move {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await {
                        // A connection that broke is the point of it all.
                        let _ = carry(client, server, &rules).await;
                    }
                });
            }
        });
        Self { port, rules, listening }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on every command gets this answer, a simple string or error, and never reaches Redis.
    pub fn answer_all_with(&self, answer: Option<&str>) {
        self.rules().answer = answer.map(|text| format!("{text}\r\n"));
    }

    /// How many commands it answered itself.
    pub fn answered_itself(&self) -> usize {
        self.rules().answered_itself
    }

    /// Swallows these replies of a script, counted from 1 among those of so many bytes at least.
    pub fn swallow(&self, digest: &str, which: &[usize], at_least: usize) {
        self.rules().swallow.insert(digest.to_owned(), (which.iter().copied().collect(), at_least));
    }

    /// How many replies of a script were swallowed.
    pub fn swallowed(&self, digest: &str) -> usize {
        self.rules().seen.get(digest).map_or(0, |(_, swallowed)| *swallowed)
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().expect("no panic")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, rules: &Mutex<Rules>) -> io::Result<()> {
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    let mut awaited = VecDeque::new();
    loop {
        while let Some(length) = length_of(&from_client) {
            let command: Vec<u8> = from_client.drain(..length).collect();
            let answer = rules.lock().expect("no panic").answer_itself();
            if let Some(answer) = answer {
                awaited.push_back(Awaited::Relay(answer));
            } else {
                awaited.push_back(Awaited::Redis(digest_of(&command)));
                server.write_all(&command).await?;
            }
        }
        loop {
            match awaited.front() {
                Some(Awaited::Relay(answer)) => client.write_all(answer).await?,
                Some(Awaited::Redis(digest)) => {
                    let Some(length) = length_of(&from_server) else { break };
                    let reply: Vec<u8> = from_server.drain(..length).collect();
                    let digest = digest.as_deref().filter(|_| reply.first() != Some(&b'-'));
                    if digest.is_some_and(|digest| rules.lock().expect("no panic").swallows(digest, length)) {
                        return Ok(());
                    }
                    client.write_all(&reply).await?;
                }
                None => break,
            }
            awaited.pop_front();
        }
        tokio::select! {
            read = client.read_buf(&mut from_client) => if read? == 0 { return Ok(()) },
            read = server.read_buf(&mut from_server) => if read? == 0 { return Ok(()) },
        }
    }
}

impl Rules {
    fn answer_itself(&mut self) -> Option<Vec<u8>> {
        let answer = self.answer.as_ref()?.clone();
        self.answered_itself += 1;
        Some(answer.into_bytes())
    }

    fn swallows(&mut self, digest: &str, length: usize) -> bool {
        let Some((which, at_least)) = self.swallow.get(digest) else { return false };
        if length < *at_least {
            return false;
        }
        let (seen, swallowed) = self.seen.entry(digest.to_owned()).or_default();
        *seen += 1;
        let swallow = which.contains(seen);
        *swallowed += usize::from(swallow);
        swallow
    }
}

/// The digest of the script that a command runs.
fn digest_of(command: &[u8]) -> Option<String> {
    let mut lines = command.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let name = lines.nth(2)?;
    let digest = lines.nth(1)?;
    name.eq_ignore_ascii_case(b"EVALSHA").then(|| String::from_utf8_lossy(digest).into_owned())
}

/// How long the first whole command or reply (RESP 2) is.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let number = || std::str::from_utf8(&bytes[1..end]).ok()?.parse::<i64>().ok();
    let mut length = end + 2;
    match bytes[0] {
        b'$' => {
            if let Ok(size) = usize::try_from(number()?) {
                length += size + 2;
            }
        }
        b'*' => {
            for _ in 0..number()? {
                length += length_of(bytes.get(length..)?)?;
            }
        }
        _ => {}
    }
    (length <= bytes.len()).then_some(length)
}
