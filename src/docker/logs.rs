//! What a container wrote.

use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, StatusCode};

use super::connect::Engine;
use super::error::{Call, EngineError};
use super::frames::Frames;
use super::transport::told;
use crate::identity::ContainerId;
use crate::output::{Capture, Output};
use crate::seal::Seal;

/// The time for all of a container's output: its log is bounded, the engine's disk may be slow.
const ALL_OF_IT: Duration = Duration::from_secs(60);

impl Engine {
    /// Reads what a container wrote so far, keeping about `limit` bytes; `None` if there is no such
    /// container. The first byte has `DOCKER_TIMEOUT`, each silence too. All of it has a minute: of a log
    /// that is longer than can be read in that time the rest is left unread.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn output(&self, container: &ContainerId, limit: u64) -> Result<Option<Output>, EngineError> {
        self.sealed_output(container, limit, None).await
    }

    /// The same of a container whose verdict needs a secret, where there is one.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn sealed_output(
        &self,
        container: &ContainerId,
        limit: u64,
        seal: Option<Seal>,
    ) -> Result<Option<Output>, EngineError> {
        let enough = Instant::now() + ALL_OF_IT;
        let Some(mut body) = self.within(Call::Logs, self.timeout(), self.log(container)).await? else {
            return Ok(None);
        };
        let (mut frames, mut capture) = (Frames::new(), Capture::sealed(limit, seal));
        while let Some(bytes) = self.within_uncounted(Call::Logs, self.timeout(), chunk(&mut body)).await? {
            frames.push(&bytes, &mut capture);
            if Instant::now() >= enough {
                tracing::warn!(container_id = %container, "the container's output is too long to be read to its end");
                break;
            }
        }
        Ok(Some(capture.finish()))
    }

    async fn log(&self, container: &ContainerId) -> Result<Option<Incoming>, EngineError> {
        let path = format!("/containers/{container}/logs");
        let query = [("stdout", "true"), ("stderr", "true"), ("follow", "false")];
        let answer = self.ask(Call::Logs, Method::GET, &path, &query, None).await?;
        match answer.status() {
            // A conflict: it is dead or being removed, and its log with it.
            StatusCode::NOT_FOUND | StatusCode::CONFLICT => Ok(None),
            _ => Ok(Some(self.accepted(Call::Logs, answer).await?.into_body())),
        }
    }
}

pub(super) async fn chunk(body: &mut Incoming) -> Result<Option<Bytes>, EngineError> {
    match body.frame().await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(EngineError::NoAnswer { call: Call::Logs, reason: told(&error) }),
    }
}
