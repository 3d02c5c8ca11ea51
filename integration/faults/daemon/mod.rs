//! Docker, the real engine: the whole runner on a dockerd of its own, which is ended in all ways, or whose
//! containers, shims or disk are.

mod by_hand;
mod full_disk;
mod going_away;
mod leftovers;
mod reruns;
mod shims;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::campaign::{Campaign, Expected, Proof};
use crate::support::docker::GRADER_IMAGE;
use crate::support::second_engine::SecondEngine;
use crate::support::system::System;

/// How many engines run at once beside the machine's own.
static ENGINES: Semaphore = Semaphore::const_new(2);

/// Longer than any test: what a container runs that is not to end by itself.
const FOR_EVER: Duration = Duration::from_secs(1000);

/// What a grader does that ends once a line is added to its submission.
const WAITING: &str = "while ! grep -q '^# open' /tmp/exercise; do sleep 0.1; done
echo '{\"success\":true,\"grade\":7}'
exit 0
";

/// What a grader waits for.
struct Gate(PathBuf);

impl Gate {
    /// That of a job whose grader does what [`WAITING`] says.
    fn of(data: &serde_json::Value) -> Self {
        Self(data["file"].as_str().expect("a path").into())
    }

    /// Lets the grader end.
    fn open(&self) {
        let file = std::fs::OpenOptions::new().append(true).open(&self.0);
        file.and_then(|mut file| file.write_all(b"# open\n")).expect("the submission can be written to");
    }
}

/// The runner as one process, on an engine of its own.
struct Host {
    campaign: Campaign,
    engine: SecondEngine,
    turn: SemaphorePermit<'static>,
}

impl Host {
    /// Starts an engine with options and the runner with settings.
    async fn start(options: &[&str], settings: &[(&str, &str)]) -> Self {
        let turn = ENGINES.acquire().await.expect("never closed");
        let engine = SecondEngine::on_socket(options).await;
        Self::on(engine, turn, settings).await
    }

    /// Starts the runner on an engine.
    async fn on(engine: SecondEngine, turn: SemaphorePermit<'static>, settings: &[(&str, &str)]) -> Self {
        engine.import(GRADER_IMAGE).await;
        let mut system = System::prepare().await;
        system.use_engine(&engine.socket());
        system.set(&[("SWEEP_INTERVAL", "1s")]);
        system.set(settings);
        system.spawn("all");
        Self { campaign: Campaign::of(system), engine, turn }
    }

    /// Submits a correction that prints its grade after a time.
    async fn submit(&mut self, run_time: Duration) {
        self.campaign.submit(1, run_time).await;
    }

    /// Submits a correction that ends, with the grade 7, once its gate is opened.
    async fn submit_waiting(&mut self, name: &str, expected: Expected) -> Gate {
        let data = self.campaign.system.job(name, WAITING);
        self.campaign.submit_one(name, &data, expected).await;
        Gate::of(&data)
    }

    /// Submits a correction that runs until something is done to it, and what is to be told then.
    async fn submit_endless(&mut self, name: &str, expected: Expected) {
        let script = format!("sleep {}", FOR_EVER.as_secs());
        let data = self.campaign.system.job(name, &script);
        self.campaign.submit_one(name, &data, expected).await;
    }

    /// The container of a correction, once it has the wanted status.
    async fn container(&self, name: &str, status: &str) -> String {
        let label = format!("label=org.correctomatic.callback={}", self.campaign.system.receiver.url(name));
        let state = format!("status={status}");
        let filters = ["ps", "-aq", "--no-trunc", "--filter", &label, "--filter", &state];
        let look = async || Some(self.engine.docker(&filters).await).filter(|id| !id.is_empty());
        self.campaign.system.until(&format!("{name} is {status}"), look).await
    }

    /// The process in a container that holds its place: what runs in it ends with that.
    async fn process_of(&self, container: &str) -> u32 {
        let pid = self.engine.docker(&["inspect", "--format", "{{.State.Pid}}", container]).await;
        pid.parse().expect("a process id")
    }

    /// Kills the shim of a container that runs.
    async fn kill_shim_of(&self, container: &str) {
        let shims: Vec<u32> = self.engine.processes("containerd-shim");
        let of_it = self.engine.processes(container);
        let shim = shims.into_iter().find(|pid| of_it.contains(pid)).expect("it has a shim");
        let sent = Command::new("kill").args(["-9", &shim.to_string()]).status().await.expect("kill runs");
        assert!(sent.success(), "{shim} does not run");
    }

    /// Waits until the runner holds so many running corrections and all of their containers run.
    async fn until_running(&self, count: usize) {
        let held = u64::try_from(count).expect("a few");
        self.campaign.system.until_running("all are held", |counts| counts.active == held).await;
        let filters = ["ps", "-q", "--filter", "status=running"];
        let look = async || (self.engine.docker(&filters).await.lines().count() == count).then_some(());
        self.campaign.system.until("all run", look).await;
    }

    /// The campaign's proof, and that nothing at all is left on the engine: no container, whosever, no shim.
    async fn prove(self) -> Proof {
        let Self { campaign, engine, turn } = self;
        let proof = campaign.prove().await;
        let left = engine.docker(&["ps", "-a"]).await;
        assert_eq!(left.lines().count(), 1, "containers are left:\n{left}");
        let shims = engine.processes("containerd-shim");
        assert!(shims.is_empty(), "shims are left: {shims:?}");
        drop((engine, turn));
        proof
    }
}
