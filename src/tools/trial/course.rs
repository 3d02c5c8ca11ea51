//! One trial from the job's data to the container's removal.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::super::Answer;
use super::super::terminal::{Terminal, bytes, printable, span};
use super::leftovers::{self, INSTANCE, Owner};
use super::signals::Signals;
use super::{TrialError, place, remedies};
use crate::callback::Body;
use crate::completer;
use crate::completer::single::{Charge, Known};
use crate::config::Trial;
use crate::docker::{About, ContainerSpec, Engine, Inspected, State};
use crate::identity::{ContainerId, CorrectionId, InstanceId, JobId};
use crate::job::{Errand, FinishedJob, PendingJob, WorkId};
use crate::labels::Labels;
use crate::outcome::{Failure, Outcome};
use crate::output::Output;
use crate::profile::Profile;
use crate::starter;
use crate::starter::single::NotStarted;
use crate::usage::Memory;
use crate::verdict::{self, Tried, Verdict};

/// How often the line of progress is written, and the container's memory looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Where the callback would go: nowhere, since nobody is told.
const NOWHERE: &str = "http://try.invalid/";

/// What a trial is made with.
pub(super) struct Bench<'a> {
    pub(super) trial: &'a Trial,
    pub(super) engine: &'a Engine,
    pub(super) about: &'a About,
    /// The submission's absolute path.
    pub(super) file: &'a str,
}

/// Why a trial was stopped before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// By a signal.
    Asked,
    /// What is tried is another by now.
    Changed,
}

/// What came of a trial.
#[derive(Debug)]
pub(super) struct Course {
    /// The submission's absolute path.
    pub(super) file: String,
    /// What the container got; `None` = it may not run.
    pub(super) profile: Option<Profile>,
    /// The id of the image, where it is here.
    pub(super) image_id: Option<String>,
    /// Its verdict, or what is told in its place.
    pub(super) told: Result<Verdict, Failure>,
    /// Whether a starter would have tried it again for a while before it told that.
    pub(super) passing: bool,
    /// Each candidate for a verdict that was looked at.
    pub(super) tried: Vec<Tried>,
    /// What it wrote, where that was read.
    pub(super) output: Option<Output>,
    /// What is known of its run, where it was started.
    pub(super) ran: Option<Ran>,
    /// What the callback's body would be.
    pub(super) body: Bytes,
    /// What helps, beyond what the failure says.
    pub(super) remedies: Vec<String>,
}

/// What is known of the run of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ran {
    /// Its exit code, where it ended.
    pub(super) exit_code: Option<i64>,
    /// Whether a process of it was killed for want of memory.
    pub(super) oom_killed: bool,
    /// When it was started, on the engine's clock.
    pub(super) started_at: Option<Timestamp>,
    /// For how long it ran.
    pub(super) took: Option<Duration>,
    /// The most memory that it was seen to use, in bytes.
    pub(super) memory: Option<u64>,
}

/// What a verdict, or a failure in its place, says of the grader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Its verdict is success.
    Pass,
    /// Its verdict is a failure.
    Fail,
    /// It gave no verdict, and that is its own fault or the submission's.
    Broken,
    /// What was asked for cannot be tried.
    Senseless,
    /// The engine, its host or a registry failed.
    Infrastructure,
}

impl Finding {
    /// Its name for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Broken => "broken_grader",
            Self::Senseless => "not_tried",
            Self::Infrastructure => "infrastructure",
        }
    }

    fn of(told: &Result<Verdict, Failure>, passing: bool) -> Self {
        let failure = match told {
            Ok(verdict) if verdict.success => return Self::Pass,
            Ok(_) => return Self::Fail,
            Err(failure) => failure,
        };
        match failure.outcome {
            // Its host's, where another run, or a later start, may end otherwise.
            _ if failure.again => Self::Infrastructure,
            Outcome::StartFailed | Outcome::DiskFull if passing => Self::Infrastructure,
            Outcome::Timeout
            | Outcome::OutOfMemory
            | Outcome::OutputLimit
            | Outcome::InvalidVerdict
            | Outcome::NoVerdict
            | Outcome::DiskFull
            | Outcome::Killed
            | Outcome::StartFailed => Self::Broken,
            Outcome::ExerciseNotFound
            | Outcome::ImageNotFound
            | Outcome::ImageNotAllowed
            | Outcome::InvalidJob => Self::Senseless,
            Outcome::ContainerLost
            | Outcome::EngineUnavailable
            | Outcome::Cancelled
            | Outcome::PullFailed
            | Outcome::ImageSuspended => Self::Infrastructure,
        }
    }
}

impl Course {
    /// What it says of the grader.
    pub(super) fn finding(&self) -> Finding {
        Finding::of(&self.told, self.passing)
    }

    /// The answer, which becomes the exit code.
    pub(super) fn answer(&self) -> Answer {
        let outcome = self.told.as_ref().err().map_or("", |failure| failure.outcome.as_str());
        let text = || format!("nothing is known of the grader by this: {outcome}");
        match self.finding() {
            Finding::Pass => Answer::Yes,
            Finding::Fail => Answer::No,
            Finding::Broken => Answer::Broken,
            Finding::Senseless => Answer::Senseless(text()),
            Finding::Infrastructure => Answer::Unreachable(text()),
        }
    }
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
    let labels = labels(&job, &profile);
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
    let course = tried(bench, &completer, (&spec, &number), aside, &mut stop).await;
    completer.close().await;
    show(aside, "removing the container");
    if let Err(error) = leftovers::remove_by_name(bench.engine, &spec.name).await {
        leftovers::tell_left(&spec.name, &error, aside);
    }
    show(aside, "");
    Ok(match course? {
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
        known = completer.known_end_of(&charge) => known?,
        why = &mut *stop => return Ok(Err(why)),
        never = look_on(bench.engine, &charge.container, &spec.profile, (&most, aside)) => match never {},
    };
    let ran = bench.engine.inspect(charge.container.as_str()).await?.map(Ran::of).unwrap_or_default();
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

impl Bench<'_> {
    fn starter(&self) -> starter::single::Single<'_> {
        let Trial { policy, docker, folders, .. } = self.trial;
        starter::single::Single { policy, docker, folders, root: self.about.root.clone() }
    }

    /// The job, as the starter reads it from its queue.
    fn job(&self) -> Result<PendingJob, TrialError> {
        let Trial { image, params, work_id, .. } = self.trial;
        let asked = PendingJob {
            errand: Errand {
                work_id: work_id.as_ref().map(|work_id| WorkId(crate::fields::raw(work_id))),
                callback: Some(NOWHERE.to_owned()),
                ..Errand::default()
            },
            image: image.clone(),
            file: self.file.to_owned(),
            params: params.clone(),
            runs: 0,
        };
        let read = PendingJob::parse(&asked.to_data());
        read.map_err(|invalid| TrialError::Senseless(format!("no job can be like that: {invalid}")))
    }

    fn not_started(
        &self,
        job: &PendingJob,
        profile: Option<Profile>,
        image_id: Option<String>,
        none: NotStarted,
    ) -> Course {
        let course = self.course(job, profile, image_id, none.failure.into(), None);
        Course { passing: none.passing, ..course }
    }

    fn course(
        &self,
        job: &PendingJob,
        profile: Option<Profile>,
        image_id: Option<String>,
        known: Known,
        ran: Option<Ran>,
    ) -> Course {
        let Known { told, output, .. } = known;
        let finished = match &told {
            Ok(verdict) => FinishedJob::of_verdict(job.errand.clone(), verdict.json.clone()),
            Err(failure) => FinishedJob::of_failure(job.errand.clone(), failure),
        };
        let mut course = Course {
            file: job.file.clone(),
            profile,
            image_id,
            passing: false,
            tried: output.as_ref().map(|output| verdict::tell(output).1).unwrap_or_default(),
            body: Body::of(&finished).bytes,
            told,
            output,
            ran,
            remedies: Vec::new(),
        };
        course.remedies = remedies::of(&course, self.trial, place::is_here(&self.trial.docker.endpoint));
        course
    }
}

impl Ran {
    fn of(inspected: Inspected) -> Self {
        let took = inspected.started_at.zip(inspected.finished_at);
        Self {
            exit_code: matches!(inspected.state, State::Exited | State::Dead).then_some(inspected.exit_code),
            oom_killed: inspected.oom_killed,
            started_at: inspected.started_at,
            took: took.and_then(|(from, to)| Duration::try_from(to.duration_since(from)).ok()),
            memory: None,
        }
    }
}

/// What the container says about itself: that it is a `try`'s, and which process's.
fn labels(job: &PendingJob, profile: &Profile) -> Labels {
    let (instance, number) = (InstanceId::new(INSTANCE), JobId::new(uuid::Uuid::new_v4().to_string()));
    let timestamp = Timestamp::now().as_millisecond().unsigned_abs();
    Labels {
        correction: CorrectionId::derive(&instance, &number, timestamp, 0),
        instance,
        job: number,
        name: "try".to_owned(),
        timestamp,
        generation: 0,
        attempt: Owner::this().told(),
        timeout_ms: profile.timeout_ms(),
        disk: profile.disk,
        // Nobody is to be told of it, whoever reads this.
        errand: Errand { callback: None, ..job.errand.clone() },
        rerun: None,
        seal: None,
    }
}
