//! No more containers run at once than may, whoever dies; and nothing is started on a host that is short of room.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::campaign::{Campaign, Expected};
use super::figures::note;
use super::fleet::{self, kill_and_restart, spawn_all};
use crate::support::simulated_engine::{Options, SimulatedEngine, script};
use crate::support::system::System;
use crate::watching::{address_of, until_sample, watched};

const AN_HOUR: Duration = Duration::from_secs(3600);

async fn permits_out(system: &System, engine: &SimulatedEngine) -> String {
    let id = Options::default().id;
    assert_eq!(engine.stats().alive, 0);
    system.ask(&["ZCARD", &format!("bull:correction-runner:running:{id}")]).await
}

/// Starters and completers are killed by chance while far more is submitted than may run.
async fn killed_with_few_permits(row: &str, kills: usize, wave: usize) {
    const MOST: u64 = 5;
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("MAX_RUNNING", "5")]);
    spawn_all(&mut system, 2);
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    let seed = fastrand::u64(..);
    println!("{row}: seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..kills {
        campaign.submit(wave, Duration::from_millis(chance.u64(0..300))).await;
        tokio::time::sleep(Duration::from_millis(chance.u64(0..400))).await;
        let victims: Vec<_> = fleet::names(&campaign.system)
            .into_iter()
            .filter(|name| fleet::kind_of(name) != "notifier" && chance.u8(..2) == 0)
            .collect();
        kill_and_restart(&mut campaign.system, &victims).await;
        assert!(engine.stats().max_alive <= MOST, "{:?}", engine.stats());
    }
    let submitted = campaign.submitted();
    campaign.until_delivered(submitted).await;
    let stats = engine.stats();
    assert_eq!(stats.max_alive, MOST, "as many as may, and no more: {stats:?}");
    assert_eq!(permits_out(&campaign.system, &engine).await, "0", "{}", campaign.system.logs());
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&stats, submitted);
    note(
        row,
        "delivered, at most at once, permits left",
        format!("{} of {submitted}, {}, 0", proof.results, stats.max_alive),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_five_run_at_once_although_starters_and_completers_are_killed_by_chance() {
    killed_with_few_permits("SIGKILL with MAX_RUNNING=5", 10, 15).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn no_more_than_five_run_at_once_through_a_hundred_rounds_of_kills() {
    killed_with_few_permits("SIGKILL with MAX_RUNNING=5, a hundred rounds", 100, 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_is_free_is_used_at_once_and_containers_that_redis_forgot_still_count() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("MAX_RUNNING", "3")]);
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    campaign.submit(6, AN_HOUR).await;
    engine.until(|stats| stats.alive == 3).await;
    for ended in 1..=3 {
        let running = engine.containers().into_iter().find(|one| one.status.is_alive()).expect("one runs");
        let freed = tokio::time::Instant::now();
        assert!(engine.end(&running.id, 0));
        engine.until(|stats| stats.started == 3 + ended).await;
        // A starter that was not woken looks every five seconds.
        assert!(freed.elapsed() < Duration::from_secs(3), "{:?}", freed.elapsed());
    }
    // Redis loses the permits; the next starter finds the containers.
    campaign.system.lose("bull:correction-runner:running:*").await;
    campaign.system.kill("all").await;
    campaign.submit(2, AN_HOUR).await;
    campaign.system.spawn("all");
    campaign
        .system
        .until("the permits are made again", async || {
            (campaign.system.ask(&["ZCARD", "bull:correction-runner:running:SIMU:LATE:DENG:INE0"]).await
                == "3")
                .then_some(())
        })
        .await;
    assert!(engine.end(&engine.containers()[0].id, 0) || engine.stats().alive == 3);
    let all_ended = async || {
        engine.end_all(0);
        campaign.outstanding().is_empty().then_some(())
    };
    campaign.system.until("each has its result", all_ended).await;
    assert_eq!(engine.stats().max_alive, 3);
    assert_eq!(permits_out(&campaign.system, &engine).await, "0");
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_allows_two_at_once_holds_up_no_other() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    let policy = system.submission(
        "[[rule]]\nname = \"few\"\nimages = [\"few/*\"]\nmost_running = 2\n\n[[rule]]\nname = \"all\"\nimages = [\"**\"]\n",
    );
    system.set(&[("POLICY_FILE", policy.to_str().expect("text")), ("MAX_RUNNING", "6")]);
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    for number in 0..12_u64 {
        let few = number < 8;
        let name = format!("{}{number}", if few { "few" } else { "other" });
        let verdict = format!(r#"{{"success":true,"grade":{number}}}"#);
        let mut data = campaign.system.job(&name, "");
        data["image"] = json!(if few { "few/grader:1" } else { "other/grader:1" });
        data["params"] = json!([
            format!("{}={}", script::RUN_MS, if few { 3_600_000 } else { 0 }),
            format!("{}={verdict}", script::STDOUT),
        ]);
        campaign.submit_one(&name, &data, Expected::Grade(number)).await;
    }
    campaign.until_delivered(4).await;
    for round in 1..=4_u64 {
        let stats = engine.until(|stats| stats.started_of.get("few/grader:1") == Some(&(2 * round))).await;
        assert_eq!(stats.alive, 2, "{stats:?}");
        engine.end_all(0);
    }
    campaign.prove().await;
}

/// Two folders on file systems of which one has less room than the other, and a size in between.
fn less_and_more_room() -> (PathBuf, PathBuf, u64) {
    let text = std::fs::read_to_string("/proc/mounts").expect("mounts");
    let mut found = BTreeMap::new();
    for folder in
        text.lines().filter_map(|line| line.split(' ').nth(1)).filter(|folder| Path::new(folder).is_dir())
    {
        if let Ok(stat) = rustix::fs::statvfs(folder)
            && stat.f_blocks > 0
        {
            found.insert(stat.f_bavail * stat.f_frsize, PathBuf::from(folder));
        }
    }
    let (less, more) = (found.first_key_value().expect("a mount"), found.last_key_value().expect("a mount"));
    assert!(*more.0 > 2 * *less.0, "all file systems have the same room: {found:?}");
    (less.1.clone(), more.1.clone(), less.0 + (more.0 - less.0) / 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_started_while_the_disk_is_short_and_all_of_it_once_there_is_room() {
    let (less, more, least) = less_and_more_room();
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("docker");
    symlink(&less, &root).expect("a link");
    let engine =
        SimulatedEngine::start(Options { info: json!({ "DockerRootDir": root }), ..Options::default() })
            .await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("MIN_FREE_DISK", &least.to_string())]);
    watched(&mut system);
    system.spawn("all");
    let address = address_of(&system, "all").await;
    let short = "correction_runner_host_short{resource=\"disk\"}";
    let mut campaign = Campaign::of(system);
    campaign.submit(5, Duration::ZERO).await;
    let told = async || campaign.system.logs().contains("MIN_FREE_DISK is").then_some(());
    campaign.system.until("it is told that the disk is short", told).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(engine.stats().created, 0);
    until_sample(&campaign.system, &address, short, |is_short| is_short > 0.0).await;
    std::fs::remove_file(&root).expect("the link");
    symlink(&more, &root).expect("a link");
    campaign.until_delivered(5).await;
    until_sample(&campaign.system, &address, short, |is_short| is_short < 1.0).await;
    assert_eq!(
        campaign.system.logs().matches("nothing is started until there is more").count(),
        1,
        "told once"
    );
    assert!(campaign.system.logs().contains("there is room again"));
    campaign.prove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_started_while_memory_is_short() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[("MIN_FREE_MEMORY", "15000g")]);
    watched(&mut system);
    system.spawn_as("short", "starter");
    let address = address_of(&system, "short").await;
    let mut campaign = Campaign::of(system);
    campaign.submit(3, Duration::ZERO).await;
    let told = async || campaign.system.logs().contains("MIN_FREE_MEMORY is").then_some(());
    campaign.system.until("it is told that memory is short", told).await;
    let short = "correction_runner_host_short{resource=\"memory\"}";
    until_sample(&campaign.system, &address, short, |is_short| is_short > 0.0).await;
    assert_eq!(engine.stats().created, 0);
    campaign.system.set(&[("MIN_FREE_MEMORY", "1m")]);
    campaign.system.spawn("all");
    campaign.prove().await;
}
