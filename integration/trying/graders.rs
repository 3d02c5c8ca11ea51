//! The graders that `new-grader` writes: each marks its three submissions as its own test says.

use std::path::Path;
use std::process::Stdio;

use correction_runner::output::Output;
use correction_runner::verdict;
use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::{PATIENCE, Said, runner, said};
use crate::support::docker;

/// A new grader in a folder, written by the binary.
async fn written(language: &str, folder: &Path) {
    let mut command = runner(folder);
    command.args(["new-grader", language, "quiz"]);
    let said = said(command).await;
    assert_eq!((said.code, said.error.as_str()), (Some(0), ""), "{said:?}");
    assert!(said.out.contains("docker build -t quiz ."), "{said:?}");
}

/// The verdict that a grader's own program gives on one of its submissions, here and in no container.
async fn verdict_of(folder: &Path, program: &[&str], submission: &str) -> Value {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(format!("submissions/{submission}"));
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts");
    let read = verdict::read(&Output::whole(output.stdout.clone(), output.stderr.clone()));
    let read = read.unwrap_or_else(|problem| panic!("{submission}: {problem} {output:?}"));
    serde_json::from_str(read.json.get()).expect("JSON")
}

async fn marks_its_submissions(folder: &Path, program: &[&str]) {
    let (right, wrong, broken) = tokio::join!(
        verdict_of(folder, program, "right"),
        verdict_of(folder, program, "wrong"),
        verdict_of(folder, program, "broken"),
    );
    assert_eq!(right["grade"].as_f64(), Some(10.0), "{right}");
    assert_eq!(wrong["grade"].as_f64(), Some(0.0), "{wrong}");
    assert_eq!(broken["success"], false, "{broken}");
    for verdict in [&right, &wrong] {
        let comments = verdict["comments"].as_array().expect("comments");
        assert!(
            !comments.iter().any(|comment| comment.as_str().is_some_and(|text| text.contains("vain"))),
            "{verdict}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_grader_in_python_marks_its_submissions() {
    let folder = tempfile::tempdir().expect("a folder");
    written("python", folder.path()).await;
    marks_its_submissions(&folder.path().join("quiz"), &["python3", "grader.py"]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_new_grader_in_java_marks_its_submissions() {
    let folder = tempfile::tempdir().expect("a folder");
    written("java", folder.path()).await;
    let folder = folder.path().join("quiz");
    let made = Command::new("javac").args(["-d", "made", "Grader.java"]).current_dir(&folder).status().await;
    assert!(made.expect("there is a JDK").success());
    marks_its_submissions(&folder, &["java", "-XX:+UseSerialGC", "-cp", "made", "Grader"]).await;
}

/// Makes the image that the Dockerfile begins with from what is on this machine, under a name of the test's own.
async fn without_registry(folder: &Path) {
    let dockerfile = folder.join("Dockerfile");
    let text = std::fs::read_to_string(&dockerfile).expect("a Dockerfile");
    assert!(text.starts_with("FROM busybox:stable\n"), "{text}");
    docker::build_images().await;
    std::fs::write(dockerfile, text.replace("busybox:stable", docker::GRADER_IMAGE)).expect("written");
}

/// Its own test, as a person runs it.
async fn tested(folder: &Path) -> Said {
    let mut command = Command::new("./test");
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("CORRECTION_RUNNER", env!("CARGO_BIN_EXE_correction-runner")).env("DOCKER_TIMEOUT", "60s");
    // Where the docker command line has no buildx.
    command.env("DOCKER_BUILDKIT", "0");
    said(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_grader_in_shell_is_built_and_tried_and_its_test_finds_what_is_broken_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = format!("correction-runner-test/new-{}", std::process::id());
    let mut command = runner(folder.path());
    command.args(["new-grader", "shell", "quiz", "--name", &name]);
    said(command).await.has(0, &[&format!("docker build -t {name} .")]);
    let quiz = folder.path().join("quiz");
    without_registry(&quiz).await;
    tested(&quiz).await.has(0, &["ok: right", "ok: wrong", "ok: broken"]);
    docker::command(&["rmi", "--force", &name]).await;
    let grader = std::fs::read_to_string(quiz.join("grader.sh")).expect("a grader");
    std::fs::write(quiz.join("grader.sh"), grader.replace("\\\"success\\\": true", "\\\"succes\\\": true"))
        .expect("written");
    tested(&quiz).await.has(1, &["NOT as expected: right: exit code 2 in the place of 0", "ok: broken"]);
    docker::command(&["rmi", "--force", &name]).await;
}
