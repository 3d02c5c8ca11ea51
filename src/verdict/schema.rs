//! The check against `schemas/container_response.json`, and its findings in plain words.

use std::collections::HashSet;

use serde_json::Value;
use url::Url;
use valico::common::error::{ValicoError, ValicoErrors};
use valico::json_schema::errors::AnyOf;
use valico::json_schema::{SchemaVersion, Scope};

use super::text::shown;

/// The schema of what a grader prints.
const SCHEMA: &str = include_str!("../../schemas/container_response.json");

/// The fields that the schema has something to say of.
pub(super) const NAMED: [&str; 4] = ["success", "grade", "comments", "error"];

/// The compiled schema. Compiling takes longer than thousands of checks, and it cannot be shared
/// between threads.
struct Compiled {
    scope: Scope,
    success: Url,
    failure: Url,
    comment: Url,
}

thread_local! {
    static COMPILED: Compiled = Compiled::new();
}

impl Compiled {
    fn new() -> Self {
        let mut scope = Scope::without_formats(SchemaVersion::Draft7);
        let schema = serde_json::from_str(SCHEMA).unwrap_or_else(|error| unreachable!("own schema: {error}"));
        let root = scope.compile(schema, true).unwrap_or_else(|error| unreachable!("own schema: {error}"));
        let definition = |name: &str| {
            let mut url = root.clone();
            url.set_fragment(Some(&format!("/definitions/{name}")));
            url
        };
        Self {
            success: definition("success"),
            failure: definition("failure"),
            comment: definition("success/properties/comments/items"),
            scope,
        }
    }

    /// What is wrong with a value, against the definition that its field `success` names: of the whole
    /// schema one would only learn that no branch of it fits.
    ///
    /// The comments are looked at one by one, the first of each kind: all that the schema says of them
    /// is about their kind, and a check of each of a hundred thousand would hold up everybody else.
    fn findings(&self, value: &mut Value) -> ValicoErrors {
        let failure = value.get("success") == Some(&Value::Bool(false));
        let comments = value.get_mut("comments").filter(|_| !failure).and_then(Value::as_array_mut);
        let comments = comments.map(std::mem::take).unwrap_or_default();
        let mut findings = self.validate(if failure { &self.failure } else { &self.success }, value, "");
        let mut kinds = HashSet::new();
        for (index, comment) in comments.iter().enumerate() {
            if kinds.insert(std::mem::discriminant(comment)) {
                findings.extend(self.validate(&self.comment, comment, &format!("/comments/{index}")));
            }
        }
        if let Some(place) = value.get_mut("comments").and_then(Value::as_array_mut).filter(|_| !failure) {
            *place = comments;
        }
        findings
    }

    fn validate(&self, definition: &Url, value: &Value, path: &str) -> ValicoErrors {
        match self.scope.resolve(definition) {
            Some(schema) => schema.validate_in(value, path).errors,
            None => unreachable!("own schema has no {definition}"),
        }
    }
}

/// Something that is wrong with a verdict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// What, with the field that it is about.
    pub problem: String,
    /// Where, as a JSON pointer (RFC 6901); what is missing has one all the same.
    pub pointer: String,
}

/// The value of `success` of a valid verdict, or what is wrong with it.
pub(super) fn check(mut value: Value) -> Result<bool, Vec<Fault>> {
    let findings = COMPILED.with(|compiled| compiled.findings(&mut value));
    if findings.is_empty() {
        return Ok(value.get("success") == Some(&Value::Bool(true)));
    }
    // Without `success` it is not known what else is to be there.
    let of_success = |finding: &&dyn ValicoError| finding.get_path() == "/success";
    let decisive: Vec<_> = match findings.iter().map(AsRef::as_ref).filter(of_success).collect::<Vec<_>>() {
        none if none.is_empty() => findings.iter().map(AsRef::as_ref).collect(),
        some => some,
    };
    let mut faults: Vec<Fault> = Vec::new();
    for finding in decisive {
        let problem = in_words(finding, &value);
        if !faults.iter().any(|fault| fault.problem == problem) {
            faults.push(Fault { problem, pointer: finding.get_path().to_owned() });
        }
    }
    // Keywords are checked in no particular order.
    faults.sort();
    Err(faults)
}

fn in_words(finding: &dyn ValicoError, value: &Value) -> String {
    let path = finding.get_path();
    if let Some(alternatives) = finding.downcast_ref::<AnyOf>() {
        let errors = alternatives.states.iter().flat_map(|state| &state.errors);
        let names: Vec<String> = errors.map(|error| format!("\"{}\"", field(error.get_path()))).collect();
        return format!("at least one of the fields {} must be there", names.join(" and "));
    }
    let whose = match path {
        "" => "it".to_owned(),
        path => format!("the field \"{}\"", field(path)),
    };
    match (finding.get_code(), value.pointer(path)) {
        ("required", _) => format!("{whose} is missing"),
        ("enum", Some(found)) => format!("{whose} must be true or false, but it is {}", described(found)),
        (_, Some(found)) => {
            let expected = match finding.get_detail().and_then(|detail| detail.rsplit(' ').next()) {
                Some("number") => "a number",
                Some("string") => "a string",
                Some("array") if path == "/comments" => "an array of strings",
                Some("array") => "an array",
                Some("boolean") => "true or false",
                Some("object") => "a JSON object",
                _ => "of another kind",
            };
            format!("{whose} must be {expected}, but it is {}", described(found))
        }
        (_, None) => format!("{whose}: {}", finding.get_title()),
    }
}

/// `/comments/1` as people write it: `comments[1]`.
fn field(path: &str) -> String {
    let mut name = String::new();
    for part in path.split('/').skip(1) {
        let part = match part.parse::<usize>() {
            Ok(index) => format!("[{index}]"),
            Err(_) if name.is_empty() => part.to_owned(),
            Err(_) => format!(".{part}"),
        };
        name.push_str(&part);
    }
    name
}

fn described(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string \"{}\"", shown(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
