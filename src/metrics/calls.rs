//! Calls to a service, by the name of the call.
//!
//! The names are texts of the program; each gets a place of its own at its first use, found again without a lock.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use super::kinds::{Calls, Counter, Family, Histogram, Series};
use super::labels::Label;
use super::page::{Kind, LabelOf, Lines};

/// More than there are different calls to one service.
const MOST: usize = 64;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There was no connection, or it broke.
    Unreachable,
    /// There was no answer in time.
    Timeout,
    /// The service said that it failed, or that it cannot do it now.
    Failed,
    /// The service refused: by its answer the call, the login or the version is wrong.
    Refused,
    /// The answer makes no sense.
    Garbled,
}

impl Label for Fault {
    const NAME: &'static str = "kind";

    fn all() -> &'static [Self] {
        &[Self::Unreachable, Self::Timeout, Self::Failed, Self::Refused, Self::Garbled]
    }

    fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Garbled => "garbled",
        }
    }

    fn place(self) -> usize {
        self as usize
    }
}

/// One metric for each call that was made.
pub struct ByCall<T> {
    places: Box<[OnceLock<Place<T>>]>,
    others: T,
}

struct Place<T> {
    call: &'static str,
    metric: T,
}

impl<T: Default> Default for ByCall<T> {
    fn default() -> Self {
        Self { places: (0..MOST).map(|_| OnceLock::new()).collect(), others: T::default() }
    }
}

impl<T: fmt::Debug> fmt::Debug for ByCall<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.places.iter().filter_map(OnceLock::get);
        formatter.debug_map().entries(used.map(|place| (place.call, &place.metric))).finish()
    }
}

impl<T: Default> ByCall<T> {
    /// The one of a call.
    #[must_use]
    pub fn of(&self, call: &'static str) -> &T {
        // FNV-1a: <http://www.isthe.com/chongo/tech/comp/fnv/>
        let first = call.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let first = usize::try_from(first % MOST as u64).unwrap_or_default();
        (0..MOST)
            .map(|step| {
                self.places[(first + step) % MOST].get_or_init(|| Place { call, metric: T::default() })
            })
            .find(|place| place.call == call)
            .map_or(&self.others, |place| &place.metric)
    }
}

impl<T: Series> Series for ByCall<T> {
    const KIND: Kind = T::KIND;

    fn labels() -> Vec<LabelOf> {
        [LabelOf { name: "call", values: Vec::new() }].into_iter().chain(T::labels()).collect()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        let mut used: Vec<_> = self.places.iter().filter_map(OnceLock::get).collect();
        used.sort_unstable_by_key(|place| place.call);
        for place in used {
            lines.with("call", place.call, |lines| place.metric.write(lines));
        }
    }
}

/// How long the calls to a service take, and what goes wrong with them.
impl ByCall<Histogram<Calls>> {
    /// A call ended after so long, well or not.
    pub fn took(&self, call: &'static str, time: Duration) {
        self.of(call).took(time);
    }
}

impl ByCall<Family<Fault, Counter>> {
    /// Something went wrong with a call.
    pub fn failed(&self, call: &'static str, fault: Fault) {
        self.of(call).of(fault).one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Format, Metric, Page};

    #[test]
    fn each_call_has_its_own_however_many_there_are_and_wherever_its_name_stands() {
        let calls = ByCall::<Counter>::default();
        // The same words at another address.
        let again: &'static str = Box::leak("take".to_owned().into_boxed_str());
        calls.of("take").one();
        calls.of(again).one();
        calls.of("renew").one();
        assert_eq!((calls.of("take").count(), calls.of("renew").count()), (2, 1));
        let many: Vec<&'static str> =
            (0..MOST).map(|number| &*Box::leak(format!("call {number}").into_boxed_str())).collect();
        for call in &many {
            calls.of(call).one();
        }
        let sum: u64 = many.iter().take(MOST - 2).map(|call| calls.of(call).count()).sum();
        assert_eq!(sum, MOST as u64 - 2);
        assert_eq!(calls.others.count(), 2, "there is no place for the last two");
        assert_eq!(calls.of("take").count(), 2);
    }

    #[test]
    fn only_calls_that_were_made_are_shown_in_the_order_of_their_names() {
        let errors = ByCall::<Family<Fault, Counter>>::default();
        errors.failed("take", Fault::Timeout);
        errors.failed("ping", Fault::Garbled);
        let mut page = Page::new(Format::Prometheus);
        page.family(&Metric::of::<ByCall<Family<Fault, Counter>>>("e_total", "E"), |lines| {
            errors.write(lines);
        });
        let page = page.end();
        let lines: Vec<_> = page.lines().filter(|line| line.ends_with(" 1")).collect();
        assert_eq!(
            lines,
            ["e_total{call=\"ping\",kind=\"garbled\"} 1", "e_total{call=\"take\",kind=\"timeout\"} 1"]
        );
    }
}
