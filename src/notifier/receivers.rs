//! Receivers get their turns so that none that hangs costs another one its own.
//!
//! A delivery begins in one of the worker's *slots* (`CONCURRENT_NOTIFIERS`). One that has no answer yet after
//! [`QUICK`] steps aside into the *room* and leaves its slot to others; so slots are held by deliveries that get on,
//! or by such as are younger than that. (Where most slots were taken meanwhile, one that takes four times what its
//! receiver took before does so after [`SOON`]: many may go dark in the same moment.) What began in a slot, and what
//! is overdue, may go beyond the room, four times. What bounds a receiver, each by its host and port:
//!
//! - Its **limit** of deliveries under way. A new one begins with a quarter of the slots, of which it gets two until
//!   one of them was answered or stands aside (one, where others answer); each answer doubles the limit, up to all
//!   slots; each time-out halves it, down to one.
//! - Where one of its deliveries stands aside (a young one only as long as nothing was answered since it stepped
//!   aside), or its last one timed out, the next stands aside from the start, as long as its part of the room is less
//!   than a part of what is free: half, or an eighth where it has answered nothing of late. (These are dynamic
//!   thresholds, as switches share their buffers by them, Choudhury and Hahne 1998: they leave something to the
//!   next.) Those whose last delivery timed out have half of the room together; but one that nobody has asked for
//!   twice the time of its last delivery is asked all the same, or it could never show that it answers again.
//! - One that answers, but takes its time, has half of the slots where there are others; the rest stand aside.
//! - **New** receivers hold at most half of the slots together, where there are such as answer.
//!
//! A job that gets no turn is put back. While a delivery to its receiver is under way it waits until that has ended,
//! which calls it forth: after an answer as many as may be under way then, after a time-out one, which asks again. So
//! for each receiver that hangs one job at a time is taken, and what its others cost does not grow with their number:
//! each is looked at once when it comes and then after what would be a time-out or two, and not more than fifty of
//! all of them in a second, or as make a round of all in five minutes. To have been put back is no attempt, unless it goes on for too long with one that answers
//! nobody (`PutBack::hung`, and `PutBack::answered` not of late).

mod parked;
mod receiver;
mod visit;

mod figures;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use parked::Line;
pub(super) use receiver::{PutBack, Until};
use receiver::{Receiver, Standing};
use visit::Place;
pub(super) use visit::{Ended, Visit};

/// How long a delivery may go without an answer before it steps aside: as long as this, or down to half of it, so
/// that those that began together do not all make room together, begin the next ones together, and time out together.
pub(super) const QUICK: Duration = Duration::from_millis(250);
/// The same where most slots are taken, for one that usually answers sooner.
pub(super) const SOON: Duration = Duration::from_millis(5);
/// Fewer slots than this are never taken for crowded: each that is taken is most of them.
const FEW: usize = 4;
/// The longest that a job is put back for, where not too many are (`parked`), if nobody calls it sooner.
pub(super) const LONGEST: Duration = Duration::from_secs(60);
/// The longest that a job for a new receiver is put back for while others are tried.
const LONGEST_OF_NEW: Duration = Duration::from_secs(10);
/// How many deliveries a new receiver gets before it is known whether it answers.
const FIRST: usize = 2;
/// Room for so many deliveries that wait for an answer, for each slot, and at most.
const ROOM_FOR_EACH_SLOT: usize = 4;
const MOST_ROOM: usize = 1000;
/// How many times the room may hold of what stepped out of a slot or is overdue, up to [`MOST_ROOM`]: each needs a file
/// descriptor, of which a process often has 1024.
const BEYOND: usize = 4;
/// A receiver that takes so long to answer holds at most half of the slots where there are others.
const DAWDLES: Duration = Duration::from_millis(50);
/// How long a receiver that hangs is at least left alone before it is asked beyond the room.
const LEFT_ALONE: Duration = Duration::from_secs(1);
/// How many receivers are remembered beyond those that are being asked.
const REMEMBERED: usize = 10_000;

/// How the receivers do, by host and port.
#[derive(Debug)]
pub(super) struct Receivers {
    slots: usize,
    room: usize,
    /// The hard bound of what stands aside.
    most: usize,
    state: Mutex<State>,
    /// Told each time a delivery ends or steps aside.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<String, Receiver>,
    /// Deliveries in slots.
    in_slots: usize,
    /// When one began that left a quarter of the slots free, or less.
    crowded: Option<Instant>,
    /// Deliveries that stand aside.
    aside: usize,
    /// Those of them that did from the start, since the last one to the same receiver timed out.
    suspect: usize,
    /// Slots held for receivers that are new.
    held_by_new: usize,
    /// Receivers whose last delivery was answered.
    answering: usize,
    /// When the last job for a new receiver that was put back is to come.
    last_turn_of_new: Option<Instant>,
    /// When those come that were put back until they are called, if nobody calls them.
    line: Line,
}

/// What is said to a job that wants to be delivered.
enum Turn<'a> {
    Now(Visit<'a>),
    /// As soon as something changes. The slot is held meanwhile.
    Soon,
    PutBack(PutBack),
}

/// A slot that is held for a new receiver without a delivery yet.
struct Waiting<'a>(&'a Receivers);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().held_by_new -= 1;
    }
}

impl Receivers {
    /// Shares out so many slots.
    pub fn new(slots: usize) -> Self {
        let room = (slots * ROOM_FOR_EACH_SLOT).min(MOST_ROOM.max(slots));
        let most = (room * BEYOND).min(MOST_ROOM).max(room);
        Self { slots, room, most, state: Mutex::default(), changed: Notify::new() }
    }

    /// Begins a delivery; or says for how long the job should be put back.
    pub async fn turn(&self, receiver: &str) -> Result<Visit<'_>, PutBack> {
        let deadline = Instant::now() + QUICK;
        let mut waiting = None;
        loop {
            let changed = self.changed.notified();
            match self.try_turn(receiver, waiting.is_some()) {
                Turn::Now(visit) => return Ok(visit),
                Turn::PutBack(put_back) => return Err(put_back),
                Turn::Soon => {}
            }
            waiting.get_or_insert_with(|| {
                self.state().held_by_new += 1;
                Waiting(self)
            });
            if timeout_at(deadline, changed).await.is_err() {
                return match self.try_turn(receiver, true) {
                    Turn::Now(visit) => Ok(visit),
                    Turn::PutBack(put_back) => Err(put_back),
                    Turn::Soon => Err(PutBack::until(Until::After(moment()))),
                };
            }
        }
    }

    fn try_turn(&self, receiver: &str, waits: bool) -> Turn<'_> {
        let mut state = self.state();
        state.forget_some();
        let State {
            known,
            in_slots,
            crowded,
            aside,
            suspect: suspects,
            held_by_new,
            answering,
            last_turn_of_new,
            ..
        } = &mut *state;
        let new = || Receiver::new((self.slots / 4).max(1));
        let alone = known.len() <= 1;
        let it = known.entry(receiver.to_owned()).or_insert_with(new);
        let answers = it.standing == Standing::Answers;
        let dawdles = answers && it.pace >= DAWDLES && !alone && it.in_slots >= (self.slots / 2).max(1);
        let waits_long = it.aside > it.early || it.standing == Standing::Hangs || dawdles;
        let hangs = waits_long || (it.early > 0 && it.in_doubt);
        let of_a_new_one = it.standing == Standing::New;
        // Its own wait is no reason to send it away.
        let others = held_by_new.saturating_sub(usize::from(waits));
        let new_ones_have_enough = of_a_new_one && *answering > 0 && others >= (self.slots / 2).max(1);
        // Where somebody answers, all room is not for those of whom nobody knows whether they do.
        let first = if *answering > 0 { 1 } else { FIRST };
        let has_its_first = of_a_new_one && !hangs && it.in_slots >= first;
        let has_its_part = !answers && *answering > 0 && it.aside >= first;
        if has_its_first || it.under_way() >= it.limit {
            let slow = hangs || it.early > 0 || (answers && it.pace >= DAWDLES && !alone);
            return match (slow, new_ones_have_enough) {
                (true, _) | (false, true) => Turn::PutBack(it.next_turn()),
                (false, false) => Turn::Soon,
            };
        }
        let place = if hangs {
            let free = self.room.saturating_sub(*aside);
            let suspect = it.standing == Standing::Hangs;
            let part = if answers { 2 } else { 8 };
            let no_room = free == 0
                || has_its_part
                || it.aside * part >= free
                || (suspect && *suspects * 2 >= self.room);
            if no_room && !(it.is_overdue() && *aside < self.most) {
                return Turn::PutBack(it.next_turn());
            }
            it.aside += 1;
            *aside += 1;
            *suspects += usize::from(suspect);
            let early = !waits_long;
            it.early += usize::from(early);
            Place::Aside { suspect, early }
        } else if new_ones_have_enough {
            let until = Until::After(self.turn_of_new(last_turn_of_new, *aside));
            return Turn::PutBack(PutBack::until(until));
        } else {
            it.in_slots += 1;
            *in_slots += 1;
            *held_by_new += usize::from(of_a_new_one);
            Place::Slot { of_a_new_one }
        };
        let began = Instant::now();
        it.asked = began;
        if self.slots >= FEW && *in_slots * 4 >= self.slots * 3 {
            *crowded = Some(began);
        }
        let quick = QUICK.mul_f64(1.0 - fastrand::f64() / 2.0);
        Turn::Now(Visit { receivers: self, receiver: receiver.to_owned(), place, quick, began })
    }

    /// When a slot may be free for a new receiver: the slots of new ones are free again after [`QUICK`] at the
    /// latest, unless there is no room to step aside to.
    fn turn_of_new(&self, last: &mut Option<Instant>, aside: usize) -> Duration {
        let now = Instant::now();
        let slots = u32::try_from((self.slots / 2).max(1)).unwrap_or(u32::MAX);
        let apart = if aside < self.room { QUICK / slots } else { QUICK * 4 / slots };
        let turn = (last.unwrap_or(now).max(now) + apart).min(now + LONGEST_OF_NEW);
        *last = Some(turn);
        (turn - now).max(moment())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps the memory small: of those that are not being asked, the ones that hang are remembered the longest.
    fn forget_some(&mut self) {
        if self.known.len() <= REMEMBERED {
            return;
        }
        let busy = |it: &Receiver| it.under_way() > 0;
        self.known.retain(|_, it| busy(it) || it.standing == Standing::Hangs);
        if self.known.len() > REMEMBERED {
            self.known.retain(|_, it| busy(it));
        }
        self.answering = self.known.values().filter(|it| it.standing == Standing::Answers).count();
        self.line.recount(&self.known);
    }
}

/// A short while, and not the same for all.
fn moment() -> Duration {
    QUICK.mul_f64(1.0 + fastrand::f64())
}

#[cfg(test)]
mod tests;
