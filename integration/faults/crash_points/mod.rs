//! The crash-point sweep: a process of each component, and the whole runner, killed at each named point
//! between two effects; and from what was recorded the proof that nothing was lost or doubled.

mod checker;
mod lane;
mod recording;
mod shots;
mod work;

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::Duration;

use correction_runner::crash_points::Point;

use self::checker::Totals;
use self::lane::{Lane, Outcome, options};
use self::shots::{Chains, chain, of_components, of_the_whole};
use self::work::Kind;
use super::figures;
use crate::support::simulated_engine::{Options, SimulatedEngine};

/// Runs a system through its chains of deaths while so many corrections go through it.
async fn sweep(chains: Chains, passes: &[u32], total: usize, open: usize) -> Outcome {
    let sealed = chains.iter().any(|(_, points)| points.contains(&Point::StarterSealed));
    let mut lane = Lane::prepare(if sealed { "secret" } else { "output" }).await;
    for (component, points) in chains {
        let deaths = passes.iter().flat_map(|pass| chain(&points, *pass)).collect();
        lane.doom(component, deaths);
    }
    lane.feed(total, open).await;
    lane.prove().await
}

/// Corrections whose running jobs Redis loses are finished from their containers' labels, also where
/// the completer dies over it.
async fn orphans(pass: u32) -> Outcome {
    let mut lane = Lane::prepare("secret").await;
    lane.doom("starter", chain(&[], 1));
    lane.doom("notifier", chain(&[], 1));
    for _ in 0..24 {
        lane.submit_one(Kind::Plain, Duration::from_millis(500)).await;
    }
    for _ in 0..4 {
        lane.submit_one(Kind::Endless, Duration::ZERO).await;
    }
    lane.engine.until(|stats| stats.died == 24 && stats.started == 28).await;
    lane.system.until_running("all were handed over", |counts| counts.waiting == 28).await;
    lane.system.lose("bull:running_corrections:*").await;
    let points = [Point::OrphanCollected, Point::OrphanFinished, Point::SweepKilled];
    lane.doom("completer", chain(&points, pass));
    lane.until_all_died().await;
    lane.prove().await
}

/// Running jobs go back to their engine's completer, also where another one dies over it.
async fn passed_on(pass: u32) -> Outcome {
    let mut lane = Lane::prepare("output").await;
    let other = SimulatedEngine::start(Options { id: "THE:OTHER:ENGINE".to_owned(), ..options() }).await;
    lane.doom("starter", chain(&[], 1));
    lane.doom("notifier", chain(&[], 1));
    lane.system.use_engine(other.socket());
    lane.doom("completer", chain(&[Point::CompleterPassedOn], pass));
    for _ in 0..10 {
        lane.submit_one(Kind::Plain, Duration::from_millis(500)).await;
    }
    lane.until_all_died().await;
    let socket = lane.engine.socket().to_owned();
    lane.system.use_engine(&socket);
    lane.system.set(&[("CRASH_POINTS", "")]);
    lane.system.spawn_as("completer of the right engine", "completer");
    lane.prove().await
}

/// Runs a system on a thread and a runtime of its own: none waits for another.
fn beside<F: Future<Output = Outcome>>(system: impl FnOnce() -> F + Send + 'static) -> JoinHandle<Outcome> {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(system())
    })
}

/// Puts together what the systems proved, notes it, and gives where processes died how often.
fn gathered(row: &str, systems: Vec<JoinHandle<Outcome>>) -> (Totals, BTreeMap<Point, usize>) {
    let (mut totals, mut deaths) = (Totals::default(), BTreeMap::new());
    let (mut resumed, mut recovered) = (Vec::new(), Vec::new());
    // All of them end before one that failed may end the test: each sees to its processes then.
    let outcomes: Vec<_> = systems.into_iter().map(JoinHandle::join).collect();
    for outcome in outcomes {
        let outcome = outcome.unwrap_or_else(|failed| std::panic::resume_unwind(failed));
        totals += outcome.totals;
        for (_, shot) in &outcome.deaths {
            *deaths.entry(shot.point).or_default() += 1;
        }
        resumed.extend(outcome.resumed);
        recovered.extend(outcome.recovered);
    }
    figures::note(row, "corrections", totals.corrections);
    figures::note(row, "SIGKILLs", deaths.values().sum::<usize>());
    figures::note(row, "lost, started twice, handed over twice", "0, 0, 0");
    figures::note(row, "run again, since the host had failed them", totals.reruns);
    figures::note(row, "POSTed again (answered, not yet recorded)", totals.repeats);
    figures::note_times(row, "SIGKILL to the next ended job", resumed);
    figures::note_times(row, "SIGKILL to a held job in other hands", recovered);
    (totals, deaths)
}

fn demand_all_points(deaths: &BTreeMap<Point, usize>) {
    let missed: Vec<_> = Point::ALL.iter().filter(|point| !deaths.contains_key(point)).collect();
    assert!(missed.is_empty(), "nobody died at {missed:?}");
}

#[test]
fn a_death_at_any_point_loses_nothing_and_doubles_nothing() {
    let mut systems: Vec<_> =
        of_components().into_iter().map(|chains| beside(move || sweep(chains, &[1], 100, 100))).collect();
    systems.push(beside(move || orphans(1)));
    systems.push(beside(move || passed_on(1)));
    let (_, deaths) = gathered("crash points", systems);
    demand_all_points(&deaths);
}

#[test]
#[ignore = "long: make faults"]
fn ten_thousand_corrections_survive_deaths_at_every_point_and_pass() {
    let mut systems = Vec::new();
    for passes in [&[1, 4][..], &[2, 7]] {
        for chains in of_components() {
            systems.push(beside(move || sweep(chains, passes, 1100, 250)));
        }
        systems.push(beside(move || orphans(passes[0])));
        systems.push(beside(move || passed_on(passes[0] + 1)));
    }
    for (number, chains) in of_the_whole(4).into_iter().enumerate() {
        let passes: &[u32] = if number % 2 == 0 { &[1] } else { &[3] };
        systems.push(beside(move || sweep(chains, passes, 900, 250)));
    }
    let (totals, deaths) = gathered("crash points, long", systems);
    demand_all_points(&deaths);
    assert!(totals.corrections >= 10_000, "{totals:?}");
}
