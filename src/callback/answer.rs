//! An answer's body: a little of it is kept for the log, and nobody waits for the rest.

use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use http_body_util::BodyExt;
use hyper::Response;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// How much of a body is read, so that its connection can be used again, and how much of that is kept.
pub(super) const MOST_READ: usize = 64 * 1024;
const MOST_KEPT: usize = 1024;
/// How long the beginning of a body is waited for: it nearly always comes along with the head.
const AT_ONCE: Duration = Duration::from_millis(50);
/// How long the rest is read, in the background.
const REST: Duration = Duration::from_secs(1);
/// How many bodies are read at a time; beyond that the connection is closed instead.
const MOST_AT_ONCE: usize = 256;

/// Reads answers' bodies. Clones share the bound on how many at a time.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    tasks: TaskTracker,
    room: Arc<Semaphore>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { tasks: TaskTracker::new(), room: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }
}

impl Answers {
    /// The beginning of a body on one line, as far as it comes at once; the rest is read in the background.
    pub async fn beginning(&self, answer: Response<Incoming>) -> String {
        let mut reading = Reading { body: answer.into_body(), kept: Vec::new(), read: 0 };
        let ended = timeout(AT_ONCE, reading.until(|reading| reading.kept.len() == MOST_KEPT)).await;
        let text = one_line(&reading.kept);
        if !matches!(ended, Ok(true))
            && let Ok(permit) = Arc::clone(&self.room).try_acquire_owned()
        {
            self.tasks.spawn(async move {
                // Whatever comes of it: the connection is used again, or closed.
                let _ = timeout(REST, reading.until(|_| false)).await;
                drop(permit);
            });
        }
        text
    }
}

struct Reading {
    body: Incoming,
    kept: Vec<u8>,
    read: usize,
}

impl Reading {
    /// Reads until there is enough; answers whether the body is over, or more than anyone reads.
    async fn until(&mut self, enough: impl Fn(&Self) -> bool) -> bool {
        while self.read <= MOST_READ {
            if enough(self) {
                return false;
            }
            let Some(Ok(frame)) = self.body.frame().await else { return true };
            let Ok(data) = frame.into_data() else { continue };
            self.read += data.remaining();
            self.kept.extend_from_slice(&data[..data.len().min(MOST_KEPT - self.kept.len())]);
        }
        true
    }
}

/// Words with single spaces between them, and no control characters.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|character: char| character.is_whitespace() || character.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_one_line_of_text() {
        assert_eq!(one_line(b"over\r\nloaded \x1b[31m\xff\0now "), "over loaded [31m\u{fffd} now");
        assert_eq!(one_line(b" \n"), "");
    }
}
