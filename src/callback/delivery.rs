//! What became of an attempt to deliver a result.

use std::fmt;
use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use hyper::header::RETRY_AFTER;

/// The longest wait that a receiver can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What became of an attempt to deliver a result. The `Display` text names no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered {
        /// The status that it answered, 200 to 299.
        status: u16,
        /// The beginning of its answer's body, where that came along with the status.
        answer: String,
    },
    /// The receiver answered something else.
    Refused {
        /// The status that it answered.
        status: u16,
        /// How long it wants to be left alone, at most an hour.
        retry_after: Option<Duration>,
        /// The beginning of its answer's body.
        answer: String,
    },
    /// The receiver points to another place, and there it does not go.
    Redirected {
        /// The status that it answered.
        status: u16,
        /// Where it points.
        to: String,
        /// Why that was not followed.
        why: String,
    },
    /// There was no connection, or it broke.
    Unreachable {
        /// What the connection said.
        reason: String,
        /// Whether the receiver took a connection.
        connected: bool,
    },
    /// The answer's status did not come in time.
    TimedOut {
        /// How long was waited, for everything.
        after: Duration,
    },
    /// The URL cannot be used, now or later.
    BadUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// No result may be sent there, now or later: nothing was connected to.
    Forbidden {
        /// What it is, and which rule says so.
        reason: String,
    },
}

/// "Gone": the receiver says that it will never take anything there again.
const GONE: u16 = 410;

impl Delivery {
    /// Whether the receiver has the result.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered { .. })
    }

    /// Whether another attempt may end otherwise.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        !matches!(
            self,
            Self::Delivered { .. }
                | Self::BadUrl { .. }
                | Self::Forbidden { .. }
                | Self::Refused { status: GONE, .. }
        )
    }

    /// The status of the last answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Delivered { status, .. }
            | Self::Refused { status, .. }
            | Self::Redirected { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the receiver wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { status, retry_after, .. } if *status != GONE => *retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered { status, .. } => write!(formatter, "delivered, status {status}"),
            Self::Refused { status, answer, .. } => {
                write!(formatter, "the receiver answered with status {status}")?;
                if *status == GONE {
                    write!(formatter, " (gone), which ends all attempts")?;
                }
                if answer.is_empty() { Ok(()) } else { write!(formatter, ": {answer}") }
            }
            Self::Redirected { status, to, why } => {
                write!(formatter, "the receiver answered with status {status} and points to {to}, {why}")
            }
            Self::Unreachable { reason, .. } => write!(formatter, "the receiver cannot be reached: {reason}"),
            Self::TimedOut { after } => {
                write!(
                    formatter,
                    "the receiver did not answer within {} s (NOTIFY_TIMEOUT)",
                    after.as_secs_f32()
                )
            }
            Self::BadUrl { problem } => write!(formatter, "the callback's URL cannot be used: {problem}"),
            Self::Forbidden { reason } => write!(formatter, "the callback is refused: {reason}"),
        }
    }
}

/// How long an answer's `Retry-After` asks to wait: seconds, or a date (RFC 9110, section 10.2.3).
#[must_use]
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST_WAIT,
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).ok()?,
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_receivers_wish_is_read_as_seconds_or_as_a_date_and_bounded() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(3600)),
            ("86400", Some(3600)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", None),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
