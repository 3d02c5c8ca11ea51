//! The headers by which a receiver knows that a delivery is ours: its time, and its signatures.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::signing::{SIGNATURE_HEADER, SigningKeys, TIMESTAMP_HEADER};

/// The time and the signatures of one attempt; nothing without keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Seal(Option<(HeaderValue, HeaderValue)>);

impl Seal {
    /// Signs the exact bytes of a body.
    pub fn of(keys: &SigningKeys, webhook_id: &str, now: SystemTime, body: &[u8]) -> Self {
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let signature = keys.sign(webhook_id, seconds, body);
        // Base 64, commas and spaces always make a header.
        let signature = signature.and_then(|signature| HeaderValue::try_from(signature).ok());
        Self(signature.map(|signature| (HeaderValue::from(seconds), signature)))
    }

    /// Adds the headers to a request's.
    pub fn put_on(&self, headers: &mut HeaderMap) {
        if let Some((time, signature)) = &self.0 {
            headers.insert(TIMESTAMP_HEADER, time.clone());
            headers.insert(SIGNATURE_HEADER, signature.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signing::signing_keys;

    #[test]
    fn the_headers_are_the_attempts_time_and_the_signatures_of_it_or_none_without_keys() {
        let keys = signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None).expect("a key");
        let now = UNIX_EPOCH + Duration::from_millis(1_614_265_330_999);
        let mut headers = HeaderMap::new();
        let body = br#"{"test": 2432232314}"#;
        Seal::of(&SigningKeys::default(), "id", now, body).put_on(&mut headers);
        assert!(headers.is_empty(), "{headers:?}");
        Seal::of(&SigningKeys::new(keys), "msg_p5jXN8AQM9LWM0D4loKWxJek", now, body).put_on(&mut headers);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
