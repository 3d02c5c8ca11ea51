//! What is known of each image: whether it is being pulled, whether its starts go wrong or take very long.
//!
//! One bad image harms one image. While an image is being pulled, after its starts or its pulls failed, and while
//! several of its starts hang, its other submissions are put aside and take up no room. After a failure one
//! submission at a time tries again, after growing waits; the first that is started lets all others go on. Until
//! something goes wrong, nothing here holds anybody up. All of it is this process's own knowledge: another starter
//! finds out by itself, and a new one begins without prejudice.

mod held;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::identity::JobId;
use crate::outcome::Failure;

/// The first and the longest wait between two tries of an image that fails.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// A start that takes longer is slow; an image that started nothing for so long is in doubt then.
pub const SLOW: Duration = Duration::from_secs(2);
/// How long the registry's answer is believed that there is no such image, or that it is not for us.
const REFUSED_FOR: Duration = Duration::from_secs(5);
/// An image that is not there so soon after it was pulled will not be there after another pull.
const JUST_PULLED: Duration = Duration::from_secs(5);
/// So many pulls after one another leave no image behind before it is told: somebody may have removed it.
const PULLS_IN_VAIN: u32 = 3;
const BEING_PULLED: &str = "its image is being pulled";
/// Images that are remembered, those of which there is something to tell aside.
const REMEMBERED: usize = 1000;

/// What is known of all images. Pure: whoever calls it brings the time.
#[derive(Debug)]
pub struct Images {
    /// How many slow starts of an image put it in doubt.
    patience: usize,
    known: HashMap<String, Image>,
    tickets: u64,
}

#[derive(Debug, Default)]
struct Image {
    /// Starts under way.
    going: Vec<Going>,
    last_success: Option<Instant>,
    is_pulled: bool,
    pulled_at: Option<Instant>,
    /// How often it was not there just after a pull, without a start since.
    in_vain: u32,
    refusal: Option<(Instant, Failure)>,
    failing: Option<Failing>,
    /// Whether some were put aside since all were called back.
    is_waited_for: bool,
    /// For when one of them is to be called back already.
    called_for: Option<Instant>,
}

#[derive(Debug)]
struct Going {
    ticket: Ticket,
    since: Instant,
    /// Its start was told to be in doubt, and its room was given to others.
    made_room: bool,
}

/// Failures without a success since.
#[derive(Debug)]
struct Failing {
    job: JobId,
    /// How often, where those that were under way at once count once.
    times: u32,
    noted: Instant,
    /// Until when nobody tries, once it is not one job alone that fails.
    until: Option<Instant>,
    probe: Option<Ticket>,
    failure: Failure,
    /// Whether it could not be pulled, which is nobody's own failure.
    of_pull: bool,
}

/// A start that may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// Whether a start may be made now.
#[derive(Debug, PartialEq)]
pub enum Entry {
    /// It may; tell [`Images::leave`] what came of it.
    Go(Ticket),
    /// It has to wait.
    Wait(Hold),
}

/// Why a submission is put aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Hold {
    /// In words for the log.
    pub why: &'static str,
    /// When it can be tried again at the earliest, if that is known.
    pub until: Option<Instant>,
    /// What failed, and whether it was the pull.
    pub failure: Option<(Failure, bool)>,
    /// Who is to be called back, since nobody would be otherwise.
    pub call: Call,
}

/// How a start ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ended {
    /// The container was started.
    Started,
    /// It failed in a way that may be the image's fault.
    Failed(JobId, Failure),
    /// It ended in a way that says nothing about the image.
    Otherwise,
}

/// Who of those that were put aside is to be called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Nobody.
    Nobody,
    /// The first, now.
    First,
    /// The first, to try it, at that time.
    FirstAt(Instant),
    /// All of them.
    All,
}

/// What is to be done where an image is not there.
#[derive(Debug, PartialEq)]
pub enum Pull {
    /// Pull it, and tell [`Images::pulled`] what came of it; its submissions wait.
    Begin(Hold),
    /// It is being pulled already; its submissions wait.
    UnderWay(Hold),
    /// The registry has just refused it.
    Refused(Failure),
    /// It has just been pulled several times, and is not there all the same.
    Vain,
}

/// How a pull ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Pulled {
    /// The image is there.
    Done,
    /// It failed and may work later.
    Failed(Failure),
    /// It failed and would again.
    Refused(Failure),
    /// Nobody knows.
    GivenUp,
}

impl Images {
    /// Nothing is known. `slots` = how many starts a starter makes at once.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self { patience: (slots / 4).max(1), known: HashMap::new(), tickets: 0 }
    }

    /// A submission of an image asks to be started. `is_over` = it was tried for as long as it may: it tries
    /// once more, but waits for no other pull of an image that cannot be pulled.
    pub fn enter(&mut self, image: &str, is_over: bool, now: Instant) -> Entry {
        self.tickets += 1;
        let (ticket, patience) = (Ticket(self.tickets), self.patience);
        let image = self.image(image);
        if is_over
            && let Some(failing) = &image.failing
            && failing.of_pull
        {
            return Entry::Wait(image.being("its image cannot be pulled", failing.until));
        }
        if let Some(mut hold) = image.hold(ticket, patience, now) {
            image.is_waited_for = true;
            if hold.until.is_some_and(|until| until > now) {
                hold.call = image.call_one(now);
            }
            return Entry::Wait(hold);
        }
        image.going.push(Going { ticket, since: now, made_room: false });
        Entry::Go(ticket)
    }

    /// A submission that had to wait stands aside by now. What it waited for may be over since it was told to
    /// wait, and whoever was called back then was called too early.
    pub fn stood_aside(&mut self, image: &str, now: Instant) -> Call {
        let patience = self.patience;
        let image = self.image(image);
        image.is_waited_for = true;
        let is_tried = image.failing.as_ref().is_some_and(|failing| failing.probe.is_some());
        // Whoever ends that calls back.
        if image.is_pulled || is_tried || image.is_doubtful(patience, now) {
            return Call::Nobody;
        }
        image.call_one(now)
    }

    /// A start came to its end.
    pub fn leave(&mut self, image: &str, ticket: Ticket, ended: Ended, now: Instant) -> Call {
        let image = self.image(image);
        let since = image.going.iter().find(|going| going.ticket == ticket).map_or(now, |going| going.since);
        image.going.retain(|going| going.ticket != ticket);
        if let Some(failing) = &mut image.failing
            && failing.probe == Some(ticket)
        {
            failing.probe = None;
        }
        match ended {
            Ended::Started => {
                image.last_success = Some(now);
                image.in_vain = 0;
                image.failing = None;
                image.refusal = None;
                image.call_all()
            }
            Ended::Failed(job, failure) => {
                image.fails(Some(job), failure, since, now);
                image.call_one(now)
            }
            Ended::Otherwise => image.call_one(now),
        }
    }

    /// An image is not there, and it is wished that it is pulled then.
    pub fn missing(&mut self, image: &str, now: Instant) -> Pull {
        let image = self.image(image);
        let hold = image.being(BEING_PULLED, None);
        if image.is_pulled {
            image.is_waited_for = true;
            return Pull::UnderWay(hold);
        }
        match &image.refusal {
            Some((at, failure)) if now - *at < REFUSED_FOR => return Pull::Refused(failure.clone()),
            _ => image.refusal = None,
        }
        let just_pulled = image.pulled_at.is_some_and(|at| now - at < JUST_PULLED);
        image.in_vain = if just_pulled { image.in_vain + 1 } else { 0 };
        if image.in_vain >= PULLS_IN_VAIN {
            return Pull::Vain;
        }
        image.is_pulled = true;
        image.is_waited_for = true;
        Pull::Begin(hold)
    }

    /// A pull came to its end.
    pub fn pulled(&mut self, image: &str, pulled: Pulled, now: Instant) -> Call {
        let image = self.image(image);
        image.is_pulled = false;
        match pulled {
            Pulled::Done => {
                image.pulled_at = Some(now);
                image.failing = None;
                image.call_all()
            }
            Pulled::Failed(failure) => {
                image.fails(None, failure, now, now);
                image.call_one(now)
            }
            Pulled::Refused(failure) => {
                image.refusal = Some((now, failure));
                image.failing = None;
                image.call_all()
            }
            Pulled::GivenUp => image.call_all(),
        }
    }

    /// Whether a slow start may give its room to another, since all of its image's are in doubt; it may once.
    pub fn makes_room(&mut self, image: &str, ticket: Ticket, now: Instant) -> bool {
        let patience = self.patience;
        let image = self.image(image);
        if !image.is_doubtful(patience, now) {
            return false;
        }
        let own = image.going.iter_mut().find(|going| going.ticket == ticket && !going.made_room);
        own.map(|going| going.made_room = true).is_some()
    }

    /// How many starts gave their room to others.
    #[must_use]
    pub fn rooms_made(&self) -> usize {
        self.known.values().flat_map(|image| &image.going).filter(|going| going.made_room).count()
    }

    /// The engine was away: that starts failed was not their images' fault. Gives the images that were
    /// waited for.
    pub fn forgive(&mut self) -> Vec<String> {
        let mut waited_for = Vec::new();
        for (name, image) in &mut self.known {
            image.failing.take_if(|failing| !failing.of_pull);
            if image.call_all() == Call::All {
                waited_for.push(name.clone());
            }
        }
        waited_for
    }

    fn image(&mut self, name: &str) -> &mut Image {
        if !self.known.contains_key(name) && self.known.len() >= REMEMBERED {
            self.known.retain(|_, image| image.has_something_to_tell());
        }
        self.known.entry(name.to_owned()).or_default()
    }
}

impl Image {
    fn hold(&mut self, ticket: Ticket, patience: usize, now: Instant) -> Option<Hold> {
        if self.is_pulled {
            return Some(self.being(BEING_PULLED, None));
        }
        let failing = self.failing.as_ref().and_then(|failing| Some((failing.until?, failing.probe)));
        match failing {
            Some((until, probe)) if now < until || probe.is_some() => {
                Some(self.being("its image fails", Some(until)))
            }
            Some(_) => {
                self.failing.iter_mut().for_each(|failing| failing.probe = Some(ticket));
                None
            }
            None if self.is_doubtful(patience, now) => Some(self.being("starts of its image hang", None)),
            None => None,
        }
    }

    /// Why its submissions wait.
    fn being(&self, why: &'static str, until: Option<Instant>) -> Hold {
        let failure = self.failing.as_ref().map(|failing| (failing.failure.clone(), failing.of_pull));
        Hold { why, until, failure, call: Call::Nobody }
    }

    /// Whether starts take very long, and none succeeded for as long.
    fn is_doubtful(&self, patience: usize, now: Instant) -> bool {
        let slow = self.going.iter().filter(|going| now - going.since >= SLOW).count();
        slow >= patience && self.last_success.is_none_or(|at| now - at >= SLOW)
    }

    /// Notes a failure of a start that began then, or of a pull (of no job).
    fn fails(&mut self, job: Option<JobId>, failure: Failure, began: Instant, now: Instant) {
        let of_pull = job.is_none();
        let job = job.unwrap_or_else(|| JobId::new(""));
        let failing = self.failing.get_or_insert_with(|| Failing {
            job: job.clone(),
            times: 0,
            noted: began,
            until: None,
            probe: None,
            failure: failure.clone(),
            of_pull,
        });
        (failing.failure, failing.of_pull) = (failure, of_pull);
        let another_round = began >= failing.noted;
        if another_round {
            failing.times += 1;
            failing.noted = now;
        }
        let fails_for_others = of_pull || failing.job != job;
        if failing.until.is_none() && fails_for_others || failing.until.is_some() && another_round {
            let longest = WAITS.0.saturating_mul(1 << (failing.times - 1).min(5)).min(WAITS.1);
            failing.until = Some(now + longest.mul_f64(0.75 + 0.25 * fastrand::f64()));
        }
    }

    fn call_all(&mut self) -> Call {
        if std::mem::take(&mut self.is_waited_for) { Call::All } else { Call::Nobody }
    }

    fn call_one(&mut self, now: Instant) -> Call {
        if !self.is_waited_for || self.is_pulled {
            return Call::Nobody;
        }
        match self.failing.as_ref().and_then(|failing| failing.until) {
            Some(until) if until > now && self.called_for == Some(until) => Call::Nobody,
            Some(until) if until > now => {
                self.called_for = Some(until);
                Call::FirstAt(until)
            }
            _ => Call::First,
        }
    }

    fn has_something_to_tell(&self) -> bool {
        !self.going.is_empty() || self.is_pulled || self.failing.is_some() || self.is_waited_for
    }
}

#[cfg(test)]
mod tests;
