//! The arguments of `deliveries`.

use std::time::SystemTime;

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::RedisSettings;
use super::super::formats::{self, Unit};
use crate::identity::InstanceId;

/// `deliveries`: results that were given up or wait, for a person.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Deliveries {
    /// What is to be done.
    #[command(subcommand)]
    pub order: DeliveriesOrder,
    /// Where the queues are; always there once the settings were read.
    #[arg(skip)]
    pub redis: Option<RedisSettings>,
    /// The installation's id, where it is pinned.
    #[arg(skip)]
    pub instance: Option<InstanceId>,
}

/// What is to be done with deliveries.
#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum DeliveriesOrder {
    /// Lists them, the newest first
    List(ListDeliveries),
    /// Shows all that is known of one: its attempts, its body
    Show(ShowDelivery),
    /// Puts them back in line, with all their attempts and under the same webhook-id
    Redeliver(Redeliver),
}

/// Which deliveries are meant.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Only those given up since then: a span (2h, 7d), a date (2026-11-23, UTC) or a time
    /// (2026-11-23T08:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<SystemTime>,
    /// Only those whose callback goes to this host, or host:port
    #[arg(long, value_name = "HOST")]
    pub receiver: Option<String>,
}

/// Which state of deliveries is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ListedState {
    /// Given up: dead letters
    #[default]
    Dead,
    /// Not delivered yet: waiting for their next attempt or their turn, or being delivered
    Pending,
    /// Delivered, as long as they are kept
    Delivered,
    /// All of these
    All,
}

/// `deliveries list`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ListDeliveries {
    /// Which ones
    #[command(flatten)]
    pub selection: Selection,
    /// In which state
    #[arg(long, value_enum, default_value_t)]
    pub state: ListedState,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub limit: usize,
    /// As JSON, one object in all
    #[arg(long)]
    pub json: bool,
}

/// `deliveries show`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ShowDelivery {
    /// The job's id in `finished_corrections`
    pub id: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// `deliveries redeliver`.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Redeliver {
    /// The jobs' ids in `finished_corrections`, in whatever state: one that waits is delivered now
    #[arg(value_name = "ID", conflicts_with = "all")]
    pub ids: Vec<String>,
    /// All dead letters, or those that --since and --receiver leave
    #[arg(long)]
    pub all: bool,
    /// Which of all
    #[command(flatten)]
    pub selection: Selection,
    /// Deliver to this URL instead
    #[arg(long, value_name = "URL", conflicts_with = "to_origin")]
    pub to: Option<String>,
    /// Deliver to this scheme, host and port instead (<https://new.example:8443>); path and query stay
    #[arg(long, value_name = "ORIGIN")]
    pub to_origin: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

fn since(text: &str) -> Result<SystemTime, String> {
    if let Ok(span) = formats::duration(text, Unit::Seconds)
        && text.ends_with(|last: char| last.is_ascii_alphabetic())
    {
        return Ok(SystemTime::now().checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH));
    }
    // A longer one is a time without its zone.
    let date = || {
        text.parse::<Date>()
            .ok()
            .filter(|_| text.len() == "2026-11-23".len())?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|midnight| midnight.timestamp())
    };
    let time = text.parse::<Timestamp>().ok().or_else(date);
    time.map(SystemTime::from).ok_or_else(|| {
        "a span such as 2h or 7d, a date such as 2026-11-23, or a time such as 2026-11-23T08:00:00Z".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_spans_dates_and_times_and_nothing_else() {
        let seconds = |text: &str| {
            since(text)
                .ok()
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
                .map(|it| it.as_secs())
        };
        assert_eq!(seconds("2026-11-23"), Some(1_795_392_000));
        assert_eq!(seconds("2026-11-23T08:00:00Z"), Some(1_795_420_800));
        assert_eq!(seconds("2026-11-23T10:00:00+02:00"), Some(1_795_420_800));
        let ago = SystemTime::now().duration_since(since("2h").expect("a span")).expect("in the past");
        assert!((7199..7210).contains(&ago.as_secs()), "{ago:?}");
        for text in ["", "7", "soon", "2026-13-01", "2h ago", "2026-11-23T08:00:00"] {
            assert!(since(text).is_err(), "{text}");
        }
    }
}
