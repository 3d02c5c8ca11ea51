//! The whole system under test: the real binary's processes, a real Redis, the real Docker engine and
//! a receiver of callbacks.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use correction_runner::config::{DockerSettings, Endpoint, RedisSettings};
use correction_runner::docker::{Engine, Listed};
use correction_runner::identity::{InstanceId, JobId};
use correction_runner::job::{PENDING_QUEUE, RUNNING_QUEUE};
use correction_runner::queue::{Added, Counts, JobOptions, NewJob, Redis};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::docker;
use super::receiver::{Received, Receiver};
use super::redis::RedisServer;
use super::simulated_engine::SimulatedEngine;

/// How long a correction may take on a busy machine before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(90);
/// How often the outside state is looked at where nothing tells of its change.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A system of its own: own Redis, own prefix, own installation id.
pub struct System {
    /// Where results arrive.
    pub receiver: Receiver,
    /// Redis as the runner's own code sees it.
    pub redis: Redis,
    /// The engine.
    pub engine: Engine,
    /// The Redis server.
    pub server: RedisServer,
    environment: HashMap<String, String>,
    folder: TempDir,
    processes: HashMap<String, Child>,
    submitted: AtomicUsize,
    has_stand_ins: bool,
}

impl System {
    /// Starts Redis and a receiver, and nothing of the runner yet.
    pub async fn prepare() -> Self {
        Self::prepare_with_redis(&[]).await
    }

    /// The same, with options for the command line of `redis-server`.
    pub async fn prepare_with_redis(options: &[&str]) -> Self {
        docker::build_images().await;
        let server = RedisServer::start(options);
        let settings = RedisSettings {
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            username: None,
            password: None,
            database: 0,
            tls: false,
            prefix: "bull".to_owned(),
        };
        let environment = HashMap::from([
            ("REDIS_HOST".to_owned(), "127.0.0.1".to_owned()),
            ("REDIS_PORT".to_owned(), server.port().to_string()),
            ("NOTIFY_BACKOFF".to_owned(), "100ms".to_owned()),
            ("LOG_LEVEL".to_owned(), "debug".to_owned()),
            // The machine may be busy, and its disk full of builds; a test of these says so.
            ("MAX_RUNNING".to_owned(), "0".to_owned()),
            ("MIN_FREE_DISK".to_owned(), "0".to_owned()),
            ("MIN_FREE_MEMORY".to_owned(), "0".to_owned()),
        ]);
        Self {
            receiver: Receiver::start().await,
            redis: Redis::new(&settings).expect("settings that can be used"),
            engine: Engine::new(&docker_settings()).expect("settings that can be used"),
            server,
            environment,
            folder: TempDir::new().expect("a folder"),
            processes: HashMap::new(),
            submitted: AtomicUsize::new(0),
            has_stand_ins: false,
        }
    }

    /// Starts Redis and a receiver for a runner on a simulated engine.
    pub async fn prepare_on(engine: &SimulatedEngine) -> Self {
        let mut system = Self::prepare().await;
        system.use_engine(engine.socket());
        system
    }

    /// Has the processes that are started from now on, and our own looks, use the engine at a socket.
    pub fn use_engine(&mut self, socket: &Path) {
        let settings = DockerSettings { endpoint: Endpoint::Unix(socket.into()), ..docker_settings() };
        self.engine = Engine::new(&settings).expect("settings that can be used");
        self.set(&[("DOCKER_HOST", &format!("unix://{}", socket.display()))]);
    }

    /// Starts the whole runner as one process, with further settings.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let mut system = Self::prepare().await;
        system.set(settings);
        system.spawn("all");
        system
    }

    /// Adds settings for the processes that are started from now on.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        for (name, value) in settings {
            self.environment.insert((*name).to_owned(), (*value).to_owned());
        }
    }

    /// The settings of the processes that are started from now on.
    pub fn settings(&self) -> &HashMap<String, String> {
        &self.environment
    }

    /// Starts a component.
    pub fn spawn(&mut self, component: &str) {
        self.spawn_as(component, component);
    }

    /// Starts a component under a name of its own, beside others of its kind.
    pub fn spawn_as(&mut self, name: &str, component: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_correction-runner"));
        command.arg(component).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        self.spawn_program(name, &mut command);
    }

    /// Starts a component as the user `nobody`, without any rights or groups. Only root may do so.
    pub fn spawn_as_nobody(&mut self, component: &str) {
        use std::os::unix::fs::PermissionsExt;
        // It looks for its `.env` here.
        let readable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(self.folder.path(), readable).expect("it is ours");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        command.arg(env!("CARGO_BIN_EXE_correction-runner")).arg(component);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        self.spawn_program(component, &mut command);
    }

    /// Starts the Node stand-in for one of the original's components, on a version of BullMQ.
    pub fn spawn_node(&mut self, component: &str, alias: &str) {
        self.spawn_node_as(component, component, alias);
    }

    /// The same under a name of its own, beside others of its kind.
    pub fn spawn_node_as(&mut self, name: &str, component: &str, alias: &str) {
        self.has_stand_ins = true;
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("integration/node/chain/{component}.mjs"));
        let mut command = Command::new("node");
        command.arg(script).env("BULLMQ", alias).env("DOCKER_SOCKET", "/var/run/docker.sock");
        self.spawn_program(name, &mut command);
    }

    fn spawn_program(&mut self, component: &str, command: &mut Command) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join(format!("{component}.log")))
            .expect("a log file");
        let child = command
            .envs(&self.environment)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        self.processes.insert(component.to_owned(), child);
    }

    /// Kills a component as a power cut would.
    pub async fn kill(&mut self, component: &str) {
        let mut child = self.processes.remove(component).expect("it was started");
        child.kill().await.expect("it can be killed");
    }

    /// How a component ended, where it did: it counts as started no more.
    pub fn ended(&mut self, component: &str) -> Option<ExitStatus> {
        let child = self.processes.get_mut(component).expect("it was started");
        let status = child.try_wait().expect("it is ours")?;
        self.processes.remove(component);
        Some(status)
    }

    /// Asks a component to stop, and gives its exit code and how long it took.
    pub async fn stop(&mut self, component: &str) -> (Option<i32>, Duration) {
        let asked = Instant::now();
        self.signal(component, "TERM").await;
        let code = self.until_ended(component).await;
        (code, asked.elapsed())
    }

    /// Waits until a component that was asked to stop has done so, and gives its exit code.
    pub async fn until_ended(&mut self, component: &str) -> Option<i32> {
        let mut child = self.processes.remove(component).expect("it was started");
        let status =
            tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("it is ours");
        status.code()
    }

    /// Sends a component a signal, such as `STOP` and `CONT`.
    pub async fn signal(&self, component: &str, signal: &str) {
        let pid = self.process_id(component).to_string();
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &pid]).status().await.expect("kill runs");
        assert!(sent.success(), "{component} does not run any more; logs:\n{}", self.logs());
    }

    /// A component's process.
    pub fn process_id(&self, component: &str) -> u32 {
        let child = self.processes.get(component).expect("it was started");
        child.id().expect("nobody waited for it")
    }

    /// The names of the components that were started and not stopped.
    pub fn running_components(&self) -> Vec<String> {
        self.processes.keys().cloned().collect()
    }

    /// The folder in which submissions are written.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a submission, which the test grader runs as a shell script, and gives its path.
    pub fn submission(&self, script: &str) -> PathBuf {
        let number = self.submitted.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("submission-{number}"));
        std::fs::write(&path, script).expect("a file can be written");
        path
    }

    /// The data of a pending job with a script as its submission.
    pub fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "work_id": name,
            "image": docker::GRADER_IMAGE,
            "file": self.submission(script),
            "callback": self.receiver.url(name),
        })
    }

    /// Submits a job as the API does.
    pub async fn submit(&self, data: &Value) -> JobId {
        self.submit_text(&data.to_string()).await
    }

    /// Submits a job with any text as its data.
    pub async fn submit_text(&self, data: &str) -> JobId {
        let job = NewJob {
            id: None,
            name: "Correction test".to_owned(),
            data: data.to_owned(),
            options: JobOptions::default(),
        };
        match self.redis.queue(PENDING_QUEUE).add(&job).await.expect("Redis takes it") {
            Added::New(id) | Added::Duplicate(id) => id,
        }
    }

    /// The result that was posted to a path.
    pub async fn result(&self, path: &str) -> Received {
        let received = tokio::time::timeout(PATIENCE, self.receiver.posted_to(path, PATIENCE * 2)).await.ok();
        received.unwrap_or_else(|| panic!("no result for {path}; logs:\n{}", self.logs()))
    }

    /// Whose containers are this system's.
    pub async fn instance(&self) -> InstanceId {
        self.redis.instance(None).await.expect("Redis answers")
    }

    /// The system's containers.
    pub async fn containers(&self) -> Vec<Listed> {
        self.engine.list(&self.instance().await, Some).await.expect("Docker answers")
    }

    /// Waits until a look at the outside gives what is wanted.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}; logs:\n{}", self.logs());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until no container of this system is left.
    pub async fn until_clean(&self) {
        self.until("no container is left", async || self.containers().await.is_empty().then_some(())).await;
    }

    /// Waits until the running queue looks as wanted.
    pub async fn until_running(&self, what: &str, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let queue = self.redis.queue(RUNNING_QUEUE);
        self.until(what, async || {
            let counts = queue.counts().await.expect("Redis answers");
            wanted(&counts).then_some(counts)
        })
        .await
    }

    /// What Redis answers to a command.
    pub async fn ask(&self, command: &[&str]) -> String {
        let port = self.server.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(command).output().await;
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).trim().to_owned()
    }

    /// Loses the keys that match a pattern, as a person with a command line might.
    pub async fn lose(&self, pattern: &str) {
        let redis = format!("redis-cli -p {}", self.server.port());
        let line = format!("{redis} --scan --pattern '{pattern}' | xargs {redis} del");
        let status = Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).status().await;
        assert!(status.expect("sh runs").success());
    }

    /// What the processes logged.
    pub fn logs(&self) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder is there").flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let _ = writeln!(all, "--- {}", path.display());
                all.push_str(&std::fs::read_to_string(&path).unwrap_or_default());
            }
        }
        all
    }

    /// What the processes of one name logged.
    pub fn log_of(&self, component: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{component}.log"))).unwrap_or_default()
    }

    /// Ends a test: everything stops in time, and nothing is left.
    pub async fn end(mut self) {
        self.until_clean().await;
        self.stop_all().await;
    }

    /// Stops all components: each in time, and with success.
    pub async fn stop_all(&mut self) {
        for name in self.running_components() {
            let (code, took) = self.stop(&name).await;
            assert_eq!(code, Some(0), "{name} stops as asked; logs:\n{}", self.logs());
            assert!(took < Duration::from_secs(8), "{name} took {took:?} to stop; logs:\n{}", self.logs());
        }
    }
}

impl Drop for System {
    /// A test that failed leaves nothing behind either, nor do the stand-ins: nobody waits for their removals.
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            docker::remove_containers_of_callbacks(&self.receiver.url(""));
        }
        if failed || self.has_stand_ins {
            docker::remove_containers_of_submissions(self.folder.path());
        }
    }
}

/// The engine at its usual place.
pub fn docker_settings() -> DockerSettings {
    DockerSettings {
        endpoint: Endpoint::Unix(PathBuf::from("/var/run/docker.sock")),
        timeout: Duration::from_secs(20),
        pull: false,
        pull_timeout: Duration::from_secs(15),
        credentials: HashMap::new(),
    }
}

/// Whether it is the container of the correction whose result is posted to a path that ends so.
pub fn calls_back_at(container: &Listed, end: &str) -> bool {
    let callback = container.labels.as_ref().and_then(|labels| labels.errand.callback.as_deref());
    callback.is_some_and(|callback| callback.ends_with(end))
}
