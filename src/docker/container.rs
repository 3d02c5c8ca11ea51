//! Containers: made, started, looked at, killed and removed.

use std::collections::HashMap;

use bollard::models::ContainerUpdateBody;
use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, RemoveContainerOptions, StartContainerOptions,
};
use http_body_util::BodyExt;
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use super::connect::{Engine, decoded};
use super::elements::{Element, Elements, LONGEST, NotAnArray};
use super::error::{Call, EngineError};
use super::sealed::sealed;
use super::spec;
use super::transport::told;
use super::types::{ContainerSpec, Inspected, Killed, Listed, Removed, State};
use crate::identity::{ContainerId, InstanceId};
use crate::labels::{INSTANCE_LABEL, Labels};

/// How much longer than other calls a list may take.
const LIST_FACTOR: u32 = 6;

#[derive(Deserialize)]
struct InspectAnswer {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "State")]
    state: StateAnswer,
    #[serde(rename = "Config", default)]
    config: Option<ConfigAnswer>,
    #[serde(rename = "HostConfig", default)]
    host_config: Option<HostConfigAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateAnswer {
    status: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
}

#[derive(Default, Deserialize)]
struct ConfigAnswer {
    #[serde(rename = "Labels", default)]
    labels: Option<HashMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfigAnswer {
    #[serde(default)]
    memory: i64,
    #[serde(default)]
    network_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer {
    id: String,
    state: String,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

impl Engine {
    /// Makes a container and does not start it.
    ///
    /// # Errors
    /// `NoSuchImage`, `NameTaken`, `MountMissing`, `CannotRun`, `BadRequest`, `DiskFull`, and those of
    /// every call.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId, EngineError> {
        self.within(Call::Create, self.timeout(), async {
            let spoken = self.spoken().await?;
            let mut body = spec::body(spec, spoken.means());
            if let Some(seal) = &spec.seal {
                body = sealed(body, seal);
            }
            let options =
                CreateContainerOptions { name: Some(spec.name.clone()), ..CreateContainerOptions::default() };
            match spoken.docker.create_container(Some(options), body).await {
                Ok(made) => Ok(ContainerId::new(made.id)),
                Err(error) => Err(self.refused(Call::Create, error)?.of_create(spec)),
            }
        })
        .await
    }

    /// Starts a container. The request is sent at most once. One that runs already is no error.
    ///
    /// # Errors
    /// `CannotRun`, `MountMissing`, `NoSuchContainer`, `BadRequest`, `DiskFull`, and those of every
    /// call. After one that [`EngineError::is_ambiguous`], only inspecting tells whether it runs.
    pub async fn start(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.within(Call::Start, self.timeout(), async {
            let spoken = self.spoken().await?;
            match spoken.docker.start_container(container.as_str(), None::<StartContainerOptions>).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refused(Call::Start, error)?.of_start(container)),
            }
        })
        .await
    }

    /// Looks at a container; `None` if there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn inspect(&self, name_or_id: &str) -> Result<Option<Inspected>, EngineError> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if !name_or_id.starts_with(|first: char| first.is_ascii_alphanumeric())
            || !name_or_id.bytes().all(legal)
        {
            return Ok(None);
        }
        self.within(Call::Inspect, self.timeout(), async {
            let path = format!("/containers/{name_or_id}/json");
            let answer = self.ask(Call::Inspect, Method::GET, &path, &[], None).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = self.accepted(Call::Inspect, answer).await?;
            decoded::<InspectAnswer>(Call::Inspect, answer).await.map(|answer| Some(answer.into()))
        })
        .await
    }

    /// Lists the containers of an installation, whatever they are doing. Each is shown to `keep` as soon as it
    /// was read, and only what that makes of it is held: there may be ten thousand. The call is given six
    /// times `DOCKER_TIMEOUT`, since it takes the engine the longer the more containers there are. One of
    /// which the engine says too much (4 MiB) is left out, with a warning.
    ///
    /// # Errors
    /// Those of every call; then some containers may have been shown.
    pub async fn list<T: Send>(
        &self,
        instance: &InstanceId,
        mut keep: impl FnMut(Listed) -> Option<T> + Send,
    ) -> Result<Vec<T>, EngineError> {
        let filters = serde_json::json!({ "label": [format!("{INSTANCE_LABEL}={instance}")] }).to_string();
        self.within(Call::List, self.timeout() * LIST_FACTOR, async {
            let query = [("all", "true"), ("filters", filters.as_str())];
            let mut body = self.get(Call::List, "/containers/json", &query).await?.into_body();
            let (mut elements, mut listed) = (Elements::default(), Vec::new());
            while let Some(frame) = body.frame().await {
                let frame = frame
                    .map_err(|error| EngineError::NoAnswer { call: Call::List, reason: told(&error) })?;
                let bytes = frame.data_ref().map_or(&[][..], |bytes| bytes);
                elements.push(bytes, |element| {
                    let element = match element {
                        Element::Whole(element) => element,
                        Element::TooLong(beginning) => {
                            let container_id = beginning_id(beginning);
                            tracing::warn!(
                                container_id,
                                bytes = LONGEST,
                                "the engine's list says more of a container than is read: left out"
                            );
                            return Ok(());
                        }
                    };
                    let answer: ListAnswer = serde_json::from_slice(element).map_err(garbled_list)?;
                    listed.extend(keep(answer.into()));
                    Ok::<_, EngineError>(())
                })?;
            }
            if elements.ended() { Ok(listed) } else { Err(garbled_list("it is not complete")) }
        })
        .await
    }

    /// Kills a container with SIGKILL.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn kill(&self, container: &ContainerId) -> Result<Killed, EngineError> {
        self.within(Call::Kill, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let options = KillContainerOptions { signal: "SIGKILL".to_owned() };
            let Err(error) = docker.kill_container(container.as_str(), Some(options)).await else {
                return Ok(Killed::Sent);
            };
            let refusal = self.refused(Call::Kill, error)?;
            match refusal.status {
                404 => Ok(Killed::Gone),
                409 => Ok(Killed::NotRunning),
                _ if refusal.says("is not running") => Ok(Killed::NotRunning),
                _ => Err(refusal.error(Call::Kill)),
            }
        })
        .await
    }

    /// Unfreezes a container; one that is not frozen is no error.
    ///
    /// # Errors
    /// `NoSuchContainer`, and those of every call.
    pub async fn unpause(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.within(Call::Unpause, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let Err(error) = docker.unpause_container(container.as_str()).await else { return Ok(()) };
            let refusal = self.refused(Call::Unpause, error)?;
            if refusal.says("is not paused") {
                Ok(())
            } else if refusal.is_of_missing_container() {
                Err(EngineError::NoSuchContainer { container: container.to_string() })
            } else {
                Err(refusal.error(Call::Unpause))
            }
        })
        .await
    }

    /// Has the engine write an ended container's file anew, with nothing changed: where its disk is full,
    /// that fails, and what the container printed last was not kept either.
    ///
    /// # Errors
    /// `DiskFull`, and those of every call.
    pub async fn has_room(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.within(Call::Update, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let nothing = ContainerUpdateBody::default();
            match docker.update_container(container.as_str(), nothing).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.refused(Call::Update, error)?.error(Call::Update)),
            }
        })
        .await
    }

    /// Removes a container with its anonymous volumes; `force` kills it first.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn remove(&self, container: &ContainerId, force: bool) -> Result<Removed, EngineError> {
        self.within(Call::Remove, self.timeout(), async {
            let docker = &self.spoken().await?.docker;
            let options = RemoveContainerOptions { v: true, force, link: false };
            let Err(error) = docker.remove_container(container.as_str(), Some(options)).await else {
                return Ok(Removed::Done);
            };
            let refusal = self.refused(Call::Remove, error)?;
            match refusal.status {
                404 => Ok(Removed::Gone),
                _ if refusal.says("already in progress") => Ok(Removed::InProgress),
                _ if refusal.says("cannot remove") && !force => Ok(Removed::Running),
                _ => Err(refusal.error(Call::Remove)),
            }
        })
        .await
    }
}

fn garbled_list(reason: impl std::fmt::Display) -> EngineError {
    EngineError::Garbled { call: Call::List, reason: reason.to_string() }
}

/// The id in the beginning of what a list says of a container, as Docker writes it.
fn beginning_id(beginning: &[u8]) -> Option<&str> {
    let id = beginning.strip_prefix(br#"{"Id":""#)?.split(|byte| !byte.is_ascii_alphanumeric()).next()?;
    str::from_utf8(id.get(..64).unwrap_or(id)).ok()
}

impl From<NotAnArray> for EngineError {
    fn from(error: NotAnArray) -> Self {
        garbled_list(error)
    }
}

impl From<InspectAnswer> for Inspected {
    fn from(answer: InspectAnswer) -> Self {
        let InspectAnswer { id, state, config, host_config } = answer;
        let host = host_config.unwrap_or_default();
        Self {
            id: ContainerId::new(id),
            state: State::read(&state.status),
            exit_code: state.exit_code,
            oom_killed: state.oom_killed,
            error: state.error,
            started_at: moment(&state.started_at),
            finished_at: moment(&state.finished_at),
            labels: config.unwrap_or_default().labels.unwrap_or_default(),
            memory_limit: u64::try_from(host.memory).ok().filter(|limit| *limit > 0),
            no_network: host.network_mode == "none",
        }
    }
}

impl From<ListAnswer> for Listed {
    fn from(answer: ListAnswer) -> Self {
        let ListAnswer { id, state, created, labels } = answer;
        let (id, state) = (ContainerId::new(id), State::read(&state));
        let labels = labels.as_ref().and_then(Labels::from_map).map(Box::new);
        Self { id, state, created, labels }
    }
}

/// A moment as the engine writes it; the year 1 is its way to say 'never'.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|moment: &Timestamp| *moment > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_no_moment() {
        assert_eq!(moment("0001-01-01T00:00:00Z"), None);
        assert_eq!(moment(""), None);
        let at = moment("2026-11-23T06:16:59.363288678Z").map(Timestamp::as_nanosecond);
        assert_eq!(at, Some(1_795_414_619_363_288_678));
    }

    #[test]
    fn a_container_of_which_too_much_is_said_is_named_by_its_id() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(beginning_id(format!(r#"{{"Id":"{id}","Names":["/n"]"#).as_bytes()), Some(id.as_str()));
        assert_eq!(beginning_id(format!(r#"{{"Id":"{id}{id}"#).as_bytes()), Some(id.as_str()));
        assert_eq!(beginning_id(br#"{"Names":[""#), None);
    }

    #[test]
    fn what_the_engine_says_of_a_container_is_read_with_its_gaps() {
        let text = r#"{"Id":"c","State":{"Status":"exited","ExitCode":137,"OOMKilled":true,"Error":"",
            "StartedAt":"2026-11-23T06:17:00Z","FinishedAt":"2026-11-23T06:17:01Z"},"Config":{"Labels":null},"HostConfig":{"Memory":9,"NetworkMode":"none"}}"#;
        let inspected: Inspected = serde_json::from_str::<InspectAnswer>(text).unwrap().into();
        assert_eq!((inspected.state, inspected.exit_code, inspected.oom_killed), (State::Exited, 137, true));
        assert!(inspected.started_at < inspected.finished_at && inspected.labels.is_empty());
        assert_eq!((inspected.memory_limit, inspected.no_network), (Some(9), true));
        let bare: Inspected =
            serde_json::from_str::<InspectAnswer>(r#"{"Id":"c","State":{"Status":"created"}}"#)
                .unwrap()
                .into();
        assert_eq!((bare.state, bare.started_at, bare.finished_at), (State::Created, None, None));
        assert_eq!((bare.memory_limit, bare.no_network), (None, false));
    }
}
