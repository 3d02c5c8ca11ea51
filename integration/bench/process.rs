//! A process that a measurement starts, and what the kernel says it used.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::{Child, Command};

/// Kernel clock ticks a second (`USER_HZ`, the same on every Linux that matters here).
const TICKS: u64 = 100;

/// A child process; it is killed when this is dropped.
pub struct Process {
    /// What tables call it.
    pub name: &'static str,
    /// The child.
    pub child: Child,
    pid: u32,
}

impl Process {
    /// Starts a program with nothing of this process's environment but `PATH`.
    ///
    /// # Errors
    /// Where the program cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        name: &'static str,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, String)],
        directory: &Path,
        piped: bool,
    ) -> anyhow::Result<Self> {
        let pipe = || if piped { Stdio::piped() } else { Stdio::null() };
        let child = Command::new(program.as_ref())
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .current_dir(directory)
            .stdin(pipe())
            .stdout(pipe())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started ({})", program.as_ref().display()))?;
        let pid = child.id().context("the process has no id")?;
        Ok(Self { name, child, pid })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// User and system time used until now. Resolution 10 ms.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(self.pid)
    }

    /// Resident memory now and at its most, in bytes.
    ///
    /// # Errors
    /// Where the process is gone.
    pub fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kilobytes = |field: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
            Ok(line.trim_end_matches("kB").trim().parse::<u64>()? * 1024)
        };
        Ok((kilobytes("VmRSS:")?, kilobytes("VmHWM:")?))
    }

    /// Asks it to stop and waits until it did. Answers how long that took.
    ///
    /// # Errors
    /// Where it does not within 30 s.
    pub async fn stop(&mut self) -> anyhow::Result<Duration> {
        let began = std::time::Instant::now();
        let told = Command::new("kill").args(["-TERM", &self.pid.to_string()]).status().await?;
        anyhow::ensure!(told.success(), "{} is gone already", self.name);
        tokio::time::timeout(Duration::from_secs(30), self.child.wait())
            .await
            .with_context(|| format!("{} does not stop", self.name))??;
        Ok(began.elapsed())
    }
}

/// User and system time of this process itself.
///
/// # Errors
/// Where `/proc` is not there.
pub fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of(std::process::id())
}

fn cpu_of(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("an odd stat file")?;
    let mut times = fields.split(' ').skip(11);
    let mut next = || -> anyhow::Result<u64> { Ok(times.next().context("a short stat file")?.parse()?) };
    Ok(Duration::from_millis((next()? + next()?) * 1000 / TICKS))
}
