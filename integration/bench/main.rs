//! Measurements (`make bench`): what the runner achieves, beside a chain of Node workers and a bare loop.
//!
//! `cargo bench --bench corrections -- [throughput] [latency] [real] [memory] [idle] [mass] [starts] [isolation] [--only-runner] [--only-node] [--quick]`;
//! all of them by default. Every process that is needed is started here and stopped at the end.

mod contestants;
#[path = "../support/docker.rs"]
#[allow(dead_code, reason = "of the support only the images are needed here")]
mod docker;
mod engine_process;
mod idle;
mod isolation;
mod latency;
mod mass;
mod memory;
mod process;
mod real_engine;
mod receiver;
mod redis_server;
#[path = "../simulated_engine/mod.rs"]
mod simulated_engine;
#[path = "../support/socket_client.rs"]
mod socket_client;
mod starts;
mod table;
mod throughput;

/// How much is measured.
pub struct Size {
    /// Corrections in a measurement of throughput.
    pub corrections: usize,
    /// Seconds of a measurement of latency.
    pub seconds: usize,
    /// Corrections running at once, for memory.
    pub running: usize,
    /// Containers on the real engine, for each contestant and round.
    pub containers: usize,
    /// How often the real engine is measured.
    pub rounds: usize,
    /// Whether the runner is measured.
    pub runner: bool,
    /// Whether the chain of Node workers is measured.
    pub node: bool,
    /// Whether figures may be rough.
    pub quick: bool,
}

const FULL: Size = Size {
    corrections: 30_000,
    seconds: 20,
    running: 10_000,
    containers: 100,
    rounds: 3,
    runner: true,
    node: true,
    quick: false,
};
const QUICK: Size = Size {
    corrections: 2_000,
    seconds: 3,
    running: 1_000,
    containers: 8,
    rounds: 1,
    runner: true,
    node: true,
    quick: true,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, socket, run_time] = arguments.as_slice()
        && ["engine", engine_process::NARROW].contains(&mode.as_str())
    {
        return engine_process::be_engine(mode, socket, run_time).await;
    }
    let mut size = FULL;
    let mut chosen = Vec::new();
    for argument in &arguments {
        match argument.as_str() {
            "--quick" => size = Size { runner: size.runner, node: size.node, ..QUICK },
            "--only-runner" => size.node = false,
            "--only-node" => size.runner = false,
            name @ ("throughput" | "latency" | "real" | "memory" | "idle" | "mass" | "starts"
            | "isolation") => {
                chosen.push(name);
            }
            other => anyhow::bail!(
                "{other}: choose from throughput, latency, real, memory, idle, mass, starts, isolation, --only-runner, --only-node, --quick"
            ),
        }
    }
    let wanted = |name| chosen.is_empty() || chosen.contains(&name);
    println!("{}", surroundings());
    if wanted("throughput") {
        throughput::run(&size).await?;
    }
    if wanted("latency") {
        latency::run(&size).await?;
    }
    if wanted("real") {
        real_engine::run(&size).await?;
    }
    if wanted("memory") {
        memory::run(&size).await?;
    }
    if wanted("idle") {
        idle::run(&size).await?;
    }
    if wanted("mass") && size.runner {
        mass::run(&size).await?;
    }
    if wanted("starts") && size.runner {
        starts::run(&size).await?;
    }
    if wanted("isolation") && size.runner {
        isolation::run(&size).await?;
    }
    Ok(())
}

/// The machine, in a line.
fn surroundings() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let (cpus, kernel) = (read("/proc/cpuinfo"), read("/proc/sys/kernel/osrelease"));
    let field = |name: &str| {
        cpus.lines().find(|line| line.starts_with(name)).and_then(|line| line.split(": ").nth(1))
    };
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} cores of {}, Linux {}", field("model name").unwrap_or("?"), kernel.trim())
}
