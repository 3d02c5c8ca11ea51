//! `DOCKER_REGISTRY_CREDENTIALS` and its file: merged deeply, the variable wins. No error shows a value.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::docker_options::kind;
use super::settings::{RegistryLogin, Secret};

/// The logins by registry domain; `""` is Docker Hub.
pub(super) type Logins = HashMap<String, RegistryLogin>;

/// The JSON object of the variable or of the file.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!(
            "a JSON object is needed, such as {{\"registry.domain\": {{\"username\": \"…\", \"password\": \"…\"}}}}, \
             not {}",
            kind(&other)
        )),
        Err(error) => Err(format!("no valid JSON: {error}")),
    }
}

/// One object over another: where both have an object it is merged likewise, else the upper one counts.
pub(super) fn merge(mut lower: Map<String, Value>, upper: Map<String, Value>) -> Map<String, Value> {
    for (name, value) in upper {
        let value = match (lower.remove(&name), value) {
            (Some(Value::Object(lower)), Value::Object(upper)) => Value::Object(merge(lower, upper)),
            (_, value) => value,
        };
        lower.insert(name, value);
    }
    lower
}

/// The logins in a merged object, with what is ignored in it, or everything that is wrong.
pub(super) fn logins(object: &Map<String, Value>) -> Result<(Logins, Vec<String>), Vec<String>> {
    let (mut logins, mut warnings, mut problems) = (HashMap::new(), Vec::new(), Vec::new());
    for (registry, login) in object {
        let Value::Object(fields) = login else {
            problems.push(format!(
                "{registry:?} must be an object with \"username\" and \"password\", not {}",
                kind(login)
            ));
            continue;
        };
        for field in fields.keys().filter(|field| !matches!(field.as_str(), "username" | "password")) {
            warnings.push(format!("the field {field:?} of {registry:?} is not known and is ignored"));
        }
        if fields.is_empty() {
            continue;
        }
        let mut text = |field: &str| match fields.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::String(_)) | None => {
                problems.push(format!("{registry:?} has no {field:?}"));
                None
            }
            Some(other) => {
                problems.push(format!("{field:?} of {registry:?} must be a text, not {}", kind(other)));
                None
            }
        };
        if let (Some(username), Some(password)) = (text("username"), text("password")) {
            let login = RegistryLogin { username, password: Secret::new(password) };
            logins.insert(registry.clone(), login);
        }
    }
    if problems.is_empty() { Ok((logins, warnings)) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<(Logins, Vec<String>), Vec<String>> {
        logins(&object(text).map_err(|problem| vec![problem])?)
    }

    #[test]
    fn logins_are_read_by_registry_and_the_empty_name_is_a_name() {
        let (logins, warnings) = read(
            r#"{"r.example": {"username": "u", "password": "p"}, "": {"username": "h", "password": "q", "email": "x"}, "anonymous": {}}"#,
        )
        .unwrap();
        assert_eq!(logins.len(), 2);
        assert_eq!(logins["r.example"].username, "u");
        assert_eq!(logins["r.example"].password.reveal(), "p");
        assert_eq!(logins[""].password.reveal(), "q");
        assert_eq!(warnings, [r#"the field "email" of "" is not known and is ignored"#]);
    }

    #[test]
    fn the_variable_wins_over_the_file_field_by_field() {
        let file = object(
            r#"{"a": {"username": "fa", "password": "pa"}, "b": {"username": "fb", "password": "pb"}}"#,
        );
        let variable = object(r#"{"a": {"password": "va"}, "c": {"username": "vc", "password": "pc"}}"#);
        let (logins, _) = logins(&merge(file.unwrap(), variable.unwrap())).unwrap();
        let mut all: Vec<_> = logins
            .iter()
            .map(|(name, login)| format!("{name} {} {}", login.username, login.password.reveal()))
            .collect();
        all.sort();
        assert_eq!(all, ["a fa va", "b fb pb", "c vc pc"]);
    }

    #[test]
    fn each_mistake_is_named_and_no_value_is_shown() {
        let problems = read(
            r#"{"a": "canary", "b": {"username": "canary"}, "c": {"username": 7, "password": ["canary"]}, "d": {"username": "", "password": "canary"}}"#,
        );
        let text = problems.unwrap_err().join("; ");
        for part in [
            r#""a" must be an object with "username" and "password", not a text"#,
            r#""b" has no "password""#,
            r#""username" of "c" must be a text, not a number"#,
            r#""password" of "c" must be a text, not an array"#,
            r#""d" has no "username""#,
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("canary"), "{text}");
        let text = read("{\"canary\": canary}").unwrap_err().join("; ");
        assert!(text.contains("line 1 column 12"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in r#"(\{|\}|"a"|""|"username"|"password"|:|,|1|.){0,20}"#) {
            let _ = read(&text);
        }
    }
}
