//! The worked example of docs/secret-verdict.md, done as the page says, and through the whole runner.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::docker;
use crate::support::system::System;

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/secret-verdict.md"))
        .expect("the page")
}

/// The code blocks of a kind.
fn blocks<'page>(page: &'page str, kind: &str) -> Vec<&'page str> {
    let start = format!("```{kind}\n");
    page.split(&start).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

/// The commands of the page's consoles, each with the output that it shows.
fn commands(page: &str) -> Vec<(String, String)> {
    let consoles = blocks(page, "console").join("\n");
    let all = consoles.split("$ ").skip(1).map(|one| one.split_once('\n').unwrap_or((one, "")));
    all.map(|(command, output)| (command.to_owned(), output.trim_end().to_owned())).collect()
}

#[test]
fn the_page_shows_the_example_grader_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let grader = std::fs::read_to_string(root.join("examples/secret-verdict/grader.sh")).expect("the grader");
    let (page, mut seen) = (page(), 0);
    for line in blocks(&page, "sh").concat().lines().filter(|line| !line.is_empty()) {
        assert!(grader.lines().any(|other| other == line), "the grader has no line {line:?}");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_grader_with_a_secret_does_what_its_page_says() {
    let page = page();
    let commands = commands(&page);
    assert_eq!(commands.len(), 3);
    for (command, expected) in &commands {
        let mut shell = Command::new("sh");
        let run =
            shell.args(["-c", command]).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("DOCKER_HOST");
        let output = run.output().expect("sh runs");
        assert!(output.status.success(), "{command}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), *expected, "{command}");
    }
    // The policy as the page writes it, for this image.
    let toml =
        blocks(&page, "toml").concat().replace("registry.example.org/programming/*", "correctomatic/*");
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, toml).expect("written");
    let system = System::start(&[("POLICY_FILE", policy.to_str().expect("a path"))]).await;
    for name in ["submission", "forger"] {
        let text = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/secret-verdict/{name}.sh")),
        );
        let mut job = system.job(name, &text.expect("a submission"));
        job["image"] = json!("correctomatic/secret-verdict:latest");
        system.submit(&job).await;
    }
    for (name, (_, output)) in ["submission", "forger"].into_iter().zip(&commands[1..]) {
        let shown: Value = serde_json::from_str(output.lines().nth(1).expect("a verdict")).expect("JSON");
        let mut body = system.result(name).await.json();
        body.as_object_mut().expect("an object").remove("work_id");
        assert_eq!(body, shown, "{name}");
    }
    system.end().await;
    docker::command(&["rmi", "correctomatic/secret-verdict:latest"]).await;
}
