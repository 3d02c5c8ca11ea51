//! One attempt to deliver a result, as it is told to whoever keeps account of attempts.

use std::time::Duration;

use jiff::Timestamp;

use super::Delivery;

/// One attempt: when, how long, and what became of it. Nothing in it names credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took: connecting, TLS, redirects, the status of the answer.
    pub took: Duration,
    /// What became of it.
    pub delivery: Delivery,
}

impl Attempt {
    /// The status of the last answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.delivery.status()
    }

    /// Why it failed; `None` where it did not.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        (!self.delivery.is_delivered()).then(|| self.delivery.to_string())
    }

    /// The beginning of the answer's body on one line, at most 1 KiB; empty where there was none in time.
    #[must_use]
    pub fn answer(&self) -> &str {
        match &self.delivery {
            Delivery::Delivered { answer, .. } | Delivery::Refused { answer, .. } => answer,
            _ => "",
        }
    }

    /// Whether there is nothing left to try: it was delivered, or never can be.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !self.delivery.may_heal()
    }

    /// How long the receiver wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.delivery.retry_after()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_tells_status_error_answer_and_whether_it_was_the_last() {
        let attempt = |delivery| Attempt { at: Timestamp::UNIX_EPOCH, took: Duration::ZERO, delivery };
        let done = attempt(Delivery::Delivered { status: 204, answer: "ok".into() });
        assert_eq!(
            (done.status(), done.error(), done.answer(), done.is_final()),
            (Some(204), None, "ok", true)
        );
        let wait = Some(Duration::from_secs(7));
        let busy = attempt(Delivery::Refused { status: 503, retry_after: wait, answer: "busy".into() });
        assert_eq!((busy.status(), busy.answer(), busy.is_final()), (Some(503), "busy", false));
        assert_eq!(busy.retry_after(), wait);
        assert!(busy.error().is_some_and(|error| error.contains("status 503: busy")));
        let gone = attempt(Delivery::Refused { status: 410, retry_after: wait, answer: String::new() });
        assert!(gone.is_final() && gone.retry_after().is_none());
        let refused = attempt(Delivery::Forbidden { reason: "it is our own Redis".into() });
        assert_eq!((refused.status(), refused.answer(), refused.is_final()), (None, "", true));
        assert!(!attempt(Delivery::TimedOut { after: Duration::ZERO }).is_final());
    }
}
