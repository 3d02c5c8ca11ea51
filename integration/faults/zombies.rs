//! Processes that are stopped (SIGSTOP) for longer than their locks last, and go on (SIGCONT) when another
//! of their kind has their jobs: what a zombie completes changes nothing.
//!
//! The simulated engine and the receiver's front hold answers back, so that each process is stopped just
//! between two effects, and its next effect is the zombie's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::campaign::{Campaign, Proof};
use super::figures::note;
use super::fleet::{KINDS, ended_by, locks, queue_of, spawn_all};
use super::front::{Act, Front};
use crate::support::simulated_engine::{Call, Fault, Options, SimulatedEngine};
use crate::support::system::System;

const AN_HOUR: Duration = Duration::from_secs(3600);
/// How many jobs are in the hands of a process when it is stopped.
const HELD: usize = 4;
/// An answer that is held back for this long comes while its process is stopped.
const WHILE_STOPPED: Duration = Duration::from_secs(3);
/// An answer that is held back for this long comes after the zombie has done its worst.
const AFTER_THE_ZOMBIE: Duration = Duration::from_secs(10);
/// What a process says, each time that a lock was lost in which it believed.
const REFUSALS: [(&str, &str); 3] = [
    ("starter", "another starter owns this submission now"),
    ("completer", "another completer owns this correction now"),
    ("notifier", "the lock of a result was lost"),
];

/// A row: two processes of one kind, of which the first becomes a zombie.
struct Row {
    kind: &'static str,
    zombie: String,
    other: String,
    engine: SimulatedEngine,
    campaign: Campaign,
}

impl Row {
    /// All that runs at first: one of each.
    async fn of(kind: &'static str) -> Self {
        let engine = SimulatedEngine::start(Options::default()).await;
        let mut system = System::prepare_on(&engine).await;
        // The engine's calls that are held back are not given up.
        system.set(&[("DOCKER_TIMEOUT", "60s"), ("NOTIFY_TIMEOUT", "120s")]);
        spawn_all(&mut system, 1);
        let campaign = Campaign::of(system);
        Self { kind, zombie: format!("{kind}-1"), other: format!("{kind}-2"), engine, campaign }
    }

    async fn locks(&self) -> BTreeMap<String, String> {
        locks(&self.campaign.system, queue_of(self.kind)).await
    }

    /// Stops the process that holds the jobs, and has another take them once their locks have run out.
    /// Gives the other's tokens.
    async fn turn_into_zombie(&mut self) -> BTreeMap<String, String> {
        let its = self.locks().await;
        assert_eq!(its.len(), HELD, "{its:?}; logs:\n{}", self.campaign.system.logs());
        self.campaign.system.signal(&self.zombie, "STOP").await;
        // As if it had slept for the rest of its locks' time; other rows wait for that.
        for id in its.keys() {
            let lock = format!("bull:{}:{id}:lock", queue_of(self.kind));
            assert_eq!(self.campaign.system.ask(&["PEXPIRE", &lock, "300"]).await, "1", "{id} is locked");
        }
        self.campaign.system.spawn_as(&self.other, self.kind);
        let row = &*self;
        let system = &self.campaign.system;
        system
            .until("the other has the jobs", async || {
                let now = row.locks().await;
                let taken = its.iter().all(|(id, old)| now.get(id).is_some_and(|token| token != old));
                taken.then_some(now)
            })
            .await
    }

    /// Lets the zombie go on, and waits until all that it wanted to settle was refused. All that time the
    /// other holds the jobs.
    async fn wake_and_refuse(&self, others: &BTreeMap<String, String>) {
        let system = &self.campaign.system;
        system.signal(&self.zombie, "CONT").await;
        let (_, refusal) = REFUSALS.into_iter().find(|(kind, _)| *kind == self.kind).expect("a kind");
        let refused = async || (system.log_of(&self.zombie).matches(refusal).count() >= HELD).then_some(());
        system.until("the zombie is refused", refused).await;
        assert_eq!(self.locks().await, *others, "the other holds them all; logs:\n{}", system.logs());
    }

    /// Nothing but the other's takes ended the jobs, nothing was started twice, and the total holds.
    async fn prove(self, others: BTreeMap<String, String>) -> Proof {
        let (system, queue) = (&self.campaign.system, queue_of(self.kind));
        let submitted = self.campaign.submitted();
        self.campaign.until_delivered(submitted).await;
        let ended = async || {
            let by = ended_by(system, queue, others.keys()).await;
            by.values().all(|token| !token.is_empty()).then_some(by)
        };
        let by = system.until("the jobs have ended", ended).await;
        let accepted = others.iter().filter(|(id, token)| by[*id] != **token).count();
        note(&format!("SIGSTOP past the lock, {}", self.kind), "zombie completions accepted", accepted);
        assert_eq!(accepted, 0, "{by:?} instead of {others:?}; logs:\n{}", system.logs());
        let proof = self.campaign.prove().await;
        proof.nothing_ran_twice(&self.engine.stats(), submitted);
        proof
    }

    /// Waits until the engine was asked so often.
    async fn until_asked(&self, call: Call, times: u64) {
        let asked = self.engine.until(|stats| stats.calls(call) >= times);
        tokio::time::timeout(Duration::from_secs(60), asked).await.expect("it is asked");
    }
}

/// It has asked for the output; the other has taken the job and asked too.
#[tokio::test(flavor = "multi_thread")]
async fn a_completer_that_slept_between_the_output_and_its_hand_over_changes_nothing() {
    let mut row = Row::of("completer").await;
    row.campaign.submit(HELD, AN_HOUR).await;
    row.campaign.system.until_running("all are held", |counts| counts.active == HELD as u64).await;
    row.engine.inject(Call::Logs, Fault::DelayAnswer(WHILE_STOPPED), HELD);
    row.engine.inject(Call::Logs, Fault::DelayAnswer(AFTER_THE_ZOMBIE), HELD);
    row.engine.end_all(0);
    row.until_asked(Call::Logs, HELD as u64).await;
    let others = row.turn_into_zombie().await;
    row.until_asked(Call::Logs, 2 * HELD as u64).await;
    row.wake_and_refuse(&others).await;
    row.prove(others).await;
}

/// A starter sleeps once it has made a call for each job; the other starts them, and the zombie asks in vain.
async fn zombies_starts_are_in_vain(mut row: Row, asleep_after: Call) {
    row.engine.inject(Call::Start, Fault::DelayAnswer(AFTER_THE_ZOMBIE), HELD);
    row.campaign.submit(HELD, Duration::from_millis(300)).await;
    row.until_asked(asleep_after, HELD as u64).await;
    let others = row.turn_into_zombie().await;
    row.until_asked(Call::Start, HELD as u64).await;
    row.wake_and_refuse(&others).await;
    assert_eq!(row.engine.stats().calls(Call::Start), 2 * HELD as u64, "the zombie did ask for its starts");
    row.prove(others).await;
}

/// Its create was carried out, and it did not hear so. The other replaces the container.
#[tokio::test(flavor = "multi_thread")]
async fn a_starter_that_slept_between_create_and_start_starts_nothing() {
    let row = Row::of("starter").await;
    row.engine.inject(Call::Create, Fault::DelayAnswer(WHILE_STOPPED), HELD);
    zombies_starts_are_in_vain(row, Call::Create).await;
}

/// Its create was answered by nothing, so it looked at what there is: its own container, not started.
#[tokio::test(flavor = "multi_thread")]
async fn a_starter_that_slept_between_its_check_and_its_start_starts_nothing() {
    let row = Row::of("starter").await;
    row.engine.inject(Call::Create, Fault::CarryOutAndDrop, HELD);
    row.engine.inject(Call::Inspect, Fault::DelayAnswer(WHILE_STOPPED), HELD);
    zombies_starts_are_in_vain(row, Call::Inspect).await;
}

/// The other has looked at the zombie's container, which was not started, and is about to remove it.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_of_a_zombie_between_anothers_check_and_removal_is_the_only_one() {
    let mut row = Row::of("starter").await;
    row.engine.inject(Call::Create, Fault::DelayAnswer(WHILE_STOPPED), HELD);
    row.engine.inject(Call::Remove, Fault::Delay(AFTER_THE_ZOMBIE), HELD);
    row.campaign.submit(HELD, AFTER_THE_ZOMBIE * 2).await;
    row.until_asked(Call::Create, HELD as u64).await;
    let others = row.turn_into_zombie().await;
    row.until_asked(Call::Remove, HELD as u64).await;
    row.wake_and_refuse(&others).await;
    assert_eq!(row.engine.stats().started, HELD as u64, "the zombie started them");
    row.prove(others).await;
}

/// The receiver has the results; it answers while the notifier sleeps.
#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_that_slept_over_the_receivers_answer_changes_nothing() {
    let mut row = Row::of("notifier").await;
    let front = Front::before(&row.campaign.system.receiver).await;
    // The other has to post again: nobody knows that the receiver has the results.
    row.campaign.allow_repeats();
    front.plan(|_, _| Act::TakeAndHold);
    row.campaign.submit_to(|name| front.url(name), HELD, Duration::ZERO).await;
    row.campaign.system.until("they are posted", async || (front.holding() == HELD).then_some(())).await;
    row.turn_into_zombie().await;
    let held = async || (front.holding() == 2 * HELD).then_some(());
    row.campaign.system.until("the other has posted them", held).await;
    // To it the receiver is new: some results waited for their turn, and were taken again.
    let others = row.locks().await;
    front.release_first(HELD);
    row.wake_and_refuse(&others).await;
    front.plan(|_, _| Act::Take);
    front.release();
    let proof = row.prove(others).await;
    assert_eq!((proof.results, proof.repeats), (HELD, HELD));
}

/// One of each kind sleeps, again and again, while the others work on.
async fn stopped_by_turns(row: &str, rounds: usize, wave: usize) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    spawn_all(&mut system, 2);
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    for round in 0..rounds {
        let sleepers: Vec<String> = KINDS.iter().map(|kind| format!("{kind}-{}", round % 2 + 1)).collect();
        campaign.submit(wave, Duration::from_millis(700)).await;
        for name in &sleepers {
            campaign.system.signal(name, "STOP").await;
        }
        campaign.submit(wave, Duration::from_millis(300)).await;
        // All are delivered only once the locks of those that sleep have run out.
        campaign.until_delivered(campaign.submitted()).await;
        for name in &sleepers {
            campaign.system.signal(name, "CONT").await;
        }
    }
    let submitted = campaign.submitted();
    let proof = campaign.prove().await;
    proof.nothing_ran_twice(&engine.stats(), submitted);
    note(row, "delivered", format!("{} of {submitted}, {} posted again", proof.results, proof.repeats));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_kinds_sleep_past_their_locks_under_load_while_others_of_their_kind_work_on() {
    stopped_by_turns("SIGSTOP of one of two of each", 1, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn all_kinds_sleep_past_their_locks_ten_times_under_load() {
    stopped_by_turns("SIGSTOP of one of two of each, ten times", 10, 60).await;
}

/// Nobody else is there: its own jobs are its own again once it wakes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lone_runner_that_slept_past_its_locks_goes_on() {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.spawn("all");
    let mut campaign = Campaign::of(system);
    campaign.allow_repeats();
    campaign.submit(20, Duration::from_millis(1500)).await;
    campaign.system.until_running("some run", |counts| counts.active >= 5).await;
    campaign.system.signal("all", "STOP").await;
    let gone = async || locks(&campaign.system, queue_of("completer")).await.is_empty().then_some(());
    campaign.system.until("the locks have run out", gone).await;
    campaign.system.signal("all", "CONT").await;
    campaign.prove().await.nothing_ran_twice(&engine.stats(), 20);
}
