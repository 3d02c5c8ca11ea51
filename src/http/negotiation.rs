//! Which of two types of content whoever asks prefers, by its `Accept` (RFC 9110, section 12.5.1).

use hyper::header::{ACCEPT, HeaderMap};

use crate::metrics::Format;

/// How much an `Accept` likes what stands in it, in thousandths; nothing for what it does not name.
#[derive(Clone, Copy, Debug, Default)]
struct Liking(Option<u16>);

impl Liking {
    fn most(&mut self, quality: u16) {
        self.0 = Some(self.0.unwrap_or_default().max(quality));
    }

    /// Whether this is liked, and no less than the other.
    fn wins_over(self, other: Self) -> bool {
        self.0.is_some_and(|quality| quality > 0 && quality >= other.0.unwrap_or_default())
    }
}

/// In which format the metrics are wanted: in `OpenMetrics` only where that is asked for by name.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let (mut open, mut plain) = (Liking::default(), Liking::default());
    for (media, version, quality) in ranges(headers) {
        match media.as_str() {
            "application/openmetrics-text" if matches!(version.as_str(), "" | "1.0.0" | "0.0.1") => {
                open.most(quality);
            }
            "text/plain" if matches!(version.as_str(), "" | "0.0.4") => plain.most(quality),
            _ => {}
        }
    }
    if open.wins_over(plain) { Format::OpenMetrics } else { Format::Prometheus }
}

/// Whether JSON is wanted, and not lines.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let (mut json, mut plain) = (Liking::default(), Liking::default());
    for (media, _, quality) in ranges(headers) {
        match media.as_str() {
            "application/json" => json.most(quality),
            "text/plain" => plain.most(quality),
            _ => {}
        }
    }
    json.wins_over(plain)
}

/// The types of content in `Accept`, in lower case, with their version and quality.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (String, String, u16)> {
    let accepts = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).map(|range| {
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let media = parts.next().unwrap_or_default();
        let (mut version, mut quality) = (String::new(), 1000);
        for parameter in parts {
            match parameter.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
                Some(("version", value)) => value.trim_matches('"').clone_into(&mut version),
                Some(("q", value)) => quality = thousandths(value),
                _ => {}
            }
        }
        (media, version, quality)
    })
}

/// A quality; one that is none is as if it were not there.
fn thousandths(text: &str) -> u16 {
    let quality = text.parse::<f64>().ok().filter(|quality| (0.0..=1.0).contains(quality)).unwrap_or(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1000")]
    {
        (quality * 1000.0) as u16
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn headers(accept: &[&str]) -> HeaderMap {
        let value = |text: &&str| HeaderValue::from_str(text).expect("a header");
        accept.iter().map(|text| (ACCEPT, value(text))).collect()
    }

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it_and_like_it_no_less() {
        for (accept, open) in [
            (&[][..], false),
            (&["*/*"], false),
            (&["application/openmetrics-text"], true),
            (&["Application/OpenMetrics-Text; Version=1.0.0"], true),
            (&["application/openmetrics-text;version=2.0.0"], false),
            (&["application/openmetrics-text;q=0"], false),
            (&["text/plain", "application/openmetrics-text; version=\"1.0.0\""], true),
            (&["application/openmetrics-text;q=0.4, text/plain;version=0.0.4;q=0.5"], false),
            // What Prometheus 2.42 and 3 send.
            (
                &[
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                   text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ],
                true,
            ),
            (
                &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                   text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"],
                true,
            ),
        ] {
            let expected = if open { Format::OpenMetrics } else { Format::Prometheus };
            assert_eq!(format(&headers(accept)), expected, "{accept:?}");
        }
    }

    #[test]
    fn json_is_for_those_who_ask_for_it() {
        for (accept, json) in [
            ("application/json", true),
            ("application/json, text/plain, */*", true),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("application/json;q=0.1, text/plain", false),
        ] {
            assert_eq!(wants_json(&headers(&[accept])), json, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_there_is_a_format(text in "[ -~]{0,80}") {
            if let Ok(value) = HeaderValue::from_str(&text) {
                let headers = [(ACCEPT, value)].into_iter().collect();
                let _ = (format(&headers), wants_json(&headers));
            }
        }
    }
}
