//! SIGKILL of each component and of all at once, again and again, under load: everything arrives once.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::campaign::{Campaign, Proof};
use super::figures::note;
use super::fleet::{self, kill_and_restart, spawn_all};
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// How a row kills.
struct Plan {
    /// How many processes of each component there are.
    of_each: usize,
    /// How often something is killed.
    kills: usize,
    /// How many corrections are submitted before each kill.
    wave: usize,
    /// The longest time between two kills, left to chance.
    pause: Duration,
}

/// Corrections in waves, on the simulated engine; after each wave one process, all of a kind, or
/// everything is killed, at a moment left to chance, and started again.
async fn killed_by_chance(row: &str, plan: Plan) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    spawn_all(&mut system, plan.of_each);
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    // Printed, so that a failure can be looked at again.
    let seed = fastrand::u64(..);
    println!("{row}: seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let started = Instant::now();
    for kill in 0..plan.kills {
        let run_time = Duration::from_millis(chance.u64(0..1500));
        campaign.submit(plan.wave, run_time).await;
        tokio::time::sleep(plan.pause.mul_f64(chance.f64())).await;
        let names = fleet::names(&campaign.system);
        let victims: Vec<String> = match kill % 5 {
            4 => names,
            3 => {
                let kind = fleet::kind_of(&names[chance.usize(..names.len())]).to_owned();
                names.into_iter().filter(|name| fleet::kind_of(name) == kind).collect()
            }
            _ => vec![names[chance.usize(..names.len())].clone()],
        };
        kill_and_restart(&mut campaign.system, &victims).await;
    }
    let submitted = campaign.submitted();
    campaign.until_delivered(submitted).await;
    let took = started.elapsed();
    let proof = campaign.prove().await;
    let stats = engine.stats();
    proof.nothing_ran_twice(&stats, submitted);
    note(
        row,
        "delivered, started twice, posted again by killed notifiers",
        format!(
            "{} of {submitted}, {}, {} ({} kills in {:.0} s)",
            proof.results,
            stats.started - submitted as u64,
            proof.repeats,
            plan.kills,
            took.as_secs_f64()
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_corrections_survive_kills_of_one_component_or_all() {
    let plan = Plan { of_each: 1, kills: 15, wave: 20, pause: Duration::from_millis(400) };
    killed_by_chance("SIGKILL of one process of each", plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_each_are_killed_by_chance() {
    let plan = Plan { of_each: 2, kills: 15, wave: 15, pause: Duration::from_millis(400) };
    killed_by_chance("SIGKILL, two of each running", plan).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn five_of_each_are_killed_by_chance_a_hundred_times() {
    let plan = Plan { of_each: 5, kills: 100, wave: 20, pause: Duration::from_millis(400) };
    killed_by_chance("SIGKILL, five of each running", plan).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn thousands_of_corrections_survive_two_hundred_kills() {
    let plan = Plan { of_each: 1, kills: 200, wave: 20, pause: Duration::from_millis(300) };
    killed_by_chance("SIGKILL two hundred times", plan).await;
}

/// Writes down each start of a container of the system, on the real engine.
struct Starts {
    _listener: Child,
    file: tempfile::NamedTempFile,
}

impl Starts {
    async fn of(system: &System) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let filter = format!("label=org.correctomatic.instance={}", system.instance().await);
        let since = jiff::Timestamp::now().as_second().to_string();
        let listener = Command::new("docker")
            .args(["events", "--since", &since, "--filter", &filter, "--filter", "event=start"])
            .args(["--format", "{{.Actor.ID}} {{.Actor.Attributes.name}}"])
            .stdin(Stdio::null())
            .stdout(file.reopen().expect("a file"))
            .kill_on_drop(true)
            .spawn()
            .expect("the docker command line is there");
        Self { _listener: listener, file }
    }

    /// How many starts there were, and of how many corrections. On a busy machine the last ones are written down late:
    /// they are waited for.
    async fn counted(&self, expected: usize) -> (usize, usize) {
        let given_up = Instant::now() + Duration::from_secs(60);
        loop {
            let text = std::fs::read_to_string(self.file.path()).expect("a file");
            let names: BTreeSet<_> =
                text.lines().filter_map(|line| line.split_once(' ')).map(|(_, name)| name).collect();
            if names.len() >= expected || Instant::now() > given_up {
                return (text.lines().count(), names.len());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The same on the real engine: each component in turn, then all, while corrections overlap.
async fn killed_on_the_real_engine(rounds: usize) -> Proof {
    let mut system = System::prepare().await;
    let starts = Starts::of(&system).await;
    spawn_all(&mut system, 1);
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    for round in 0..rounds {
        let names = fleet::names(&campaign.system);
        for (turn, victim) in names.iter().map(|name| vec![name.clone()]).chain([names.clone()]).enumerate() {
            let run_time = Duration::from_millis(300 + 400 * ((round + turn) as u64 % 4));
            campaign.submit(4, run_time).await;
            campaign.until_delivered(campaign.submitted().saturating_sub(6)).await;
            kill_and_restart(&mut campaign.system, &victim).await;
        }
    }
    let submitted = campaign.submitted();
    let proof = campaign.prove().await;
    assert_eq!(starts.counted(submitted).await, (submitted, submitted), "each was started once");
    proof
}

#[tokio::test(flavor = "multi_thread")]
async fn each_component_and_then_all_are_killed_on_the_real_engine() {
    let proof = killed_on_the_real_engine(2).await;
    assert_eq!(proof.results, 32);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn each_component_and_then_all_are_killed_ten_times_on_the_real_engine() {
    let proof = killed_on_the_real_engine(10).await;
    note("SIGKILL on the real engine, 40 times", "delivered", format!("{} of 160", proof.results));
}

/// The conditions under which the original delivered 6 of 30 within 75 s and left 32 containers.
#[tokio::test(flavor = "multi_thread")]
async fn thirty_of_thirty_are_delivered_although_all_processes_are_killed_three_times_in_twelve_seconds() {
    const ROW: &str = "30 submissions, all processes killed at 3, 7 and 11 s (real engine)";
    let mut system = System::prepare().await;
    let starts = Starts::of(&system).await;
    spawn_all(&mut system, 1);
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    let started = Instant::now();
    for second in [3, 7, 11] {
        campaign.submit(10, Duration::from_secs(2)).await;
        // The moments of the baseline: what is under way then is left to chance.
        tokio::time::sleep_until(started + Duration::from_secs(second)).await;
        let all = fleet::names(&campaign.system);
        kill_and_restart(&mut campaign.system, &all).await;
    }
    let last_kill = Instant::now();
    for number in 1..=30 {
        campaign.system.result(&format!("c{number}")).await;
    }
    let after_last_kill = last_kill.elapsed();
    campaign.system.until_clean().await;
    note(
        ROW,
        "containers left",
        format!("0, {:.1} s after the last kill", last_kill.elapsed().as_secs_f64()),
    );
    let proof = campaign.prove().await;
    assert_eq!(starts.counted(30).await, (30, 30), "each was started once");
    note(
        ROW,
        "delivered, the last after the last kill by",
        format!("{} of 30, {:.1} s", proof.results, after_last_kill.as_secs_f64()),
    );
    let whole = (last_kill - started + after_last_kill).as_secs_f64();
    note(ROW, "the last result after the first submission by", format!("{whole:.1} s"));
    assert!(
        after_last_kill < Duration::from_secs(75),
        "the last came {after_last_kill:?} after the last kill"
    );
}
