//! A proxy in front of the engine or a registry, which can be cut, silenced, and asked what it carried.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The socket of the machine's own engine.
pub const ENGINE_SOCKET: &str = "/var/run/docker.sock";

/// What the proxy does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Carries it.
    Open,
    /// Ends every connection at once.
    Cut,
    /// Keeps connections and carries nothing: a peer that died without a word.
    Silent,
    /// Carries requests, and ends the connection when the answer comes.
    Swallow,
    /// Carries each answer so much later.
    Slow(Duration),
}

/// Where the proxy leads.
#[derive(Clone, Debug)]
pub enum Target {
    /// A socket on this machine.
    Unix(PathBuf),
    /// A port on this machine.
    Port(u16),
}

/// The proxy; it ends when dropped.
pub struct Proxy {
    mode: watch::Sender<Mode>,
    carried: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
    folder: TempDir,
    port: u16,
    tasks: [JoinHandle<()>; 2],
}

impl Proxy {
    /// A proxy in front of the machine's own engine.
    pub async fn to_engine() -> Self {
        Self::to(Target::Unix(ENGINE_SOCKET.into())).await
    }

    /// A proxy with a socket and a port.
    pub async fn to(target: Target) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let unix = UnixListener::bind(folder.path().join("s")).expect("a socket");
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = tcp.local_addr().expect("an address").port();
        let (mode, carried, connections) = (watch::Sender::new(Mode::Open), Arc::default(), Arc::default());
        let task = Carrier {
            target,
            mode: mode.clone(),
            carried: Arc::clone(&carried),
            connections: Arc::clone(&connections),
        };
        let other = task.clone();
        let tasks = [
            tokio::spawn(async move {
                while let Ok((stream, _)) = unix.accept().await {
                    tokio::spawn(task.clone().carry(stream));
                }
            }),
            tokio::spawn(async move {
                while let Ok((stream, _)) = tcp.accept().await {
                    tokio::spawn(other.clone().carry(stream));
                }
            }),
        ];
        Self { mode, carried, connections, folder, port, tasks }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        Path::new(self.folder.path()).join("s")
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does, with open connections too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How often a text passed towards the target.
    pub fn carried(&self, text: &str) -> usize {
        let carried = self.carried.lock().expect("no panic");
        String::from_utf8_lossy(&carried).matches(text).count()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Cut);
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[derive(Clone)]
struct Carrier {
    target: Target,
    mode: watch::Sender<Mode>,
    carried: Arc<Mutex<Vec<u8>>>,
    connections: Arc<AtomicUsize>,
}

impl Carrier {
    async fn carry(self, client: impl AsyncRead + AsyncWrite + Unpin) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        match &self.target {
            Target::Unix(path) => match UnixStream::connect(path).await {
                Ok(server) => self.between(client, server).await,
                Err(_) => drop(client),
            },
            Target::Port(port) => match TcpStream::connect(("127.0.0.1", *port)).await {
                Ok(server) => self.between(client, server).await,
                Err(_) => drop(client),
            },
        }
    }

    async fn between(
        self,
        mut client: impl AsyncRead + AsyncWrite + Unpin,
        mut server: impl AsyncRead + AsyncWrite + Unpin,
    ) {
        let mut mode = self.mode.subscribe();
        let (mut up, mut down) = (vec![0; 16 << 10], vec![0; 16 << 10]);
        loop {
            let now = *mode.borrow_and_update();
            if now == Mode::Cut {
                return;
            }
            let silent = now == Mode::Silent;
            tokio::select! {
                changed = mode.changed() => if changed.is_err() { return },
                read = client.read(&mut up), if !silent => match read {
                    Ok(length) if length > 0 => {
                        self.carried.lock().expect("no panic").extend_from_slice(&up[..length]);
                        if server.write_all(&up[..length]).await.is_err() { return }
                    }
                    _ => return,
                },
                read = server.read(&mut down), if !silent => match read {
                    Ok(length) if length > 0 && now != Mode::Swallow => {
                        if let Mode::Slow(time) = now {
                            tokio::time::sleep(time).await;
                        }
                        if client.write_all(&down[..length]).await.is_err() { return }
                    }
                    _ => return,
                },
            }
        }
    }
}
