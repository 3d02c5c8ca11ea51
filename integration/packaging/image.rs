//! The image takes the place of the original's: the same variables, mounts and user, and nothing in it but the program.
//!
//! The static release takes minutes to build and has a row among the long tests. Else the program is that of all
//! tests, which finds the libraries that it is linked with in folders of this machine.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Stdio;

use correction_runner::version::VERSION;
use tokio::process::Command;

use crate::notifier::names::NameServer;
use crate::support::docker;
use crate::support::system::{PATIENCE, System};

/// What the image is to have at most.
const LARGEST: u64 = 15_000_000;

/// An image of this test's own, and the containers of it.
pub struct Image {
    pub name: String,
    /// What each container of it needs.
    arguments: Vec<String>,
    started: Vec<String>,
}

impl Image {
    /// Makes it by the script, from a program that is there.
    pub async fn of_program(program: &Path) -> Self {
        let program = program.display().to_string();
        let mut image = Self::made(&[("PROGRAM", program.as_str()), ("PROFILE", "dev")]).await;
        for folder in ["/lib", "/lib64", "/usr/lib"] {
            image.arguments.push(format!("--volume={folder}:{folder}:ro"));
        }
        image
    }

    /// Makes it by the script, as a person does: of a static release. That takes minutes the first time.
    pub async fn of_release() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static");
        Self::made(&[("STATIC_TARGET_DIR", &folder.display().to_string())]).await
    }

    /// Makes it by the script, with settings for that.
    async fn made(settings: &[(&str, &str)]) -> Self {
        let name = format!("correction-runner-test/runner:{:016x}", fastrand::u64(..));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/make_image");
        let made =
            Command::new(script).arg(&name).envs(settings.iter().copied()).stdin(Stdio::null()).output();
        let made = made.await.expect("the script runs");
        let image = Self { name, arguments: Vec::new(), started: Vec::new() };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        image
    }

    /// Runs a container until it ends: its exit code, and what it printed.
    async fn run(&self, options: &[&str], command: &[&str]) -> (Option<i32>, String) {
        let mut run = Command::new("docker");
        run.args(["run", "--rm", "--network=none"])
            .args(&self.arguments)
            .args(options)
            .arg(&self.name)
            .args(command);
        let done = run.stdin(Stdio::null()).output().await.expect("docker runs");
        let text = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Starts a container on this machine's own network, as hardened as compose has it; gives its id.
    async fn start(&mut self, options: &[&str]) -> String {
        let mut arguments = vec!["run", "--detach", "--network=host", "--read-only", "--cap-drop=ALL"];
        arguments.extend(["--security-opt=no-new-privileges", "--health-interval=1s"]);
        arguments.extend(self.arguments.iter().map(String::as_str));
        arguments.extend(options);
        arguments.push(&self.name);
        let id = docker::command(&arguments).await;
        self.started.push(id.clone());
        id
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let docker = |arguments: &[&str]| {
            let mut docker = std::process::Command::new("docker");
            // What is left of a test that failed is no reason to fail again.
            let _ = docker.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        };
        for container in &self.started {
            docker(&["rm", "--force", "--volumes", container]);
        }
        docker(&["rmi", "--force", &self.name]);
    }
}

/// The three components in containers, each as the original's image is run, grade a submission; the callback
/// names its host by a name that only a DNS server knows.
async fn grades_a_submission(image: &mut Image) {
    let names = NameServer::start(|_| vec![Ipv4Addr::LOCALHOST]).await;
    let system = System::prepare().await;
    let port = system.server.port().to_string();
    let dns = format!("--dns={}", names.address);
    let redis = format!("--env=REDIS_PORT={port}");
    let common =
        [redis.as_str(), "--env=REDIS_HOST=127.0.0.1", "--env=MAX_RUNNING=0", "--env=MIN_FREE_MEMORY=0"];
    let socket = "--volume=/var/run/docker.sock:/var/run/docker.sock";
    let mut containers = Vec::new();
    for process in ["starter", "completer", "notifier"] {
        let name = format!("--env=PROCESS={process}");
        let mut options = vec![name.as_str(), if process == "notifier" { &dns } else { socket }];
        options.extend(common);
        containers.push((process, image.start(&options).await));
    }
    let mut job = system.job("by-name", "echo '{\"success\": true, \"grade\": 7.5}'");
    let callback = system.receiver.url("by-name").replace("127.0.0.1", "receiver.school.test");
    job["callback"] = callback.into();
    system.submit(&job).await;
    let received = tokio::time::timeout(PATIENCE, system.receiver.posted_to("by-name", PATIENCE * 2)).await;
    let Ok(received) = received else {
        let mut logs = String::new();
        for (process, id) in &containers {
            let told = docker::command(&["logs", id]).await;
            let _ = writeln!(logs, "--- {process}\n{told}");
        }
        panic!("no result came:\n{logs}");
    };
    assert_eq!(received.body, r#"{"grade":7.5,"success":true,"work_id":"by-name"}"#);
    for (process, id) in &containers {
        system
            .until("it is healthy", async || {
                let state = docker::command(&["inspect", "--format={{.State.Health.Status}}", id]).await;
                (state == "healthy").then_some(())
            })
            .await;
        docker::command(&["stop", "--time=30", id]).await;
        let code = docker::command(&["inspect", "--format={{.State.ExitCode}}", id]).await;
        assert_eq!(code, "0", "{process} stops as asked");
    }
}

/// What a person sees who runs it in other ways.
async fn answers_a_person(image: &Image) {
    let (code, text) = image.run(&[], &["--version"]).await;
    assert_eq!((code, text.trim()), (Some(0), format!("correction-runner {VERSION}").as_str()));
    let (code, text) = image.run(&[], &[]).await;
    assert!(code == Some(64) && text.contains("PROCESS"), "{code:?} {text}");
    // The file that the original's image is given.
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "REDIS_PORT=many\n").expect("a file");
    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
    let mount = format!("--volume={}:/app/.env:ro", file.path().display());
    let (code, text) = image.run(&[&mount, "--env=PROCESS=notifier"], &[]).await;
    assert!(
        code == Some(64) && text.contains("REDIS_PORT is \"many\" (REDIS_PORT in .env, line 1)"),
        "{text}"
    );
    // Where the original's image is told to log.
    let log = "--env=LOG_FILE=/var/log/correctomatic/runner.log";
    let (code, text) = image.run(&["--env=PROCESS=notifier", "--env=CONNECT_WAIT=1ms", log], &[]).await;
    assert!(code == Some(69) && text.contains("Redis is unreachable"), "{code:?} {text}");
}

/// All files of the image, and whom it runs as.
async fn holds_nothing_else(image: &Image) {
    let container = docker::command(&["create", &image.name]).await;
    let list = format!(
        "docker export {container} | tar --list --file=- | grep -v '/$'; docker rm {container} >/dev/null"
    );
    let listed = Command::new("sh").args(["-c", &list]).output().await.expect("sh runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    // Those that the engine mounts over in each container.
    let engines = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"];
    let mut files: Vec<&str> = listed.lines().filter(|file| !engines.contains(file)).collect();
    files.sort_unstable();
    let expected = [
        "etc/group",
        "etc/nsswitch.conf",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/local/bin/correction-runner",
        "usr/share/doc/correction-runner/LICENSE",
        "usr/share/doc/correction-runner/THIRD-PARTY.txt",
    ];
    assert_eq!(files, expected);
    let user =
        docker::command(&["inspect", "--format={{.Config.User}} {{.Config.WorkingDir}}", &image.name]).await;
    assert_eq!(user, "1000 /app");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_is_run_like_the_originals_and_delivers_to_a_name() {
    let mut image = Image::of_program(Path::new(env!("CARGO_BIN_EXE_correction-runner"))).await;
    answers_a_person(&image).await;
    holds_nothing_else(&image).await;
    grades_a_submission(&mut image).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn the_image_of_a_release_is_static_and_small_and_does_the_same() {
    let mut image = Image::of_release().await;
    let size: u64 =
        docker::command(&["inspect", "--format={{.Size}}", &image.name]).await.parse().expect("a number");
    assert!(size <= LARGEST, "{size} bytes");
    answers_a_person(&image).await;
    holds_nothing_else(&image).await;
    grades_a_submission(&mut image).await;
}
