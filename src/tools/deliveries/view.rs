//! One delivery as it is shown: without credentials.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;

use super::Place;
use crate::callback::shown;
use crate::config::Selection;
use crate::identity::webhook_id;
use crate::job::{Errand, FinishedJob};
use crate::queue::{Record, State};
use crate::tools::terminal::{millis, time};

/// A delivery, and what its job's data tells of it.
pub(super) struct View {
    pub record: Record,
    pub errand: Errand,
    pub outcome: Option<String>,
    pub webhook_id: String,
}

impl View {
    pub fn of(record: Record, place: &Place) -> Self {
        let webhook_id = webhook_id(&place.instance, &record.id, record.timestamp);
        let (errand, outcome) = match FinishedJob::parse(&record.data) {
            Ok(job) => (job.errand, job.outcome),
            Err(invalid) => (invalid.errand, None),
        };
        Self { record, errand, outcome, webhook_id }
    }

    /// The callback, without what must not be shown.
    pub fn callback(&self) -> Option<String> {
        self.errand.callback.as_deref().map(shown)
    }

    pub fn state(&self) -> &'static str {
        match self.record.state {
            State::Waiting | State::Prioritized => "waiting",
            State::Active => "active",
            State::Delayed => "delayed",
            State::Completed => "delivered",
            State::Failed => "dead",
        }
    }

    /// When it ended, or is tried next.
    pub fn at(&self) -> Option<String> {
        self.record.at.and_then(time)
    }

    /// A string without its quotation marks, anything else as JSON.
    pub fn work_id(&self) -> Option<String> {
        let raw = self.errand.work_id.as_ref()?.0.get();
        Some(serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned()))
    }

    /// Whether a person means it.
    pub fn is_meant(&self, selection: &Selection) -> bool {
        let since = selection.since.map_or(0, millis);
        let ended = matches!(self.record.state, State::Completed | State::Failed);
        let when = self.record.at.filter(|_| ended).unwrap_or(self.record.timestamp);
        let receiver = selection.receiver.as_deref();
        when >= since
            && receiver
                .is_none_or(|host| self.errand.callback.as_deref().is_some_and(|url| goes_to(url, host)))
    }

    pub fn to_json(&self) -> Value {
        let Record { id, name, timestamp, attempts_made, attempts, failed_reason, .. } = &self.record;
        let ended = !matches!(self.record.state, State::Delayed);
        json!({
            "id": id.as_str(),
            "webhook_id": self.webhook_id,
            "state": self.state(),
            "name": name,
            "work_id": self.errand.work_id.as_ref().map(|work_id| value(&work_id.0)),
            "callback": self.callback(),
            "outcome": self.outcome,
            "queued_at": time(*timestamp),
            "ended_at": self.at().filter(|_| ended),
            "next_attempt_at": self.at().filter(|_| !ended),
            "attempts_made": attempts_made,
            "attempts": attempts,
            "reason": Some(failed_reason).filter(|reason| !reason.is_empty()),
        })
    }
}

/// Any JSON text as a value; a number that no double holds as its text.
pub(super) fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

/// Whether a URL leads to a host, or to a host and port.
fn goes_to(url: &str, wanted: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(host) = url.host_str() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let with_port = format!("{host}:{}", url.port_or_known_default().unwrap_or(0));
    [host, bare, &with_port].iter().any(|known| known.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_named_by_its_host_or_by_host_and_port_and_never_by_a_part() {
        for (url, wanted, fits) in [
            ("http://u:p@School.example/a", "school.example", true),
            ("https://school.example/a", "school.example:443", true),
            ("http://school.example:8080/a", "SCHOOL.example:8080", true),
            ("http://school.example:8080/a", "school.example:80", false),
            ("http://[::1]:9/", "::1", true),
            ("http://[::1]:9/", "[::1]:9", true),
            ("http://notschool.example/", "school.example", false),
            ("http://other/school.example", "school.example", false),
            ("nonsense", "nonsense", false),
        ] {
            assert_eq!(goes_to(url, wanted), fits, "{url} {wanted}");
        }
    }
}
