//! Who is who: the ids of jobs, corrections, containers, engines and installations.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text of an id that was read at the edge.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as it stands in keys, labels and logs.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id! {
    /// One installation of the runner: one Redis, one set of queues. Stands in labels, so that two
    /// installations can share one Docker daemon without touching each other's containers.
    InstanceId
}
impl InstanceId {
    /// The id that containers of `try` and of `doctor --deep` carry, which belong to no installation.
    pub const OF_TRIALS: &str = "correction-runner-try";
}

id! {
    /// The id of a job within its queue, as BullMQ knows it.
    JobId
}
id! {
    /// The one identity of a correction: its running job's id, its finished job's id, its webhook id
    /// and, with a prefix, its container's name.
    CorrectionId
}
id! {
    /// The full id that the Docker engine gave a container.
    ContainerId
}
id! {
    /// The id of a Docker engine (`ID` of its `/info`).
    EngineId
}
id! {
    /// The proof of owning a job: stands in the job's lock, unique for every take.
    LockToken
}

/// The name under which a result is delivered, however often: its job's id where that is the correction's
/// identity, else one that is derived from the job's number and its time (ms).
#[must_use]
pub fn webhook_id(instance: &InstanceId, job: &JobId, timestamp: u64) -> String {
    let id = job.as_str();
    let numbered = id.bytes().all(|byte| byte.is_ascii_digit());
    // A dot ends the id in what is signed.
    if !numbered && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'.') {
        return id.to_owned();
    }
    CorrectionId::derive(instance, job, timestamp, 0).to_string()
}

/// What a container's name starts with; the rest is the correction's id.
pub const CONTAINER_NAME_PREFIX: &str = "correction-";

impl CorrectionId {
    /// Derives the identity of a correction from what never changes while it lives: the installation,
    /// its pending job's id and timestamp (ms), and the generation, which grows each time that job
    /// ends, so that a person's retry of an ended job is a new correction.
    ///
    /// The text has the shape of a UUID (version 4), as the original's container names have; it
    /// holds no `:` and is never all digits, both of which BullMQ forbids in custom ids.
    #[must_use]
    pub fn derive(instance: &InstanceId, job: &JobId, timestamp: u64, generation: u64) -> Self {
        let mut hash = Sha256::new();
        for part in [instance.as_str(), job.as_str(), &timestamp.to_string(), &generation.to_string()] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// The identity of a correction whose container was made by the original's starter: that
    /// container's id, since nothing else names it.
    #[must_use]
    pub fn of_unlabelled(container: &ContainerId) -> Self {
        Self(container.as_str().to_owned())
    }

    /// The identity of a correction whose result was taken, by its webhook id.
    #[must_use]
    pub fn of_finished(webhook_id: &str) -> Self {
        Self(webhook_id.to_owned())
    }

    /// The name of this correction's container.
    #[must_use]
    pub fn container_name(&self) -> String {
        format!("{CONTAINER_NAME_PREFIX}{}", self.0)
    }

    /// The id of this correction's job in `running_corrections` and in `finished_corrections`.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        JobId(self.0.clone())
    }
}

impl LockToken {
    /// A token that no other take of any job has.
    #[must_use]
    pub fn unique() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// The same with its owner behind a sign. Half as random, since a token only has to differ from
    /// other takes of the same job.
    #[must_use]
    pub fn unique_of(sign: char, owner: &str) -> Self {
        Self(format!("{:016x}{sign}{owner}", uuid::Uuid::new_v4().as_u64_pair().0))
    }
}

impl ContainerId {
    /// The first twelve characters, as Docker's own tools print an id.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// Which installation we are and which engine answers us. Both may change while we run: the keys in
/// Redis may be reset, and another engine may answer at the same address after a break.
#[derive(Debug)]
pub struct Whereabouts(Mutex<(InstanceId, EngineId)>);

impl Whereabouts {
    /// As they were found at the start.
    #[must_use]
    pub fn new(instance: InstanceId, engine: EngineId) -> Self {
        Self(Mutex::new((instance, engine)))
    }

    /// Both, as they are now.
    #[must_use]
    pub fn now(&self) -> (InstanceId, EngineId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of the installation's id.
    pub fn set_instance(&self, instance: InstanceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = instance;
    }

    /// Takes note of the engine's id.
    pub fn set_engine(&self, engine: EngineId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = engine;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn derived(instance: &str, job: &str, timestamp: u64, generation: u64) -> CorrectionId {
        CorrectionId::derive(&InstanceId::new(instance), &JobId::new(job), timestamp, generation)
    }

    #[test]
    fn the_same_pending_job_always_gets_the_same_identity() {
        assert_eq!(derived("a", "7", 1, 0), derived("a", "7", 1, 0));
        assert_eq!(derived("a", "7", 1, 0).as_str(), "986bce51-d1e8-4e79-a01f-53540c3e8cea");
    }

    proptest! {
        #[test]
        fn every_part_counts_and_the_text_is_a_legal_job_id(
            instance in ".{0,12}", job in ".{0,12}", timestamp: u64, generation in 0_u64..1000,
        ) {
            let id = derived(&instance, &job, timestamp, generation);
            prop_assert!(!id.as_str().contains(':'));
            prop_assert!(!id.as_str().bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert_ne!(&id, &derived(&instance, &job, timestamp, generation + 1));
            prop_assert_ne!(&id, &derived(&instance, &job, timestamp ^ 1, generation));
            prop_assert_ne!(&id, &derived(&format!("{instance}x"), &job, timestamp, generation));
            prop_assert_ne!(&id, &derived(&instance, &format!("{job}x"), timestamp, generation));
        }
    }
}
