//! Histories that hold, and histories that must be refuted.

use super::*;

const SECOND: i64 = 1_000_000;

fn delivered(id: &str, body: &str) -> Fact {
    Fact::Delivered { id: id.to_owned(), body: body.to_owned() }
}

const BODY: &str = r#"{"grade":7,"success":true}"#;

/// A correction to which nothing out of the ordinary happened.
fn whole() -> History {
    let container = || "k1".to_owned();
    let facts = [
        Fact::Submitted(Wanted::Grade(7)),
        Fact::Created(container()),
        Fact::Started(container()),
        Fact::Died(container()),
        Fact::HandedOver("id".to_owned()),
        delivered("id", BODY),
        Fact::Settled,
        Fact::Removed(container()),
    ];
    let timed = facts.into_iter().zip(0..);
    History {
        facts: timed.map(|(fact, second)| (second * SECOND, "c1".to_owned(), fact)).collect(),
        crashes: Vec::new(),
    }
}

fn with(at: i64, fact: Fact) -> History {
    let mut history = whole();
    history.facts.push((at, "c1".to_owned(), fact));
    history
}

fn without(unwanted: impl Fn(&Fact) -> bool) -> History {
    let mut history = whole();
    history.facts.retain(|(_, _, fact)| !unwanted(fact));
    history
}

fn refuted(history: &History) -> Vec<Violation> {
    check(history).expect_err("it must be refuted").0.into_iter().map(|(violation, _)| violation).collect()
}

#[test]
fn a_history_of_which_all_is_well_is_counted() {
    let totals = Totals { corrections: 1, containers: 1, starts: 1, handed_over: 1, ..Totals::default() };
    assert_eq!(check(&whole()), Ok(totals));
    let mut shuffled = whole();
    shuffled.facts.reverse();
    assert_eq!(check(&shuffled), Ok(totals), "the order of recording does not matter");
}

#[test]
fn one_that_was_lost_is_noticed() {
    let lost = without(|fact| matches!(fact, Fact::Delivered { .. } | Fact::Settled));
    assert_eq!(refuted(&lost), [Violation::Lost]);
    let never_begun = without(|fact| !matches!(fact, Fact::Submitted(_)));
    assert_eq!(refuted(&never_begun), [Violation::Lost]);
}

#[test]
fn a_second_start_is_noticed_of_the_same_container_and_of_another_one() {
    assert_eq!(refuted(&with(3 * SECOND, Fact::Started("k1".into()))), [Violation::StartedTwice]);
    let mut two = with(2 * SECOND, Fact::Started("k2".into()));
    for fact in [Fact::Created("k2".into()), Fact::Died("k2".into()), Fact::Removed("k2".into())] {
        two.facts.push((3 * SECOND, "c1".to_owned(), fact));
    }
    assert_eq!(refuted(&two), [Violation::StartedTwice]);
}

/// A correction whose first run, in another container, came before what [`whole`] tells.
fn run_again(reason: Option<Fact>) -> History {
    let mut history = whole();
    for (at, fact) in [
        (0, Fact::Created("k0".into())),
        (0, Fact::OfRun { container: "k0".into(), run: "first".into() }),
        (0, Fact::OfRun { container: "k1".into(), run: "second".into() }),
        (1, Fact::Started("k0".into())),
        (1, Fact::Died("k0".into())),
        (9, Fact::Removed("k0".into())),
    ] {
        history.facts.push((at * SECOND, "c1".to_owned(), fact));
    }
    history.facts.extend(reason.map(|fact| (SECOND, "c1".to_owned(), fact)));
    history
}

#[test]
fn a_further_run_is_right_only_where_a_fault_of_the_host_ended_the_one_before() {
    let totals = check(&run_again(Some(Fact::Failed("k0".into())))).expect("it holds");
    assert_eq!((totals.starts, totals.reruns), (2, 1));
    for reason in [None, Some(Fact::Failed("k1".into()))] {
        assert_eq!(refuted(&run_again(reason)), [Violation::RunAgain]);
    }
    // Two containers of one run are two starts of it, whatever the host did.
    let mut same = run_again(Some(Fact::Failed("k0".into())));
    same.facts.retain(|(_, _, fact)| !matches!(fact, Fact::OfRun { .. }));
    assert_eq!(refuted(&same), [Violation::StartedTwice]);
}

#[test]
fn a_second_container_that_was_not_started_is_fine_where_it_is_removed() {
    let mut history = with(SECOND, Fact::Created("k2".into()));
    assert_eq!(refuted(&history), [Violation::Leaked]);
    history.facts.push((2 * SECOND, "c1".to_owned(), Fact::Removed("k2".into())));
    assert_eq!(check(&history).map(|totals| totals.containers), Ok(2));
}

#[test]
fn a_second_hand_over_is_noticed_under_the_same_id_and_under_another_one() {
    for id in ["id", "other"] {
        let history = with(5 * SECOND, Fact::HandedOver(id.into()));
        assert_eq!(refuted(&history), [Violation::HandedOverTwice]);
    }
}

#[test]
fn a_result_that_is_handed_over_while_its_container_runs_is_noticed() {
    let mut history = without(|fact| matches!(fact, Fact::Died(_)));
    history.facts.push((5 * SECOND, "c1".to_owned(), Fact::Died("k1".into())));
    assert_eq!(refuted(&history), [Violation::HandedOverEarly]);
    assert_eq!(refuted(&without(|fact| matches!(fact, Fact::Died(_)))), [Violation::HandedOverEarly]);
}

#[test]
fn a_repeat_is_allowed_only_where_a_crash_fell_between_answer_and_record() {
    let again = 9 * SECOND;
    // Delivered at 5 s, recorded at 6 s.
    assert_eq!(refuted(&with(again, delivered("id", BODY))), [Violation::DeliveredTwice]);
    for (crash, recorded, allowed) in
        [(6, 10, true), (8, 10, true), (8, 6, false), (3, 10, false), (10, 11, false)]
    {
        let mut history = with(again, delivered("id", BODY));
        history.crashes.push(Crash { at: crash * SECOND });
        for (at, _, fact) in &mut history.facts {
            if *fact == Fact::Settled {
                *at = recorded * SECOND;
            }
        }
        let repeats = check(&history).map(|totals| totals.repeats).ok();
        assert_eq!(repeats, allowed.then_some(1), "crash at {crash} s, recorded at {recorded} s");
    }
}

#[test]
fn a_repeat_with_another_id_or_body_is_noticed_whatever_crashed() {
    let crashed = |fact| {
        let mut history = with(9 * SECOND, fact);
        history.facts.retain(|(_, _, fact)| *fact != Fact::Settled);
        history.crashes.push(Crash { at: 8 * SECOND });
        refuted(&history)
    };
    let other_body = r#"{"grade":7,"success":true,"x":1}"#;
    assert_eq!(crashed(delivered("id", other_body)), [Violation::DeliveredOtherwise]);
    let other_id = [Violation::DeliveredUnknown, Violation::DeliveredOtherwise];
    assert_eq!(crashed(delivered("other", BODY)), other_id);
}

#[test]
fn a_result_that_is_wrong_or_came_of_nowhere_is_noticed() {
    let mut wrong = without(|fact| matches!(fact, Fact::Delivered { .. }));
    wrong.facts.push((5 * SECOND, "c1".into(), delivered("id", r#"{"grade":8,"success":true}"#)));
    assert_eq!(refuted(&wrong), [Violation::Wrong]);
    let unknown = without(|fact| matches!(fact, Fact::HandedOver(_)));
    assert_eq!(refuted(&unknown), [Violation::DeliveredUnknown]);
    let failure = r#"{"error":"e","outcome":"timeout","success":false}"#;
    assert!(Wanted::Outcome("timeout").is_met_by(failure) && !Wanted::Outcome("killed").is_met_by(failure));
    assert!(!Wanted::Grade(7).is_met_by(failure) && !Wanted::Grade(7).is_met_by("no JSON"));
}

#[test]
fn a_container_that_is_left_is_noticed() {
    assert_eq!(refuted(&without(|fact| matches!(fact, Fact::Removed(_)))), [Violation::Leaked]);
}

#[test]
fn what_nobody_submitted_and_what_was_submitted_twice_is_noticed() {
    assert_eq!(refuted(&without(|fact| matches!(fact, Fact::Submitted(_)))), [Violation::Stray]);
    let twice = with(0, Fact::Submitted(Wanted::Grade(7)));
    assert_eq!(refuted(&twice), [Violation::Stray]);
}
