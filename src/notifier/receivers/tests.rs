//! Who gets a turn, with the room full or empty.

mod crowd;

use super::*;
use crate::identity::JobId;
use crate::queue::Due;
use proptest::prelude::*;

const SLOTS: usize = 16;
const MINUTE: Duration = Duration::from_secs(60);

impl Receivers {
    /// A turn, if there is one now.
    fn now(&self, receiver: &str) -> Option<Visit<'_>> {
        match self.try_turn(receiver, false) {
            Turn::Now(visit) => Some(visit),
            Turn::Soon | Turn::PutBack(_) => None,
        }
    }

    fn answers(&self, receiver: &str) {
        self.now(receiver).expect("a turn").learn(Ended::Answered, Duration::from_millis(1));
    }

    /// As many deliveries as it gets, none of which is answered: all step aside, as far as there is room.
    fn hang(&self, receiver: &str) -> Vec<Visit<'_>> {
        let mut begun = Vec::new();
        while let Some(mut visit) = self.now(receiver) {
            visit.step_aside();
            begun.push(visit);
        }
        begun
    }
}

#[test]
fn each_answer_doubles_what_a_receiver_may_hold_and_each_time_out_halves_it() {
    let receivers = Receivers::new(SLOTS);
    let most = || std::iter::from_fn(|| receivers.now("a")).take(100).collect::<Vec<_>>().len();
    assert_eq!(most(), FIRST, "new");
    for expected in [SLOTS / 2, SLOTS, SLOTS] {
        receivers.answers("a");
        assert_eq!(most(), expected);
    }
    let hung: Vec<_> = (0..6).map(|_| receivers.now("a").expect("a turn")).collect();
    for visit in &hung {
        visit.learn(Ended::Hung, MINUTE);
    }
    drop(hung);
    let probe = receivers.now("a").expect("one at a time");
    assert!(probe.is_aside() && receivers.now("a").is_none());
    probe.learn(Ended::Answered, Duration::from_millis(1));
    drop(probe);
    let again: Vec<_> = (0..2).filter_map(|_| receivers.now("a")).collect();
    assert!(again.len() == 2 && !again[0].is_aside(), "it is trusted again, step by step");
}

#[test]
fn however_many_hang_there_is_room_for_the_next_and_slots_for_those_that_answer() {
    let room = SLOTS * ROOM_FOR_EACH_SLOT;
    for hanging in [1, 10, 100] {
        let receivers = Receivers::new(SLOTS);
        for _ in 0..5 {
            receivers.answers("good");
        }
        let hang = || (0..hanging).flat_map(|number| receivers.hang(&number.to_string())).collect::<Vec<_>>();
        // Nobody knows them at first, and not all of a hundred get a turn in the first round.
        for _ in 0..8 {
            let held = hang();
            let in_slots = held.iter().filter(|visit| !visit.is_aside()).count();
            assert!(in_slots == 0 || (hanging > room && in_slots <= SLOTS / 2), "{in_slots} with {hanging}");
            for visit in &held {
                visit.learn(Ended::Hung, MINUTE);
            }
        }
        // Now they are known.
        let held = hang();
        assert!(held.iter().all(Visit::is_aside) && held.len() <= room / 2, "{} with {hanging}", held.len());
        let good: Vec<_> = (0..SLOTS).filter_map(|_| receivers.now("good")).collect();
        assert!(good.len() == SLOTS && good.iter().all(|visit| !visit.is_aside()), "with {hanging}");
        drop(good);
        let mut newcomer = receivers.now("newcomer").expect("a turn");
        assert!(newcomer.step_aside(), "with {hanging}");
    }
}

#[test]
fn new_receivers_hold_half_of_the_slots_where_others_answer_and_all_where_none_does() {
    let receivers = Receivers::new(SLOTS);
    let begin = |names: std::ops::Range<usize>| -> Vec<_> {
        names.filter_map(|number| receivers.now(&format!("new-{number}"))).collect()
    };
    let alone = begin(0..SLOTS);
    assert_eq!(alone.len(), SLOTS);
    drop(alone);
    receivers.answers("good");
    let beside = begin(100..100 + SLOTS);
    assert_eq!(beside.len(), SLOTS / 2);
    assert!(receivers.now("good").is_some());
    for visit in &beside {
        visit.learn(Ended::Answered, Duration::from_millis(1));
    }
    drop(beside);
    assert_eq!(begin(100..100 + SLOTS).len(), SLOTS, "they are no more new");
}

#[test]
fn a_slow_receiver_that_answers_is_served_aside_as_widely_as_a_quick_one() {
    let receivers = Receivers::new(SLOTS);
    for _ in 0..5 {
        let mut visit = receivers.now("slow").expect("a turn");
        assert!(visit.step_aside());
        visit.learn(Ended::Answered, Duration::from_secs(3));
    }
    let held = receivers.hang("slow");
    assert_eq!(held.len(), SLOTS);
    drop(held);
    let mut without_room = Vec::new();
    while let Some(visit) = receivers.now(&format!("other-{}", without_room.len())) {
        without_room.push(visit);
        let there_is = without_room.last_mut().expect("just pushed").step_aside();
        assert_eq!(there_is, without_room.len() <= SLOTS * ROOM_FOR_EACH_SLOT * BEYOND);
        if !there_is {
            break;
        }
    }
    assert!(without_room.len() > SLOTS * ROOM_FOR_EACH_SLOT * BEYOND, "the room was filled");
}

fn due(name: &str) -> Due {
    Due::after(MINUTE, &JobId::new(name))
}

fn names(called: &[Due]) -> Vec<&str> {
    called.iter().map(|due| due.job.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_a_delivery_under_way_is_called_when_that_has_ended() {
    let receivers = Receivers::new(SLOTS);
    receivers.answers("good");
    let visit = aside(receivers.now("dead").expect("a turn"));
    let put_back = receivers.turn("dead").await.expect_err("it does not answer");
    assert_eq!(put_back, PutBack::until(Until::Called));
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert_eq!(receivers.park("dead", due(name)), [], "nobody comes while it is under way");
    }
    // After a time-out one asks again, and one alone.
    assert_eq!(names(&visit.end(Ended::Hung, MINUTE)), ["a"]);
    let (probe, second) = (receivers.now("dead").expect("a turn"), receivers.now("dead"));
    assert!(probe.is_aside() && second.is_none());
    // After an answer come as many as may be under way then: the limit was halved once, and is doubled.
    let called = probe.end(Ended::Answered, Duration::from_millis(1));
    assert_eq!(names(&called), ["b", "c", "d", "e"]);
    let next: Vec<_> = called.iter().map(|_| receivers.now("dead").expect("a turn")).collect();
    let called: Vec<_> =
        next.into_iter().flat_map(|visit| visit.end(Ended::Answered, Duration::from_millis(1))).collect();
    assert_eq!(names(&called), ["f", "g", "h"], "each once");
    assert_eq!(receivers.called("dead", true), []);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_put_back_as_the_last_delivery_ends_is_not_left_waiting() {
    let receivers = Receivers::new(SLOTS);
    let visit = aside(receivers.now("slow").expect("a turn"));
    assert_eq!(visit.end(Ended::Answered, MINUTE), []);
    let late = due("late");
    assert_eq!(receivers.park("slow", late.clone()), std::slice::from_ref(&late));
    assert_eq!(receivers.park("forgotten", late.clone()), [late]);
}

#[tokio::test(start_paused = true)]
async fn of_those_that_nobody_would_call_one_comes_by_itself() {
    let receivers = Receivers::new(SLOTS);
    receivers.answers("good");
    // All that there is for those that hang is taken.
    let mut held = Vec::new();
    for number in 0..SLOTS * ROOM_FOR_EACH_SLOT {
        let name = number.to_string();
        receivers.now(&name).expect("new").learn(Ended::Hung, Duration::from_secs(5));
        if name != "63" {
            held.extend(receivers.now(&name));
        }
    }
    let put_back = || receivers.try_turn("63", false);
    let until = |turn| match turn {
        Turn::PutBack(PutBack { until, .. }) => until,
        _ => panic!("there is a turn"),
    };
    // Two at a time may ask it after one time-out.
    let apart = Duration::from_secs(5) / 2;
    assert_eq!(until(put_back()), Until::After(apart));
    assert_eq!(until(put_back()), Until::Called);
    assert_eq!(receivers.park("63", due("second")), []);
    tokio::time::advance(apart).await;
    assert_eq!(until(put_back()), Until::After(apart), "it comes, and is the one again");
}

/// All of these time out, round after round, for so long as a test goes on.
async fn a_round_of_time_outs(receivers: &Receivers, names: impl Iterator<Item = String>, within: Duration) {
    let held: Vec<_> = names.filter_map(|name| receivers.now(&name)).map(aside).collect();
    tokio::time::sleep(within).await;
    for visit in &held {
        visit.learn(Ended::Hung, within);
    }
}

fn aside(mut visit: Visit<'_>) -> Visit<'_> {
    visit.step_aside();
    visit
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_again_gets_its_turn_within_a_few_time_outs_however_many_hang() {
    let receivers = Receivers::new(50);
    let time_out = Duration::from_secs(1);
    receivers.answers("good");
    let silent = || (0..150).map(|number| number.to_string());
    for _ in 0..8 {
        a_round_of_time_outs(&receivers, silent().chain(["recovering".to_owned()]), time_out).await;
    }
    let begun = Instant::now();
    // The others are first in every round, and take whatever there is.
    let probe = loop {
        assert!(begun.elapsed() <= time_out * 4, "it was never asked");
        let held: Vec<_> = silent().filter_map(|name| receivers.now(&name)).map(aside).collect();
        if let Some(probe) = receivers.now("recovering") {
            break probe;
        }
        tokio::time::sleep(time_out).await;
        for visit in &held {
            visit.learn(Ended::Hung, time_out);
        }
    };
    assert!(probe.is_aside());
}

#[test]
fn one_that_takes_its_time_holds_half_of_the_slots_where_there_are_others() {
    let receivers = Receivers::new(SLOTS);
    let begin = || -> (usize, usize) {
        let begun: Vec<_> = std::iter::from_fn(|| receivers.now("slow")).collect();
        (begun.len(), begun.iter().filter(|visit| !visit.is_aside()).count())
    };
    for _ in 0..5 {
        receivers.now("slow").expect("a turn").learn(Ended::Answered, QUICK * 9 / 10);
    }
    assert_eq!(begin(), (SLOTS, SLOTS), "alone it has them all");
    receivers.answers("other");
    assert_eq!(begin(), (SLOTS, SLOTS / 2));
    let all: Vec<_> = std::iter::from_fn(|| receivers.now("slow")).collect();
    assert!(matches!(receivers.try_turn("slow", false), Turn::PutBack(PutBack { hung: None, .. })));
    drop(all);
    receivers.answers("slow");
    assert_eq!(begin(), (SLOTS, SLOTS), "it is quick now");
}

#[tokio::test(start_paused = true)]
async fn what_is_put_back_is_told_how_long_ago_its_receiver_timed_out_and_nothing_of_one_that_answers() {
    let receivers = Receivers::new(SLOTS);
    let mut visit = receivers.now("dead").expect("a turn");
    visit.step_aside();
    (0..2).for_each(|_| visit.learn(Ended::Hung, MINUTE));
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(receivers.turn("dead").await.expect_err("it hangs").hung, Some(Duration::from_secs(7)));
    visit.learn(Ended::Answered, MINUTE);
    let held = receivers.hang("dead");
    assert_eq!(receivers.turn("dead").await.expect_err("as many as it may have").hung, None);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_burst_for_a_new_receiver_waits_for_its_first_answer_and_no_longer_than_a_moment() {
    let receivers = Receivers::new(SLOTS);
    let first = [(); FIRST].map(|()| receivers.now("new").expect("a turn"));
    let waiting = receivers.turn("new");
    tokio::pin!(waiting);
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    first[0].learn(Ended::Answered, Duration::from_millis(3));
    drop(first);
    assert!(waiting.await.is_ok());
    // Beside one that answers it gets one.
    let first = receivers.now("silent").expect("a turn");
    assert!(receivers.now("silent").is_none());
    let started = Instant::now();
    let until = receivers.turn("silent").await.expect_err("it does not answer").until;
    let Until::After(delay) = until else { panic!("{until:?}") };
    assert!(started.elapsed() <= QUICK * 2 && delay <= QUICK * 2, "{delay:?}");
    assert_eq!(receivers.state().held_by_new, 1, "nobody waits any more");
    drop(first);
}

#[test]
fn not_too_many_receivers_are_remembered() {
    let receivers = Receivers::new(1);
    for number in 0..REMEMBERED * 2 {
        receivers.now(&number.to_string()).expect("new").learn(Ended::Hung, MINUTE);
    }
    assert!(receivers.state().known.len() <= REMEMBERED + 1);
}

proptest! {
    /// Whatever comes in whatever order: nothing is held once all is over, and no bound is broken meanwhile.
    #[test]
    fn no_slot_and_no_room_is_lost_or_given_twice(
        slots in 1_usize..20, moves in proptest::collection::vec((0_u8..6, 0_usize..6, 0_usize..40), 0..300),
    ) {
        let receivers = Receivers::new(slots);
        let mut visits = Vec::new();
        for (what, who, which) in moves {
            let place = which.min(visits.len().saturating_sub(1));
            match what {
                0 | 1 => visits.extend(receivers.now(&who.to_string())),
                2 if !visits.is_empty() => drop(visits.swap_remove(place)),
                3 if !visits.is_empty() => drop(visits[place].step_aside()),
                4 if !visits.is_empty() => {
                    let waited = [SOON, QUICK][which % 2];
                    visits[place].step_aside_after(waited);
                }
                _ if !visits.is_empty() => {
                    let ended = if which % 2 == 0 { Ended::Answered } else { Ended::Hung };
                    visits[place].learn(ended, Duration::from_millis(1));
                }
                _ => {}
            }
            let state = receivers.state();
            prop_assert_eq!(state.in_slots, visits.iter().filter(|visit| !visit.is_aside()).count());
            prop_assert_eq!(state.aside, visits.iter().filter(|visit| visit.is_aside()).count());
            prop_assert!(state.aside <= receivers.most);
            let early = visits.iter().filter(|visit| matches!(visit.place, Place::Aside { early: true, .. }));
            prop_assert_eq!(state.known.values().map(|it| it.early).sum::<usize>(), early.count());
            prop_assert!(state.known.values().all(|it| it.limit >= 1 && it.limit <= slots));
            let answering = state.known.values().filter(|it| it.standing == Standing::Answers).count();
            prop_assert_eq!(state.answering, answering);
        }
        visits.clear();
        let state = receivers.state();
        prop_assert_eq!((state.in_slots, state.aside, state.suspect, state.held_by_new), (0, 0, 0, 0));
        prop_assert!(state.known.values().all(|it| it.in_slots + it.aside + it.early == 0));
    }
}
