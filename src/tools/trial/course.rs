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
/// The same of a container's memory at first: after its end nobody can tell, and many a grader soon ends.
const FIRST_LOOKS_EVERY: Duration = Duration::from_millis(100);
const FIRST_LOOKS: Duration = Duration::from_secs(2);

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
    (most, aside): (&Cell<Option<Memory>>, &mut Terminal<'_>),
) -> Infallible {
    let begun = Instant::now();
    loop {
        // A look that fails tells nothing.
        let now = engine.usage(container).await.ok().and_then(|usage| usage.memory);
        most.set(more(most.get(), now));
        show(aside, &running(begun.elapsed(), profile, now));
        let pause = if begun.elapsed() < FIRST_LOOKS { FIRST_LOOKS_EVERY } else { LOOK_EVERY };
        tokio::time::sleep(pause).await;
    }
}

fn more(known: Option<Memory>, seen: Option<Memory>) -> Option<Memory> {
    known.into_iter().chain(seen).max_by_key(|memory| memory.bytes())
}

fn running(since: Duration, profile: &Profile, memory: Option<Memory>) -> String {
    let of = |limit: Option<String>| limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let mut line = format!("running: {}{}", span(since), of(profile.timeout.map(span)));
    let of_memory = of(profile.memory.map(bytes));
    match memory {
        Some(Memory::Peak(most)) => line = format!("{line}, up to {}{of_memory} of memory", bytes(most)),
        Some(Memory::Now(now)) => line = format!("{line}, {}{of_memory} of memory", bytes(now)),
        None => {}
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_looks_the_highest_is_told_and_a_look_that_fails_takes_nothing_away() {
        let (low, high) = (Some(Memory::Now(1)), Some(Memory::Now(2)));
        assert_eq!(more(None, low), low);
        assert_eq!((more(low, high), more(high, low), more(high, None)), (high, high, high));
        assert_eq!(more(Some(Memory::Peak(2)), Some(Memory::Peak(3))), Some(Memory::Peak(3)));
    }
}
