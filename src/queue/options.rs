//! The options of a job, as BullMQ writes them into its hash and reads them out of it.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::config::DeliveryRetries;
use crate::fields::Fields;

/// Longest delay that is ever computed: BullMQ keeps `timestamp * 4096` in a double.
const LONGEST_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Options of a job that we add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobOptions {
    /// How often it is tried in all; `None` = once.
    pub attempts: Option<u32>,
    /// The wait after the first failure; it doubles each time (BullMQ's `exponential`).
    pub backoff: Option<Duration>,
    /// The waits one by one, in place of a back-off that doubles; nothing = that.
    pub schedule: Vec<Duration>,
    /// How long it waits before it may be taken.
    pub delay: Duration,
    /// 0 = none, else 1 is the most urgent; jobs without a priority come before all that have one.
    pub priority: u32,
    /// Whether it goes in front of those that wait already.
    pub lifo: bool,
    /// When it counts as added, in milliseconds of Unix time; `None` = now.
    pub timestamp: Option<u64>,
}

impl JobOptions {
    /// The options of a job in `finished_corrections`: any notifier tries it again as they say.
    ///
    /// A schedule makes one attempt more than it has waits. BullMQ knows no such thing: our notifier
    /// reads it, where BullMQ ignores it, and any other one makes as many attempts in the same time, by
    /// a back-off that doubles.
    #[must_use]
    pub fn of_delivery(retries: &DeliveryRetries) -> Self {
        let schedule = retries.schedule.clone();
        let Some(count) = u32::try_from(schedule.len()).ok().filter(|count| *count > 0) else {
            return Self {
                attempts: Some(retries.attempts),
                backoff: Some(retries.backoff),
                ..Self::default()
            };
        };
        let doublings = 2_f64.powi(i32::try_from(count).unwrap_or(i32::MAX)) - 1.0;
        let first = schedule.iter().sum::<Duration>().div_f64(doublings).max(Duration::from_millis(1));
        Self { attempts: Some(count + 1), backoff: Some(first), schedule, ..Self::default() }
    }

    /// The JSON text that stands in the job's hash.
    pub(super) fn to_json(&self, custom_id: Option<&str>) -> String {
        let mut options = json!({ "attempts": self.attempts.unwrap_or(0), "delay": millis(self.delay) });
        if let Some(backoff) = self.backoff {
            options["backoff"] = json!({ "type": "exponential", "delay": millis(backoff) });
            if !self.schedule.is_empty() {
                let waits: Vec<_> = self.schedule.iter().map(|wait| millis(*wait)).collect();
                options["backoff"]["schedule"] = json!(waits);
            }
        }
        if self.priority > 0 {
            options["priority"] = json!(self.priority);
        }
        if self.lifo {
            options["lifo"] = json!(true);
        }
        if let Some(timestamp) = self.timestamp {
            options["timestamp"] = json!(timestamp);
        }
        if let Some(id) = custom_id {
            options["jobId"] = json!(id);
        }
        options.to_string()
    }
}

/// How the waits between attempts grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackoffKind {
    /// Always the same.
    Fixed,
    /// Doubled each time.
    Exponential,
}

/// A job's `backoff` option.
#[derive(Clone, Debug, PartialEq)]
pub struct BackoffOption {
    /// How the waits grow.
    pub kind: BackoffKind,
    /// The first wait, in milliseconds.
    pub delay_ms: f64,
    /// The part of the wait that is left to chance, 0 to 1.
    pub jitter: f64,
    /// The waits one by one, in milliseconds, in place of all that: a field of ours, which BullMQ ignores.
    pub schedule: Vec<f64>,
}

impl BackoffOption {
    /// The wait before the next attempt, as BullMQ computes it (`classes/backoffs.js`), or by the schedule,
    /// whose last wait is that of all attempts after it.
    ///
    /// `attempts_made` counts the attempt that just failed; `chance` is a random number in 0..1.
    #[must_use]
    pub fn delay(&self, attempts_made: u32, chance: f64) -> Duration {
        let place = usize::try_from(attempts_made.saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(wait) = self.schedule.get(place).or(self.schedule.last()) {
            return bounded(*wait);
        }
        let most = match self.kind {
            BackoffKind::Fixed => self.delay_ms,
            BackoffKind::Exponential => {
                let doublings = i32::try_from(attempts_made.saturating_sub(1)).unwrap_or(i32::MAX);
                (2_f64.powi(doublings) * self.delay_ms).round()
            }
        };
        let wait = if self.jitter > 0.0 {
            (chance * most * self.jitter + most * (1.0 - self.jitter)).floor()
        } else {
            most
        };
        bounded(wait)
    }
}

/// That many milliseconds, or the longest delay.
fn bounded(milliseconds: f64) -> Duration {
    let wait = Duration::try_from_secs_f64(milliseconds / 1000.0);
    wait.map_or(LONGEST_DELAY, |wait| wait.min(LONGEST_DELAY))
}

/// How many or how long ended jobs stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// At most this many, the newest; 0 = not even this one; `None` = any number.
    pub count: Option<u32>,
    /// At most this long, in seconds; `None` = for ever.
    pub age: Option<u64>,
}

/// The options of a job that somebody added, as far as we heed them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ReadOptions {
    pub attempts: u32,
    pub backoff: Option<BackoffOption>,
    pub on_complete: Option<Retained>,
    pub on_fail: Option<Retained>,
    pub lifo: bool,
    pub priority: u32,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { attempts: 1, backoff: None, on_complete: None, on_fail: None, lifo: false, priority: 0 }
    }
}

impl ReadOptions {
    /// Reads a job's options; each that cannot be read is named to `unreadable` and left at its
    /// default, the others count.
    pub fn read(text: &str, mut unreadable: impl FnMut(&str, &str)) -> Self {
        let mut fields = match Fields::parse(text) {
            Ok(fields) => fields,
            Err(_) if text.is_empty() => Fields::default(),
            Err(error) => {
                unreadable("opts", &error.to_string());
                Fields::default()
            }
        };
        let mut options = Self::default();
        if let Some(attempts) = option::<f64>(&mut fields, "attempts", &mut unreadable) {
            match whole(attempts) {
                Some(attempts) => options.attempts = attempts.max(1),
                None => unreadable("attempts", &attempts.to_string()),
            }
        }
        options.backoff = option::<AnyBackoff>(&mut fields, "backoff", &mut unreadable)
            .and_then(|backoff| backoff.normal().map_err(|problem| unreadable("backoff", &problem)).ok()?);
        options.on_complete = option::<AnyRetention>(&mut fields, "removeOnComplete", &mut unreadable)
            .and_then(AnyRetention::normal);
        options.on_fail = option::<AnyRetention>(&mut fields, "removeOnFail", &mut unreadable)
            .and_then(AnyRetention::normal);
        options.lifo = option::<bool>(&mut fields, "lifo", &mut unreadable).unwrap_or(false);
        if let Some(priority) = option::<f64>(&mut fields, "priority", &mut unreadable) {
            match whole(priority) {
                Some(priority) => options.priority = priority,
                None => unreadable("priority", &priority.to_string()),
            }
        }
        options
    }
}

fn option<T: DeserializeOwned>(
    fields: &mut Fields,
    name: &str,
    unreadable: &mut impl FnMut(&str, &str),
) -> Option<T> {
    let value = fields.take(name).filter(|value| value.get() != "null")?;
    serde_json::from_str(value.get()).map_err(|_| unreadable(name, value.get())).ok()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyBackoff {
    Number(f64),
    Full {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        delay: f64,
        #[serde(default)]
        jitter: f64,
        #[serde(default)]
        schedule: Vec<f64>,
    },
}

impl AnyBackoff {
    /// `Ok(None)` is a back-off of nothing; `Err` names what cannot be used.
    fn normal(self) -> Result<Option<BackoffOption>, String> {
        let (kind, delay_ms, jitter, schedule) = match self {
            Self::Number(delay) => (BackoffKind::Fixed, delay, 0.0, Vec::new()),
            Self::Full { kind, delay, jitter, schedule } => match kind.as_str() {
                "fixed" => (BackoffKind::Fixed, delay, jitter, schedule),
                "exponential" => (BackoffKind::Exponential, delay, jitter, schedule),
                other => return Err(format!("type {other:?} is not known here")),
            },
        };
        let is_wait = |delay: f64| delay.is_finite() && delay >= 0.0;
        if !is_wait(delay_ms) || !(0.0..=1.0).contains(&jitter) || !schedule.iter().copied().all(is_wait) {
            return Err(format!("delay {delay_ms}, jitter {jitter}, schedule {schedule:?}"));
        }
        let waits = delay_ms > 0.0 || !schedule.is_empty();
        Ok(waits.then_some(BackoffOption { kind, delay_ms, jitter, schedule }))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRetention {
    Flag(bool),
    Count(f64),
    Full { age: Option<f64>, count: Option<f64> },
}

impl AnyRetention {
    /// `None` = the option says nothing (BullMQ: keep all, which is what `false` says; a worker's own
    /// setting counts then).
    fn normal(self) -> Option<Retained> {
        let all = Retained::default();
        Some(match self {
            Self::Flag(true) => Retained { count: Some(0), age: None },
            Self::Flag(false) => all,
            Self::Count(count) => Retained { count: whole(count), age: None },
            Self::Full { age: None, count: None } => return None,
            Self::Full { age, count } => {
                Retained { count: count.and_then(whole), age: age.and_then(whole).map(u64::from) }
            }
        })
    }
}

/// A number that JavaScript wrote where a count is meant; `None` where it is negative or no number.
fn whole(number: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    (number.is_finite() && number >= 0.0).then(|| number.min(f64::from(u32::MAX)) as u32)
}

/// Whole milliseconds, as they stand in Redis.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> (ReadOptions, Vec<String>) {
        let mut complaints = Vec::new();
        let options = ReadOptions::read(text, |name, _| complaints.push(name.to_owned()));
        (options, complaints)
    }

    fn exponential() -> BackoffOption {
        BackoffOption { kind: BackoffKind::Exponential, delay_ms: 1000.0, jitter: 0.0, schedule: Vec::new() }
    }

    #[test]
    fn an_exponential_back_off_doubles_from_its_first_delay_on() {
        let option = BackoffOption { delay_ms: 5000.0, ..exponential() };
        let waits: Vec<_> = (1..=9).map(|made| option.delay(made, 0.5).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280]);
    }

    #[test]
    fn a_fixed_back_off_stays_and_jitter_takes_from_it() {
        let fixed = BackoffOption { kind: BackoffKind::Fixed, ..exponential() };
        assert_eq!(fixed.delay(7, 0.9), Duration::from_secs(1));
        let jittered = BackoffOption { jitter: 0.5, ..fixed.clone() };
        assert_eq!(jittered.delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(jittered.delay(1, 0.5), Duration::from_millis(750));
        let growing = BackoffOption { kind: BackoffKind::Exponential, jitter: 1.0, ..fixed };
        assert_eq!(growing.delay(3, 0.25), Duration::from_secs(1));
    }

    #[test]
    fn a_schedule_is_kept_exactly_by_us_and_in_the_same_time_by_others() {
        let seconds = |waits: &[u64]| waits.iter().copied().map(Duration::from_secs).collect::<Vec<_>>();
        let schedule = seconds(&[5, 30, 300, 3600]);
        let retries =
            DeliveryRetries { attempts: 10, backoff: Duration::from_secs(1), schedule: schedule.clone() };
        let written = JobOptions::of_delivery(&retries).to_json(None);
        let (options, complaints) = read(&written);
        assert_eq!((options.attempts, complaints.len()), (5, 0));
        let ours = options.backoff.expect("a back-off");
        let waits: Vec<_> = (1..=6).map(|made| ours.delay(made, 0.5)).collect();
        assert_eq!(waits, seconds(&[5, 30, 300, 3600, 3600, 3600]));
        let others = BackoffOption { schedule: Vec::new(), ..ours };
        let total: Duration = (1..=4).map(|made| others.delay(made, 0.5)).sum();
        assert!(total.abs_diff(schedule.iter().sum()) < Duration::from_millis(20), "{total:?}");
        let wrong = read(r#"{"backoff":{"type":"fixed","delay":1,"schedule":[1,-1]}}"#);
        assert_eq!((wrong.0.backoff, wrong.1), (None, vec!["backoff".to_owned()]));
        let without = DeliveryRetries { schedule: Vec::new(), ..retries };
        assert!(!JobOptions::of_delivery(&without).to_json(None).contains("schedule"));
    }

    #[test]
    fn options_are_read_as_bullmq_writes_them() {
        let (options, complaints) = read(
            r#"{"attempts":10,"backoff":{"type":"exponential","delay":5000},"removeOnComplete":true,"lifo":true}"#,
        );
        assert_eq!(options.attempts, 10);
        let backoff = options.backoff.expect("a back-off");
        assert_eq!((backoff.kind, backoff.delay(1, 0.0)), (BackoffKind::Exponential, Duration::from_secs(5)));
        assert_eq!(options.on_complete, Some(Retained { count: Some(0), age: None }));
        assert!(options.lifo && complaints.is_empty());
        assert_eq!(read(r#"{"attempts":0,"delay":0}"#).0, ReadOptions::default());
        let kept = read(r#"{"removeOnFail":{"age":60,"count":5},"removeOnComplete":7,"backoff":300}"#).0;
        assert_eq!(kept.on_fail, Some(Retained { count: Some(5), age: Some(60) }));
        assert_eq!(kept.on_complete, Some(Retained { count: Some(7), age: None }));
        assert_eq!(kept.backoff.expect("a back-off").delay(4, 0.0), Duration::from_millis(300));
    }

    #[test]
    fn an_option_that_cannot_be_read_harms_no_other() {
        let (options, complaints) =
            read(r#"{"attempts":3,"backoff":{"type":"mine","delay":1},"removeOnFail":"yes","lifo":1}"#);
        assert_eq!(options.attempts, 3);
        assert_eq!(options.backoff, None);
        assert_eq!(complaints, ["backoff", "removeOnFail", "lifo"]);
        assert_eq!(read("not JSON").1, ["opts"]);
        assert_eq!(read("").1, Vec::<String>::new());
    }

    #[test]
    fn what_we_write_we_read() {
        let written = JobOptions {
            attempts: Some(10),
            backoff: Some(Duration::from_secs(5)),
            lifo: true,
            priority: 3,
            timestamp: Some(5),
            ..JobOptions::default()
        };
        let (options, complaints) = read(&written.to_json(Some("a-b")));
        assert_eq!((options.attempts, options.lifo, complaints.len()), (10, true, 0));
        assert_eq!(options.priority, 3);
        assert_eq!(options.backoff.expect("a back-off").delay(2, 0.0), Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".*") {
            read(&text);
        }

        #[test]
        fn no_back_off_makes_computing_panic(delay in 0.0..f64::MAX, jitter in 0.0..=1.0, made: u32, chance in 0.0..1.0) {
            for kind in [BackoffKind::Fixed, BackoffKind::Exponential] {
                let wait = BackoffOption { kind, delay_ms: delay, jitter, schedule: Vec::new() }.delay(made, chance);
                prop_assert!(wait <= LONGEST_DELAY);
            }
        }
    }
}
