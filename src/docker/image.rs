//! Pulling images: one pull in flight per image, shared by all who wait for it.

use std::collections::HashMap;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::{Method, Response};
use serde::Deserialize;

use super::answer::{BAD_REFERENCE, Refusal, is_disk_full, says, shortened};
use super::connect::Engine;
use super::error::{Call, EngineError};
use super::lines::Lines;
use super::reference::Reference;
use super::transport::told;
use crate::heartbeat::waiting_for;

/// The pulls in flight, by image.
pub(super) type Pulls = HashMap<String, Shared<BoxFuture<'static, Result<(), EngineError>>>>;

/// The header in which the engine is told who we are at the registry.
const AUTH: HeaderName = HeaderName::from_static("x-registry-auth");

/// A line of the engine's report on a pull. All but errors is for progress bars.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    error_detail: Option<Detail>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Detail {
    message: Option<String>,
}

impl Engine {
    /// Pulls an image from its registry, with the credentials that are set for that registry. All who
    /// ask for the same image while it is being pulled share one pull, which goes on even if the first
    /// of them no longer waits.
    ///
    /// # Errors
    /// `NoSuchImage`, `PullDenied`, `UnusableImage`, `PullFailed`, `DiskFull`, and those of every call.
    pub async fn pull(&self, image: &str) -> Result<(), EngineError> {
        let pull = {
            let mut pulls = self.pulls();
            match pulls.get(image) {
                Some(pull) => pull.clone(),
                None => pulls.entry(image.to_owned()).or_insert(self.begin_pull(image.to_owned())).clone(),
            }
        };
        // The task that pulls has the deadline.
        let _waiting = waiting_for(Call::Pull.name(), self.pull_timeout());
        pull.await
    }

    /// Starts a pull in a task of its own, which forgets it once it ended: a later one asks the registry
    /// again.
    fn begin_pull(&self, image: String) -> Shared<BoxFuture<'static, Result<(), EngineError>>> {
        let (engine, name) = (self.clone(), image.clone());
        let task = tokio::spawn(async move {
            let forget = Forget { engine: &engine, image: &name };
            let limit = engine.pull_timeout();
            let pulled = engine.within(Call::Pull, limit, engine.pull_now(&name)).await;
            drop(forget);
            pulled.map_err(|error| match error {
                // The registry is slow, mostly; the engine need not be away.
                EngineError::Timeout { after, .. } => EngineError::PullFailed {
                    image: name,
                    message: format!("not done within {} ms (DOCKER_PULL_TIMEOUT)", after.as_millis()),
                },
                other => other,
            })
        });
        let pull = async move {
            task.await.unwrap_or_else(|error| {
                Err(EngineError::PullFailed { image, message: format!("the pull was ended: {error}") })
            })
        };
        pull.boxed().shared()
    }

    async fn pull_now(&self, image: &str) -> Result<(), EngineError> {
        let reference = Reference::read(image);
        let query = [("fromImage", reference.name.as_str()), ("tag", reference.version.as_str())];
        let header = self.logins().header(&reference.registry).map(|login| (AUTH, login));
        let with_login = header.is_some();
        tracing::info!(image, registry = reference.registry_name(), with_login, "pulling an image");
        let answer = self.ask(Call::Pull, Method::POST, "/images/create", &query, header).await?;
        let complaint = if answer.status().is_success() {
            report(answer).await?
        } else {
            let refusal = self.current(Refusal::read(Call::Pull, answer).await?)?;
            if refusal.status == 400 && !refusal.says("registry") && !refusal.says(BAD_REFERENCE) {
                return Err(refusal.error(Call::Pull));
            }
            Some(refusal.message)
        };
        match complaint {
            Some(message) => Err(judged(image, &reference, with_login, &message)),
            None => Ok(()),
        }
    }
}

/// Reads the report on a pull to its end; the first error in it is the pull's.
async fn report(answer: Response<Incoming>) -> Result<Option<String>, EngineError> {
    let (mut body, mut lines) = (answer.into_body(), Lines::default());
    let garbled = |reason: String| EngineError::Garbled { call: Call::Pull, reason };
    let mut complaint = None;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| EngineError::NoAnswer { call: Call::Pull, reason: told(&error) })?;
        lines.push(frame.data_ref().map_or(&[][..], |bytes| bytes));
        while let Some(line) = lines.next_line().map_err(|error| garbled(error.to_string()))? {
            let progress: Progress =
                serde_json::from_slice(&line).map_err(|error| garbled(error.to_string()))?;
            let detail = progress.error_detail.and_then(|detail| detail.message);
            complaint = complaint.or(detail.or(progress.error));
        }
    }
    Ok(complaint)
}

/// What the engine's words on a failed pull mean.
fn judged(image: &str, reference: &Reference, with_login: bool, message: &str) -> EngineError {
    let any = |words: &[&str]| words.iter().any(|words| says(message, words));
    let image = image.to_owned();
    if is_disk_full(message) {
        EngineError::DiskFull { message: shortened(message) }
    } else if any(&["manifest unknown", "name unknown", "repository name not known"])
        || says(message, "manifest for") && says(message, "not found")
    {
        EngineError::NoSuchImage { image, hint: format!(" in its registry, {}", reference.registry_name()) }
    } else if any(&[BAD_REFERENCE]) {
        EngineError::NoSuchImage { image, hint: format!(": {}", shortened(message)) }
    } else if any(&["pull access denied"]) && !with_login {
        // What a registry says to a stranger who asks for what is private, or for what is not there.
        let registry = reference.registry_name();
        let hint = format!(
            " in its registry, {registry}, or it is private: DOCKER_REGISTRY_CREDENTIALS has none for {registry}"
        );
        EngineError::NoSuchImage { image, hint }
    } else if any(&["unauthorized", "no basic auth", "denied", "authentication required", "forbidden"]) {
        let registry = reference.registry_name().to_owned();
        let hint = if with_login {
            "the credentials in DOCKER_REGISTRY_CREDENTIALS are wrong, or may not read it"
        } else {
            "DOCKER_REGISTRY_CREDENTIALS has no credentials for this registry"
        };
        EngineError::PullDenied { image, registry, hint, message: shortened(message) }
    } else if any(&[
        "no matching manifest",
        "unsupported media type",
        "no longer supported",
        "gave http response to https client",
        "x509",
    ]) {
        EngineError::UnusableImage { image, message: shortened(message) }
    } else {
        EngineError::PullFailed { image, message: shortened(message) }
    }
}

/// Forgets a pull when it ends, however it ends.
struct Forget<'a> {
    engine: &'a Engine,
    image: &'a str,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.engine.pulls().remove(self.image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(with_login: bool, message: &str) -> EngineError {
        judged("r.io/a:1", &Reference::read("r.io/a:1"), with_login, message)
    }

    #[test]
    fn what_engines_say_of_failed_pulls_is_told_apart() {
        for message in [
            "manifest for r.io/a:1 not found: manifest unknown: manifest unknown",
            "manifest for r.io/a:1 not found",
            "name unknown: repository name not known to registry",
            "invalid reference format: repository name must be lowercase",
        ] {
            assert!(matches!(of(true, message), EngineError::NoSuchImage { .. }), "{message}");
        }
        for message in [
            "Get \"http://r.io/v2/a/manifests/1\": no basic auth credentials",
            "Head \"http://r.io/v2/a/manifests/1\": unauthorized: authentication required",
            "denied: requested access to the resource is denied",
        ] {
            let error = of(false, message);
            assert!(matches!(error, EngineError::PullDenied { .. }) && !error.may_heal(), "{message}");
        }
        for message in [
            "Get \"https://r.io/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
            "received unexpected HTTP status: 503 Service Unavailable",
            "toomanyrequests: You have reached your pull rate limit.",
            "net/http: request canceled while waiting for connection",
        ] {
            let error = of(true, message);
            assert!(matches!(error, EngineError::PullFailed { .. }) && error.may_heal(), "{message}");
        }
        for message in [
            "no matching manifest for linux/amd64 in the manifest list entries",
            "Get \"https://r.io/v2/\": http: server gave HTTP response to HTTPS client",
        ] {
            let error = of(true, message);
            assert!(matches!(error, EngineError::UnusableImage { .. }) && !error.may_heal(), "{message}");
        }
        let full = of(true, "write /var/lib/docker/tmp/GetImageBlob1: no space left on device");
        assert!(matches!(full, EngineError::DiskFull { .. }));
    }

    #[test]
    fn a_private_image_and_one_that_is_not_there_are_the_same_to_a_stranger() {
        let words = "pull access denied for a, repository does not exist or may require 'docker login'";
        assert!(matches!(of(true, words), EngineError::PullDenied { .. }));
        let stranger = of(false, words);
        assert!(matches!(stranger, EngineError::NoSuchImage { .. }));
        assert!(stranger.to_string().contains("has none for r.io"), "{stranger}");
    }
}
