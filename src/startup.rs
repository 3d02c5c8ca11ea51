//! Starting: waiting for the services that are needed, and why a start is given up.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::heartbeat;

/// The first and the longest wait between two tries to reach a service.
const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(2);

/// How many files, connections among them, a process may come to need: deliveries to very many receivers that hang.
pub const FILES_WANTED: u64 = 4096;

/// Lets this process open as many files as the system grants it without asking anybody (the hard limit): systemd and
/// shells begin with 1024 for the sake of programs that use `select`. Gives the limit that holds now; `None` = there
/// is none.
#[must_use]
pub fn raise_file_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it is refused, what there was remains.
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        return limit.maximum;
    }
    limit.current
}

/// What it means that at most so many files may be open, if it means anything.
#[must_use]
pub fn too_few_files(files: u64) -> Option<String> {
    (files < FILES_WANTED).then(|| {
        format!(
            "at most {files} files may be open here, connections among them: raise the limit (ulimit -Hn, \
             LimitNOFILE) to {FILES_WANTED}, or deliveries to many receivers that hang may fail"
        )
    })
}

/// A service that is needed could not be reached.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unreachable {
    /// It did not answer as it should in the time given (exit code 69).
    #[error("{service} is unreachable; gave up after {} s (CONNECT_WAIT): {last}", in_tenths(*waited))]
    GaveUp {
        /// What was waited for.
        service: &'static str,
        /// How long.
        waited: Duration,
        /// Why the last try failed.
        last: String,
    },
    /// We were asked to stop while we waited (exit code 0).
    #[error("asked to stop while waiting for {service}")]
    Stopped {
        /// What was waited for.
        service: &'static str,
    },
}

/// Seconds, as exactly as a person cares for.
fn in_tenths(span: Duration) -> f32 {
    (span.as_secs_f32() * 10.0).round() / 10.0
}

/// A setting that turned out to be unusable only when a stage put it to use (exit code 64), such as a
/// certificate that is none. A stage returns it, anywhere in the chain of its error.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{setting}: {problem}")]
pub struct BadSetting {
    setting: &'static str,
    problem: String,
}

impl BadSetting {
    /// Says which setting (by its environment variable) is at fault and why. The text must hold no secret.
    pub fn new(setting: &'static str, problem: impl Display) -> Self {
        Self { setting, problem: problem.to_string() }
    }
}

/// Tries until it works, for at most the given time (`None` = for ever), with growing waits in between.
/// Says in the log what is waited for and why, once for each change of the reason.
///
/// (The bound is no `AsyncFnMut`, since a task that awaits such a call cannot be proved to be `Send`.)
///
/// # Errors
/// When the time is over, or when we are asked to stop before it works.
pub async fn wait_for<T, E, F>(
    service: &'static str,
    at_most: Option<Duration>,
    shutdown: &CancellationToken,
    try_once: impl FnMut() -> F,
) -> Result<T, Unreachable>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let mut last = String::from("no answer yet");
    let waiting = wait_until_it_works(service, at_most, started, &mut last, try_once);
    let waited = shutdown.run_until_cancelled(at_the_latest(at_most, waiting)).await;
    match waited {
        None => Err(Unreachable::Stopped { service }),
        Some(Some(value)) => Ok(value),
        Some(None) => Err(Unreachable::GaveUp { service, waited: started.elapsed(), last }),
    }
}

/// The result, or nothing if the time (`None` = for ever) is over before.
async fn at_the_latest<T>(at_most: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match at_most {
        None => Some(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.ok(),
    }
}

/// Tries for ever; leaves the reason of the last failure in `last`.
async fn wait_until_it_works<T, E, F>(
    service: &'static str,
    at_most: Option<Duration>,
    started: Instant,
    last: &mut String,
    mut try_once: impl FnMut() -> F,
) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let mut backoff = Backoff::new(BASE, CAP);
    loop {
        // In a box, since this future may be large and those of the stages hold it.
        let error = match Box::pin(try_once()).await {
            Ok(value) => {
                if backoff.failures() > 0 {
                    let waited = started.elapsed().as_secs_f32();
                    info!(service, waited, "{service} is there now, after {waited:.1} s");
                }
                return value;
            }
            Err(error) => error.to_string(),
        };
        if *last != error {
            let patience = match at_most {
                Some(limit) => format!("for up to {} s in all", limit.as_secs_f32()),
                None => String::from("for as long as it takes"),
            };
            warn!(service, error, "waiting for {service}, {patience}: {error}");
            heartbeat::takes_no_work_yet(format!("waiting for {service}: {error}"));
            *last = error;
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_may_be_open_as_the_system_grants() {
        use rustix::process::{Resource, getrlimit};
        let limit = raise_file_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!((now.current, limit), (now.maximum, now.maximum));
    }
    use std::future::{pending, ready};

    const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

    #[tokio::test(start_paused = true)]
    async fn the_value_of_the_first_try_that_works_is_returned() {
        let mut tries = 0;
        let reached = wait_for("Redis", None, &CancellationToken::new(), || {
            tries += 1;
            ready(if tries < 30 { Err(format!("refused ({tries})")) } else { Ok(tries) })
        })
        .await;
        assert_eq!(reached, Ok(30));
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_when_the_time_is_over_and_tells_the_last_reason() {
        let reached: Result<(), _> =
            wait_for("Redis", PATIENCE, &CancellationToken::new(), || ready(Err("connection refused"))).await;
        let error = reached.unwrap_err();
        assert!(matches!(&error, Unreachable::GaveUp { waited, .. } if *waited == PATIENCE.unwrap()));
        let text = error.to_string();
        assert!(text.starts_with("Redis is unreachable; gave up after 10 s"), "{text}");
        assert!(text.ends_with("connection refused"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_never_ends_does_not_outlive_the_time_given() {
        let reached: Result<(), _> =
            wait_for("Docker", PATIENCE, &CancellationToken::new(), pending::<Result<(), String>>).await;
        assert!(matches!(reached, Err(Unreachable::GaveUp { last, .. }) if last == "no answer yet"));
    }

    #[tokio::test(start_paused = true)]
    async fn being_asked_to_stop_ends_the_wait() {
        let shutdown = CancellationToken::new();
        let mut tries = 0;
        let reached: Result<(), _> = wait_for("Docker", None, &shutdown, || {
            tries += 1;
            if tries == 3 {
                shutdown.cancel();
            }
            ready(Err("refused"))
        })
        .await;
        assert_eq!(reached, Err(Unreachable::Stopped { service: "Docker" }));
        assert_eq!(tries, 3);
    }

    #[test]
    fn an_unusable_setting_is_found_again_under_the_context_that_a_stage_adds() {
        let error = anyhow::Error::new(BadSetting::new("DOCKER_OPTIONS", "no certificate in /a.pem"));
        let error = error.context("cannot use Docker");
        let found = error.chain().find_map(|cause| cause.downcast_ref::<BadSetting>());
        assert_eq!(found.unwrap().to_string(), "DOCKER_OPTIONS: no certificate in /a.pem");
    }
}
