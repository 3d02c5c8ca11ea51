//! Quantities and strangers' texts as a person reads them.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::telemetry::acts_on_terminals;

/// What stands where something of a stranger's text was taken out.
const TAKEN_OUT: char = '·';

/// Characters without a width of their own that may follow one another; more of them only cover other lines.
const MARKS: usize = 4;

/// A stranger's text on one line, which cannot play tricks on a terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut marks = 0;
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if acts_on_terminals(letter) {
            shown.push(TAKEN_OUT);
            marks = 0;
            continue;
        }
        marks = if letter.width() == Some(0) { marks + 1 } else { 0 };
        if marks <= MARKS {
            shown.push(letter);
        }
    }
    shown
}

/// How many columns a text takes on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text in at most so many columns, with an ellipsis where something was left out.
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut kept = String::new();
    for letter in text.chars() {
        let Some(rest) = room.checked_sub(letter.width().unwrap_or(0)) else { break };
        room = rest;
        kept.push(letter);
    }
    // Some characters are wider in company.
    while kept.width() + 1 > columns && kept.pop().is_some() {}
    if columns > 0 {
        kept.push('…');
    }
    kept
}

/// A span of time in its two largest units: `350ms`, `12.5s`, `3m04s`, `2h05m`, `3d04h`.
#[must_use]
pub fn span(span: Duration) -> String {
    let (millis, whole) = (span.as_millis(), span.as_secs());
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    match whole {
        0 => format!("{millis}ms"),
        // Rounded down, so that none is told as a minute of 60 seconds.
        1..60 => format!("{whole}.{}s", millis % 1000 / 100),
        60..3600 => format!("{minutes}m{:02}s", whole % 60),
        3600..86400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// A span of time for a program: seconds, exact to the millisecond.
#[must_use]
pub fn seconds(span: Duration) -> f64 {
    Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).as_secs_f64()
}

/// How long ago a time was, or in how long it will be; both in milliseconds of Unix time.
#[must_use]
pub fn ago(then: u64, now: u64) -> String {
    let apart = span(Duration::from_millis(now.abs_diff(then)));
    if then <= now { format!("{apart} ago") } else { format!("in {apart}") }
}

/// A number of bytes, with three digits or so: `512 B`, `1.5 KiB`, `20 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of a unit, rounded down, so that nothing becomes 1024 of a unit.
    let (mut tenths, mut unit) = (u128::from(count) * 10 / 1024, 0);
    while tenths >= 10240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let mut text = (tenths / 10).to_string();
    if tenths < 1000 && tenths % 10 != 0 {
        let _ = write!(text, ".{}", tenths % 10);
    }
    text + " " + UNITS[unit]
}

/// Milliseconds of Unix time.
#[must_use]
pub fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds of Unix time in the form of RFC 3339; nothing where no calendar has such a time.
#[must_use]
pub fn time(millis: u64) -> Option<String> {
    let timestamp = Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()?;
    Some(format!("{timestamp:.3}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_strangers_text_stays_on_its_line_and_in_its_order() {
        assert_eq!(printable("a\n\u{1b}[31mé\u{9b}\u{202e}\u{2028}\u{200b}"), "a··[31mé····");
        let stacked = format!("e{}", "\u{301}".repeat(1000));
        assert_eq!(printable(&stacked), format!("e{}", "\u{301}".repeat(MARKS)));
    }

    #[test]
    fn a_text_is_cut_by_the_columns_that_it_takes() {
        for (text, columns, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fit(text, columns), expected, "{text} in {columns}");
        }
    }

    #[test]
    fn spans_have_two_units() {
        for (millis, expected) in [
            (0, "0ms"),
            (350, "350ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (59_999, "59.9s"),
            (60_000, "1m00s"),
            (184_000, "3m04s"),
            (3_599_999, "59m59s"),
            (7_500_000, "2h05m"),
            (273_600_000, "3d04h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), expected, "{millis}");
        }
        assert_eq!((ago(1_000, 3_000), ago(3_000, 1_000)), ("2.0s ago".into(), "in 2.0s".into()));
        assert!((seconds(Duration::from_micros(1_234_567)) - 1.234).abs() < f64::EPSILON);
    }

    #[test]
    fn bytes_have_three_digits_and_never_1024_of_a_unit() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1023 KiB"),
            (1 << 30, "1 GiB"),
            (21_474_836_480, "20 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
    }

    #[test]
    fn a_time_is_told_in_utc_with_milliseconds() {
        assert_eq!(time(1_795_420_800_125).as_deref(), Some("2026-11-23T08:00:00.125Z"));
        assert_eq!(time(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_of_any_text_is_one_line_without_control_and_fits(text in "\\PC*|.*", columns in 0_usize..40) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(acts_on_terminals));
            prop_assert!(fit(&shown, columns).width() <= columns);
        }

        #[test]
        fn no_quantity_makes_words_panic(number: u64, other: u64) {
            let _ = (bytes(number), span(Duration::from_millis(number)), ago(number, other), time(number));
        }
    }
}
