//! What is wrong with a setting, told so that a person knows what to change, and without any secret.

use std::fmt;

/// Where a value was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, given with its dashes.
    Flag(String),
    /// An environment variable.
    Environment(String),
    /// The `.env` file of the working directory.
    Dotenv {
        /// The variable.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(formatter, "flag {flag}"),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Dotenv { name, line } => write!(formatter, "{name} in .env, line {line}"),
            Self::Default => formatter.write_str("default"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A value that is none of those allowed.
    #[error("{setting} is {value} ({origin}); allowed: {allowed}")]
    Value {
        /// The setting.
        setting: &'static str,
        /// The value, fit to be shown.
        value: Shown,
        /// Where it was found.
        origin: Origin,
        /// What is allowed.
        allowed: String,
    },
    /// A value, not to be shown, that cannot be used.
    #[error("{setting} ({origin}): {what}")]
    Unusable {
        /// The setting.
        setting: &'static str,
        /// Where it was found.
        origin: Origin,
        /// What is wrong with it.
        what: String,
    },
    /// The `.env` file is there and cannot be read.
    #[error(".env: {0}")]
    Dotenv(String),
}

impl Problem {
    /// The setting that it is about; `None` = any may be.
    #[must_use]
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Value { setting, .. } | Self::Unusable { setting, .. } => Some(setting),
            Self::Dotenv(_) => None,
        }
    }
}

/// A value fit to be shown: cut where it is long, quoted, without the user and password of a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    const LONGEST: usize = 60;

    /// The value of a setting that is no secret.
    pub(super) fn new(value: &str) -> Self {
        let mut value = match (value.find("://"), value.rfind('@')) {
            (Some(scheme), Some(at)) if scheme + 3 <= at => {
                format!("{}********{}", &value[..scheme + 3], &value[at..])
            }
            // The same where the scheme was forgotten.
            (None, Some(at)) if value[..at].contains(':') => format!("********{}", &value[at..]),
            _ => value.to_owned(),
        };
        if value.chars().count() > Self::LONGEST {
            value = value.chars().take(Self::LONGEST).chain("…".chars()).collect();
        }
        Self(format!("{value:?}"))
    }

    /// Stars in place of a secret.
    pub(super) fn secret() -> Self {
        Self("********".into())
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_quoted_and_short_and_without_the_password_of_a_url() {
        assert_eq!(Shown::new("a\n\u{1b}[31m").to_string(), r#""a\n\u{1b}[31m""#);
        assert_eq!(Shown::new("tcp://me:p@ss@host:1").to_string(), r#""tcp://********@host:1""#);
        assert_eq!(Shown::new("me:p@ss@host:1").to_string(), r#""********@host:1""#);
        assert_eq!(Shown::new("me@host:1").to_string(), r#""me@host:1""#);
        assert_eq!(Shown::new("a@b://c").to_string(), r#""a@b://c""#);
        assert_eq!(Shown::new(&"é".repeat(100)).to_string().chars().count(), 63);
    }
}
