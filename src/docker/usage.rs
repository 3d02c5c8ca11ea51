//! What a container uses: memory and processes from its statistics, disk from its size.

use std::collections::HashMap;
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::connect::{Engine, decoded};
use super::error::{Call, EngineError};
use crate::identity::ContainerId;
use crate::usage::{Memory, Pids, Usage};

/// How long a look at statistics may take: somebody waits to kill the container.
const STATISTICS: Duration = Duration::from_secs(1);
/// How much longer than other calls the engine may take to add up the sizes of files.
const SIZE_FACTOR: u32 = 4;
/// The first version of the API in which the sizes of volumes can be asked for alone; older ones would
/// add up those of all images and containers too.
const SIZES_OF_VOLUMES: u32 = 42;

#[derive(Default, Deserialize)]
struct StatsAnswer {
    #[serde(default)]
    memory_stats: Option<MemoryAnswer>,
    #[serde(default)]
    pids_stats: Option<PidsAnswer>,
}

#[derive(Deserialize)]
struct MemoryAnswer {
    usage: Option<u64>,
    max_usage: Option<u64>,
    #[serde(default)]
    stats: Option<HashMap<String, u64>>,
}

#[derive(Deserialize)]
struct PidsAnswer {
    current: Option<u64>,
    limit: Option<u64>,
}

#[derive(Deserialize)]
struct SizeAnswer {
    #[serde(rename = "SizeRw")]
    written: Option<u64>,
}

#[derive(Deserialize)]
struct DiskAnswer {
    #[serde(rename = "Volumes", default)]
    volumes: Option<Vec<VolumeAnswer>>,
    #[serde(rename = "VolumeUsage", default)]
    usage: Option<VolumesAnswer>,
}

/// How API 1.52 tells the same.
#[derive(Deserialize)]
struct VolumesAnswer {
    #[serde(rename = "Items", default)]
    items: Option<Vec<VolumeAnswer>>,
}

#[derive(Deserialize)]
struct VolumeAnswer {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "UsageData", default)]
    usage: Option<VolumeUsage>,
}

#[derive(Deserialize)]
struct VolumeUsage {
    /// -1 where it is not known.
    #[serde(rename = "Size", default)]
    size: i64,
}

impl Engine {
    /// What a container uses at this moment. What does not run uses nothing. It has a second at most.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn usage(&self, container: &ContainerId) -> Result<Usage, EngineError> {
        self.within(Call::Stats, self.timeout().min(STATISTICS), async {
            let path = format!("/containers/{container}/stats");
            // One shot: else the engine waits for a second sample, to compute what the processor did.
            let query = [("stream", "false"), ("one-shot", "true")];
            let answer = self.ask(Call::Stats, Method::GET, &path, &query, None).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(Usage::default());
            }
            let answer = self.accepted(Call::Stats, answer).await?;
            decoded::<StatsAnswer>(Call::Stats, answer).await.map(Usage::from)
        })
        .await
    }

    /// How many bytes a container has written to its own file system; `None` if there is no such container,
    /// or the engine does not tell. The engine looks at each file that was written: ask rarely.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn written(&self, container: &ContainerId) -> Result<Option<u64>, EngineError> {
        self.within(Call::Size, self.timeout() * SIZE_FACTOR, async {
            let path = format!("/containers/{container}/json");
            let answer = self.ask(Call::Size, Method::GET, &path, &[("size", "true")], None).await?;
            if answer.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let answer = self.accepted(Call::Size, answer).await?;
            decoded::<SizeAnswer>(Call::Size, answer).await.map(|answer| answer.written)
        })
        .await
    }

    /// How many bytes these volumes hold together; 0 where the engine does not tell (before API 1.42).
    ///
    /// # Errors
    /// Those of every call.
    pub async fn held_by_volumes(&self, names: &[String]) -> Result<u64, EngineError> {
        if names.is_empty() || !self.speaks(SIZES_OF_VOLUMES).await? {
            return Ok(0);
        }
        self.within(Call::Size, self.timeout() * SIZE_FACTOR, async {
            let answer = self.get(Call::Size, "/system/df", &[("type", "volume")]).await?;
            decoded::<DiskAnswer>(Call::Size, answer).await.map(|answer| answer.held_by(names))
        })
        .await
    }
}

impl DiskAnswer {
    fn held_by(self, names: &[String]) -> u64 {
        let volumes = self.usage.and_then(|usage| usage.items).or(self.volumes).unwrap_or_default();
        let sizes = volumes.into_iter().filter(|volume| names.contains(&volume.name));
        sizes.filter_map(|volume| u64::try_from(volume.usage?.size).ok()).fold(0, u64::saturating_add)
    }
}

impl From<StatsAnswer> for Usage {
    fn from(answer: StatsAnswer) -> Self {
        let memory = answer.memory_stats.and_then(|memory| match (memory.max_usage, memory.usage) {
            (Some(most @ 1..), _) => Some(Memory::Peak(most)),
            (_, Some(usage @ 1..)) => {
                // What the kernel would give back at once is no need of the container's.
                let idle = memory.stats.as_ref().and_then(|stats| stats.get("inactive_file")).copied();
                Some(Memory::Now(usage.saturating_sub(idle.unwrap_or_default())))
            }
            _ => None,
        });
        let pids = answer.pids_stats.and_then(|pids| {
            // No limit is 0, or the largest number there is.
            let limit = pids.limit.filter(|limit| *limit > 0 && *limit < u64::MAX)?;
            Some(Pids { current: pids.current?, limit })
        });
        Self { memory, pids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(text: &str) -> Usage {
        serde_json::from_str::<StatsAnswer>(text).expect("it can be read").into()
    }

    #[test]
    fn cgroup_v1_tells_the_peak_of_memory_and_v2_what_is_used_now() {
        let v1 = r#"{"memory_stats":{"usage":20,"max_usage":30,"limit":64,"stats":{"inactive_file":5}},
            "pids_stats":{"current":3,"limit":64}}"#;
        let pids = Some(Pids { current: 3, limit: 64 });
        assert_eq!(usage(v1), Usage { memory: Some(Memory::Peak(30)), pids });
        let v2 = r#"{"memory_stats":{"usage":20,"limit":64,"stats":{"inactive_file":5}},
            "pids_stats":{"current":3,"limit":18446744073709551615}}"#;
        assert_eq!(usage(v2), Usage { memory: Some(Memory::Now(15)), pids: None });
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        for text in ["{}", r#"{"memory_stats":{},"pids_stats":{}}"#, r#"{"memory_stats":null}"#] {
            assert_eq!(usage(text), Usage::default(), "{text}");
        }
    }

    #[test]
    fn only_the_containers_own_volumes_count() {
        let volumes = r#"[{"Name":"a","UsageData":{"Size":5,"RefCount":1}},{"Name":"b","UsageData":{"Size":7}},
            {"Name":"c","UsageData":{"Size":-1}},{"Name":"d","UsageData":null}]"#;
        let names: Vec<String> = ["a", "c", "d", "e"].map(str::to_owned).into();
        for text in
            [format!(r#"{{"Volumes":{volumes}}}"#), format!(r#"{{"VolumeUsage":{{"Items":{volumes}}}}}"#)]
        {
            let answer: DiskAnswer = serde_json::from_str(&text).expect("it can be read");
            assert_eq!(answer.held_by(&names), 5, "{text}");
        }
    }
}
