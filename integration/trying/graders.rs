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

/// What a grader's own program writes on one of its submissions, here and in no container.
async fn ran(
    folder: &Path,
    program: &[&str],
    submission: &str,
    out_of: Option<&str>,
) -> std::process::Output {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(format!("submissions/{submission}"));
    command.envs(out_of.map(|out_of| ("OUT_OF", out_of)));
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.expect("it ends").expect("it starts")
}

/// The verdict that it gives there.
async fn verdict_of(folder: &Path, program: &[&str], submission: &str) -> Value {
    verdict_out_of(folder, program, submission, None).await
}

async fn verdict_out_of(folder: &Path, program: &[&str], submission: &str, out_of: Option<&str>) -> Value {
    let output = ran(folder, program, submission, out_of).await;
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

/// Whatever it starts is gone with its folder at the latest, also where a test fails.
const STARTS_ANOTHER: &str = "
import os, time
def wait():
    while os.path.exists(__file__):
        time.sleep(0.1)
def add(a, b):
    if os.fork() == 0:
        AWAY
        wait()
        os._exit(0)
    END
";

/// One that holds the grader's pipe open would keep it waiting for as long as the container may run.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_grader_in_python_waits_for_no_process_that_a_submission_leaves_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    written("python", folder.path()).await;
    let quiz = folder.path().join("quiz");
    let grader = std::fs::read_to_string(quiz.join("grader.py")).expect("a grader");
    for (name, seconds) in [("hasty.py", "SECONDS = 1\n"), ("patient.py", "SECONDS = 60\n")] {
        assert!(grader.contains("SECONDS = 10\n"), "{grader}");
        std::fs::write(quiz.join(name), grader.replace("SECONDS = 10\n", seconds)).expect("written");
    }
    for (name, away, end) in [("hangs", "pass", "wait()"), ("ends", "os.setsid()", "return a + b")] {
        let text = STARTS_ANOTHER.replace("AWAY", away).replace("END", end);
        std::fs::write(quiz.join("submissions").join(name), text).expect("written");
    }
    let (hangs, ends) = tokio::join!(
        verdict_of(&quiz, &["python3", "hasty.py"], "hangs"),
        verdict_of(&quiz, &["python3", "patient.py"], "ends"),
    );
    assert_eq!(hangs["grade"].as_f64(), Some(0.0), "{hangs}");
    assert!(hangs["comments"][0].as_str().is_some_and(|text| text.contains("longer than 1 s")), "{hangs}");
    assert_eq!(ends["grade"].as_f64(), Some(10.0), "{ends}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_grader_marks_out_of_what_the_job_says_with_or_without_a_fraction() {
    let folder = tempfile::tempdir().expect("a folder");
    for (language, program) in [("shell", ["sh", "grader.sh"]), ("python", ["python3", "grader.py"])] {
        let folder = folder.path().join(language);
        std::fs::create_dir(&folder).expect("a folder");
        written(language, &folder).await;
        let quiz = folder.join("quiz");
        for (out_of, grade) in [("7.5", 7.5), ("100", 100.0)] {
            let verdict = verdict_out_of(&quiz, &program, "right", Some(out_of)).await;
            assert_eq!(verdict["grade"].as_f64(), Some(grade), "{language}: {verdict}");
        }
        // No grade is better than a wrong one.
        let output = ran(&quiz, &program, "right", Some("many")).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("many"), "{language}: {output:?}");
        let read = verdict::read(&Output::whole(output.stdout.clone(), output.stderr.clone()));
        assert!(read.is_err(), "{language}: {output:?}");
    }
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
