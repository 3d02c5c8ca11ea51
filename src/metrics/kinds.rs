//! The kinds of metrics: what only grows, what is at a level, what is distributed; and families of them.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::labels::Label;
use super::page::{Kind, LabelOf, Lines};

/// What stands under one name of the page.
pub trait Series: Default {
    /// Its kind.
    const KIND: Kind;

    /// The names and values of its labels, the outermost first.
    fn labels() -> Vec<LabelOf>;

    /// Writes its samples.
    fn write(&self, lines: &mut Lines<'_>);
}

/// Something that is counted.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// So many in all, as somebody else counted them.
    pub fn is(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Series for Counter {
    const KIND: Kind = Kind::Counter;

    fn labels() -> Vec<LabelOf> {
        Vec::new()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        lines.whole("_total", self.count());
    }
}

/// Seconds of processor time: what only grows, in fractions.
#[derive(Debug, Default)]
pub struct Spent(Level);

impl Spent {
    /// So much in all.
    pub fn is(&self, number: f64) {
        self.0.set(number);
    }
}

impl Series for Spent {
    const KIND: Kind = Kind::Counter;

    fn labels() -> Vec<LabelOf> {
        Vec::new()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        self.0.get().into_iter().for_each(|value| lines.number("_total", value));
    }
}

/// Something that goes up and down. Nothing is told of it before it was set.
pub struct Level(AtomicU64);

impl Default for Level {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Level({:?})", self.get())
    }
}

impl Level {
    /// It is so high now.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// It is so many now.
    #[allow(clippy::cast_precision_loss, reason = "nothing here is counted beyond 2^52")]
    pub fn count(&self, number: u64) {
        self.set(number as f64);
    }

    /// It holds now, or does not.
    pub fn flag(&self, holds: bool) {
        self.set(f64::from(u8::from(holds)));
    }

    /// Nobody knows any more.
    pub fn forget(&self) {
        self.set(f64::NAN);
    }

    /// How high it is; `None` = nobody knows.
    #[must_use]
    pub fn get(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Ordering::Relaxed))).filter(|value| !value.is_nan())
    }
}

impl Series for Level {
    const KIND: Kind = Kind::Gauge;

    fn labels() -> Vec<LabelOf> {
        Vec::new()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        self.get().into_iter().for_each(|value| lines.number("", value));
    }
}

/// The upper bounds of a histogram's buckets, in seconds, rising.
pub trait Bounds {
    /// The bounds; what is beyond the last has a bucket of its own.
    const BOUNDS: &'static [f64];
}

/// Bounds for calls to a service: half a millisecond to a minute.
#[derive(Debug)]
pub struct Calls;

impl Bounds for Calls {
    const BOUNDS: &'static [f64] =
        &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
}

/// Bounds for the stages of a correction: five milliseconds to a day.
#[derive(Debug)]
pub struct Stages;

impl Bounds for Stages {
    const BOUNDS: &'static [f64] = &[
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
        1800.0, 3600.0, 21600.0, 86400.0,
    ];
}

/// How long something took, each time.
pub struct Histogram<B> {
    buckets: Box<[AtomicU64]>,
    nanoseconds: AtomicU64,
    bounds: PhantomData<fn() -> B>,
}

impl<B: Bounds> Default for Histogram<B> {
    fn default() -> Self {
        let buckets = (0..=B::BOUNDS.len()).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, nanoseconds: AtomicU64::new(0), bounds: PhantomData }
    }
}

impl<B> fmt::Debug for Histogram<B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.buckets).finish()
    }
}

impl<B: Bounds> Histogram<B> {
    /// It took so long.
    pub fn took(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = B::BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(B::BOUNDS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// How often.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }
}

impl<B: Bounds> Series for Histogram<B> {
    const KIND: Kind = Kind::Histogram;

    fn labels() -> Vec<LabelOf> {
        Vec::new()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        let mut so_far = 0;
        let bounds = B::BOUNDS.iter().map(|bound| format!("{bound:?}")).chain(["+Inf".to_owned()]);
        for (bucket, bound) in self.buckets.iter().zip(bounds) {
            so_far += bucket.load(Ordering::Relaxed);
            lines.with("le", &bound, |lines| lines.whole("_bucket", so_far));
        }
        lines.number("_sum", Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64());
        lines.whole("_count", so_far);
    }
}

/// One metric for each value of a label.
pub struct Family<L, T> {
    each: Box<[T]>,
    label: PhantomData<fn() -> L>,
}

impl<L: Label, T: Default> Default for Family<L, T> {
    fn default() -> Self {
        Self { each: L::all().iter().map(|_| T::default()).collect(), label: PhantomData }
    }
}

impl<L: Label, T: fmt::Debug> fmt::Debug for Family<L, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(L::all().iter().map(|value| value.text()).zip(&self.each)).finish()
    }
}

impl<L: Label, T> Family<L, T> {
    /// The one of a value.
    #[must_use]
    pub fn of(&self, value: L) -> &T {
        &self.each[value.place()]
    }
}

impl<L: Label, T: Series> Series for Family<L, T> {
    const KIND: Kind = T::KIND;

    fn labels() -> Vec<LabelOf> {
        let own = LabelOf { name: L::NAME, values: L::all().iter().map(|value| value.text()).collect() };
        [own].into_iter().chain(T::labels()).collect()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        for (value, series) in L::all().iter().zip(&self.each) {
            lines.with(L::NAME, value.text(), |lines| series.write(lines));
        }
    }
}

/// Names of labels that are known only when it runs.
pub trait Names {
    /// The names, in their order.
    const NAMES: &'static [&'static str];
    /// Whether it is an `_info`, whose value is always 1.
    const IS_INFO: bool = false;
}

/// Levels whose labels are known only when it runs, all set at once. What is listed must be bounded.
pub struct Listed<N> {
    rows: Mutex<Vec<(Vec<String>, f64)>>,
    names: PhantomData<fn() -> N>,
}

impl<N> Default for Listed<N> {
    fn default() -> Self {
        Self { rows: Mutex::default(), names: PhantomData }
    }
}

impl<N> fmt::Debug for Listed<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Listed({:?})", self.rows)
    }
}

impl<N: Names> Listed<N> {
    /// These are all there are now: of each the labels' values, in the order of their names, and its level.
    pub fn are(&self, rows: impl IntoIterator<Item = (Vec<String>, f64)>) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows.into_iter().collect();
    }
}

impl<N: Names> Series for Listed<N> {
    const KIND: Kind = if N::IS_INFO { Kind::Info } else { Kind::Gauge };

    fn labels() -> Vec<LabelOf> {
        N::NAMES.iter().map(|name| LabelOf { name, values: Vec::new() }).collect()
    }

    fn write(&self, lines: &mut Lines<'_>) {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for (values, level) in &*rows {
            let labels: Vec<_> = N::NAMES.iter().copied().zip(values.iter().map(String::as_str)).collect();
            lines.with_all(&labels, |lines| lines.number(if N::IS_INFO { "_info" } else { "" }, *level));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::page::{Format, Page};

    fn written<S: Series>(series: &S) -> String {
        let mut page = Page::new(Format::OpenMetrics);
        page.family(&crate::metrics::Metric::of::<S>("x_seconds", " Help."), |lines| series.write(lines));
        page.end()
    }

    #[test]
    fn a_histogram_counts_what_is_as_long_as_a_bound_within_it_and_the_longest_beyond_all() {
        let histogram = Histogram::<Calls>::default();
        for ms in [1, 1, 2, 60_000, 60_001] {
            histogram.took(Duration::from_millis(ms));
        }
        let text = written(&histogram);
        for line in [
            "x_seconds_bucket{le=\"0.0005\"} 0\n",
            "x_seconds_bucket{le=\"0.001\"} 2\n",
            "x_seconds_bucket{le=\"0.0025\"} 3\n",
            "x_seconds_bucket{le=\"60.0\"} 4\n",
            "x_seconds_bucket{le=\"+Inf\"} 5\n",
            "x_seconds_sum 120.005\n",
            "x_seconds_count 5\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn the_bounds_of_all_histograms_rise() {
        for bounds in [Calls::BOUNDS, Stages::BOUNDS] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
        }
    }

    #[test]
    fn nothing_is_told_of_a_level_that_nobody_set() {
        let level = Level::default();
        assert_eq!(written(&level).lines().filter(|line| !line.starts_with('#')).count(), 0);
        level.flag(true);
        assert!(written(&level).contains("\nx_seconds 1\n"));
        level.forget();
        assert_eq!(level.get(), None);
    }
}
