//! Where most slots are taken: who makes room, and how soon.

use std::collections::VecDeque;

use super::*;

#[test]
fn where_most_slots_are_taken_a_delivery_that_is_late_for_its_receiver_steps_aside_sooner() {
    let receivers = Receivers::new(SLOTS);
    let begin = |count: usize| -> Vec<_> {
        (0..count).map(|number| receivers.now(&format!("dark-{number}")).expect("a turn")).collect()
    };
    for visit in begin(SLOTS) {
        visit.learn(Ended::Answered, Duration::from_millis(1));
    }
    let mut few = begin(SLOTS / 2);
    assert!(!few[0].step_aside_after(SOON * 2), "nobody needs its slot");
    assert!(few[0].step_aside_after(QUICK));
    drop(few);
    let mut all = begin(SLOTS);
    assert!(!all[0].step_aside_after(SOON / 2), "it may still answer");
    // All of them: as many others may stand in line.
    let stepped = all.iter_mut().filter_map(|visit| visit.step_aside_after(SOON).then_some(())).count();
    assert_eq!(stepped, SLOTS);
    drop(all);
    for visit in begin(SLOTS) {
        visit.learn(Ended::Answered, SOON);
    }
    assert!(!begin(SLOTS)[0].step_aside_after(SOON * 2), "it always takes so long");
}

#[test]
fn a_few_slots_are_never_taken_for_crowded() {
    for (slots, crowded) in [(1, false), (3, false), (4, true)] {
        let receivers = Receivers::new(slots);
        for name in ["a", "b"] {
            (0..4).for_each(|_| receivers.answers(name));
        }
        let mut begun: Vec<_> = (0..slots).map(|_| receivers.now("a").expect("a turn")).collect();
        assert_eq!(begun[0].step_aside_after(SOON * 2), crowded, "{slots}");
    }
}

#[test]
fn those_that_began_together_do_not_all_make_room_in_the_same_moment() {
    let receivers = Receivers::new(SLOTS * 100);
    let mut visits: Vec<_> =
        (0..SLOTS * 10).map(|number| receivers.now(&number.to_string()).expect("a turn")).collect();
    let mut stepping =
        |waited| visits.iter_mut().filter_map(|it| it.step_aside_after(waited).then_some(())).count();
    assert_eq!(stepping((QUICK / 2).saturating_sub(SOON)), 0, "each has some time");
    let early = stepping(QUICK * 3 / 4);
    assert!(early > 0 && early < SLOTS * 10, "{early} of {}", SLOTS * 10);
    assert_eq!(stepping(QUICK), SLOTS * 10);
}

#[tokio::test(start_paused = true)]
async fn known_receivers_that_go_dark_together_leave_the_slots_to_others() {
    // Five with many results each, and many with one.
    for (dark, results) in [(5, 50), (300, 1)] {
        let receivers = Receivers::new(50);
        let names: Vec<_> = (0..dark).map(|number| format!("dark-{number}")).collect();
        for name in names.iter().map(String::as_str).chain(["sixth"]) {
            (0..6).for_each(|_| receivers.answers(name));
        }
        let mut held: Vec<_> = Vec::new();
        for name in names.iter().cycle().take(dark * results) {
            held.extend(receivers.now(name));
            let begun = held.iter().filter(|visit| !visit.is_aside()).count();
            if begun == 50 {
                held = held.into_iter().map(aside).collect();
            }
        }
        held = held.into_iter().map(aside).collect();
        assert!(held.iter().all(Visit::is_aside), "{dark}: all slots are free after a moment");
        let sixth: Vec<_> = (0..25).filter_map(|_| receivers.now("sixth")).collect();
        assert!(sixth.len() == 25 && sixth.iter().all(|visit| !visit.is_aside()), "{dark}");
    }
}

#[tokio::test(start_paused = true)]
async fn known_receivers_that_go_dark_in_a_crowd_fill_the_slots_once() {
    let receivers = Receivers::new(50);
    let names: Vec<_> = (0..5).map(|number| format!("dark-{number}")).collect();
    for name in names.iter().map(String::as_str).chain(["sixth"]) {
        (0..6).for_each(|_| receivers.answers(name));
    }
    let mut held: Vec<_> = names.iter().cycle().take(50).filter_map(|name| receivers.now(name)).collect();
    assert!(held.len() == 50 && held.iter().all(|visit| !visit.is_aside()));
    for waited in [SOON, SOON * 2, QUICK, QUICK * 2] {
        assert!(held.iter_mut().all(|visit| visit.step_aside_after(waited)));
        held.extend(names.iter().cycle().take(250).filter_map(|name| receivers.now(name)));
        assert!(held.iter().all(Visit::is_aside), "after {waited:?} none begins in a slot");
    }
    assert!(held.iter().all(Visit::is_settled));
    let sixth: Vec<_> = (0..25).filter_map(|_| receivers.now("sixth")).collect();
    assert!(sixth.len() == 25 && sixth.iter().all(|visit| !visit.is_aside()));
}

/// A worker with a burst of jobs for one receiver that answers each after this time, millisecond by millisecond.
#[derive(Default)]
struct Burst {
    line: VecDeque<usize>,
    done: usize,
    /// When, in milliseconds, a job was put back, and when one began aside.
    put_back: Vec<u64>,
    began_aside: Vec<u64>,
}

impl Burst {
    async fn served(mut self, receivers: &Receivers, answers_after: u64) -> Self {
        let all = self.line.len();
        let mut under_way: Vec<(u64, Visit<'_>)> = Vec::new();
        for now in 0..10_000 {
            let free = receivers.slots - receivers.state().in_slots;
            for _ in 0..free {
                let Some(job) = self.line.pop_front() else { break };
                match receivers.try_turn("healthy", false) {
                    Turn::Now(visit) => {
                        self.began_aside.extend(visit.is_aside().then_some(now));
                        under_way.push((now, visit));
                    }
                    Turn::Soon => self.line.push_front(job),
                    Turn::PutBack(_) => {
                        self.put_back.push(now);
                        self.line
                            .extend(receivers.park("healthy", due(&job.to_string())).iter().map(number_of));
                    }
                }
            }
            tokio::time::advance(Duration::from_millis(1)).await;
            let (answered, waiting) =
                under_way.into_iter().partition(|(began, _)| now + 1 - began >= answers_after);
            under_way = waiting;
            for (began, visit) in &mut under_way {
                visit.step_aside_after(Duration::from_millis(now + 1 - *began));
            }
            let answered: Vec<(u64, Visit<'_>)> = answered;
            for (began, visit) in answered {
                self.done += 1;
                let called = visit.end(Ended::Answered, Duration::from_millis(now + 1 - began));
                self.line.extend(called.iter().map(number_of));
            }
            if self.done == all {
                break;
            }
        }
        self
    }
}

fn number_of(due: &Due) -> usize {
    due.job.as_str().parse().expect("a number")
}

#[tokio::test(start_paused = true)]
async fn a_burst_to_a_receiver_that_answers_a_little_later_than_before_keeps_its_slots() {
    let receivers = Receivers::new(50);
    for name in ["other", "healthy"] {
        (0..6).for_each(|_| receivers.answers(name));
    }
    let burst = Burst { line: (0..1000).collect(), ..Burst::default() }.served(&receivers, 8).await;
    assert_eq!(burst.done, 1000);
    // Until the first answers it may be dark, and others may need the slots.
    let first_answers = 10;
    let later = |times: &[u64]| times.iter().filter(|at| **at > first_answers).count();
    assert_eq!(
        (later(&burst.put_back), later(&burst.began_aside)),
        (0, 0),
        "{:?} {:?}",
        burst.put_back,
        burst.began_aside
    );
}
