//! A container that ended → the result that its caller gets: its verdict, or what went wrong.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::docker::{EngineError, Inspected, State};
use crate::ending::{self, Ending};
use crate::identity::{ContainerId, EngineId};
use crate::job::{Errand, FinishedJob};
use crate::outcome::Failure;
use crate::output::Output;
use crate::usage::Disk;
use crate::verdict::{self, NoVerdict, Verdict};

use super::cause::{ending_of, is_killed_by_nobody, may_be_of_an_engine_going_down};
use super::disks;
use super::inflight::End;
use super::losses::{faulty, no_room, not_started, unreadable, unstoppable};
use super::scene::Scene;
use super::sealing::{Read, Sealing};
use super::tries::{Reached, Tries};

/// How often, and how far apart, it is asked whether memory ran out after a death that nothing explains.
const LATE_LOOKS: u32 = 3;
const LATE_LOOK_EVERY: Duration = Duration::from_millis(150);
/// How soon after its start an init says that it cannot run the command.
const INIT_COMPLAINS_WITHIN: Duration = Duration::from_secs(2);

/// What is known of a container that ended.
#[derive(Debug)]
pub struct Known {
    /// Its verdict, or what is told in its place.
    pub told: Result<Verdict, Failure>,
    /// What it wrote, where that was read.
    pub output: Option<Output>,
}

/// A result, or why there is none yet; and how far the attempt came.
#[derive(Debug)]
pub struct Attempt<T> {
    /// The result; `None` = the container is not there (any more), so that nobody can tell how it ended. An error:
    /// the engine is away or gave no answer, or the container runs again, so that nothing is decided and it is
    /// to be tried again later; `Exchanged` where it is not there and another engine answers.
    pub result: Result<Option<T>, EngineError>,
    /// How far it came.
    pub reached: Reached,
}

/// An ended container, and what is known of its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The container.
    pub container: ContainerId,
    /// How it is known that it ended.
    pub end: End,
    /// Whether this process killed it because its time was up.
    pub timed_out: bool,
    /// How long it was allowed to run.
    pub timeout: Option<Duration>,
    /// How often this was tried before.
    pub tries: Tries,
}

/// Reads the container's output and makes the result of it, where the container is there. `engine` = where it
/// was started; `sealing` = whether its verdict needs a secret.
pub async fn result_of(
    scene: Scene<'_>,
    ended: &Ended,
    engine: Option<&EngineId>,
    errand: Errand,
    sealing: &Sealing,
) -> Attempt<FinishedJob> {
    let Attempt { result, reached } = known_of(scene, ended, engine, sealing).await;
    let result = result.map(|known| {
        known.map(|known| match known.told {
            Ok(verdict) => FinishedJob::of_verdict(errand, verdict.json),
            Err(failure) => FinishedJob::of_failure(errand, &failure),
        })
    });
    Attempt { result, reached }
}

/// The same with what it is known by.
pub async fn known_of(
    scene: Scene<'_>,
    ended: &Ended,
    engine: Option<&EngineId>,
    sealing: &Sealing,
) -> Attempt<Known> {
    let mut reached = Reached::Nothing;
    let result = attempt(scene, ended, engine, sealing, &mut reached).await;
    Attempt { result, reached }
}

async fn attempt(
    scene: Scene<'_>,
    ended: &Ended,
    engine: Option<&EngineId>,
    sealing: &Sealing,
    reached: &mut Reached,
) -> Result<Option<Known>, EngineError> {
    if ended.end.is_gone() {
        is_still(scene, engine).await?;
        return Ok(None);
    }
    if ended.end == End::Unstoppable {
        return Ok(Some(unstoppable().into()));
    }
    if ended.tries.is_faulty() {
        return Ok(Some(faulty().into()));
    }
    let seal = match sealing.read(scene, ended, reached).await? {
        Read::Seal(seal) => seal,
        Read::Gone => {
            is_still(scene, engine).await?;
            return Ok(None);
        }
        Read::Unknown(failure) => return Ok(Some(failure.into())),
    };
    let limit = scene.output_limit;
    let output = match scene.engine.sealed_output(&ended.container, limit, seal).await {
        Ok(Some(output)) => output,
        Ok(None) => {
            is_still(scene, engine).await?;
            return Ok(None);
        }
        Err(error) => {
            *reached = Reached::NoOutput { away: error.is_away() };
            if !ended.tries.output.are_enough(&error, Instant::now()) {
                return Err(error);
            }
            // An engine that is here to stay and answers other questions will not answer this one any more.
            scene.engine_stays().await?;
            return Ok(Some(unreadable(&error).into()));
        }
    };
    *reached = Reached::All;
    let problem = match verdict::read(&output) {
        Ok(verdict) => return Ok(Some(Known { told: Ok(verdict), output: Some(output) })),
        Err(problem) => problem,
    };
    let failure = without_verdict(scene, ended, &problem, &output, reached).await?;
    Ok(failure.map(|failure| Known { told: Err(failure), output: Some(output) }))
}

/// What is told of an output without a verdict; `None` = the container is not there any more.
async fn without_verdict(
    scene: Scene<'_>,
    ended: &Ended,
    problem: &NoVerdict,
    output: &Output,
    reached: &mut Reached,
) -> Result<Option<Failure>, EngineError> {
    let inspected = match scene.engine.inspect(ended.container.as_str()).await {
        Ok(None) if ended.end == End::Found => return Ok(None),
        Ok(inspected) => inspected,
        Err(error) => {
            *reached = Reached::NoInspection { away: error.is_away() };
            if error.is_away() || !ended.tries.inspection.are_enough(&error, Instant::now()) {
                return Err(error);
            }
            None
        }
    };
    if inspected.as_ref().is_some_and(runs_again) {
        return Err(EngineError::RunsAgain);
    }
    if let Some(error) = inspected.as_ref().and_then(start_error) {
        return Ok(Some(not_started(error)));
    }
    let silent = output.total() == 0;
    let mut ending = ending_of(scene, ended, inspected.as_ref(), silent);
    if is_killed_by_nobody(&ending) {
        ending = late_news(scene, ended, inspected.as_ref(), silent, ending).await;
    }
    match full_disk(scene, ended, inspected.as_ref(), &ending).await {
        Ok(disk) => ending.disk = disk,
        Err(error) => {
            *reached = Reached::NoInspection { away: error.is_away() };
            if error.is_away() || !ended.tries.inspection.are_enough(&error, Instant::now()) {
                return Err(error);
            }
        }
    }
    if may_be_of_an_engine_going_down(ended, &ending) {
        scene.engine_stays().await?;
        if let Some(full) = disk_is_full(scene, inspected.as_ref()).await {
            return Ok(Some(full));
        }
    }
    if let Some(complaint) = complaint_of_init(&ending, output) {
        return Ok(Some(not_started(&complaint)));
    }
    Ok(Some(ending::explain(&ending, problem, output)))
}

/// Of what was written nothing is known.
impl From<Failure> for Known {
    fn from(failure: Failure) -> Self {
        Self { told: Err(failure), output: None }
    }
}

/// Whether the engine that answers is the expected one: what another one does not know is not gone.
///
/// # Errors
/// It is not, or gave no answer.
pub async fn is_still(scene: Scene<'_>, expected: Option<&EngineId>) -> Result<(), EngineError> {
    let Some(expected) = expected else { return Ok(()) };
    let found = scene.engine.about().await?.id;
    if found == *expected {
        return Ok(());
    }
    scene.whereabouts.set_engine(found.clone());
    Err(EngineError::Exchanged { found: found.to_string(), expected: expected.to_string() })
}

/// Looks again whether memory ran out where nothing told so: the kernel's word of it takes another way than the
/// death, and may come after it. The engine notes it then.
async fn late_news(
    scene: Scene<'_>,
    ended: &Ended,
    inspected: Option<&Inspected>,
    silent: bool,
    mut ending: Ending,
) -> Ending {
    if inspected.is_none_or(|inspected| inspected.memory_limit.is_none()) {
        return ending;
    }
    for _ in 0..LATE_LOOKS {
        tokio::time::sleep(LATE_LOOK_EVERY).await;
        // Without an answer what is known already is told.
        let Ok(Some(again)) = scene.engine.inspect(ended.container.as_str()).await else { break };
        ending = ending_of(scene, ended, Some(&again), silent);
        if !is_killed_by_nobody(&ending) {
            break;
        }
    }
    ending
}

/// The container's disk, if it was killed for it, by us or by a completer that died since, or if it could write
/// no more because the engine bounds it.
async fn full_disk(
    scene: Scene<'_>,
    ended: &Ended,
    inspected: Option<&Inspected>,
    ending: &Ending,
) -> Result<Option<Disk>, EngineError> {
    let killed = is_killed_by_nobody(ending);
    let Some(inspected) = inspected else { return Ok(None) };
    let failed = inspected.disk_bound.is_some() && ending.exit_code.is_some_and(|code| code != 0);
    let Some(allowed) = disks::limit_of(inspected).filter(|_| killed || failed) else { return Ok(None) };
    if let Some(seen) = scene.witness.of(&ended.container).disk.filter(|_| killed) {
        return Ok(Some(seen));
    }
    let disk = disks::measure(scene, &ended.container, allowed, &inspected.volumes).await?;
    Ok(disk.filter(|disk| killed && disk.is_exceeded() || failed && disk.is_full()))
}

/// Whether the engine's disk is full: then what a container printed is not kept, and nothing says so. Asked
/// only of one that ended; whatever else goes wrong with the question proves nothing.
async fn disk_is_full(scene: Scene<'_>, inspected: Option<&Inspected>) -> Option<Failure> {
    let ended = inspected.filter(|inspected| matches!(inspected.state, State::Exited | State::Dead))?;
    match scene.engine.has_room(&ended.id).await {
        Err(error @ EngineError::DiskFull { .. }) => Some(no_room(&error)),
        _ => None,
    }
}

/// Whether somebody started it by hand after it had ended without a verdict: its next run may have one.
fn runs_again(inspected: &Inspected) -> bool {
    matches!(inspected.state, State::Running | State::Paused | State::Restarting)
}

/// What the engine said of a start that failed; a container that did start has none.
fn start_error(inspected: &Inspected) -> Option<&str> {
    let failed = inspected.state == State::Created && !inspected.error.is_empty();
    failed.then_some(inspected.error.as_str())
}

/// With an init in the container a command that cannot be run is no refused start: the init (tini)
/// starts, says so and ends with 126 or 127, as a shell does. Only where it is all that was printed, and at once: a
/// submission can print the same, but hardly before its grader and the language that it is written in have started.
/// (What ended at once the engine may note as ended before it began: then it is not known how long it ran.)
fn complaint_of_init(ending: &Ending, output: &Output) -> Option<String> {
    let at_once = ending.elapsed.is_none_or(|elapsed| elapsed < INIT_COMPLAINS_WITHIN);
    let silent = output.stdout().is_some_and(<[u8]>::is_empty);
    let said = String::from_utf8_lossy(output.stderr()?);
    let said = output.seal().map_or_else(|| said.to_string(), |seal| seal.redacted_piece(&said));
    let complaint = said.trim().strip_prefix("[FATAL tini (")?.split_once(")] ")?.1;
    (at_once
        && silent
        && matches!(ending.exit_code, Some(126 | 127))
        && complaint.starts_with("exec ")
        && !complaint.contains('\n'))
    .then(|| complaint.to_owned())
}

/// The time between two moments of the daemon's clock; `None` where the second is before the first.
pub fn elapsed(from: Timestamp, to: Timestamp) -> Option<Duration> {
    Duration::try_from(to.duration_since(from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inits_complaint_is_no_output_of_the_grader() {
        let said = "[FATAL tini (7)] exec /no/such failed: No such file or directory\n";
        let complaint_after = |elapsed, exit_code, stdout: &str, stderr: &str| {
            let ending = Ending { exit_code: Some(exit_code), elapsed, ..Ending::default() };
            complaint_of_init(&ending, &Output::whole(stdout, stderr))
        };
        let soon = Some(Duration::from_millis(1999));
        let complaint =
            |exit_code, stdout: &str, stderr: &str| complaint_after(soon, exit_code, stdout, stderr);
        let expected = Some("exec /no/such failed: No such file or directory".to_owned());
        assert_eq!(complaint(127, "", said), expected);
        assert_eq!(
            complaint_after(Some(Duration::from_secs(2)), 127, "", said),
            None,
            "a submission printed it"
        );
        assert_eq!(complaint_after(None, 127, "", said), expected, "noted as ended before it began");
        assert_eq!(complaint(1, "", said), None);
        assert_eq!(complaint(127, "x", said), None);
        assert_eq!(complaint(127, "", &format!("{said}more")), None);
        assert_eq!(complaint(127, "", "sh: not found"), None);
    }
}
