//! `doctor`: checks Redis, Docker, the way to callbacks and the settings. What is away fails its own checks only, and
//! each part has a time limit, so that there always is an answer.

mod callbacks;
mod deep;
mod docker;
mod finding;
mod host;
mod persistence;
mod redis;
mod report;
mod settings;

use std::io;
use std::time::Duration;

use super::Answer;
use super::terminal::Terminal;
use super::trial::Signals;
use crate::config::{CommonSettings, Configuration};
use crate::config::{Component, Diagnosed, DockerSettings, Doctor, NotifierSettings, StarterSettings};

use finding::{Findings, Verdict};

/// How long the checks of one part may take in all; each call has a limit of its own within it.
const PART: Duration = Duration::from_secs(60);
/// The same of a container that is made, run and removed.
const DEEP: Duration = Duration::from_secs(180);
/// How long what hangs in the system itself may hold up the end.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Examines it all; the answer is no where anything fails.
pub(super) fn examine(doctor: &Doctor, out: &mut Terminal<'_>) -> io::Result<Answer> {
    let Some(diagnosed) = &doctor.settings else {
        return Ok(Answer::Senseless("there are no settings".into()));
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (parts, was_stopped) = runtime.block_on(all_parts(doctor, diagnosed))?;
    runtime.shutdown_timeout(LAST_WORDS);
    let component = diagnosed.configuration.component;
    if doctor.json {
        out.document(&report::told(component, &parts))?;
    } else {
        report::print(component, &parts, out)?;
    }
    let failed = parts.iter().any(|part| part.worst() == Some(Verdict::Failure));
    Ok(match (was_stopped, failed) {
        (true, _) => Answer::Interrupted,
        (false, true) => Answer::No,
        (false, false) => Answer::Yes,
    })
}

/// What was found, and whether a signal cut it short.
async fn all_parts(doctor: &Doctor, diagnosed: &Diagnosed) -> io::Result<(Vec<Findings>, bool)> {
    let patient = Patient::of(&diagnosed.configuration);
    let mut redis = Findings::of("redis", "Redis");
    let mut docker = Findings::of("docker", "Docker");
    let mut callbacks = Findings::of("callbacks", "The way to callbacks");
    let mut settings = Findings::of("settings", "Settings");
    let look_at_redis = async {
        match patient.common {
            Some(common) if diagnosed.may_use_redis() => redis::check(common, &mut redis).await,
            _ => redis.skip("its settings are wrong"),
        }
    };
    let look_at_docker = async {
        match patient.docker {
            Some(settings) if diagnosed.may_use_docker() => {
                docker::check(settings, patient.starter, diagnosed, &mut docker).await;
            }
            Some(_) => docker.skip("its settings are wrong"),
            None => {}
        }
    };
    let look_at_callbacks = async {
        match patient.notifier {
            Some(settings) if diagnosed.may_use_callbacks() => {
                callbacks::check(settings, doctor.callback.as_deref(), &mut callbacks).await;
            }
            Some(_) => callbacks.skip("its settings are wrong"),
            None => {}
        }
    };
    let late = tokio::join!(
        tokio::time::timeout(PART, look_at_redis),
        tokio::time::timeout(PART, look_at_docker),
        tokio::time::timeout(PART, look_at_callbacks),
    );
    for (late, part) in
        [(late.0.is_err(), &mut redis), (late.1.is_err(), &mut docker), (late.2.is_err(), &mut callbacks)]
    {
        if late {
            part.fail(
                "in_time",
                format!("gave up after {} s: what is missing here was not answered", PART.as_secs()),
                "look for what hangs: the network, a name server, a file system of another host",
            );
        }
    }
    let mut parts = vec![redis, docker, callbacks];
    let mut was_stopped = false;
    if doctor.deep {
        let (deep, stopped) = deeply(doctor, diagnosed).await?;
        parts.push(deep);
        was_stopped = stopped;
    }
    settings::check(diagnosed, &mut settings);
    parts.push(settings);
    parts.retain(|part| !part.is_empty());
    Ok((parts, was_stopped))
}

/// What a container shows, and whether a signal cut that short.
async fn deeply(doctor: &Doctor, diagnosed: &Diagnosed) -> io::Result<(Findings, bool)> {
    let mut deep = Findings::of("container", "A container");
    let signals = Signals::taken()?;
    let look = deep::check(doctor.image.as_deref(), diagnosed, &signals, &mut deep);
    let in_time = tokio::select! {
        looked = tokio::time::timeout(DEEP, look) => looked.is_ok(),
        // What is left of the container the next one finds.
        () = signals.again() => true,
    };
    if !in_time {
        deep.fail(
            "in_time",
            format!("gave up after {} s", DEEP.as_secs()),
            "look at the Docker host: docker ps --all --filter name=correction-doctor-",
        );
    }
    Ok((deep, signals.were_sent()))
}

/// What the component that is asked about uses.
struct Patient<'a> {
    common: Option<&'a CommonSettings>,
    docker: Option<&'a DockerSettings>,
    starter: Option<&'a StarterSettings>,
    notifier: Option<&'a NotifierSettings>,
}

impl<'a> Patient<'a> {
    fn of(configuration: &'a Configuration) -> Self {
        let Configuration { starter, completer, notifier, .. } = configuration;
        let (starter, completer, notifier) = (starter.as_ref(), completer.as_ref(), notifier.as_ref());
        let common = starter.map(|it| &it.common).or(completer.map(|it| &it.common));
        Self {
            common: common.or(notifier.map(|it| &it.common)),
            docker: starter.map(|it| &it.docker).or(completer.map(|it| &it.docker)),
            starter,
            notifier,
        }
    }
}

/// For whom it was examined, in words.
fn whom(component: Component) -> &'static str {
    match component {
        Component::All => "all components",
        Component::Starter => "the starter",
        Component::Completer => "the completer",
        Component::Notifier => "the notifier",
    }
}
