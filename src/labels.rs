//! The labels of a correction's container: enough to finish the correction if Redis lost its record.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::fields::{Fields, raw};
use crate::identity::{CorrectionId, InstanceId, JobId};
use crate::job::{Errand, WorkId};
use crate::rerun::Rerun;
use crate::seal::Seal;

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

/// The label of the secret without which a container's verdict does not count. Whoever may ask the engine
/// may read it; it is for no log and no text.
pub const SECRET_LABEL: &str = "org.correctomatic.secret";

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
    /// Without it the container's verdict does not count; `None` = whatever it prints counts.
    pub seal: Option<Seal>,
}

impl Labels {
    /// How long the container may run; `None` = no limit.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        (self.timeout_ms > 0).then(|| Duration::from_millis(self.timeout_ms))
    }

    /// The labels as the engine keeps them, but for the secret, which is added where they are sent.
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
        // Those that there is nothing to say in are written as well: else what the image says there would count.
        let Errand { work_id, callback, extra } = &self.errand;
        let work_id = work_id.as_ref().map(|work_id| work_id.0.get().to_owned());
        let extra = (!extra.is_empty()).then(|| extra.to_string());
        let disk = self.disk.map(|disk| disk.to_string());
        let optional = [
            (CALLBACK, callback.clone()),
            (WORK_ID, work_id),
            (EXTRA, extra),
            (DISK, disk),
            (SECRET_LABEL, None),
        ];
        for (name, value) in optional {
            map.insert(name.to_owned(), value.unwrap_or_default());
        }
        match &self.rerun {
            Some(rerun) => write_rerun(&mut map, rerun),
            None => {
                map.extend([IMAGE, FILE, PARAMS, PRIORITY, RUNS].map(|name| (name.to_owned(), String::new())))
            }
        }
        map
    }

    /// Reads the labels of a container, or of an event about it. `None` where they are not ours or
    /// are incomplete, or hold a secret that is none: such a container is somebody else's.
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
                callback: map.get(CALLBACK).filter(|callback| !callback.is_empty()).cloned(),
                extra: map.get(EXTRA).and_then(|text| Fields::parse(text).ok()).unwrap_or_default(),
            },
            rerun: read_rerun(map, timestamp).map(Box::new),
            seal: match map.get(SECRET_LABEL).map_or("", String::as_str) {
                "" => None,
                secret => Some(Seal::parse(secret)?),
            },
        })
    }
}

fn write_rerun(map: &mut HashMap<String, String>, rerun: &Rerun) {
    let Rerun { image, file, params, priority, timestamp: _, runs } = rerun;
    map.insert(IMAGE.to_owned(), image.clone());
    map.insert(FILE.to_owned(), file.clone());
    map.insert(RUNS.to_owned(), runs.to_string());
    map.insert(PARAMS.to_owned(), raw(params).get().to_owned());
    map.insert(PRIORITY.to_owned(), priority.to_string());
}

/// What cannot be read makes a correction one that is not run again, and never one that is run otherwise.
fn read_rerun(map: &HashMap<String, String>, timestamp: u64) -> Option<Rerun> {
    Some(Rerun {
        image: map.get(IMAGE).filter(|image| !image.is_empty())?.clone(),
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
            seal: None,
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
            seal: None,
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

    #[test]
    fn a_secret_is_read_and_neither_written_nor_shown_and_a_broken_one_is_nobodys() {
        let seal = crate::seal::tests::seal(9);
        let sealed = Labels { seal: Some(seal.clone()), ..labels() };
        let mut map = sealed.to_map();
        assert_eq!(map, labels().to_map());
        map.insert(SECRET_LABEL.to_owned(), seal.reveal().to_owned());
        assert_eq!(Labels::from_map(&map), Some(sealed.clone()));
        assert!(!format!("{sealed:?}").contains(seal.reveal()));
        for broken in ["x", &seal.reveal()[1..]] {
            map.insert(SECRET_LABEL.to_owned(), broken.to_owned());
            assert_eq!(Labels::from_map(&map), None, "{broken}");
        }
    }

    #[test]
    fn what_an_image_says_in_its_own_labels_counts_for_nothing() {
        let bare = Labels::of_correction("x");
        let mut of_image: HashMap<String, String> =
            labels().to_map().into_keys().map(|name| (name, "\"forged\"".to_owned())).collect();
        of_image.insert(CALLBACK.to_owned(), "http://forged/".to_owned());
        of_image.insert(EXTRA.to_owned(), "{\"forged\":1}".to_owned());
        // Valid each, so that nothing but what we write can keep them from being believed.
        for (name, value) in [
            (IMAGE, "forged"),
            (FILE, "/etc/passwd"),
            (PARAMS, "[]"),
            (PRIORITY, "1"),
            (RUNS, "0"),
            (DISK, "9"),
        ] {
            of_image.insert(name.to_owned(), value.to_owned());
        }
        of_image.insert(SECRET_LABEL.to_owned(), crate::seal::tests::seal(1).reveal().to_owned());
        // As the engine puts the two together.
        of_image.extend(bare.to_map());
        assert_eq!(Labels::from_map(&of_image), Some(bare));
    }
}
