//! What an operator asks with, on the real binary: `doctor`, `status`, and how any command says that it cannot answer.

mod doctor;
mod notes;
mod over_ssh;
mod proxies;
mod refusals;
mod status;
mod unlimited;
mod window;

use serde_json::Value;

use crate::support::redis::free_port;

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    text: String,
    errors: String,
}

/// Runs the binary with nothing in its environment but this.
async fn asked(arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let folder = tempfile::tempdir().expect("a folder without a .env");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_correction-runner"));
    command.args(arguments).env_clear().envs(environment.iter().copied()).current_dir(folder.path());
    let output = command.output().await.expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: output.status.code(), text: text(output.stdout), errors: text(output.stderr) }
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A port where nobody listens, as text.
fn nobody() -> String {
    free_port().to_string()
}

/// The names of all fields of a document, but for the names of queues.
fn names(document: &Value, into: &mut std::collections::BTreeSet<String>) {
    match document {
        Value::Array(all) => all.iter().for_each(|one| names(one, into)),
        Value::Object(fields) => {
            for (name, value) in fields {
                into.insert(name.clone());
                names(value, into);
            }
        }
        _ => {}
    }
}

/// Each field of a document is described for programs' authors.
fn assert_described(document: &Value) {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/json.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let mut all = std::collections::BTreeSet::new();
    names(document, &mut all);
    let is_described = |name: &String| {
        [format!("`{name}`"), format!(".{name}`")].iter().any(|written| page.contains(written.as_str()))
    };
    let missing: Vec<_> = all.iter().filter(|name| !is_described(name)).collect();
    assert!(missing.is_empty(), "docs/reference/json.md does not tell of {missing:?}");
}
