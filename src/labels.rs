//! The labels of a correction's container: enough to finish the correction if Redis lost its record.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::fields::{Fields, raw};
use crate::identity::{CorrectionId, InstanceId, JobId};
use crate::job::{Errand, WorkId};
use crate::rerun::Rerun;

/// The label that tells whose container it is; the engine filters lists by it.
pub const INSTANCE_LABEL: &str = "org.correctomatic.instance";

const CORRECTION: &str = "org.correctomatic.correction";
const JOB: &str = "org.correctomatic.job";
const NAME: &str = "org.correctomatic.name";
const TIMESTAMP: &str = "org.correctomatic.timestamp";
const GENERATION: &str = "org.correctomatic.generation";
const ATTEMPT: &str = "org.correctomatic.attempt";
const TIMEOUT: &str = "org.correctomatic.timeout_ms";
const DISK: &str = "org.correctomatic.disk";
const CALLBACK: &str = "org.correctomatic.callback";
const WORK_ID: &str = "org.correctomatic.work_id";
const EXTRA: &str = "org.correctomatic.extra";
const IMAGE: &str = "org.correctomatic.image";
const FILE: &str = "org.correctomatic.file";
const PARAMS: &str = "org.correctomatic.params";
const PRIORITY: &str = "org.correctomatic.priority";
const RUNS: &str = "org.correctomatic.runs";

/// What a correction's container says about its correction.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// Whose container it is.
    pub instance: InstanceId,
    /// The correction's identity.
    pub correction: CorrectionId,
    /// The pending job that asked for it.
    pub job: JobId,
    /// That job's name, handed on from queue to queue.
    pub name: String,
    /// That job's timestamp, in milliseconds of Unix time.
    pub timestamp: u64,
    /// How often that job had ended before.
    pub generation: u64,
    /// The take of that job which created the container: only that one may start it.
    pub attempt: String,
    /// How long the container may run, in milliseconds; 0 = no limit.
    pub timeout_ms: u64,
    /// How many bytes the container may write to its disk; `None` = no limit.
    pub disk: Option<u64>,
    /// Work id, callback and the fields that are carried along.
    pub errand: Errand,
    /// What is needed to run the correction again; `None` on containers of versions that could not.
    pub rerun: Option<Box<Rerun>>,
}

impl Labels {
    /// How long the container may run; `None` = no limit.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms))
    }

    /// The labels as the engine keeps them.
    #[must_use]
    pub fn to_map(&self) -> HashMap<String, String> {
        let mut map = HashMap::from([
            (INSTANCE_LABEL.to_owned(), self.instance.to_string()),
            (CORRECTION.to_owned(), self.correction.to_string()),
            (JOB.to_owned(), self.job.to_string()),
            (NAME.to_owned(), self.name.clone()),
            (TIMESTAMP.to_owned(), self.timestamp.to_string()),
            (GENERATION.to_owned(), self.generation.to_string()),
            (ATTEMPT.to_owned(), self.attempt.clone()),
            (TIMEOUT.to_owned(), self.timeout_ms.to_string()),
        ]);
        if let Some(disk) = self.disk {
            map.insert(DISK.to_owned(), disk.to_string());
        }
        if let Some(callback) = &self.errand.callback {
            map.insert(CALLBACK.to_owned(), callback.clone());
        }
        if let Some(work_id) = &self.errand.work_id {
            map.insert(WORK_ID.to_owned(), work_id.0.get().to_owned());
        }
        if !self.errand.extra.is_empty() {
            map.insert(EXTRA.to_owned(), self.errand.extra.to_string());
        }
        if let Some(rerun) = &self.rerun {
            write_rerun(&mut map, rerun);
        }
        map
    }

    /// Reads the labels of a container, or of an event about it. `None` where they are not ours or
    /// are incomplete: such a container is somebody else's.
    #[must_use]
    pub fn from_map(map: &HashMap<String, String>) -> Option<Self> {
        let number = |name: &str| map.get(name).and_then(|text| text.parse::<u64>().ok());
        let timestamp = number(TIMESTAMP)?;
        Some(Self {
            instance: InstanceId::new(map.get(INSTANCE_LABEL)?),
            correction: CorrectionId::new(map.get(CORRECTION)?),
            job: JobId::new(map.get(JOB)?),
            name: map.get(NAME)?.clone(),
            timestamp,
            generation: number(GENERATION)?,
            attempt: map.get(ATTEMPT)?.clone(),
            timeout_ms: number(TIMEOUT)?,
            disk: number(DISK),
            errand: Errand {
                work_id: map
                    .get(WORK_ID)
                    .and_then(|text| RawValue::from_string(text.clone()).ok())
                    .map(WorkId),
                callback: map.get(CALLBACK).cloned(),
                extra: map.get(EXTRA).and_then(|text| Fields::parse(text).ok()).unwrap_or_default(),
            },
            rerun: read_rerun(map, timestamp).map(Box::new),
        })
    }
}

fn write_rerun(map: &mut HashMap<String, String>, rerun: &Rerun) {
    let Rerun { image, file, params, priority, timestamp: _, runs } = rerun;
    map.insert(IMAGE.to_owned(), image.clone());
    map.insert(FILE.to_owned(), file.clone());
    map.insert(RUNS.to_owned(), runs.to_string());
    if !params.is_empty() {
        map.insert(PARAMS.to_owned(), raw(params).get().to_owned());
    }
    if *priority > 0 {
        map.insert(PRIORITY.to_owned(), priority.to_string());
    }
}

/// What cannot be read makes a correction one that is not run again, and never one that is run otherwise.
fn read_rerun(map: &HashMap<String, String>, timestamp: u64) -> Option<Rerun> {
    Some(Rerun {
        image: map.get(IMAGE)?.clone(),
        file: map.get(FILE)?.clone(),
        params: map.get(PARAMS).map_or_else(|| Some(Vec::new()), |text| serde_json::from_str(text).ok())?,
        priority: map.get(PRIORITY).map_or(Some(0), |text| text.parse().ok())?,
        timestamp,
        runs: map.get(RUNS)?.parse().ok()?,
    })
}

#[cfg(test)]
impl Labels {
    /// Those of a correction of which a test asks nothing but its id.
    pub(crate) fn of_correction(correction: &str) -> Self {
        Self {
            instance: InstanceId::new("i"),
            correction: CorrectionId::new(correction),
            job: JobId::new("1"),
            name: String::new(),
            timestamp: 0,
            generation: 0,
            attempt: String::new(),
            timeout_ms: 0,
            disk: None,
            errand: Errand::default(),
            rerun: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        let mut extra = Fields::default();
        extra.set("course", raw("álgebra"));
        let errand = Errand { work_id: Some(WorkId(raw(&7))), callback: Some("http://h/".into()), extra };
        let (instance, job) = (InstanceId::new("i"), JobId::new("12"));
        Labels {
            correction: CorrectionId::derive(&instance, &job, 5, 1),
            instance,
            job,
            name: "Correction 7".into(),
            timestamp: 5,
            generation: 1,
            attempt: "t".into(),
            timeout_ms: 1000,
            disk: Some(1 << 30),
            errand,
            rerun: Some(Box::new(Rerun { runs: 1, ..Rerun::of_first_run() })),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Labels::from_map(&labels().to_map()), Some(labels()));
        let bare = Rerun { params: Vec::new(), priority: 7, ..Rerun::of_first_run() };
        for rerun in [None, Some(Box::new(bare))] {
            let labels = Labels { rerun, ..labels() };
            assert_eq!(Labels::from_map(&labels.to_map()), Some(labels));
        }
    }

    #[test]
    fn one_that_lacks_what_a_further_run_needs_is_ours_and_is_not_run_again() {
        for missing in [IMAGE, FILE, RUNS] {
            let mut map = labels().to_map();
            map.remove(missing);
            assert_eq!(Labels::from_map(&map), Some(Labels { rerun: None, ..labels() }), "{missing}");
        }
        for (spoilt, text) in [(PARAMS, "x"), (PRIORITY, "-1"), (RUNS, "")] {
            let mut map = labels().to_map();
            map.insert(spoilt.to_owned(), text.to_owned());
            assert_eq!(Labels::from_map(&map), Some(Labels { rerun: None, ..labels() }), "{spoilt}");
        }
    }

    #[test]
    fn a_container_of_before_disks_were_limited_has_no_limit() {
        let mut map = labels().to_map();
        map.remove(DISK);
        assert_eq!(Labels::from_map(&map), Some(Labels { disk: None, ..labels() }));
    }

    #[test]
    fn a_container_that_lacks_one_of_them_is_not_ours() {
        for missing in [INSTANCE_LABEL, CORRECTION, JOB, NAME, TIMESTAMP, GENERATION, ATTEMPT, TIMEOUT] {
            let mut map = labels().to_map();
            map.remove(missing);
            assert_eq!(Labels::from_map(&map), None, "{missing}");
        }
    }
}
