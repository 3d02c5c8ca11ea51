//! How a setting's text is read: numbers, Booleans, durations, sizes, names.
//!
//! Each function returns, as its error, what is allowed: a phrase that follows "allowed: ".

use std::net::SocketAddr;
use std::time::Duration;

use crate::identity::InstanceId;

/// What is allowed, where a value was refused.
pub(crate) type Allowed = String;

/// The longest duration, a year, in milliseconds.
const LONGEST: f64 = 365.0 * 24.0 * 3.6e6;

/// The unit of a bare number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Seconds,
    Hours,
}

impl Unit {
    fn milliseconds(self) -> f64 {
        match self {
            Self::Milliseconds => 1.0,
            Self::Seconds => 1e3,
            Self::Hours => 3.6e6,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
            Self::Hours => "hours",
        }
    }
}

/// A Boolean, as the original and Spanish speakers write it.
pub(crate) fn boolean(text: &str) -> Result<bool, Allowed> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "y" | "1" | "s" | "si" | "sí" => Ok(true),
        "false" | "no" | "n" | "0" | "" => Ok(false),
        _ => Err("true, yes, y, 1, s, si, or false, no, n, 0".into()),
    }
}

/// A whole number of a range.
pub(crate) fn whole(text: &str, least: u32, most: u32) -> Result<u32, Allowed> {
    let number = text.parse::<u32>().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("a whole number from {least} to {most}"))
}

/// An address of this machine and a port. No name but `localhost`: it may stand for several addresses.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, Allowed> {
    let text = text.trim();
    let numeric = match text.rsplit_once(':') {
        Some((host, port)) if host.eq_ignore_ascii_case("localhost") => &format!("127.0.0.1:{port}"),
        _ => text,
    };
    numeric.parse().map_err(|_| {
        "an IP address and a port, such as 127.0.0.1:9464, or 0.0.0.0:9464 for whoever can reach this machine, or \
         [::]:9464"
            .into()
    })
}

/// A duration: a number, decimals allowed, with `ms`, `s`, `m`, `h` or `d`, or in the given unit.
pub(crate) fn duration(text: &str, unit: Unit) -> Result<Duration, Allowed> {
    let allowed = || {
        let unit = unit.name();
        format!("a duration of up to 365 days, such as 500ms, 1.5s, 10m or 1h (a bare number is in {unit})")
    };
    let (number, suffix) = number_and_suffix(text).ok_or_else(allowed)?;
    let factor = match suffix.as_str() {
        "" => unit.milliseconds(),
        "ms" => 1.0,
        "s" => 1e3,
        "m" => 6e4,
        "h" => 3.6e6,
        "d" => 8.64e7,
        _ => return Err(allowed()),
    };
    let milliseconds = (number * factor).round();
    if (number > 0.0 && milliseconds < 1.0) || milliseconds > LONGEST {
        return Err(allowed());
    }
    // Between 0 and a year, and a whole number.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(Duration::from_millis(milliseconds as u64))
}

/// A duration that is not nothing.
pub(crate) fn some_duration(text: &str, unit: Unit) -> Result<Duration, Allowed> {
    match duration(text, unit)? {
        Duration::ZERO => Err(format!("a duration longer than 0 (a bare number is in {})", unit.name())),
        duration => Ok(duration),
    }
}

/// A number of bytes: decimals allowed, with `k`, `m` or `g` (of 1024, as Docker has them), or bare.
pub(crate) fn size(text: &str, least: u64, most: u64) -> Result<u64, Allowed> {
    let allowed = || {
        let (least, most) = (as_size(least), as_size(most));
        format!("a size from {least} to {most}, such as 512k, 256m or 1.5g (a bare number is in bytes)")
    };
    let (number, suffix) = number_and_suffix(text).ok_or_else(allowed)?;
    let factor = match suffix.as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(allowed()),
    };
    // Far below 2^53, where the limits are, a double holds whole numbers exactly.
    #[allow(clippy::cast_precision_loss)]
    let (least_number, most_number) = (least as f64, most as f64);
    let bytes = (number * factor).floor();
    if !(least_number..=most_number).contains(&bytes) {
        return Err(allowed());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(bytes as u64)
}

/// Nothing (0), or a size of at least `least`.
pub(crate) fn size_or_none(text: &str, least: u64, most: u64) -> Result<Option<u64>, Allowed> {
    if size(text, 0, 0).is_ok() {
        return Ok(None);
    }
    size(text, least, most).map(Some).map_err(|allowed| format!("0 (no limit), or {allowed}"))
}

/// Nothing (0), or a number of processors.
pub(crate) fn processors(text: &str) -> Result<Option<f64>, Allowed> {
    let number = number_and_suffix(text).filter(|(_, suffix)| suffix.is_empty()).map(|(number, _)| number);
    match number {
        Some(0.0) => Ok(None),
        Some(number) if (0.01..=1024.0).contains(&number) => Ok(Some(number)),
        _ => Err("0 (no limit), or a number of processors from 0.01 to 1024, such as 0.5 or 2".into()),
    }
}

/// A name that begins with a letter or digit and goes on with those, `_`, `.` and `-`.
pub(crate) fn name(text: &str, longest: usize) -> Result<String, Allowed> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= longest && text.chars().all(legal) {
        return Ok(text.to_owned());
    }
    Err(format!("up to {longest} letters, digits, '_', '.' and '-', the first a letter or digit"))
}

/// The name of an installation.
pub(crate) fn instance(text: &str) -> Result<InstanceId, Allowed> {
    if text == InstanceId::OF_TRIALS {
        return Err(
            "another name: with this one the containers of `try` are told from an installation's".into()
        );
    }
    name(text, 64).map(InstanceId::new)
}

/// A text without white space and control characters.
pub(crate) fn word(text: &str) -> Result<String, Allowed> {
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a text without spaces".into());
    }
    Ok(text.to_owned())
}

/// A number that is not negative, and what follows it, in lower case.
fn number_and_suffix(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some((number, suffix.trim_start().to_ascii_lowercase()))
}

/// A size in the largest unit that leaves a whole number.
pub(crate) fn as_size(bytes: u64) -> String {
    match bytes {
        0 => "0".into(),
        _ if bytes.is_multiple_of(1 << 30) => format!("{}g", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{}m", bytes >> 20),
        _ if bytes.is_multiple_of(1 << 10) => format!("{}k", bytes >> 10),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_installation_has_the_name_of_trials_whose_containers_they_remove() {
        assert!(instance(InstanceId::OF_TRIALS).is_err());
        assert_eq!(instance("correction-runner-try2"), Ok(InstanceId::new("correction-runner-try2")));
    }

    #[test]
    fn booleans_are_read_in_any_case_and_nothing_else_is_one() {
        for text in ["true", "Yes", "Y", "1", "s", "SI", " y "] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["False", "NO", "n", "0", "", " "] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["on", "off", "2", "truee", "null"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_take_units_and_decimals_and_bare_numbers_the_unit_of_their_setting() {
        let read = |text| duration(text, Unit::Milliseconds).map(|duration| duration.as_millis());
        assert_eq!(read("250"), Ok(250));
        assert_eq!(read("250ms"), Ok(250));
        assert_eq!(read("1.5s"), Ok(1500));
        assert_eq!(read("2 M"), Ok(120_000));
        assert_eq!(read("1h"), Ok(3_600_000));
        assert_eq!(read("1d"), Ok(86_400_000));
        assert_eq!(read("0"), Ok(0));
        assert_eq!(duration("90", Unit::Seconds), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0.5", Unit::Hours), Ok(Duration::from_secs(1800)));
        for text in [
            "",
            "s",
            "-1",
            "+1",
            "1e3",
            "1w",
            "1s2",
            "1.2.3",
            "0.4ms",
            "366d",
            "NaN",
            "inf",
            "9".repeat(400).as_str(),
        ] {
            assert!(duration(text, Unit::Milliseconds).is_err(), "{text}");
        }
        assert!(some_duration("0s", Unit::Seconds).is_err());
    }

    #[test]
    fn sizes_are_of_1024_with_or_without_a_b() {
        let read = |text| size(text, 0, 1 << 40);
        assert_eq!(read("10"), Ok(10));
        assert_eq!(read("1k"), Ok(1024));
        assert_eq!(read("2 KB"), Ok(2048));
        assert_eq!(read("1.5m"), Ok(3 << 19));
        assert_eq!(read("1GiB"), Ok(1 << 30));
        for text in ["", "k", "-1k", "1x", "1kk", "2048g"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(size_or_none("0", 6 << 20, 1 << 40), Ok(None));
        assert_eq!(size_or_none("0g", 6 << 20, 1 << 40), Ok(None));
        assert_eq!(size_or_none("6m", 6 << 20, 1 << 40), Ok(Some(6 << 20)));
        let allowed = size_or_none("5m", 6 << 20, 1 << 40).unwrap_err();
        assert!(allowed.starts_with("0 (no limit), or a size from 6m to 1024g"), "{allowed}");
    }

    #[test]
    fn processors_may_be_a_part_of_one_and_0_means_no_limit() {
        assert_eq!(processors("0"), Ok(None));
        assert_eq!(processors("0.5"), Ok(Some(0.5)));
        for text in ["", "0.001", "-1", "1025", "1k", "two"] {
            assert!(processors(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_whole_number_out_of_its_range_is_refused_with_the_range() {
        assert_eq!(whole("6379", 1, 65535), Ok(6379));
        for text in ["", "0", "65536", "-1", "1.5", "0x10", "99999999999"] {
            assert_eq!(whole(text, 1, 65535).unwrap_err(), "a whole number from 1 to 65535", "{text}");
        }
    }

    #[test]
    fn names_are_what_docker_and_keys_can_hold() {
        assert!(name("my-net_1.x", 64).is_ok());
        for text in ["", "-a", "a b", "a:b", "é", "container:x"] {
            assert!(name(text, 64).is_err(), "{text}");
        }
        assert!(name(&"a".repeat(65), 64).is_err());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text: String) {
            let _ = (boolean(&text), duration(&text, Unit::Seconds), size(&text, 0, 1 << 40));
            let _ = (processors(&text), name(&text, 64), word(&text), whole(&text, 0, 9));
        }

        #[test]
        fn whole_milliseconds_are_exact(milliseconds in 0_u64..365 * 24 * 3_600_000) {
            let read = duration(&milliseconds.to_string(), Unit::Milliseconds);
            prop_assert_eq!(read, Ok(Duration::from_millis(milliseconds)));
        }

        #[test]
        fn whole_bytes_are_exact(bytes in 0_u64..1 << 40) {
            prop_assert_eq!(size(&bytes.to_string(), 0, 1 << 40), Ok(bytes));
        }
    }
}
