//! What the engine says of one container when it is asked for all that it knows.

use std::collections::HashMap;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;

use super::connect::{Engine, decoded};
use super::error::{Call, EngineError};
use super::types::{Inspected, State};
use crate::identity::ContainerId;

#[derive(Deserialize)]
struct InspectAnswer {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "State")]
    state: StateAnswer,
    #[serde(rename = "Config", default)]
    config: Option<ConfigAnswer>,
    #[serde(rename = "HostConfig", default)]
    host: Option<HostAnswer>,
    #[serde(rename = "Mounts", default)]
    mounts: Option<Vec<MountAnswer>>,
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

/// Podman writes zeros where Docker writes nothing, and -1 for 'no limit'.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostAnswer {
    #[serde(default)]
    memory: Option<i64>,
    #[serde(default)]
    network_mode: Option<String>,
    #[serde(default)]
    pids_limit: Option<i64>,
    #[serde(default)]
    storage_opt: Option<HashMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MountAnswer {
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(default)]
    name: String,
}

impl Engine {
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
}

impl From<InspectAnswer> for Inspected {
    fn from(answer: InspectAnswer) -> Self {
        let InspectAnswer { id, state, config, host, mounts } = answer;
        let host = host.unwrap_or_default();
        let limit =
            |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).filter(|n| *n > 0);
        let bound = host.storage_opt.unwrap_or_default().remove("size");
        let volumes = mounts.unwrap_or_default().into_iter().filter(|mount| mount.kind == "volume");
        Self {
            id: ContainerId::new(id),
            state: State::read(&state.status),
            exit_code: state.exit_code,
            oom_killed: state.oom_killed,
            error: state.error,
            started_at: moment(&state.started_at),
            finished_at: moment(&state.finished_at),
            labels: config.unwrap_or_default().labels.unwrap_or_default(),
            memory_limit: limit(host.memory),
            no_network: host.network_mode.as_deref() == Some("none"),
            pids_limit: limit(host.pids_limit),
            disk_bound: bound.and_then(|size| size.parse().ok()),
            volumes: volumes.map(|mount| mount.name).collect(),
        }
    }
}

/// A moment as the engine writes it; the year 1 is its way to say 'never'.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|moment: &Timestamp| *moment > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Inspected {
        serde_json::from_str::<InspectAnswer>(text).expect("it can be read").into()
    }

    #[test]
    fn never_is_no_moment() {
        assert_eq!(moment("0001-01-01T00:00:00Z"), None);
        assert_eq!(moment(""), None);
        let at = moment("2026-11-23T06:16:59.363288678Z").map(Timestamp::as_nanosecond);
        assert_eq!(at, Some(1_795_414_619_363_288_678));
    }

    #[test]
    fn what_the_engine_says_of_a_container_is_read_with_its_gaps() {
        let inspected = read(
            r#"{"Id":"c","State":{"Status":"exited","ExitCode":137,"OOMKilled":true,"Error":"",
            "StartedAt":"2026-11-23T06:17:00Z","FinishedAt":"2026-11-23T06:17:01Z"},"Config":{"Labels":null}}"#,
        );
        assert_eq!((inspected.state, inspected.exit_code, inspected.oom_killed), (State::Exited, 137, true));
        assert!(inspected.started_at < inspected.finished_at && inspected.labels.is_empty());
        assert_eq!((inspected.memory_limit, inspected.no_network, inspected.pids_limit), (None, false, None));
        let bare = read(r#"{"Id":"c","State":{"Status":"created"}}"#);
        assert_eq!((bare.state, bare.started_at, bare.finished_at), (State::Created, None, None));
    }

    #[test]
    fn its_limits_are_what_it_was_made_with() {
        let state = r#""State":{"Status":"exited"}"#;
        let hardened = read(&format!(
            r#"{{"Id":"c",{state},"HostConfig":{{"Memory":33554432,"NetworkMode":"none","PidsLimit":64,
            "StorageOpt":{{"size":"1024"}}}},"Mounts":[{{"Type":"bind","Source":"/a"}},{{"Type":"volume","Name":"v"}}]}}"#
        ));
        assert_eq!((hardened.memory_limit, hardened.no_network), (Some(32 << 20), true));
        assert_eq!((hardened.pids_limit, hardened.disk_bound), (Some(64), Some(1024)));
        assert_eq!(hardened.volumes, ["v"]);
        for unlimited in [
            r#"{"Memory":0,"NetworkMode":"bridge","PidsLimit":null,"StorageOpt":null}"#,
            r#"{"Memory":-1,"NetworkMode":"default","PidsLimit":-1,"StorageOpt":{}}"#,
            "null",
        ] {
            let bare = read(&format!(r#"{{"Id":"c",{state},"HostConfig":{unlimited},"Mounts":null}}"#));
            assert_eq!((bare.memory_limit, bare.no_network), (None, false), "{unlimited}");
            assert_eq!((bare.pids_limit, bare.disk_bound), (None, None), "{unlimited}");
        }
    }
}
