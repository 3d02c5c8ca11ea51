//! A container, made as for a correction, started, read, and removed. It belongs to no installation, so that no
//! completer knows of it, and is told as one of `try`, which removes what a dead process left.

use std::io::Write;
use std::time::{Duration, Instant};

use super::finding::Findings;
use crate::config::{Diagnosed, Endpoint, StarterSettings};
use crate::docker::{ContainerSpec, Engine, EngineError, Inspected, State};
use crate::identity::ContainerId;
use crate::job::Errand;
use crate::profile::Profile;
use crate::tools::terminal::{Terminal, span};
use crate::tools::trial::{Signals, leftovers};

/// What is run where nobody names an image (`scripts/make_example_grader`).
const EXAMPLE: &str = "correctomatic/example-grader:latest";
/// How long it may run: it is to show that containers run, and not what a grader can do.
const RUNS_FOR: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How much of its output is kept.
const OUTPUT: u64 = 64 << 10;

pub(super) async fn check(
    image: Option<&str>,
    diagnosed: &Diagnosed,
    signals: &Signals,
    into: &mut Findings,
) {
    let Some(starter) = diagnosed.configuration.starter.as_ref().filter(|_| diagnosed.may_use_all()) else {
        return into.skip("only a starter with settings that are right can start one");
    };
    let named = image.is_some();
    let image = image.unwrap_or(EXAMPLE);
    let profile = match starter.policy.profile_of(image) {
        Ok(profile) => profile,
        Err(refused) if named => {
            return into.fail(
                "image",
                refused.to_string(),
                "name an image that POLICY_FILE allows (--image)",
            );
        }
        Err(refused) => return into.skip(&format!("{refused} (--image names another one)")),
    };
    let engine = match Engine::new(&starter.docker) {
        Ok(engine) => engine,
        Err(error) => return into.fail("engine", error.to_string(), "mend DOCKER_OPTIONS or DOCKER_HOST"),
    };
    match engine.image_id(&starter.policy.spelled(image)).await {
        Ok(Some(_)) => {}
        Ok(None) if named => {
            let remedy = format!("docker pull {image}, or name one that is there");
            return into.fail("image", format!("there is no image {image} on the engine"), remedy);
        }
        Ok(None) => {
            let why = format!(
                "there is no image {image}; scripts/make_example_grader makes it, --image names another one"
            );
            return into.skip(&why);
        }
        Err(error) => return into.fail("engine", error.to_string(), "see the checks of Docker"),
    }
    let submission = match submission(starter, &profile) {
        Ok(submission) => submission,
        Err(why) => return into.skip(&why),
    };
    if let Err(error) = leftovers::remove(&engine, &mut Terminal::stderr()).await {
        into.warn("leftovers", format!("what an earlier one left could not be removed: {error}"), "");
    }
    let labels = leftovers::labels("doctor", Errand::default(), &profile);
    let spec = ContainerSpec {
        name: format!("correction-doctor-{}", uuid::Uuid::new_v4()),
        image: starter.policy.spelled(image),
        file: submission.path.clone(),
        params: Vec::new(),
        labels: labels.to_map(),
        seal: None,
        profile,
    };
    run(&engine, &spec, signals, into).await;
}

/// A file on the Docker host that a grader may read.
struct Submission {
    path: String,
    _file: Option<OwnFile>,
}

/// A file of ours, which goes when this does.
struct OwnFile(std::path::PathBuf);

impl Drop for OwnFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn submission(starter: &StarterSettings, profile: &Profile) -> Result<Submission, String> {
    if !matches!(starter.docker.endpoint, Endpoint::Unix(_)) {
        // The engine's host is another machine: a file that each has serves, if it cannot be written to.
        return if profile.hardened {
            Ok(Submission { path: "/etc/hostname".into(), _file: None })
        } else {
            Err("the engine is on another machine, where no submission can be made".into())
        };
    }
    let folder = starter.exercise_folders.first().cloned().unwrap_or_else(std::env::temp_dir);
    let path = folder.join(format!("correction-doctor-{}", uuid::Uuid::new_v4()));
    let write = || {
        use std::os::unix::fs::PermissionsExt;
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        file.write_all(b"two_plus_two=4\n")?;
        // Under the hardened profile root has no special rights.
        file.set_permissions(std::fs::Permissions::from_mode(0o644))
    };
    match write() {
        Ok(()) => Ok(Submission { path: path.display().to_string(), _file: Some(OwnFile(path)) }),
        Err(error) => Err(format!("a submission cannot be written to {}: {error}", folder.display())),
    }
}

async fn run(engine: &Engine, spec: &ContainerSpec, signals: &Signals, into: &mut Findings) {
    let begun = Instant::now();
    let container = match engine.create(spec).await {
        Ok(container) => container,
        Err(error) => {
            // It may have been made all the same.
            if error.is_ambiguous() {
                let _ = engine.remove(&ContainerId::new(spec.name.as_str()), true).await;
            }
            return into.fail("create", told(&error), remedy(&error));
        }
    };
    let created = begun.elapsed();
    let ran = tokio::select! {
        ran = started_and_ended(engine, &container) => Some(ran),
        // What was made is removed all the same.
        () = signals.asked() => None,
    };
    match ran {
        None => into.note("end", "it was stopped before its end, as asked", ""),
        Some(ran) => judge(engine, (spec, &container), ran, (begun, created), into).await,
    }
    if let Err(error) = leftovers::remove_by_name(engine, container.as_str()).await {
        let name = &spec.name;
        into.warn("remove", format!("it could not be removed: {error}"), format!("docker rm --force {name}"));
    }
}

async fn judge(
    engine: &Engine,
    (spec, container): (&ContainerSpec, &ContainerId),
    ran: Result<Option<Inspected>, EngineError>,
    (begun, created): (Instant, Duration),
    into: &mut Findings,
) {
    match ran {
        Err(error) => into.fail("start", told(&error), remedy(&error)),
        Ok(None) => into.fail(
            "end",
            format!("it did not end within {} s", RUNS_FOR.as_secs()),
            "name a grader that ends (--image)",
        ),
        Ok(Some(ended)) => {
            let took = begun.elapsed();
            into.ok(
                "run",
                format!(
                    "{} was made in {}, ran, and ended with exit code {} after {} in all",
                    spec.image,
                    span(created),
                    ended.exit_code,
                    span(took)
                ),
            );
            output(engine, container, into).await;
        }
    }
}

async fn started_and_ended(
    engine: &Engine,
    container: &ContainerId,
) -> Result<Option<Inspected>, EngineError> {
    engine.start(container).await?;
    let started = Instant::now();
    while started.elapsed() < RUNS_FOR {
        match engine.inspect(container.as_str()).await? {
            Some(inspected) if matches!(inspected.state, State::Exited | State::Dead) => {
                return Ok(Some(inspected));
            }
            Some(_) => tokio::time::sleep(LOOK_EVERY).await,
            None => return Err(EngineError::NoSuchContainer { container: container.to_string() }),
        }
    }
    Ok(None)
}

async fn output(engine: &Engine, container: &ContainerId, into: &mut Findings) {
    match engine.output(container, OUTPUT).await {
        Ok(Some(output)) if output.total() == 0 => into.note(
            "output",
            "it printed nothing, or what it printed cannot be read back",
            "name a grader that prints something; see the check log_driver",
        ),
        Ok(Some(_)) => into.ok("output", "what it printed can be read back"),
        Ok(None) => into.fail("output", "its output is gone", "see whether something removes containers"),
        Err(error) => into.fail("output", error.to_string(), "set the engine's log driver to json-file"),
    }
}

fn told(error: &EngineError) -> String {
    format!("a container cannot be made or started as corrections are: {error}")
}

fn remedy(error: &EngineError) -> &'static str {
    match error {
        EngineError::MountMissing { .. } => {
            "the engine does not see this machine's files: let both see the folder of submissions under one path"
        }
        EngineError::CannotRun { .. } => "mend the image: its command cannot be run",
        EngineError::TooManyFiles { .. } => {
            "raise LimitNOFILE of the engine's service, or lower CONTAINER_NOFILE"
        }
        EngineError::DiskFull { .. } => "docker system prune, or more disk",
        _ => "see the engine's log (journalctl -u docker), and try docker run with the same image",
    }
}
