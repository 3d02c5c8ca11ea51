//! The containers of corrections of whatever installation, and those of the original, for a person.

use std::collections::HashMap;

use serde::Deserialize;

use super::connect::Engine;
use super::error::EngineError;
use super::types::State;
use crate::identity::{CONTAINER_NAME_PREFIX, ContainerId, InstanceId};
use crate::labels::{INSTANCE_LABEL, Labels};

/// Whose containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Those of one installation.
    Instance(InstanceId),
    /// Those of every installation.
    AllInstances,
    /// Those of the original's starter: no label of ours, and a name of the form `correction-<uuid>`.
    Original,
}

/// A container, as a list shows it to a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Inhabitant {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// The image it was made of.
    pub image: String,
    /// What it is doing.
    pub state: State,
    /// When it was made, in seconds of Unix time on the daemon's clock.
    pub created: i64,
    /// The installation that it names; `None` = none.
    pub instance: Option<InstanceId>,
    /// What its labels say of its correction; `None` where they are not ours or are incomplete.
    pub labels: Option<Box<Labels>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    image: String,
    state: String,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    labels: Option<HashMap<String, String>>,
}

impl Engine {
    /// Lists containers, whatever they are doing.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn inhabitants(&self, owner: &Owner) -> Result<Vec<Inhabitant>, EngineError> {
        let filters = match owner {
            Owner::Instance(instance) => {
                serde_json::json!({ "label": [format!("{INSTANCE_LABEL}={instance}")] })
            }
            Owner::AllInstances => serde_json::json!({ "label": [INSTANCE_LABEL] }),
            Owner::Original => serde_json::json!({ "name": [CONTAINER_NAME_PREFIX] }),
        };
        // The engine's filters match loosely.
        let ours = |answer: Answer| Some(Inhabitant::from(answer)).filter(|one| one.is_of(owner));
        self.each_container(&filters, ours).await
    }
}

impl Inhabitant {
    fn is_of(&self, owner: &Owner) -> bool {
        match owner {
            Owner::Instance(instance) => self.instance.as_ref() == Some(instance),
            Owner::AllInstances => self.instance.is_some(),
            Owner::Original => {
                let uuid = self.name.strip_prefix(CONTAINER_NAME_PREFIX);
                self.instance.is_none()
                    && uuid.is_some_and(|uuid| uuid.len() == 36 && uuid::Uuid::try_parse(uuid).is_ok())
            }
        }
    }
}

impl From<Answer> for Inhabitant {
    fn from(answer: Answer) -> Self {
        let Answer { id, names, image, state, created, labels } = answer;
        let name = names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default();
        let instance = labels.as_ref().and_then(|labels| labels.get(INSTANCE_LABEL)).map(InstanceId::new);
        let labels = labels.as_ref().and_then(Labels::from_map).map(Box::new);
        Self { id: ContainerId::new(id), name, image, state: State::read(&state), created, instance, labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, instance: Option<&str>) -> Inhabitant {
        let labels = instance.map(|instance| HashMap::from([(INSTANCE_LABEL.into(), instance.into())]));
        Answer {
            id: "c".into(),
            names: vec![format!("/{name}")],
            image: "g".into(),
            state: "exited".into(),
            created: 0,
            labels,
        }
        .into()
    }

    #[test]
    fn no_container_is_anybodys_by_a_part_of_its_name_or_label() {
        let uuid = "correction-986bce51-d1e8-4e79-a01f-53540c3e8cea";
        let owner = Owner::Instance(InstanceId::new("a"));
        assert!(named("x", Some("a")).is_of(&owner) && !named("x", Some("ab")).is_of(&owner));
        assert!(named(uuid, None).is_of(&Owner::Original));
        for (name, instance) in [(uuid, Some("a")), ("correction-web", None), ("my-correction-1", None)] {
            assert!(!named(name, instance).is_of(&Owner::Original), "{name}");
        }
        assert!(
            named("x", Some("a")).is_of(&Owner::AllInstances)
                && !named(uuid, None).is_of(&Owner::AllInstances)
        );
    }
}
