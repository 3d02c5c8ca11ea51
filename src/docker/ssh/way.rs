//! A running ssh process: started, watched until it ends, and the connections through it.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::ChildStderr;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Phase;
use super::complaint::{Complaints, Look};
use super::recipe::Recipe;

/// How long a login may take: name look-up, connection, keys.
const LOGIN: Duration = Duration::from_secs(20);
/// How often it is looked for ssh's socket, which appears once the login is done.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long what ssh said last is waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The longest path that a socket can have, by the kernel.
const LONGEST_PATH: usize = 107;
/// How long it is believed why the far host refuses the socket.
const BELIEVED: Duration = Duration::from_secs(10);
/// The longest answer to our greeting that is read.
const LONGEST_ANSWER: usize = 16 << 10;

/// The way through a running ssh.
pub(super) struct Way {
    /// ssh's socket on this side. It has no name, so that nobody else finds it and nothing is left of it.
    socket: OwnedFd,
    refusal: Mutex<Option<(Instant, String)>>,
}

impl Way {
    /// A new connection over which the engine has answered.
    pub(super) async fn connect(&self, recipe: &Recipe) -> io::Result<UnixStream> {
        let path = format!("/proc/self/fd/{}", self.socket.as_raw_fd());
        let Ok(mut stream) = UnixStream::connect(path).await else {
            return Err(io::Error::other("ssh has just ended"));
        };
        // ssh takes the connection before it knows whether the far host does: only an answer tells.
        match greet(&mut stream).await? {
            Greeted::Answered => Ok(stream),
            Greeted::Stranger => {
                let socket = recipe.endpoint().socket.display();
                Err(io::Error::other(format!("what answers at {socket} on the far host is no Docker engine")))
            }
            Greeted::Refused => Err(io::Error::other(self.refusal(recipe).await)),
        }
    }

    /// Why the far host lets nobody connect to the socket. sshd does not say; a look at the file does.
    async fn refusal(&self, recipe: &Recipe) -> String {
        let mut known = self.refusal.lock().await;
        if let Some((at, why)) = &*known
            && at.elapsed() < BELIEVED
        {
            return why.clone();
        }
        let why = look(recipe).await.told(recipe.endpoint());
        *known = Some((Instant::now(), why.clone()));
        why
    }
}

enum Greeted {
    Answered,
    Stranger,
    Refused,
}

/// Asks the engine for a sign of life.
async fn greet(stream: &mut UnixStream) -> io::Result<Greeted> {
    const GREETING: &[u8] = b"HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n";
    let mut answer = Vec::new();
    if stream.write_all(GREETING).await.is_err() {
        return Ok(Greeted::Refused);
    }
    while !answer.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut answer).await {
            Ok(0) | Err(_) if answer.is_empty() => return Ok(Greeted::Refused),
            Ok(0) | Err(_) => return Ok(Greeted::Stranger),
            Ok(_) if answer.len() > LONGEST_ANSWER => return Ok(Greeted::Stranger),
            Ok(_) => {}
        }
    }
    let is_http = answer.starts_with(b"HTTP/1.1 ");
    let ends = String::from_utf8_lossy(&answer).to_ascii_lowercase().contains("\r\nconnection: close");
    Ok(if is_http && !ends { Greeted::Answered } else { Greeted::Stranger })
}

/// Looks at the engine's socket on the far host.
async fn look(recipe: &Recipe) -> Look {
    match timeout(LOGIN, recipe.look_at_socket().output()).await {
        Ok(Ok(output)) => Look::named(String::from_utf8_lossy(&output.stdout).trim()),
        Ok(Err(_)) | Err(_) => Look::Unknown,
    }
}

/// Starts ssh, tells how it goes, and returns when it has ended.
pub(super) async fn open(recipe: &Recipe, phase: &watch::Sender<Phase>) {
    let started = Instant::now();
    let ended = |why: String, open_for| {
        let _ = phase.send(Phase::Ended { why, open_for });
    };
    let folder = match Folder::new() {
        Ok(folder) => folder,
        Err(why) => return ended(why, Duration::ZERO),
    };
    let socket = folder.0.join("s");
    let mut ssh = match recipe.forward(&socket).spawn() {
        Ok(ssh) => ssh,
        Err(error) => return ended(format!("ssh cannot be run: {error}"), Duration::ZERO),
    };
    let complaints = Arc::new(Complaints::default());
    let listening = AbortOnDropHandle::new(tokio::spawn(listen(ssh.stderr.take(), Arc::clone(&complaints))));
    let there = tokio::select! {
        there = timeout(LOGIN, until_there(&socket)) => there.map_err(|_| io::ErrorKind::TimedOut.into()).flatten(),
        _ = ssh.wait() => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    drop(folder);
    let opened = there.is_ok().then(Instant::now);
    let failure = match there {
        Ok(socket) => {
            let ms = started.elapsed().as_millis();
            tracing::info!(endpoint = %recipe, ms, "logged in over ssh to the Docker engine's host");
            let _ = phase.send(Phase::Open(Arc::new(Way { socket, refusal: Mutex::default() })));
            let _ = ssh.wait().await;
            None
        }
        Err(error) => Some(error),
    };
    let open_for = opened.map(|opened| opened.elapsed());
    let _ = ssh.kill().await;
    // What ssh says last tells why. What it started may hold its standard error open for longer.
    let _ = timeout(LAST_WORDS, listening).await;
    let why = match (complaints.told(recipe.endpoint()), failure) {
        (Some(why), _) => why,
        (None, Some(error)) if error.kind() == io::ErrorKind::TimedOut => {
            format!("there is no login within {} s", LOGIN.as_secs())
        }
        (None, Some(error)) if error.kind() != io::ErrorKind::ConnectionAborted => {
            format!("ssh's socket: {error}")
        }
        (None, _) => String::from("ssh ended and said nothing"),
    };
    if open_for.is_some() {
        tracing::warn!(endpoint = %recipe, error = why, "the ssh connection to the Docker engine's host is gone");
    }
    ended(why, open_for.unwrap_or_default());
}

/// Takes down what ssh says, until it has closed its side.
async fn listen(stderr: Option<ChildStderr>, complaints: Arc<Complaints>) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        tracing::debug!(line = line.trim(), "ssh says something");
        complaints.push(line.trim());
    }
}

/// ssh's socket, once it listens on it.
async fn until_there(path: &Path) -> io::Result<OwnedFd> {
    loop {
        // The file is there a moment before it can be connected to.
        if UnixStream::connect(path).await.is_ok() {
            return Ok(rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A folder that only we may look into; it is removed with all that is in it when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let named = ["XDG_RUNTIME_DIR", "RUNTIME_DIRECTORY"].into_iter().filter_map(std::env::var_os);
        let places = named.map(PathBuf::from).chain([std::env::temp_dir(), "/dev/shm".into()]);
        let mut tried = Vec::new();
        for place in places {
            let path = place.join(format!(".correction-runner-{}", uuid::Uuid::new_v4().simple()));
            if path.as_os_str().len() + "/s".len() > LONGEST_PATH {
                tried.push(format!("{}: its path is too long", place.display()));
                continue;
            }
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) => tried.push(format!("{}: {error}", place.display())),
            }
        }
        Err(format!("there is no folder for ssh's socket (set TMPDIR): {}", tried.join("; ")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
