//! The state machine in every order of inputs: named cases, and a property over random histories.

use proptest::prelude::*;

use super::*;
use crate::completer::parked::KEPT_AT_MOST;

const TIMEOUT: Duration = Duration::from_secs(600);

fn container(name: &str) -> ContainerId {
    ContainerId::new(name)
}

fn finish(ticket: u64, name: &str, end: End, timed_out: bool) -> Vec<Action> {
    vec![Action::Finish { ticket: Ticket(ticket), container: container(name), end, timed_out }]
}

fn died(exit_code: i64) -> End {
    End::Died { exit_code: Some(exit_code) }
}

#[test]
fn a_death_after_its_record_is_finished_at_once() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    assert_eq!(inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), false, now), []);
    assert_eq!(inflight.died(&container("c"), Some(3), true, now), finish(1, "c", died(3), false));
    assert_eq!(inflight.died(&container("c"), Some(3), true, now), [], "the same death twice");
    assert_eq!(inflight.finished(Ticket(1), Finish::Settled, now), [Action::Forget(Ticket(1))]);
    assert!(inflight.records.is_empty() && inflight.next_timer().is_none());
}

#[test]
fn a_death_before_its_record_is_parked_until_the_record_comes() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    assert_eq!(inflight.died(&container("c"), Some(0), true, now), []);
    assert_eq!(
        inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), false, now),
        finish(1, "c", died(0), false)
    );
}

#[test]
fn a_foreign_death_without_a_record_is_not_kept() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    inflight.died(&container("c"), Some(0), false, now);
    assert_eq!(inflight.taken(Ticket(1), &container("c"), None, false, now), []);
}

#[test]
fn a_parked_death_is_dropped_when_its_container_is_removed() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    inflight.died(&container("c"), Some(0), true, now);
    inflight.destroyed(&container("c"));
    assert_eq!(inflight.taken(Ticket(1), &container("c"), None, false, now), []);
}

#[test]
fn when_more_died_than_can_be_parked_new_records_are_inspected() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    for number in 0..=KEPT_AT_MOST {
        inflight.died(&container(&number.to_string()), Some(0), true, now);
    }
    let name = KEPT_AT_MOST.to_string();
    assert_eq!(
        inflight.taken(Ticket(1), &container(&name), None, false, now),
        [Action::Inspect(Ticket(1), container(&name))]
    );
}

#[test]
fn a_deadline_is_checked_on_the_daemons_clock_before_anything_is_killed() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), false, now);
    assert_eq!(inflight.next_timer(), Some(now + TIMEOUT));
    let later = now + TIMEOUT;
    assert_eq!(inflight.tick(later), [Action::Inspect(Ticket(1), container("c"))]);
    let early = Finding::Running { run_for: TIMEOUT.saturating_sub(Duration::from_secs(2)) };
    assert_eq!(inflight.inspected(Ticket(1), &early, later), []);
    let due = later + Duration::from_secs(2);
    assert_eq!(inflight.next_timer(), Some(due));
    inflight.tick(due);
    let over = Finding::Running { run_for: TIMEOUT };
    assert_eq!(inflight.inspected(Ticket(1), &over, due), [Action::Kill(Ticket(1), container("c"))]);
    inflight.kill_answered(Ticket(1), true, due);
    assert_eq!(inflight.died(&container("c"), Some(137), true, due), finish(1, "c", died(137), true));
}

#[test]
fn a_container_that_will_not_die_is_given_up_after_the_kills_patience() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    let over = Finding::Running { run_for: TIMEOUT };
    inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), true, now);
    inflight.inspected(Ticket(1), &over, now);
    inflight.kill_answered(Ticket(1), true, now);
    let given_up = now + KILL_PATIENCE;
    assert_eq!(inflight.tick(given_up - Duration::from_millis(1)), []);
    assert_eq!(inflight.tick(given_up), [Action::Inspect(Ticket(1), container("c"))]);
    assert_eq!(inflight.inspected(Ticket(1), &over, given_up), finish(1, "c", End::Unstoppable, true));
}

#[test]
fn a_kill_that_could_not_be_sent_is_sent_again() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    let over = Finding::Running { run_for: TIMEOUT };
    inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), true, now);
    inflight.inspected(Ticket(1), &over, now);
    inflight.kill_answered(Ticket(1), false, now);
    let next = now + Duration::from_secs(1);
    assert_eq!(inflight.tick(next), [Action::Inspect(Ticket(1), container("c"))]);
    assert_eq!(inflight.inspected(Ticket(1), &over, next), [Action::Kill(Ticket(1), container("c"))]);
}

#[test]
fn patience_counts_from_a_kill_that_was_sent_and_not_from_one_that_was_wanted() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    let over = Finding::Running { run_for: TIMEOUT };
    inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), true, now);
    inflight.inspected(Ticket(1), &over, now);
    inflight.kill_answered(Ticket(1), false, now);
    // The engine was away for long, and is back.
    let back = now + KILL_PATIENCE * 2;
    inflight.tick(back);
    assert_eq!(inflight.inspected(Ticket(1), &over, back), [Action::Kill(Ticket(1), container("c"))]);
    inflight.kill_answered(Ticket(1), true, back);
    assert_eq!(inflight.next_timer(), Some(back + KILL_PATIENCE));
}

#[test]
fn a_created_container_has_no_deadline() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), true, now);
    assert_eq!(inflight.inspected(Ticket(1), &Finding::Waiting, now), []);
    assert_eq!(inflight.next_timer(), None);
}

#[test]
fn a_container_started_by_hand_gets_its_deadline_from_the_next_list() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    inflight.taken(Ticket(1), &container("c"), Some(TIMEOUT), true, now);
    inflight.inspected(Ticket(1), &Finding::Waiting, now);
    let list = |seen| HashMap::from([(container("c"), seen)]);
    assert_eq!(inflight.listed(&list(Seen::Waiting)), []);
    assert_eq!(inflight.listed(&list(Seen::Running)), [Action::Inspect(Ticket(1), container("c"))]);
    inflight.inspected(Ticket(1), &Finding::Running { run_for: Duration::ZERO }, now);
    assert_eq!(inflight.next_timer(), Some(now + TIMEOUT));
    assert_eq!(inflight.listed(&list(Seen::Running)), [], "it is watched now");
}

#[test]
fn an_attempt_that_failed_is_made_again_after_a_growing_wait() {
    let (mut inflight, mut now) = (Inflight::default(), Instant::now());
    inflight.taken(Ticket(1), &container("c"), None, false, now);
    inflight.died(&container("c"), Some(0), true, now);
    for seconds in [1, 2, 4, 8, 16, 32, 32] {
        inflight.finished(Ticket(1), Finish::Again, now);
        assert_eq!(inflight.next_timer(), Some(now + Duration::from_secs(seconds)));
        now += Duration::from_secs(seconds);
        assert_eq!(inflight.tick(now), [Action::Inspect(Ticket(1), container("c"))]);
        assert_eq!(inflight.inspected(Ticket(1), &Finding::Ended, now), finish(1, "c", End::Found, false));
    }
}

#[test]
fn a_list_ends_what_ended_and_asks_about_what_it_lacks() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    for (number, name) in [(1, "ended"), (2, "running"), (3, "absent")] {
        inflight.taken(Ticket(number), &container(name), None, false, now);
    }
    let listed = HashMap::from([(container("ended"), Seen::Ended), (container("running"), Seen::Running)]);
    let mut expected = finish(1, "ended", End::Found, false);
    expected.push(Action::Inspect(Ticket(3), container("absent")));
    assert_eq!(inflight.listed(&listed), expected);
    assert_eq!(inflight.inspected(Ticket(3), &Finding::Gone, now), finish(3, "absent", End::Gone, false));
}

#[test]
fn an_answer_to_an_earlier_take_changes_nothing() {
    let (mut inflight, now) = (Inflight::default(), Instant::now());
    inflight.taken(Ticket(1), &container("c"), None, true, now);
    assert_eq!(inflight.lock_lost(Ticket(1)), [Action::Forget(Ticket(1))]);
    inflight.taken(Ticket(2), &container("c"), None, true, now);
    assert_eq!(inflight.inspected(Ticket(1), &Finding::Ended, now), []);
    assert_eq!(inflight.finished(Ticket(1), Finish::Settled, now), []);
    assert_eq!(inflight.records.len(), 1);
}

#[derive(Clone, Debug)]
enum Input {
    Take(u8, bool),
    Die(u8),
    Destroy(u8),
    List(Vec<(u8, Seen)>),
    Answer(Finding),
    Lose(u8),
    Wait(u16),
}

fn input() -> impl Strategy<Value = Input> {
    let finding = prop_oneof![
        (0_u64..1200).prop_map(|seconds| Finding::Running { run_for: Duration::from_secs(seconds) }),
        Just(Finding::Waiting),
        Just(Finding::Leaving),
        Just(Finding::Ended),
        Just(Finding::Gone),
        Just(Finding::Unknown),
    ];
    let seen = prop_oneof![Just(Seen::Ended), Just(Seen::Running), Just(Seen::Waiting)];
    prop_oneof![
        (0_u8..4, any::<bool>()).prop_map(|(name, look)| Input::Take(name, look)),
        (0_u8..4).prop_map(Input::Die),
        (0_u8..4).prop_map(Input::Destroy),
        prop::collection::vec((0_u8..4, seen), 0..4).prop_map(Input::List),
        finding.prop_map(Input::Answer),
        (0_u8..8).prop_map(Input::Lose),
        (0_u16..700).prop_map(Input::Wait),
    ]
}

/// What the loop would have under way: one effect at most per record.
#[derive(Default)]
struct Effects(HashMap<Ticket, Action>);

impl Effects {
    fn start(&mut self, actions: Vec<Action>) {
        for action in actions {
            let ticket = match &action {
                Action::Inspect(ticket, _) | Action::Kill(ticket, _) => *ticket,
                Action::Finish { ticket, .. } => {
                    // A death may be told while an inspection or a kill is under way: its answer is ignored.
                    let running = self.0.remove(ticket);
                    assert!(!matches!(running, Some(Action::Finish { .. })), "finished twice at once");
                    *ticket
                }
                Action::Forget(ticket) => {
                    self.0.remove(ticket);
                    continue;
                }
            };
            assert!(self.0.insert(ticket, action).is_none(), "two effects at once for one record");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn whatever_happens_each_record_can_still_end(inputs in prop::collection::vec(input(), 1..80)) {
        let (mut inflight, mut effects) = (Inflight::default(), Effects::default());
        let (mut now, mut next) = (Instant::now(), 0_u64);
        for input in inputs {
            let actions = match input {
                Input::Take(name, look) => {
                    next += 1;
                    inflight.taken(Ticket(next), &container(&name.to_string()), Some(TIMEOUT), look, now)
                }
                Input::Die(name) => inflight.died(&container(&name.to_string()), Some(0), true, now),
                Input::Destroy(name) => inflight.destroyed(&container(&name.to_string())),
                Input::List(listed) => inflight.listed(
                    &listed.into_iter().map(|(name, seen)| (container(&name.to_string()), seen)).collect(),
                ),
                Input::Lose(back) => inflight.lock_lost(Ticket(next.saturating_sub(u64::from(back)))),
                Input::Wait(seconds) => {
                    now += Duration::from_secs(u64::from(seconds));
                    inflight.tick(now)
                }
                Input::Answer(finding) => {
                    let Some(ticket) = effects.0.keys().min().copied() else { continue };
                    match effects.0.remove(&ticket) {
                        Some(Action::Inspect(..)) => inflight.inspected(ticket, &finding, now),
                        Some(Action::Kill(..)) => {
                            inflight.kill_answered(ticket, finding == Finding::Ended, now);
                            Vec::new()
                        }
                        Some(Action::Finish { .. }) => {
                            let finish = if finding == Finding::Unknown { Finish::Again } else { Finish::Settled };
                            inflight.finished(ticket, finish, now)
                        }
                        _ => Vec::new(),
                    }
                }
            };
            effects.start(actions);
            for (ticket, record) in &inflight.records {
                let under_way = effects.0.contains_key(ticket);
                prop_assert_eq!(under_way, record.phase != Phase::Watching, "{:?}", record);
                prop_assert_eq!(
                    record.timer.is_some_and(|at| inflight.timers.contains(&(at, *ticket))),
                    record.timer.is_some()
                );
                prop_assert!(inflight.by_container[&record.container].contains(ticket));
            }
            prop_assert!(inflight.timers.len() <= inflight.records.len());
        }
        // The sweep's list at the end: everything ended, so everything is finished, and then forgotten.
        let all = (0..4).map(|name| (container(&name.to_string()), Seen::Ended)).collect();
        effects.start(inflight.listed(&all));
        let open: Vec<Ticket> = inflight.records.keys().copied().collect();
        for ticket in open {
            effects.start(inflight.finished(ticket, Finish::Settled, now));
        }
        prop_assert!(inflight.records.is_empty() && inflight.timers.is_empty() && inflight.by_container.is_empty());
    }
}
