//! How well the readers of the event streams keep up where very many containers end.

use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::SimulatedEngine;

/// Bytes that a narrow connection is asked to take before its reader has read them (the kernel gives twice that): a
/// few events.
const BUFFER: usize = 4 * 1024;

/// How many containers end before others may do anything, where many end.
const ENDED_TOGETHER: usize = 20;

/// How long events waited since the last call, at their most, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Lag {
    /// From the moment when the engine had written an event until the socket took it, which it does once its
    /// reader has taken out what came before: all that a slow reader can cost.
    pub reader: u64,
    /// The longest that one write was blocked by a full socket.
    pub blocked: u64,
    /// From the event until the engine, one thread, came to write it: its own affair.
    pub engine: u64,
}

/// Notes what events waited for.
#[derive(Debug, Default)]
pub struct Reading {
    reader: AtomicU64,
    blocked: AtomicU64,
    engine: AtomicU64,
}

impl Reading {
    /// An event that happened then is written now.
    pub fn taken(&self, happened: Instant) {
        note(&self.engine, happened);
    }

    fn take(&self) -> Lag {
        let [reader, blocked, engine] =
            [&self.reader, &self.blocked, &self.engine].map(|longest| longest.swap(0, Ordering::Relaxed));
        Lag { reader, blocked, engine }
    }
}

fn note(longest: &AtomicU64, from: Instant) {
    let waited = u64::try_from(from.elapsed().as_nanos()).unwrap_or(u64::MAX);
    longest.fetch_max(waited, Ordering::Relaxed);
}

type Written = (Instant, Vec<u8>);

/// A connection that, from the moment when it is [`narrow`](Switch::narrow), is written by a thread of its own, as
/// a real daemon has one: how long its reader lets that wait does not depend on what else the engine does.
pub struct Connection {
    stream: UnixStream,
    switch: Arc<Switch>,
    reading: Arc<Reading>,
    writer: Option<UnboundedSender<Written>>,
}

/// Makes a connection narrow.
#[derive(Debug, Default)]
pub struct Switch(AtomicBool);

impl Switch {
    /// What is written from here on is measured.
    pub fn narrow(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    /// A connection as it was accepted, wide until its switch is used.
    pub fn new(stream: UnixStream, switch: Arc<Switch>, reading: Arc<Reading>) -> Self {
        Self { stream, switch, reading, writer: None }
    }

    fn start_writer(&self) -> std::io::Result<UnboundedSender<Written>> {
        let stream = std::os::unix::net::UnixStream::from(self.stream.as_fd().try_clone_to_owned()?);
        socket2::SockRef::from(&stream).set_send_buffer_size(BUFFER)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (sender, mut pieces) = unbounded_channel::<Written>();
        let reading = Arc::clone(&self.reading);
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let mut stream = UnixStream::from_std(stream)?;
                while let Some((written, piece)) = pieces.recv().await {
                    let began = Instant::now();
                    stream.write_all(&piece).await?;
                    note(&reading.blocked, began);
                    note(&reading.reader, written);
                }
                stream.shutdown().await
            })
        });
        Ok(sender)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.writer.is_none() && self.switch.0.load(Ordering::Relaxed) {
            self.writer = Some(self.start_writer()?);
        }
        match &self.writer {
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
            Some(writer) => Poll::Ready(match writer.send((Instant::now(), bytes.to_vec())) {
                Ok(()) => Ok(bytes.len()),
                Err(_) => Err(std::io::ErrorKind::BrokenPipe.into()),
            }),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.writer.take() {
            // The thread shuts it down when all is written.
            Some(_) => Poll::Ready(Ok(())),
            None => Pin::new(&mut self.stream).poll_shutdown(context),
        }
    }
}

impl SimulatedEngine {
    /// How long events waited for their stream's reader since the last call.
    pub fn lag(&self) -> Lag {
        self.shared.reading.take()
    }

    /// Ends every running container, evenly within a time.
    pub async fn end_all_within(&self, time: Duration, exit_code: i64) {
        let ids: Vec<String> = self.shared.world().containers.keys().cloned().collect();
        let pieces = u32::try_from(ids.len().div_ceil(ENDED_TOGETHER)).unwrap_or(u32::MAX).max(1);
        let mut due = tokio::time::Instant::now();
        for some in ids.chunks(ENDED_TOGETHER) {
            tokio::time::sleep_until(due).await;
            due += time / pieces;
            for id in some {
                self.alter(|world| world.end(id, None, exit_code));
            }
            tokio::task::yield_now().await;
        }
    }
}
