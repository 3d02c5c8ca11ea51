//! What is known of an image, step by step.

use super::*;
use crate::outcome::Outcome;

const SLOTS: usize = 8;

fn failure(text: &str) -> Failure {
    Failure::new(Outcome::StartFailed, text)
}

fn failed(job: &str) -> Ended {
    Ended::Failed(JobId::new(job), failure(job))
}

fn go(images: &mut Images, image: &str, now: Instant) -> Ticket {
    match images.enter(image, false, now) {
        Entry::Go(ticket) => ticket,
        Entry::Wait(hold) => panic!("{image} has to wait: {hold:?}"),
    }
}

fn wait(images: &mut Images, image: &str, now: Instant) -> Hold {
    match images.enter(image, false, now) {
        Entry::Go(_) => panic!("{image} may go"),
        Entry::Wait(hold) => hold,
    }
}

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

#[test]
fn an_image_whose_starts_succeed_holds_nobody_up() {
    let (mut images, start) = (Images::new(SLOTS), Instant::now());
    let tickets: Vec<_> = (0..100).map(|_| go(&mut images, "good", start)).collect();
    for ticket in tickets {
        assert_eq!(images.leave("good", ticket, Ended::Started, after(start, 1.0)), Call::Nobody);
    }
}

#[test]
fn an_image_that_fails_for_two_submissions_waits_and_is_tried_by_one_at_a_time() {
    let (mut images, start) = (Images::new(SLOTS), Instant::now());
    let tickets: Vec<_> = (0..8).map(|_| go(&mut images, "bad", start)).collect();
    for (number, ticket) in tickets.into_iter().enumerate() {
        images.leave("bad", ticket, failed(&number.to_string()), after(start, 0.1));
    }
    let hold = wait(&mut images, "bad", after(start, 0.2));
    assert!(hold.failure.as_ref().is_some_and(|(_, of_pull)| !of_pull));
    // All eight together were one failure: the first wait is the shortest.
    let until = hold.until.expect("a time");
    assert!(until > after(start, 0.8) && until < after(start, 1.2), "{:?}", until - start);
    let other = go(&mut images, "good", after(start, 0.2));
    assert_eq!(images.leave("good", other, Ended::Started, after(start, 0.3)), Call::Nobody);

    assert_eq!(hold.call, Call::FirstAt(until), "nobody else would call it back");
    assert_eq!(wait(&mut images, "bad", after(start, 0.3)).call, Call::Nobody, "once is enough");

    let probe = go(&mut images, "bad", until);
    wait(&mut images, "bad", until);
    let call = images.leave("bad", probe, failed("9"), until);
    let Call::FirstAt(next) = call else { panic!("{call:?}") };
    assert!(next - until >= Duration::from_millis(1500), "{:?}", next - until);
    let probe = go(&mut images, "bad", next);
    assert_eq!(images.leave("bad", probe, Ended::Started, next), Call::All);
    go(&mut images, "bad", next);
    go(&mut images, "bad", next);
}

#[test]
fn waits_grow_up_to_half_a_minute() {
    let (mut images, start) = (Images::new(SLOTS), Instant::now());
    for job in ["a", "b"] {
        let ticket = go(&mut images, "bad", start);
        images.leave("bad", ticket, failed(job), start);
    }
    let mut now = start;
    for _ in 0..12 {
        let until = wait(&mut images, "bad", now).until.expect("a time");
        assert!(until - now <= WAITS.1);
        let probe = go(&mut images, "bad", until);
        images.leave("bad", probe, failed("c"), until);
        now = until;
    }
    let until = wait(&mut images, "bad", now).until.expect("a time");
    assert!(until - now >= WAITS.1.mul_f64(0.75), "{:?}", until - now);
}

#[test]
fn one_submission_that_fails_alone_holds_no_other_up() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    for _ in 0..5 {
        let ticket = go(&mut images, "image", now);
        assert_eq!(images.leave("image", ticket, failed("odd"), now), Call::Nobody);
        let ticket = go(&mut images, "image", now);
        images.leave("image", ticket, Ended::Started, now);
    }
}

#[test]
fn a_probe_that_ends_without_a_word_lets_the_next_one_try() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    for job in ["a", "b"] {
        let ticket = go(&mut images, "bad", now);
        images.leave("bad", ticket, failed(job), now);
    }
    let until = wait(&mut images, "bad", now).until.expect("a time");
    let probe = go(&mut images, "bad", until);
    assert_eq!(images.leave("bad", probe, Ended::Otherwise, until), Call::First);
    go(&mut images, "bad", until);
}

#[test]
fn one_pull_is_waited_for_by_all_and_its_end_calls_all_back() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    let first = go(&mut images, "far", now);
    let second = go(&mut images, "far", now);
    assert!(matches!(images.missing("far", now), Pull::Begin(_)));
    assert_eq!(images.leave("far", first, Ended::Otherwise, now), Call::Nobody);
    assert!(matches!(images.missing("far", now), Pull::UnderWay(_)));
    assert_eq!(images.leave("far", second, Ended::Otherwise, now), Call::Nobody);
    assert_eq!(wait(&mut images, "far", now).failure, None);
    assert_eq!(images.pulled("far", Pulled::Done, now), Call::All);
    // Somebody may have removed it: it is pulled again, and not for ever.
    for _ in 1..3 {
        go(&mut images, "far", now);
        assert!(matches!(images.missing("far", now), Pull::Begin(_)));
        assert_eq!(images.pulled("far", Pulled::Done, now), Call::All);
    }
    go(&mut images, "far", now);
    assert_eq!(images.missing("far", now), Pull::Vain);
}

#[test]
fn a_pull_that_fails_is_tried_again_by_one_and_what_waited_too_long_waits_for_no_other() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    let first = go(&mut images, "far", now);
    assert!(matches!(images.missing("far", now), Pull::Begin(_)));
    images.leave("far", first, Ended::Otherwise, now);
    let call = images.pulled("far", Pulled::Failed(failure("registry")), now);
    let Call::FirstAt(until) = call else { panic!("{call:?}") };
    assert!(wait(&mut images, "far", now).failure.is_some_and(|(_, of_pull)| of_pull));
    let Entry::Wait(hold) = images.enter("far", true, until) else { panic!("it waited long enough") };
    assert_eq!(hold.failure, Some((failure("registry"), true)));
    go(&mut images, "far", until);
    let Pull::Begin(hold) = images.missing("far", until) else { panic!("it is pulled again") };
    assert_eq!(hold.failure, Some((failure("registry"), true)), "it is known that it failed before");
}

#[test]
fn what_the_registry_refused_is_refused_to_all_who_wait_and_asked_again_soon() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    let first = go(&mut images, "none", now);
    images.missing("none", now);
    images.leave("none", first, Ended::Otherwise, now);
    wait(&mut images, "none", now);
    assert_eq!(images.pulled("none", Pulled::Refused(failure("no such image")), now), Call::All);
    go(&mut images, "none", now);
    assert_eq!(images.missing("none", now), Pull::Refused(failure("no such image")));
    assert!(matches!(images.missing("none", now + REFUSED_FOR), Pull::Begin(_)));
}

#[test]
fn starts_that_hang_make_room_once_and_hold_back_only_their_own_image() {
    let (mut images, start) = (Images::new(SLOTS), Instant::now());
    let slow: Vec<_> = (0..8).map(|_| go(&mut images, "slow", start)).collect();
    let early = after(start, 1.9);
    assert!(!images.makes_room("slow", slow[0], early));
    go(&mut images, "slow", early);
    let late = after(start, 2.0);
    for ticket in &slow {
        assert!(images.makes_room("slow", *ticket, late));
        assert!(!images.makes_room("slow", *ticket, late), "only once");
    }
    assert_eq!(images.rooms_made(), 8);
    wait(&mut images, "slow", late);
    go(&mut images, "good", late);
    assert_eq!(images.leave("slow", slow[0], Ended::Started, late), Call::All);
    assert_eq!(images.rooms_made(), 7);
    // The engine is slow, and starts what it is asked to.
    go(&mut images, "slow", after(start, 2.5));
    assert!(!images.makes_room("slow", slow[1], after(start, 2.5)));
}

#[test]
fn an_engine_that_was_away_is_no_fault_of_its_images() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    for job in ["a", "b"] {
        let ticket = go(&mut images, "image", now);
        images.leave("image", ticket, failed(job), now);
    }
    wait(&mut images, "image", now);
    assert_eq!(images.forgive(), ["image"]);
    go(&mut images, "image", now);
}

#[test]
fn no_more_images_are_remembered_than_there_is_something_to_tell_of() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    let kept = go(&mut images, "kept", now);
    for number in 0..REMEMBERED * 3 {
        let image = format!("image-{number}");
        let ticket = go(&mut images, &image, now);
        images.leave(&image, ticket, Ended::Started, now);
    }
    assert!(images.known.len() <= REMEMBERED);
    images.leave("kept", kept, failed("a"), now);
    assert!(images.known["kept"].failing.is_some());
}

#[test]
fn what_it_waited_for_may_be_over_before_a_submission_stands_aside() {
    let (mut images, now) = (Images::new(SLOTS), Instant::now());
    let first = go(&mut images, "far", now);
    images.missing("far", now);
    assert_eq!(images.stood_aside("far", now), Call::Nobody, "its pull is under way");
    images.leave("far", first, Ended::Otherwise, now);
    wait(&mut images, "far", now);
    assert_eq!(images.pulled("far", Pulled::Done, now), Call::All, "too early for the second");
    assert_eq!(images.stood_aside("far", now), Call::First);
    for job in ["a", "b"] {
        let ticket = go(&mut images, "bad", now);
        images.leave("bad", ticket, failed(job), now);
    }
    let hold = wait(&mut images, "bad", now);
    let Call::FirstAt(until) = hold.call else { panic!("{hold:?}") };
    assert_eq!(images.stood_aside("bad", now), Call::Nobody, "it will be called");
    assert_eq!(images.stood_aside("bad", until), Call::First, "the call came too early");
}
