//! One event out of one line: what we know is decoded, what we do not know is skipped.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;

use crate::identity::{ContainerId, InstanceId};
use crate::labels::Labels;
use crate::metrics::EventKind;

/// What the engine is asked for. Docker says `die` and `destroy`, Podman `died` and `remove`.
pub(super) const ACTIONS: [&str; 5] = ["die", "died", "oom", "destroy", "remove"];

/// An event that means something to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) container: ContainerId,
    pub(super) action: Action,
    pub(super) at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// `instance` is told where the labels are ours and complete.
    Died {
        exit_code: Option<i64>,
        instance: Option<InstanceId>,
    },
    Oom,
    Destroyed,
}

impl Event {
    /// Its kind, for whoever counts them.
    pub(super) fn kind(&self) -> EventKind {
        match self.action {
            Action::Died { .. } => EventKind::Died,
            Action::Oom => EventKind::Oom,
            Action::Destroyed => EventKind::Destroyed,
        }
    }
}

/// A line that is no JSON: the stream is broken.
#[derive(Debug, thiserror::Error)]
#[error("a line of the event stream is no JSON: {0}")]
pub(super) struct Broken(serde_json::Error);

/// The fields that Docker has sent since 1.22 and has not dropped in 29.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Action")]
    action: String,
    #[serde(rename = "Actor")]
    actor: Actor,
    time: Option<i64>,
    #[serde(rename = "timeNano")]
    time_nano: Option<i64>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes", default)]
    attributes: Option<HashMap<String, String>>,
}

/// Reads a line of the stream; `None` is an event that means nothing to us.
pub(super) fn decode(line: &[u8]) -> Result<Option<Event>, Broken> {
    match serde_json::from_slice::<Line>(line) {
        Ok(line) => Ok(line.meaning()),
        // JSON of another shape: an event that we do not know.
        Err(error) if error.is_data() => Ok(None),
        Err(error) => Err(Broken(error)),
    }
}

impl Line {
    fn meaning(self) -> Option<Event> {
        if self.kind.is_some_and(|kind| kind != "container") || self.actor.id.is_empty() {
            return None;
        }
        let at = match (self.time_nano, self.time) {
            (Some(nanos), _) => Timestamp::from_nanosecond(i128::from(nanos)).ok()?,
            (None, Some(seconds)) => Timestamp::from_second(seconds).ok()?,
            (None, None) => return None,
        };
        let action = match self.action.as_str() {
            "die" | "died" => {
                let attributes = self.actor.attributes.unwrap_or_default();
                let code = ["exitCode", "containerExitCode"].iter().find_map(|name| attributes.get(*name));
                Action::Died {
                    exit_code: code.and_then(|code| code.parse().ok()),
                    instance: Labels::from_map(&attributes).map(|labels| labels.instance),
                }
            }
            "oom" => Action::Oom,
            "destroy" | "remove" => Action::Destroyed,
            _ => return None,
        };
        Some(Event { container: ContainerId::new(self.actor.id), action, at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LABELS: &str = r#""org.correctomatic.instance":"v","org.correctomatic.correction":"x",
        "org.correctomatic.job":"1","org.correctomatic.name":"n","org.correctomatic.timestamp":"1",
        "org.correctomatic.generation":"0","org.correctomatic.attempt":"t","org.correctomatic.timeout_ms":"0""#;

    fn read(text: &str) -> Option<Event> {
        decode(text.as_bytes()).unwrap()
    }

    fn died(text: &str) -> (String, Option<i64>, Option<String>, i64) {
        let event = read(text).unwrap();
        let Action::Died { exit_code, instance } = event.action else { panic!("{event:?}") };
        let instance = instance.map(|instance| instance.to_string());
        (event.container.to_string(), exit_code, instance, event.at.as_millisecond())
    }

    #[test]
    fn a_death_is_read_as_docker_20_docker_29_and_podman_tell_it() {
        let expected = ("c1".to_owned(), Some(7), Some("v".to_owned()), 1_795_414_619_363);
        let docker_20 = r#"{"status":"die","id":"c1","from":"i","Type":"container","Action":"die","Actor":
            {"ID":"c1","Attributes":{"exitCode":"7","image":"i","name":"n","l":"v"}},"scope":"local",
            "time":1795414619,"timeNano":1795414619363288678}"#;
        let docker_29 = r#"{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":
            {"exitCode":"7","execDuration":"1","l":"v"}},"scope":"local","time":1795414619,
            "timeNano":1795414619363288678}"#;
        let podman = r#"{"status":"died","id":"c1","from":"i","Type":"container","Action":"died","Actor":
            {"ID":"c1","Attributes":{"containerExitCode":"7","name":"n","l":"v"}},
            "time":1795414619,"timeNano":1795414619363288678}"#;
        for text in [docker_20, docker_29, podman] {
            let text = text.replace(r#""l":"v""#, LABELS);
            assert_eq!(died(&text), expected, "{text}");
            // One label less, and it is somebody else's.
            assert_eq!(died(&text.replace("org.correctomatic.job", "job")).2, None, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_skipped_and_what_is_no_json_breaks_the_stream() {
        for text in [
            r#"{"Type":"network","Action":"die","Actor":{"ID":"c"},"time":1}"#,
            r#"{"Type":"container","Action":"exec_create: sh","Actor":{"ID":"c"},"time":1}"#,
            r#"{"Type":"container","Action":"die","Actor":{"ID":""},"time":1}"#,
            r#"{"Type":"container","Action":"die","Actor":{"ID":"c"}}"#,
            r#"{"Type":7}"#,
            r#"{"Action":"die"}"#,
            "[]",
            "null",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for text in ["<html>", r#"{"Type":"container""#, r#"{"Action":"x","Actor":{"ID":"c"}} {}"#, "\u{0}"] {
            assert!(decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_exit_code_that_is_no_number_is_none_and_null_attributes_are_no_labels() {
        let text = r#"{"Type":"container","Action":"die","Actor":{"ID":"c1","Attributes":null},"time":5}"#;
        assert_eq!(died(text), ("c1".to_owned(), None, None, 5000));
        let text = text.replace("null", r#"{"exitCode":"ñ"}"#);
        assert_eq!(died(&text).1, None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(bytes: Vec<u8>, text in r#"[\[\]{}",:a-zA-Z0-9\\ .-]{0,80}"#) {
            let _ = decode(&bytes);
            let _ = decode(text.as_bytes());
        }

        #[test]
        fn no_event_makes_it_panic(
            action in "die|died|oom|destroy|.{0,6}", id in ".{0,4}", code in ".{0,4}|-?[0-9]{1,30}",
            nano: Option<i64>, time: Option<i64>,
        ) {
            let line = serde_json::json!({
                "Type": "container", "Action": action, "time": time, "timeNano": nano,
                "Actor": {"ID": id, "Attributes": {"exitCode": code}},
            });
            prop_assert!(decode(line.to_string().as_bytes()).is_ok());
        }
    }
}
