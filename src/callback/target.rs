//! Where a result goes: a checked URL, with its credentials apart from what may be shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// A URL that can be dialled.
#[derive(Clone)]
pub(super) struct Target {
    url: Url,
    /// What the request names.
    pub uri: Uri,
    /// The credentials of the URL, for the `Authorization` header.
    pub authorization: Option<HeaderValue>,
}

impl Target {
    /// Checks a URL.
    ///
    /// # Errors
    /// It is not an `http` or `https` URL that can be asked for; the text names no credentials.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}: {}", shown(text)))?;
        Self::of(url)
    }

    /// Where an answer's `Location` leads from here. Credentials stay where they belong: they go along
    /// within the same origin only.
    ///
    /// # Errors
    /// It leads nowhere that can be asked for.
    pub fn redirected(&self, location: &str) -> Result<Self, String> {
        let url = self.url.join(location).map_err(|error| format!("{error}: {}", shown(location)))?;
        let same_origin = url.origin() == self.url.origin();
        let mut target = Self::of(url)?;
        if target.authorization.is_none() && same_origin {
            target.authorization.clone_from(&self.authorization);
        }
        Ok(target)
    }

    fn of(mut url: Url) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("it is not an http or https URL: {}", shown(url.as_str())));
        }
        let authorization = authorization(&url);
        url.set_fragment(None);
        // Neither can fail on a URL with a host.
        let (_, _) = (url.set_username(""), url.set_password(None));
        let uri = url.as_str().parse::<Uri>().map_err(|error| format!("{error}: {}", shown(url.as_str())))?;
        // What is checked is what this parser understood, what is dialled what that one did: they have to agree.
        if uri.host() != url.host_str()
            || uri.port_u16() != url.port()
            || uri.scheme_str() != Some(url.scheme())
        {
            return Err(format!("its host is ambiguous: {}", shown(url.as_str())));
        }
        Ok(Self { url, uri, authorization })
    }

    /// Whether it is encrypted.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The host, as it is dialled.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port, the scheme's own where none is told.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }
}

/// Which receiver a URL is of: host and port; empty for what is no URL.
#[must_use]
pub fn receiver(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return String::new() };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    format!("{host}:{}", url.port_or_known_default().unwrap_or_default())
}

/// A URL as it may stand in logs and error texts: without credentials, and without the query, in which
/// receivers keep tokens.
#[must_use]
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut shown = match Url::parse(text) {
        Ok(mut url) if url.has_host() => {
            let query = url.query().is_some();
            url.set_query(None);
            url.set_fragment(None);
            let (_, _) = (url.set_username(""), url.set_password(None));
            if query { format!("{url}?…") } else { url.to_string() }
        }
        // Whatever it is: what stands before an @ may be credentials.
        _ => text.rsplit('@').next().unwrap_or_default().split('?').next().unwrap_or_default().to_owned(),
    };
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

/// `user:password@` as basic authentication (RFC 7617).
fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_become_a_header_and_are_never_shown() {
        let target = Target::parse("http://a%40b:s%C3%A9cret@h:8080/p?t=1#f").expect("a URL");
        assert_eq!(target.uri.to_string(), "http://h:8080/p?t=1");
        let expected = format!("Basic {}", STANDARD.encode("a@b:sécret"));
        assert_eq!(target.authorization.as_ref().map(HeaderValue::as_bytes), Some(expected.as_bytes()));
        assert!(!format!("{:?}", target.authorization).contains(&expected));
        assert_eq!(shown("http://a:secret@h/p?token=1"), "http://h/p?…");
        assert_eq!(receiver("http://a:secret@H:80/p?token=1"), "h:80");
        assert_eq!((receiver("https://h./"), receiver("nonsense")), ("h:443".into(), String::new()));
        for text in ["http://u:secret@[bad/", "u:secret@h?secret", "ftp://u:secret@h/", "http://u:secret@"] {
            let problem = Target::parse(text).err().expect(text);
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn credentials_follow_a_redirect_within_the_same_origin_only() {
        let target = Target::parse("http://u:p@h/a/b").expect("a URL");
        let leads = |location: &str| {
            let target = target.redirected(location).expect(location);
            (target.uri.to_string(), target.authorization.is_some())
        };
        assert_eq!(leads("c"), ("http://h/a/c".into(), true));
        assert_eq!(leads("//h:81/"), ("http://h:81/".into(), false));
        assert_eq!(leads("https://h/"), ("https://h/".into(), false));
        assert_eq!(leads("https://x:y@other/"), ("https://other/".into(), true));
        assert!(target.redirected("ftp://h/").is_err());
        assert!(target.redirected("file:///etc/passwd").is_err());
    }

    #[test]
    fn what_cannot_be_dialled_is_refused() {
        for text in ["", "h/p", "ftp://h", "mailto:a@b", "http://", "data:,x", "http://h:99999/"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        for text in ["http://h", "https://[::1]:8/a|b{c}?d=[e]^`", "http://é.example/é?é=\"<>"] {
            assert!(Target::parse(text).is_ok(), "{text}");
        }
    }
}
