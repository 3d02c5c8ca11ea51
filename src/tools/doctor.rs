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
    let parts = runtime.block_on(all_parts(doctor, diagnosed));
    runtime.shutdown_timeout(LAST_WORDS);
    let component = diagnosed.configuration.component;
    if doctor.json {
        out.document(&report::told(component, &parts))?;
    } else {
        report::print(component, &parts, out)?;
    }
    let failed = parts.iter().any(|part| part.worst() == Some(Verdict::Failure));
    Ok(if failed { Answer::No } else { Answer::Yes })
}

async fn all_parts(doctor: &Doctor, diagnosed: &Diagnosed) -> Vec<Findings> {
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
    if doctor.deep {
        let mut deep = Findings::of("container", "A container");
        let look = deep::check(doctor.image.as_deref(), diagnosed, &mut deep);
        if tokio::time::timeout(DEEP, look).await.is_err() {
            deep.fail(
                "in_time",
                format!("gave up after {} s", DEEP.as_secs()),
                "look at the Docker host: docker ps --all --filter name=correction-doctor-",
            );
        }
        parts.push(deep);
    }
    settings::check(diagnosed, &mut settings);
    parts.push(settings);
    parts.retain(|part| !part.is_empty());
    parts
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
