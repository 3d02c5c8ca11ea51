//! The soak: very many corrections while everything goes wrong by chance, all the time. Each has its one right
//! result in the end, nothing is left, and nothing has grown.

mod bytes;
mod receiver;
mod trouble;
mod vitals;

use std::fmt::Write as _;
use std::time::Duration;

use correction_runner::identity::JobId;
use correction_runner::job::{FINISHED_QUEUE, PENDING_QUEUE, RUNNING_QUEUE};
use correction_runner::queue::{JobOptions, NewJob};
use serde_json::json;
use tokio::time::{Instant, sleep};

use self::receiver::Receiver;
use self::trouble::{Trouble, VICTIMS};
use self::vitals::Vitals;
use super::campaign::Campaign;
use super::figures::note;
use crate::support::simulated_engine::{Options, SimulatedEngine, script};
use crate::support::system::System;

/// The processes that live as long as the soak.
const WATCHED: [&str; 3] = ["starter", "completer", "notifier"];
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How many corrections are on their way at once: those of a process that was killed wait for their locks to end.
const ON_THEIR_WAY: usize = 4000;
/// How many are submitted in one turn of a loop that also looks to the faults.
const AT_A_TIME: usize = 20;

/// A run of no more than this is not judged by what has grown.
const SHORT: Duration = Duration::from_secs(180);

/// How long no further result may come, of many that are on their way.
const STANDSTILL: Duration = Duration::from_secs(120);

/// How many ended corrections Redis remembers.
const REMEMBERED: usize = 10_000;

/// Ended jobs that Redis keeps for a day, and notes that it keeps for a week, are made so much older whenever
/// there are more than so many: a soak of minutes reaches what a week reaches. That is a number and no time, so
/// that the memory does not follow the pace of the machine.
const AGE: &str = "local now = tonumber(redis.call('TIME')[1]) * 1000
local set = 'bull:running_corrections:completed'
local old = redis.call('ZRANGE', set, 0, -1 - tonumber(ARGV[1]), 'WITHSCORES')
for at = 1, #old, 2 do
  if tonumber(old[at + 1]) > now - 3600000 then
    redis.call('ZINCRBY', set, -90000000, old[at])
    redis.call('EXPIRE', 'bull:correction-runner:done:' .. old[at], 2)
  end
end
return 'aged'";

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_corrections_under_random_faults_have_their_one_right_result_each() {
    soak("soak of 3,000", 3_000, false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_hundred_thousand_corrections_under_random_faults_leave_nothing_behind_and_nothing_grows() {
    soak("soak of 100,000", 100_000, true).await;
}

/// `SOAK_SEED` and `SOAK_SIZE` repeat a run, or make it longer; `SOAK_KEEP` is how many ended
/// corrections Redis remembers.
fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: what is {text}?")))
}

async fn soak(row: &str, count: usize, watched: bool) {
    let seed = from_environment("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let count = from_environment("SOAK_SIZE").filter(|_| watched).unwrap_or(count);
    let remembered = from_environment("SOAK_KEEP").unwrap_or(REMEMBERED).to_string();
    println!("{row}: SOAK_SEED={seed}");
    // Removals are as many at once as the engine has processors.
    let engine = SimulatedEngine::start(Options { cpus: 8, ..Options::default() }).await;
    let receiver = Receiver::start(count).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(&[
        ("SWEEP_INTERVAL", "2s"),
        ("DOCKER_TIMEOUT", "2s"),
        ("CONCURRENT_STARTERS", "32"),
        // Of the tasks only the processes themselves know.
        ("LOG_LEVEL", "debug"),
    ]);
    for name in WATCHED {
        system.spawn(name);
    }
    for (name, component) in VICTIMS {
        system.spawn_as(name, component);
    }
    let file = system.submission("not looked at").display().to_string();
    let (mut trouble, mut vitals) = (Trouble::of(seed), Vitals::default());
    let (begun, mut submitted, mut next_sample) = (Instant::now(), 0, Instant::now() + SAMPLE_EVERY);
    let mut progress = (Instant::now(), 0);
    while receiver.delivered() < count {
        // A few at a time, so that the faults go on.
        for _ in 0..AT_A_TIME {
            if submitted < count.min(receiver.delivered() + ON_THEIR_WAY) {
                submit(&system, submitted, &receiver, &file).await;
                submitted += 1;
            }
        }
        if submitted < count {
            trouble.go_on(&engine, &receiver, &mut system).await;
        } else {
            trouble.end(&engine, &receiver, &mut system);
        }
        if watched && Instant::now() >= next_sample {
            next_sample = Instant::now() + SAMPLE_EVERY;
            vitals.sample(&system, &WATCHED).await;
            system.ask(&["EVAL", AGE, "0", &remembered]).await;
        }
        let delivered = receiver.delivered();
        if delivered > progress.1 {
            progress = (Instant::now(), delivered);
        }
        if progress.0.elapsed() >= STANDSTILL {
            let state = standstill(&system, &engine, &receiver).await;
            panic!("{row}: SOAK_SEED={seed}: {delivered} of {submitted} and no more; {state}");
        }
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    trouble.end(&engine, &receiver, &mut system);
    if watched {
        for name in WATCHED {
            vitals.read_tasks(&system, name);
        }
    }
    if let Some(wrong) = receiver.wrong() {
        panic!("{row}: SOAK_SEED={seed}: {wrong}; its story:\n{}", story(&system, &wrong));
    }
    if watched {
        vitals::come_to_rest(row, &system, &WATCHED).await;
    }
    Campaign::of(system).prove().await;
    let stats = engine.stats();
    assert_eq!((stats.max_starts_of_one, stats.alive, engine.containers().len()), (1, 0, 0), "{stats:?}");
    let (repeats, refused) = receiver.prove();
    assert!(trouble.faults > 10, "only {} faults", trouble.faults);
    note(row, "corrections, lost, wrong, started twice", format!("{count}, 0, 0, 0"));
    note(row, "time, faults, processes ended", format!("{took:.0?}, {}, {}", trouble.faults, trouble.ended));
    note(row, "results sent again under the same id, refused with 500", format!("{repeats}, {refused}"));
    // A minute tells no trend.
    if watched && took > SHORT {
        vitals.prove_flat(row);
    }
}

/// Where everything is when nothing goes on, and the last that each process logged.
async fn standstill(system: &System, engine: &SimulatedEngine, receiver: &Receiver) -> String {
    let mut state = format!(
        "wrong: {:?}; faults left: {}; {:?}; processes: {:?}; Redis: {}\n",
        receiver.wrong(),
        engine.rules_left(),
        engine.stats(),
        system.running_components(),
        system.ask(&["PING"]).await,
    );
    for name in [PENDING_QUEUE, RUNNING_QUEUE, FINISHED_QUEUE] {
        let _ = writeln!(state, "{name}: {:?}", system.redis.queue(name).counts().await);
    }
    for name in WATCHED.into_iter().chain(VICTIMS.map(|(name, _)| name)) {
        let log = system.log_of(name);
        let last = log.lines().rev().take(30).collect::<Vec<_>>();
        let _ = writeln!(state, "--- {name}, the last first\n{}", last.join("\n"));
    }
    state
}

/// What the processes logged of the first correction that went wrong.
fn story(system: &System, wrong: &str) -> String {
    let number = wrong.split(':').next().unwrap_or_default();
    let names = [format!("\"soak-{number}\""), format!("\"work_id\":\"{number}\"")];
    let logs = system.logs();
    let about = |line: &&str| names.iter().any(|name| line.contains(name.as_str()));
    logs.lines().filter(about).collect::<Vec<_>>().join("\n")
}

/// Redis may break off at any moment: the same id is never added twice.
async fn submit(system: &System, number: usize, receiver: &Receiver, file: &str) {
    let verdict = format!(r#"{{"success":true,"grade":{number}}}"#);
    let data = json!({
        "work_id": number.to_string(), "image": "grader", "file": file, "callback": receiver.url(number),
        "params": [
            format!("{}={}", script::RUN_MS, fastrand::u32(..200)),
            format!("{}={verdict}", script::STDOUT),
        ],
    });
    let job = NewJob {
        id: Some(JobId::new(format!("soak-{number}"))),
        name: "Correction soak".to_owned(),
        data: data.to_string(),
        options: JobOptions::default(),
    };
    let queue = system.redis.queue(PENDING_QUEUE);
    while queue.add(&job).await.is_err() {
        sleep(Duration::from_millis(50)).await;
    }
}
