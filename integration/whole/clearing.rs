//! Nothing piles up: what results leave behind is cleared away, and what is not ours is never touched.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::docker::{self, GRADER_IMAGE};
use crate::support::registry::{PASSWORD, Registry, USER};
use crate::support::system::{System, calls_back_at};

const SAYS_OK: &str = r#"echo '{"success":true,"grade":1}'"#;
/// Images are looked at at each tenth round.
const OFTEN: (&str, &str) = ("SWEEP_INTERVAL", "200ms");
/// So long the runner has been at it several times.
const SOME_ROUNDS: Duration = Duration::from_secs(5);

/// What a grader does that ends once a line is added to its submission.
fn until_end() -> String {
    format!("while ! grep -q '^# end' /tmp/exercise; do sleep 0.2; done\n{SAYS_OK}\nexit 0\n")
}

/// Lets such a grader end.
fn end(data: &Value) {
    let file = std::fs::OpenOptions::new().append(true).open(file_of(data));
    writeln!(file.expect("the submission of what runs is there"), "# end").expect("it can be written to");
}

fn file_of(data: &Value) -> &Path {
    Path::new(data["file"].as_str().expect("a path"))
}

async fn until_gone(system: &System, path: &Path) {
    system.until(&format!("{} is deleted", path.display()), async || (!path.exists()).then_some(())).await;
}

/// Whether `docker inspect` knows it, whatever it is.
async fn is_there(kind: &str, name: &str) -> bool {
    let output = tokio::process::Command::new("docker").args([kind, "inspect", name]).output().await;
    output.expect("the docker command line").status.success()
}

/// Makes an image of its own of the grader's.
async fn image_of_its_own(name: &str, change: &str) {
    let container = docker::command(&["create", GRADER_IMAGE]).await;
    docker::command(&["commit", "--change", change, &container, name]).await;
    docker::command(&["rm", &container]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_volumes_that_an_image_declares_go_with_the_container() {
    let system = System::start(&[]).await;
    let image = format!("correction-runner-test/volumes-{}:1", std::process::id());
    image_of_its_own(&image, "VOLUME /data").await;
    let mut job = system.job("volume", &format!("echo x >/data/x; sleep 2; {SAYS_OK}"));
    job["image"] = json!(image);
    system.submit(&job).await;
    system.until_running("it runs", |counts| counts.active == 1).await;
    let container = system.containers().await.remove(0).id;
    let format = "{{range .Mounts}}{{if eq .Type \"volume\"}}{{.Name}}{{end}}{{end}}";
    let volume = docker::command(&["inspect", "--format", format, container.as_str()]).await;
    assert!(is_there("volume", &volume).await, "{volume}");
    system.result("volume").await;
    system.until_clean().await;
    assert!(!is_there("volume", &volume).await, "{volume} is left");
    docker::command(&["rmi", &image]).await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submissions_file_is_deleted_after_its_result_and_not_before() {
    let mut system = System::prepare().await;
    let folder = system.folder().to_str().expect("a path").to_owned();
    system.set(&[OFTEN, ("REMOVE_EXERCISE", "yes"), ("EXERCISE_FOLDERS", &folder)]);
    system.spawn("all");
    let graded = system.job("graded", SAYS_OK);
    let failed = system.job("failed", "exit 3");
    let running = system.job("running", &format!("sleep 5; {SAYS_OK}"));
    let mut refused = system.job("refused", SAYS_OK);
    refused["image"] = json!("correction-runner-test/nowhere:1");
    for job in [&graded, &failed, &running, &refused] {
        system.submit(job).await;
    }
    for name in ["graded", "failed", "refused"] {
        system.result(name).await;
    }
    for job in [&graded, &failed] {
        until_gone(&system, file_of(job)).await;
    }
    assert!(file_of(&running).exists() || system.receiver.times("running") > 0);
    system.result("running").await;
    until_gone(&system, file_of(&running)).await;
    assert!(file_of(&refused).exists(), "whoever mends the image's name finds it");
    let noted = async || {
        let left = system.ask(&["--scan", "--pattern", "bull:correction-runner:exercises:*"]).await;
        left.is_empty().then_some(())
    };
    system.until("no note is left", noted).await;
    system.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_regular_file_and_what_a_dead_process_left_is_dealt_with() {
    let mut system = System::prepare().await;
    let folder = system.folder().to_str().expect("a path").to_owned();
    system.set(&[OFTEN, ("REMOVE_EXERCISE", "yes"), ("EXERCISE_FOLDERS", &folder)]);
    let job = system.job("killed", SAYS_OK);
    // A folder as the submission, and a link to a file that is nobody's.
    let (mut folder, mut link) = (system.job("folder", SAYS_OK), system.job("link", SAYS_OK));
    let precious = system.submission(SAYS_OK);
    let place = precious.parent().expect("a folder");
    std::fs::create_dir(place.join("a-folder")).expect("a folder");
    std::os::unix::fs::symlink(&precious, place.join("a-link")).expect("a link");
    folder["file"] = json!(place.join("a-folder"));
    link["file"] = json!(place.join("a-link"));
    system.set(&[("CRASH_POINTS", "completer-handed-over=kill")]);
    system.spawn("all");
    system.set(&[("CRASH_POINTS", "")]);
    system.submit(&job).await;
    system.until("it dies", async || has_died(&system).then_some(())).await;
    assert!(file_of(&job).exists());
    system.kill("all").await;
    system.spawn("all");
    for data in [&folder, &link] {
        system.submit(data).await;
    }
    for name in ["killed", "folder", "link"] {
        system.result(name).await;
    }
    until_gone(&system, file_of(&job)).await;
    let told = async || (system.logs().matches("it is no regular file").count() == 2).then_some(());
    system.until("the two are left alone, and that is said", told).await;
    assert!(place.join("a-folder").is_dir() && place.join("a-link").is_symlink() && precious.is_file());
    system.end().await;
}

/// Kills what holds a container, as only a fault of the host does.
async fn kill_shim_of(container: &str) {
    let process = docker::command(&["inspect", "--format", "{{.State.Pid}}", container]).await;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).expect("a parent");
    let name = std::fs::read_to_string(format!("/proc/{parent}/comm")).expect("it runs");
    assert!(name.starts_with("containerd-shim"), "{name}");
    let sent = tokio::process::Command::new("kill").args(["-9", parent]).status().await;
    assert!(sent.expect("kill runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_needed_again_or_was_written_anew_is_not_deleted() {
    let mut system = System::prepare().await;
    let folder = system.folder().to_str().expect("a path").to_owned();
    system.set(&[OFTEN, ("REMOVE_EXERCISE", "yes"), ("EXERCISE_FOLDERS", &folder)]);
    system.spawn("all");
    // The host fails a first run: the second run finds the file.
    let again = system.job("again", &format!("sleep 4; {SAYS_OK}"));
    // While the first submission runs, its file is exchanged for a second one.
    let anew = system.job("anew", &format!("sleep 4; {SAYS_OK}"));
    let killed = system.job("killed", "sleep 60");
    for job in [&again, &anew, &killed] {
        system.submit(job).await;
    }
    system.until_running("they run", |counts| counts.active == 3).await;
    let second = system.submission(SAYS_OK);
    std::fs::rename(second, file_of(&anew)).expect("in its place");
    for name in ["again", "killed"] {
        let container = system.containers().await.into_iter().find(|one| calls_back_at(one, name));
        let container = container.expect("it runs").id;
        if name == "again" {
            kill_shim_of(container.as_str()).await;
        } else {
            docker::command(&["kill", container.as_str()]).await;
        }
    }
    assert_eq!(system.result("anew").await.json()["grade"], 1);
    assert_eq!(system.result("killed").await.json()["outcome"], "killed");
    assert_eq!(system.result("again").await.json()["grade"], 1, "{}", system.logs());
    assert!(system.logs().contains("the Docker host failed a correction: it is run again"));
    until_gone(&system, file_of(&again)).await;
    let left = async || system.logs().contains("it was changed after its submission").then_some(());
    system.until("the new file is left alone", left).await;
    assert!(file_of(&anew).exists() && file_of(&killed).exists());
    system.submit(&anew).await;
    until_gone(&system, file_of(&anew)).await;
    system.end().await;
}

/// Whether the process is a zombie by now: it killed itself.
fn has_died(system: &System) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", system.process_id("all")));
    status.map_or(true, |status| status.contains("State:\tZ"))
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_we_pulled_go_when_they_are_old_or_the_disk_is_full_and_no_others() {
    let registry = Registry::start().await;
    let stem = format!("correction-runner-test/pulled-{}", std::process::id());
    let (theirs, foreign) = (format!("{stem}-theirs:1"), format!("{stem}-foreign:1"));
    image_of_its_own(&foreign, "LABEL whose=nobody").await;
    for (row, setting) in [("age", ("IMAGES_KEEP_FOR", "2s")), ("disk", ("IMAGES_MIN_FREE_DISK", "1000000g"))]
    {
        image_of_its_own(&theirs, &format!("LABEL row={row}")).await;
        let image = registry.push(&theirs, row).await;
        docker::command(&["rmi", &theirs]).await;
        let logins = json!({ registry.domain(): {"username": USER, "password": PASSWORD} }).to_string();
        let settings =
            [("DOCKER_PULL", "yes"), ("DOCKER_REGISTRY_CREDENTIALS", logins.as_str()), OFTEN, setting];
        let system = System::start(&settings).await;
        let mut job = system.job(row, &until_end());
        job["image"] = json!(image);
        let mut other = system.job("foreign", SAYS_OK);
        other["image"] = json!(foreign);
        system.submit(&job).await;
        system.submit(&other).await;
        system.result("foreign").await;
        system.until_running("it runs", |counts| counts.active == 1).await;
        tokio::time::sleep(SOME_ROUNDS).await;
        assert!(is_there("image", &image).await, "{row}: a container uses it");
        end(&job);
        assert_eq!(system.result(row).await.json()["grade"], 1);
        let gone = async || (!is_there("image", &image).await).then_some(());
        system.until("the image is removed", gone).await;
        assert!(is_there("image", &foreign).await, "{row}: an image of somebody else is gone");
        assert!(is_there("image", GRADER_IMAGE).await);
        // What is needed again is pulled again.
        let mut again = system.job("again", SAYS_OK);
        again["image"] = json!(image);
        system.submit(&again).await;
        assert_eq!(system.result("again").await.json()["grade"], 1);
        system.until("the image is removed once more", gone).await;
        system.end().await;
    }
    docker::command(&["rmi", &foreign]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_and_images_of_others_that_look_like_ours_survive_everything() {
    let system = System::start(&[
        OFTEN,
        ("CONTAINER_TIMEOUT", "1s"),
        ("IMAGES_KEEP_FOR", "1ms"),
        ("IMAGES_MIN_FREE_DISK", "1000000g"),
        ("REMOVE_EXERCISE", "yes"),
        ("EXERCISE_FOLDERS", "/tmp"),
    ])
    .await;
    let name = |number: u32| format!("correction-{:08x}-0000-4000-8000-{:012x}", std::process::id(), number);
    let instance = system.instance().await;
    let ours = format!("org.correctomatic.instance={instance}");
    let run = |number: u32, label: &str, command: &str| {
        let name = name(number);
        let arguments = [
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            &name,
            "--label",
            label,
            GRADER_IMAGE,
            "sh",
            "-c",
            command,
        ];
        arguments.map(str::to_owned)
    };
    let mut containers = Vec::new();
    for (number, label, command) in [
        // A name like ours alone, ended and running.
        (1, "whose=nobody", "exit 0"),
        (2, "whose=nobody", "sleep 600"),
        // Another installation's label.
        (3, "org.correctomatic.instance=another", "exit 255"),
        // Our label, and nothing else that we write.
        (4, ours.as_str(), "exit 255"),
        (5, ours.as_str(), "sleep 600"),
    ] {
        let arguments = run(number, label, command);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        containers.push(docker::command(&arguments).await);
    }
    system.submit(&system.job("ours", SAYS_OK)).await;
    system.result("ours").await;
    tokio::time::sleep(SOME_ROUNDS).await;
    for container in &containers {
        assert!(is_there("container", container).await, "{container} is gone");
    }
    for running in [&containers[1], &containers[4]] {
        let state = docker::command(&["inspect", "--format", "{{.State.Status}}", running]).await;
        assert_eq!(state, "running");
    }
    let arguments: Vec<&str> =
        ["rm", "-f"].into_iter().chain(containers.iter().map(String::as_str)).collect();
    docker::command(&arguments).await;
    system.end().await;
}
