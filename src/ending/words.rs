//! Time spans, sizes and signals in the words of people.

use std::time::Duration;

/// A time span as people say it.
pub(super) fn in_words(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => {
            let tenths = span.subsec_millis() / 100;
            if tenths == 0 { format!("{seconds} s") } else { format!("{seconds}.{tenths} s") }
        }
        60..3600 => format!("{} min{}", seconds / 60, rest(seconds % 60, "s")),
        _ => format!("{} h{}", seconds / 3600, rest(seconds % 3600 / 60, "min")),
    }
}

fn rest(count: u64, unit: &str) -> String {
    if count == 0 { String::new() } else { format!(" {count} {unit}") }
}

/// A size as people say it; what is no whole number of units is told with one decimal, cut off.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    let tenths = bytes % unit * 10 / unit;
    if tenths == 0 { format!("{} {name}", bytes / unit) } else { format!("{}.{tenths} {name}", bytes / unit) }
}

/// The signal that an exit code tells of, and what it means where a program got it by its own doing.
#[must_use]
pub fn signal(code: i64) -> Option<(&'static str, &'static str)> {
    Some(match code.checked_sub(128)? {
        1 => ("SIGHUP", ""),
        2 => ("SIGINT", ""),
        3 => ("SIGQUIT", ""),
        4 => ("SIGILL", "it ran an instruction that this processor does not know"),
        5 => ("SIGTRAP", ""),
        6 => ("SIGABRT", "it gave up on an error of its own"),
        7 => ("SIGBUS", "it used memory in a way that is not allowed"),
        8 => ("SIGFPE", "a calculation was not possible, such as a division by zero"),
        9 => ("SIGKILL", ""),
        10 => ("SIGUSR1", ""),
        11 => ("SIGSEGV", "it used memory that is not its own"),
        12 => ("SIGUSR2", ""),
        13 => ("SIGPIPE", ""),
        14 => ("SIGALRM", ""),
        15 => ("SIGTERM", ""),
        16 => ("SIGSTKFLT", ""),
        24 => ("SIGXCPU", "it used more processor time than it may"),
        25 => ("SIGXFSZ", "it wrote a file larger than it may"),
        26 => ("SIGVTALRM", ""),
        27 => ("SIGPROF", ""),
        29 => ("SIGIO", ""),
        30 => ("SIGPWR", ""),
        31 => ("SIGSYS", "it made a system call that is not allowed"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_with_one_decimal_where_they_need_one() {
        for (bytes, told) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1 << 20, "1 MiB"),
            ((1 << 20) + (1 << 19), "1.5 MiB"),
            (3 << 30, "3 GiB"),
            ((1 << 30) + (1 << 27), "1.1 GiB"),
        ] {
            assert_eq!(size(bytes), told);
        }
        assert!(size(u64::MAX).ends_with("GiB"));
    }

    #[test]
    fn time_spans_are_told_in_two_units_at_most() {
        for (milliseconds, told) in
            [(12, "12 ms"), (2000, "2 s"), (2399, "2.3 s"), (601_000, "10 min 1 s"), (7_260_000, "2 h 1 min")]
        {
            assert_eq!(in_words(Duration::from_millis(milliseconds)), told);
        }
    }
}
