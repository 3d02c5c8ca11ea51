//! What helps whoever writes a grader, beyond what the failure's own text says.

use super::bench::Course;
use super::place;
use crate::config::{Endpoint, Trial};
use crate::docker::EngineError;
use crate::outcome::Outcome;
use crate::output::{Output, Shown};

/// How much of each stream is searched.
const SEARCHED: usize = 64 << 10;
/// What programs print that look for a network in vain.
const NO_NETWORK: [&str; 7] = [
    "network is unreachable",
    "could not resolve",
    "temporary failure in name resolution",
    "name or service not known",
    "unknownhostexception",
    "bad address",
    "no such host",
];

/// What helps. `is_here` = whether the engine sees the files that we see, as far as that can be told.
pub(super) fn of(course: &Course, trial: &Trial, is_here: bool) -> Vec<String> {
    let mut remedies = Vec::new();
    let outcome = course.told.as_ref().err().map(|failure| failure.outcome);
    match outcome {
        Some(Outcome::ImageNotFound) => {
            let (image, pull) = (&trial.image, trial.docker.pull);
            remedies.push(format!(
                "Did you build it? In the folder of its Dockerfile: docker build -t {image} .{}",
                if pull { "" } else { " (Or is it in a registry? Then: --docker-pull)" }
            ));
        }
        Some(Outcome::ImageNotAllowed) => {
            let file = trial.policy.file().map(|file| format!(" --policy-file {}", file.display()));
            remedies.push(format!(
                "Which rule says so: correction-runner policy check {}{}",
                trial.image,
                file.unwrap_or_default()
            ));
        }
        Some(Outcome::ExerciseNotFound) if is_here => remedies.push(format!(
            "{} is there on this machine, so the Docker engine sees other files than this program: it runs in a \
             virtual machine (share the folder with it), or this program runs in a container (mount the folder into \
             it under the same path).",
            course.file
        )),
        Some(Outcome::ExerciseNotFound) => remedies.push(format!(
            "The Docker engine is at {}: the submission has to be on that host, under the very path {}",
            place::of(&trial.docker.endpoint),
            course.file
        )),
        Some(Outcome::StartFailed) => remedies.push(
            "If that program is in the image: it has to be executable (RUN chmod +x), the interpreter in its first line \
             (#!/bin/sh) has to be in the image too, and that line must not end as Windows ends lines."
                .to_owned(),
        ),
        _ => {}
    }
    let no_network = course.profile.as_ref().is_some_and(|profile| profile.network == "none");
    if no_network && course.output.as_ref().is_some_and(looks_for_a_network) {
        remedies.push(
            "It looked for a network, and graders have none here. Put what it fetches into the image; or to try it with \
             one: --container-network bridge (and production has to be set so too)."
                .to_owned(),
        );
    }
    if course.passing {
        remedies.push(
            "A starter would try this again for a while (START_RETRY_FOR) before it tells so.".to_owned(),
        );
    }
    remedies
}

fn looks_for_a_network(output: &Output) -> bool {
    let has = |shown: Shown| {
        let text = (shown.head + &shown.tail).to_lowercase();
        NO_NETWORK.iter().any(|words| text.contains(words))
    };
    has(output.stderr_shown(SEARCHED)) || has(output.stdout_shown(SEARCHED))
}

/// An error of the engine, with what a person does about it.
pub(super) fn with_remedy(error: &EngineError, endpoint: &Endpoint) -> String {
    let text = format!("{error:#}");
    let remedy = match (error, endpoint) {
        (EngineError::Unreachable { reason, .. }, Endpoint::Unix(socket)) => {
            let reason = reason.to_lowercase();
            let socket = socket.display();
            if reason.contains("permission denied") {
                format!(
                    "This user may not use {socket}. As Debian and Ubuntu have it: sudo usermod -aG docker $USER, then \
                     log in again."
                )
            } else if reason.contains("no such file") {
                format!(
                    "There is no {socket}: is Docker installed, and does it run (sudo systemctl start docker)? Where it \
                     is elsewhere: DOCKER_HOST or DOCKER_OPTIONS"
                )
            } else {
                "Does Docker run (sudo systemctl start docker)?".to_owned()
            }
        }
        (EngineError::Unreachable { .. }, _) => {
            "Is that where Docker is (DOCKER_HOST, DOCKER_OPTIONS)?".to_owned()
        }
        _ => return text,
    };
    format!("{text}\n{remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_cannot_be_reached_is_told_with_its_remedy() {
        let told = |reason: &str, endpoint: &Endpoint| {
            let error = EngineError::Unreachable { endpoint: "e".into(), reason: reason.into() };
            with_remedy(&error, endpoint)
        };
        let socket = Endpoint::Unix("/run/d.sock".into());
        assert!(told("Permission denied (os error 13)", &socket).contains("usermod -aG docker"));
        assert!(told("No such file or directory (os error 2)", &socket).contains("There is no /run/d.sock"));
        assert!(told("Connection refused", &socket).contains("systemctl start docker"));
        assert!(told("refused", &Endpoint::Tcp { host: "h".into(), port: 1 }).contains("DOCKER_HOST"));
    }

    #[test]
    fn who_looks_for_a_network_is_known_by_what_programs_print_then() {
        for said in
            ["wget: bad address 'x'", "curl: (6) Could not resolve host: x", "java.net.UnknownHostException"]
        {
            assert!(looks_for_a_network(&Output::whole("", said)), "{said}");
        }
        assert!(!looks_for_a_network(&Output::whole("the network is fine", "")));
    }
}
