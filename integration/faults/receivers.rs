//! Receivers that refuse, cut, hang, dawdle or are away, and a notifier that is killed meanwhile: each result
//! is received, and again only where nobody could know that it was, under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::campaign::{Campaign, Proof};
use super::figures::note;
use super::fleet::{kill_and_restart, spawn_all};
use super::front::{Act, Front};
use crate::support::simulated_engine::{Options, SimulatedEngine};
use crate::support::system::System;

/// How many results each row is about.
const RESULTS: usize = 20;

/// One of each component, with settings, on the simulated engine, and the place before the receiver.
async fn row(settings: &[(&str, &str)]) -> (SimulatedEngine, Campaign, Front) {
    let engine = SimulatedEngine::start(Options::default()).await;
    let mut system = System::prepare_on(&engine).await;
    system.set(settings);
    spawn_all(&mut system, 1);
    let front = Front::before(&system.receiver).await;
    (engine, Campaign::of(system), front)
}

/// The total, and that each result had one id in all its attempts.
async fn proved(campaign: Campaign, front: &Front) -> Proof {
    let proof = campaign.prove().await;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for attempt in front.attempts() {
        ids.entry(attempt.name).or_default().insert(attempt.webhook_id);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    proof
}

/// Each result meets a fault a few times, and is then taken.
async fn first_then_taken(act: Act, times: usize, settings: &[(&str, &str)]) -> (Proof, usize) {
    let (_engine, mut campaign, front) = row(settings).await;
    // What was taken without an answer may come again; the rows count how often it did.
    campaign.allow_repeats();
    front.plan(move |_, before| if before < times { act } else { Act::Take });
    campaign.submit_to(|name| front.url(name), RESULTS, Duration::from_millis(50)).await;
    let system = &campaign.system;
    system.until("all were tried", async || (front.count() == RESULTS * (times + 1)).then_some(())).await;
    let proof = proved(campaign, &front).await;
    (proof, front.count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_answers_500_and_then_200_gets_each_result_once() {
    let (proof, posts) = first_then_taken(Act::Refuse(500), 3, &[]).await;
    assert_eq!((proof.results, proof.repeats, posts), (RESULTS, 0, 4 * RESULTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_after_the_request_was_received_brings_it_again_under_the_same_id() {
    let (proof, posts) = first_then_taken(Act::TakeAndCut, 2, &[]).await;
    assert_eq!((proof.results, proof.repeats, posts), (RESULTS, 2 * RESULTS, 3 * RESULTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_dawdles_over_its_body_has_the_result_and_gets_it_once() {
    let (_engine, mut campaign, front) = row(&[]).await;
    front.plan(|_, _| Act::TakeAndTrickleBody);
    campaign.submit_to(|name| front.url(name), RESULTS, Duration::ZERO).await;
    let proof = proved(campaign, &front).await;
    assert_eq!((proof.results, front.count()), (RESULTS, RESULTS));
}

/// Some receivers say nothing or three bytes a second; the results for others do not wait for them.
async fn slow_receiver(act: Act) {
    let (_engine, mut campaign, front) =
        row(&[("NOTIFY_TIMEOUT", "2s"), ("CONCURRENT_NOTIFIERS", "10")]).await;
    campaign.allow_repeats();
    front.plan(move |_, before| if before == 0 { act } else { Act::Take });
    campaign.submit_to(|name| front.url(name), RESULTS, Duration::ZERO).await;
    let system = &campaign.system;
    system.until("the first are with it", async || (front.count() >= 5).then_some(())).await;
    let asked = Instant::now();
    let before = campaign.submitted();
    campaign.submit(RESULTS, Duration::ZERO).await;
    for number in before + 1..=before + RESULTS {
        campaign.system.result(&format!("c{number}")).await;
    }
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(15), "the results for another receiver took {took:?}");
    let system = &campaign.system;
    system.until("it has them all", async || (front.count() >= 2 * RESULTS).then_some(())).await;
    let proof = proved(campaign, &front).await;
    assert_eq!((proof.results, proof.repeats), (2 * RESULTS, RESULTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_never_answers_gets_its_results_later_and_holds_up_no_other() {
    slow_receiver(Act::TakeAndSayNothing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_answers_three_bytes_a_second_gets_its_results_later_and_holds_up_no_other() {
    slow_receiver(Act::TakeAndTrickle).await;
}

/// Nobody listens for 120 times the back-off, which is ten minutes by default; the notifier is killed three
/// times meanwhile.
async fn away(row_name: &str, backoff: Duration) {
    let backoff_setting = format!("{}ms", backoff.as_millis());
    let (_engine, mut campaign, mut front) = row(&[("NOTIFY_BACKOFF", &backoff_setting)]).await;
    campaign.allow_repeats();
    front.go_down().await;
    let down_for = backoff * 120;
    let down = Instant::now();
    campaign.submit_to(|name| front.url(name), RESULTS, Duration::ZERO).await;
    for quarter in 1..=3 {
        // The moments of the kills, and of the receiver's return, are what this row is about.
        sleep_until(down + down_for * quarter / 4).await;
        kill_and_restart(&mut campaign.system, &["notifier-1".to_owned()]).await;
    }
    sleep_until(down + down_for).await;
    assert_eq!(front.count(), 0);
    front.come_back().await;
    let back = Instant::now();
    // Attempts double their distance, so the next comes within as long as it was away, a tenth of jitter
    // and a restart on top.
    let patience = down_for.mul_f64(1.3) + Duration::from_secs(20);
    let all = campaign.system.receiver.until_count(RESULTS, patience).await;
    assert!(all, "only {}; logs:\n{}", campaign.system.receiver.all().len(), campaign.system.logs());
    let took = back.elapsed();
    let proof = proved(campaign, &front).await;
    assert_eq!((proof.results, proof.repeats, front.count()), (RESULTS, 0, RESULTS));
    let value = format!(
        "{} of {RESULTS}, the last {:.1} s after {:.0} s away",
        proof.results,
        took.as_secs_f64(),
        down_for.as_secs_f64()
    );
    note(row_name, "delivered", value);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_for_what_is_ten_minutes_by_default_gets_each_result_once() {
    away("receiver away for 120 back-offs, notifier killed 3 times", Duration::from_millis(50)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make faults"]
async fn a_receiver_that_is_away_for_ten_real_minutes_gets_each_result_once() {
    away("receiver away for 10 minutes, notifier killed 3 times", Duration::from_secs(5)).await;
}

/// At each moment of each of these: with the request at the receiver, its answer on the way, and while it
/// waits for the next attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_notifier_killed_at_any_moment_of_a_failing_delivery_loses_no_result() {
    const ACTS: [Act; 6] = [
        Act::Refuse(500),
        Act::TakeAndCut,
        Act::TakeAndHold,
        Act::TakeAndSayNothing,
        Act::TakeAndTrickle,
        Act::TakeAndTrickleBody,
    ];
    const MOMENTS: [u64; 4] = [0, 3, 30, 300];
    let (_engine, mut campaign, front) = row(&[]).await;
    campaign.allow_repeats();
    let mut expected_posts = 0;
    for moment in MOMENTS {
        for act in ACTS {
            front.plan(move |_, before| if before == 0 { act } else { Act::Take });
            campaign.submit_to(|name| front.url(name), 3, Duration::ZERO).await;
            expected_posts += 3;
            let system = &campaign.system;
            let posted = async || (front.names() == expected_posts).then_some(());
            system.until("all were posted", posted).await;
            front.release();
            // The moment of the kill, from the arrival of the request on.
            tokio::time::sleep(Duration::from_millis(moment)).await;
            kill_and_restart(&mut campaign.system, &["notifier-1".to_owned()]).await;
        }
    }
    front.plan(|_, _| Act::Take);
    let proof = proved(campaign, &front).await;
    assert_eq!(proof.results, MOMENTS.len() * ACTS.len() * 3);
    let kills = MOMENTS.len() * ACTS.len();
    note(
        "notifier killed at each moment",
        "delivered, posted again",
        format!("{} of {}, {} ({kills} kills)", proof.results, kills * 3, proof.repeats),
    );
}
