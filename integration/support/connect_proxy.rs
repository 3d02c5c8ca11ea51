//! An HTTP proxy for tunnels that remembers what it was asked for. Whatever address it is asked for, it connects to that
//! port of this machine: so receivers of tests have addresses that are not loopback ones.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What is answered.
pub enum Reply {
    /// The tunnel.
    Connect,
    /// This, and nothing more.
    Say(&'static str),
    /// Nothing, ever.
    Never,
}

/// What it was asked, and by what head.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The address and the port.
    pub target: String,
    /// The whole head.
    pub head: String,
}

type Script = Arc<dyn Fn(&Asked, usize) -> Reply + Send + Sync>;

/// A running proxy. It is ended when dropped.
pub struct ConnectProxy {
    /// Where it listens on this machine.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: AbortHandle,
}

impl ConnectProxy {
    /// Answers by `script`, which is given what was asked for and how often it was asked before.
    pub async fn start(script: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (all, script): (_, Script) = (Arc::clone(&asked), Arc::new(script));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, all) = (Arc::clone(&script), Arc::clone(&all));
                // A client that goes away is what some tests are about.
                tokio::spawn(async move { serve(stream, script, all).await.ok() });
            }
        });
        Self { port, asked, server: server.abort_handle() }
    }

    /// A proxy that connects everybody.
    pub async fn open() -> Self {
        Self::start(|_, _| Reply::Connect).await
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }

    /// The addresses that it was asked for so far.
    pub fn targets(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.target).collect()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut client: TcpStream, script: Script, all: Arc<Mutex<Vec<Asked>>>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("text");
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let asked = Asked { target: target.to_owned(), head: head.clone() };
    let before = {
        let mut all = all.lock().expect("not poisoned");
        all.push(asked.clone());
        all.len() - 1
    };
    match script(&asked, before) {
        Reply::Never => std::future::pending().await,
        Reply::Say(text) => {
            client.write_all(text.as_bytes()).await?;
            client.shutdown().await
        }
        Reply::Connect => {
            let port: u16 =
                asked.target.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
            let mut receiver = TcpStream::connect(("127.0.0.1", port)).await?;
            client.write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await?;
            copy_bidirectional(&mut client, &mut receiver).await.map(drop)
        }
    }
}
