//! One trial from the job's data to the container's removal.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::terminal::{Terminal, bytes, printable, span};
use super::TrialError;
use super::bench::{Bench, Course, Ran};
use super::leftovers::{self, INSTANCE};
use super::signals::Signals;
use crate::completer;
use crate::completer::single::{Charge, Known};
use crate::docker::{ContainerSpec, Engine};
use crate::identity::{ContainerId, InstanceId, JobId};
use crate::profile::Profile;
use crate::starter::single::NotStarted;
use crate::usage::Memory;

/// How often the line of progress is written, and the container's memory looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why a trial was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// By a signal.
    Asked,
    /// What is tried is another by now.
    Changed,
}

/// Tries it, unless it is stopped. The container is gone in the end.
pub(super) async fn run(
    bench: &Bench<'_>,
    signals: &Signals,
    changed: impl Future<Output = ()>,
    aside: &mut Terminal<'_>,
) -> Result<Result<Course, Stopped>, TrialError> {
    let mut stop = pin!(async {
        tokio::select! {
            () = signals.asked() => Stopped::Asked,
            () = changed => Stopped::Changed,
        }
    });
    let job = bench.job()?;
    let starter = bench.starter();
    let image_id = bench.engine.image_id(&starter.spelled(&job.image)).await?;
    let not_started =
        |bench: &Bench<'_>, profile, none| bench.not_started(&job, profile, image_id.clone(), none);
    let profile = match starter.admitted(&job).await {
        Ok(profile) => profile,
        Err(none) => return Ok(Ok(not_started(bench, None, none))),
    };
    if let Err(problem) = bench.about.abilities.has_runtime_of(&profile) {
        return Err(TrialError::Senseless(format!("no container can run so (CONTAINER_RUNTIME): {problem}")));
    }
    let labels = leftovers::labels("try", job.errand.clone(), &profile);
    let number = labels.job.clone();
    let spec = match starter.composed(&job, labels, profile).await {
        Ok(spec) => spec,
        Err(none) => return Ok(Ok(not_started(bench, None, none))),
    };
    let instance = InstanceId::new(INSTANCE);
    let completer = completer::single::Single::begin(
        bench.engine,
        bench.about.id.clone(),
        instance,
        bench.trial.output_limit,
    )?;
    tokio::select! {
        ready = completer.ready() => ready?,
        why = &mut stop => return Ok(Err(why)),
    }
    let course = Box::pin(tried(bench, &completer, (&spec, &number), aside, &mut stop)).await;
    completer.close().await;
    show(aside, "removing the container");
    if let Err(error) = leftovers::remove_by_name(bench.engine, &spec.name).await {
        leftovers::tell_left(&spec.name, &error, aside);
    }
    show(aside, "");
    let course = course?;
    // What was pulled meanwhile has an id by now.
    let image_id = match image_id {
        None => bench.engine.image_id(&spec.image).await.ok().flatten(),
        known => known,
    };
    let not_started =
        |bench: &Bench<'_>, profile, none| bench.not_started(&job, profile, image_id.clone(), none);
    Ok(match course {
        Err(stopped) => Err(stopped),
        Ok(Err(none)) => Ok(not_started(bench, Some(spec.profile), none)),
        Ok(Ok((known, ran))) => Ok(bench.course(&job, Some(spec.profile), image_id, known, Some(ran))),
    })
}

type Done = Result<(Known, Ran), NotStarted>;

/// Starts the container, and watches it to its end.
async fn tried(
    bench: &Bench<'_>,
    completer: &completer::single::Single,
    (spec, job): (&ContainerSpec, &JobId),
    aside: &mut Terminal<'_>,
    stop: &mut (impl Future<Output = Stopped> + Unpin),
) -> Result<Result<Done, Stopped>, TrialError> {
    let starter = bench.starter();
    let is_pulled = AtomicBool::new(false);
    let mut launched =
        pin!(starter.launched(bench.engine, spec, job, || is_pulled.store(true, Ordering::Relaxed)));
    let begun = Instant::now();
    let mut ticks = ticks();
    let mut stopped = None;
    let container = loop {
        tokio::select! {
            launched = &mut launched => match launched {
                Ok(container) => break container,
                Err(none) => return Ok(stopped.map_or(Ok(Err(none)), Err)),
            },
            why = &mut *stop, if stopped.is_none() => {
                if is_pulled.load(Ordering::Relaxed) {
                    return Ok(Err(why));
                }
                // A container that is being made is waited for: it could not be removed before it is there.
                stopped = Some(why);
            }
            _ = ticks.tick() => {
                let doing = if is_pulled.load(Ordering::Relaxed) { "pulling" } else { "starting a container of" };
                show(aside, &format!("{doing} {}: {}", printable(&spec.image), span(begun.elapsed())));
            }
        }
    };
    if let Some(why) = stopped {
        return Ok(Err(why));
    }
    let charge = Charge { container, timeout: spec.profile.timeout, seal: spec.seal.clone() };
    let most = Cell::new(None);
    let known = tokio::select! {
        known = Box::pin(completer.known_end_of(&charge)) => known?,
        why = &mut *stop => return Ok(Err(why)),
        never = look_on(bench.engine, &charge.container, &spec.profile, (&most, aside)) => match never {},
    };
    let ran =
        bench.engine.inspect(charge.container.as_str()).await?.as_ref().map(Ran::of).unwrap_or_default();
    Ok(Ok(Ok((known, Ran { memory: most.get(), ..ran }))))
}

/// A terminal that is gone stops nothing, least of all the removal of the container.
fn show(aside: &mut Terminal<'_>, line: &str) {
    let _ = aside.progress(line);
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Looks now and then at what a running container uses, and tells it.
async fn look_on(
    engine: &Engine,
    container: &ContainerId,
    profile: &Profile,
    (most, aside): (&Cell<Option<u64>>, &mut Terminal<'_>),
) -> Infallible {
    let (begun, mut ticks) = (Instant::now(), ticks());
    loop {
        ticks.tick().await;
        let now = memory_of(engine, container).await;
        most.set(most.get().max(now));
        show(aside, &running(begun.elapsed(), profile, now));
    }
}

/// What a container is seen to use; a look that fails tells nothing.
async fn memory_of(engine: &Engine, container: &ContainerId) -> Option<u64> {
    match engine.usage(container).await.ok()?.memory? {
        Memory::Peak(most) => Some(most),
        Memory::Now(now) => Some(now),
    }
}

fn running(since: Duration, profile: &Profile, memory: Option<u64>) -> String {
    let of = |limit: Option<String>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let mut line = format!("running: {}{}", span(since), of(profile.timeout.map(span)));
    if let Some(memory) = memory {
        line = format!("{line}, {}{} of memory", bytes(memory), of(profile.memory.map(bytes)));
    }
    line
}
