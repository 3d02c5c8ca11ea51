//! What a container prints, as it prints it, for a person who watches.

use hyper::body::Incoming;
use hyper::{Method, StatusCode};

use super::connect::Engine;
use super::error::{Call, EngineError};
use super::frames::{Frames, Streams};
use super::logs::chunk;
use crate::identity::ContainerId;

/// What a container prints.
pub struct Printed {
    body: Incoming,
    frames: Frames,
    said: Said,
}

/// What it printed at once, the two streams apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// To its standard output.
    pub stdout: Vec<u8>,
    /// To its standard error.
    pub stderr: Vec<u8>,
}

impl Streams for Said {
    fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.extend_from_slice(bytes);
    }

    fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
    }
}

impl Engine {
    /// What a container printed, and with `follow` what it prints until it ends; of what it printed before only the
    /// last `tail` lines, where that is said. `None` = there is no such container.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn printed(
        &self,
        container: &ContainerId,
        follow: bool,
        tail: Option<u32>,
    ) -> Result<Option<Printed>, EngineError> {
        self.within(Call::Logs, self.timeout(), async {
            let path = format!("/containers/{container}/logs");
            let (follow, tail) =
                (follow.to_string(), tail.map_or_else(|| "all".to_owned(), |tail| tail.to_string()));
            let query = [("stdout", "true"), ("stderr", "true"), ("follow", &follow), ("tail", &tail)];
            let answer = self.ask(Call::Logs, Method::GET, &path, &query, None).await?;
            match answer.status() {
                // A conflict: it is dead or being removed, and its log with it.
                StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(None),
                _ => {
                    let body = self.accepted(Call::Logs, answer).await?.into_body();
                    Ok(Some(Printed { body, frames: Frames::new(), said: Said::default() }))
                }
            }
        })
        .await
    }
}

impl Printed {
    /// What comes next; `None` = that was all. A grader may be silent for as long as it likes.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Said>, EngineError> {
        let Some(bytes) = chunk(&mut self.body).await? else { return Ok(None) };
        self.frames.push(&bytes, &mut self.said);
        Ok(Some(std::mem::take(&mut self.said)))
    }
}
