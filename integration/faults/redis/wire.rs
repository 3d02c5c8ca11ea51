//! A connection to Redis that says one line and hears the first line of the answer: for what a person
//! at a terminal does, hundreds of times a second.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The connection.
pub struct Wire(BufReader<TcpStream>);

impl Wire {
    /// Connects; `None` where nobody listens.
    pub async fn open(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self(BufReader::new(stream)))
    }

    /// Says a command; the first line of the answer, or `None` where the connection broke.
    pub async fn say(&mut self, command: &str) -> Option<String> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut line = String::new();
        let length = self.0.read_line(&mut line).await.ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    }

    /// The number that is answered to a command.
    pub async fn number(&mut self, command: &str) -> Option<u64> {
        self.say(command).await?.strip_prefix(':')?.parse().ok()
    }
}
