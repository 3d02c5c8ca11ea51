//! Running components side by side: until they are asked to stop, or one of them fails.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::heartbeat::Hearts;
use crate::shutdown::Stop;
use crate::startup::Unreachable;

/// A component's name and its work.
pub type Stage = (&'static str, BoxFuture<'static, anyhow::Result<()>>);

/// How it all ended.
#[derive(Debug)]
pub enum Ended {
    /// All components stopped as they were asked to.
    Gracefully,
    /// We were asked to stop at once.
    AtOnce,
    /// A component failed, and the others were stopped.
    Failed {
        /// The first that failed.
        stage: &'static str,
        /// Why.
        error: anyhow::Error,
    },
    /// These components did not stop in the time that a graceful stop may take.
    Late(Vec<&'static str>),
}

/// Runs all components. When one fails, ends without being asked, or has a loop that is dead or stuck for
/// good, the others are asked to stop. Whatever has not stopped `grace` after it was asked is cut off.
pub async fn run(stages: Vec<Stage>, hearts: &Hearts, stop: &Stop, grace: Duration) -> Ended {
    let mut running = JoinSet::new();
    let mut names = HashMap::new();
    for (name, work) in stages {
        let hearts = hearts.clone();
        names.insert(running.spawn(async move { hearts.loop_of(name, work).await }).id(), name);
    }
    let mut watch = std::pin::pin!(hearts.watch());
    let mut watching = true;
    let mut failure = None;
    let mut deadline = None;
    loop {
        tokio::select! {
            biased;
            () = stop.at_once.cancelled() => return failure.unwrap_or(Ended::AtOnce),
            () = stop.asked.cancelled(), if deadline.is_none() => deadline = Some(Instant::now() + grace),
            ended = running.join_next_with_id() => {
                let Some(ended) = ended else { return failure.unwrap_or(Ended::Gracefully) };
                let (id, result) = match ended {
                    Ok((id, result)) => (id, result),
                    Err(error) => (error.id(), Err(anyhow::Error::new(error))),
                };
                let stage = names.remove(&id).unwrap_or_default();
                let failed = match result {
                    Ok(()) if stop.asked.is_cancelled() => None,
                    Ok(()) => Some(anyhow::anyhow!("it ended without being asked to")),
                    Err(error) if stop.asked.is_cancelled() && gave_way(&error) => None,
                    Err(error) => Some(error),
                };
                if let Some(error) = failed {
                    stop.asked.cancel();
                    failure.get_or_insert(Ended::Failed { stage, error });
                }
            }
            failed = &mut watch, if watching => {
                watching = false;
                stop.asked.cancel();
                failure.get_or_insert(Ended::Failed { stage: "heartbeat", error: failed.into() });
            }
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                return failure.unwrap_or_else(|| Ended::Late(names.into_values().collect()));
            }
        }
    }
}

/// Whether a component only says that it was asked to stop before it had begun.
fn gave_way(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(Unreachable::Stopped { .. })))
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, bail};
    use futures::FutureExt;

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);

    fn stage(name: &'static str, work: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> Stage {
        (name, work.boxed())
    }

    fn obedient(name: &'static str, stop: &Stop) -> Stage {
        let asked = stop.asked.clone();
        stage(name, async move {
            asked.cancelled().await;
            Ok(())
        })
    }

    #[tokio::test(start_paused = true)]
    async fn all_end_gracefully_once_they_are_asked_to() {
        let stop = Stop::default();
        let stages = vec![obedient("a", &stop), obedient("b", &stop)];
        let asking = async {
            tokio::task::yield_now().await;
            stop.asked.cancel();
        };
        let hearts = Hearts::default();
        let (ended, ()) = tokio::join!(run(stages, &hearts, &stop, GRACE), asking);
        assert!(matches!(ended, Ended::Gracefully), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_stops_the_others_and_is_the_one_that_is_told() {
        let stop = Stop::default();
        let failing = stage("bad", async { bail!("first") });
        let asked = stop.asked.clone();
        let worse = stage("worse", async move {
            asked.cancelled().await;
            bail!("second")
        });
        let ended = run(vec![obedient("a", &stop), failing, worse], &Hearts::default(), &stop, GRACE).await;
        let Ended::Failed { stage, error } = ended else { panic!("{ended:?}") };
        assert_eq!((stage, error.to_string().as_str()), ("bad", "first"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_an_end_unasked_for_are_failures() {
        let stop = Stop::default();
        let ended = run(
            vec![stage("a", async { panic!("oh") }), obedient("b", &stop)],
            &Hearts::default(),
            &stop,
            GRACE,
        )
        .await;
        assert!(matches!(ended, Ended::Failed { stage: "a", .. }), "{ended:?}");
        let stop = Stop::default();
        let ended =
            run(vec![stage("a", async { Ok(()) }), obedient("b", &stop)], &Hearts::default(), &stop, GRACE)
                .await;
        assert!(matches!(ended, Ended::Failed { stage: "a", .. }), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_still_waiting_for_a_service_stopped_as_asked() {
        let stop = Stop::default();
        stop.asked.cancel();
        let waiting =
            stage("a", async { Err(Unreachable::Stopped { service: "Redis" }).context("starting") });
        let ended = run(vec![waiting], &Hearts::default(), &stop, GRACE).await;
        assert!(matches!(ended, Ended::Gracefully), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_stop_in_time_is_cut_off_and_named() {
        let stop = Stop::default();
        let stages = vec![obedient("a", &stop), stage("deaf", std::future::pending())];
        stop.asked.cancel();
        let begun = Instant::now();
        let ended = run(stages, &Hearts::default(), &stop, GRACE).await;
        assert!(matches!(&ended, Ended::Late(stages) if stages == &["deaf"]), "{ended:?}");
        assert_eq!(begun.elapsed(), GRACE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_at_once_waits_for_nobody() {
        let stop = Stop::default();
        stop.asked.cancel();
        stop.at_once.cancel();
        let begun = Instant::now();
        let ended = run(vec![stage("deaf", std::future::pending())], &Hearts::default(), &stop, GRACE).await;
        assert!(matches!(ended, Ended::AtOnce), "{ended:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
