//! By which way a callback goes that may go: directly, or by a proxy.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use super::addresses::meant;
use super::canonical;
use super::rules::Rule;

/// An HTTP proxy that is asked for tunnels (RFC 9110, section 9.3.6). Neither `Debug` nor `Display` shows its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    host: String,
    port: u16,
    credentials: Option<Vec<u8>>,
}

impl Proxy {
    /// Reads `http://[user:password@]host:port`.
    ///
    /// # Errors
    /// What is wrong with it; nothing of it is shown.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let url = Url::parse(text).map_err(|error| {
            format!(
                "no valid URL ({error}); a proxy is written http://host:port, or http://user:password@host:port with special \
                 characters percent-encoded"
            )
        })?;
        if url.scheme() != "http" || !text.contains("://") {
            return Err(
                "it must begin with http://: the way to the proxy is plain HTTP (an https callback stays encrypted within it); \
                 proxies by https or SOCKS are not supported"
                    .to_owned(),
            );
        }
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err("there is no host in it".to_owned());
        };
        if !names_port(text) {
            return Err("there is no port in it: proxies have no usual one (http://host:3128)".to_owned());
        }
        let port = url.port_or_known_default().unwrap_or_default();
        if port == 0 {
            return Err("the port must be from 1 to 65535".to_owned());
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(
                "nothing may follow the port; special characters in a user or password must be percent-encoded"
                    .to_owned(),
            );
        }
        Ok(Self { host: host.to_owned(), port, credentials: credentials(&url)? })
    }

    /// Its name or address, an IPv6 one in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it is told of who we are, as basic authentication has it (RFC 7617). A secret.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        Some(format!("Basic {}", STANDARD.encode(credentials)))
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = if self.credentials.is_some() { "********@" } else { "" };
        write!(formatter, "http://{hidden}{}:{}", self.host, self.port)
    }
}

/// Whether a port is written out: the URL's parser forgets the usual one of web servers.
fn names_port(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit_once(':').map_or("", |(_, port)| port);
    !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn credentials(url: &Url) -> Result<Option<Vec<u8>>, String> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return Ok(None);
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    if credentials.contains(&b':') {
        return Err("a user with a colon cannot be told to a proxy".to_owned());
    }
    credentials.push(b':');
    credentials.extend(percent_decode_str(password));
    Ok(Some(credentials))
}

/// Which callbacks go by which proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// That of callbacks by plain `http`.
    pub for_http: Option<Proxy>,
    /// That of callbacks by `https`.
    pub for_https: Option<Proxy>,
    /// What is reached directly all the same.
    pub direct: Vec<Rule>,
}

impl Proxies {
    /// The proxy by which one of a host's addresses is reached; nothing = directly.
    ///
    /// A loopback address always is: to a proxy it means the proxy's own machine.
    #[must_use]
    pub fn way(&self, is_https: bool, host: &str, address: IpAddr, port: u16) -> Option<&Proxy> {
        let proxy = self.of(is_https)?;
        let name = canonical(host);
        let is_direct = meant(address).is_loopback()
            || self.direct.iter().any(|rule| rule.names(&name, port) || rule.covers(address, port));
        (!is_direct).then_some(proxy)
    }

    /// The proxy of a kind of callbacks, whatever is reached directly.
    #[must_use]
    pub fn of(&self, is_https: bool) -> Option<&Proxy> {
        if is_https { self.for_https.as_ref() } else { self.for_http.as_ref() }
    }

    /// Each proxy once, with what goes by it.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &Proxy)> {
        let is_one = self.for_http == self.for_https;
        let http = if is_one { "callbacks" } else { "callbacks by plain http" };
        let other = self.for_https.as_ref().filter(|_| !is_one);
        self.for_http
            .iter()
            .map(move |proxy| (http, proxy))
            .chain(other.map(|proxy| ("callbacks by https", proxy)))
    }

    /// What goes directly since it has no proxy, although other callbacks have one.
    #[must_use]
    pub fn without(&self) -> Option<&'static str> {
        match (&self.for_http, &self.for_https) {
            (None, Some(_)) => Some("callbacks by plain http"),
            (Some(_), None) => Some("callbacks by https"),
            _ => None,
        }
    }
}

/// What `no_proxy` of an environment excepts, and the words in it that nobody understands. There a name is that host
/// and all below it, with a dot before it or without (<https://curl.se/docs/manpage.html#NOPROXY>).
#[must_use]
pub fn exceptions(text: &str) -> (Vec<Rule>, Vec<String>) {
    let (mut rules, mut unknown) = (Vec::new(), Vec::new());
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
        let bare = word.strip_prefix("*.").or(word.strip_prefix('.')).unwrap_or(word);
        match Rule::parse(bare) {
            Some(rule) => {
                let below = rule.host().and_then(|_| Rule::parse(&format!("*.{bare}")));
                rules.extend([rule].into_iter().chain(below));
            }
            None => unknown.push(word.to_owned()),
        }
    }
    (rules, unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::parse_all;
    use proptest::prelude::*;

    #[test]
    fn a_proxy_is_read_with_its_credentials_which_are_never_shown() {
        let proxy = Proxy::parse(" http://us%40er:c%3An%61ry@Proxy.School:3128/ ").expect("a proxy");
        assert_eq!((proxy.host(), proxy.port()), ("proxy.school", 3128));
        let told = proxy.authorization().expect("credentials");
        assert_eq!(told, format!("Basic {}", STANDARD.encode("us@er:c:nary")));
        assert_eq!(proxy.to_string(), "http://proxy.school:3128");
        assert_eq!(format!("{proxy:?}"), "http://********@proxy.school:3128");
        for (text, host, port) in [
            ("http://10.0.0.1:80", "10.0.0.1", 80),
            ("http://[fd00::1]:8080", "[fd00::1]", 8080),
            ("http://@h:1", "h", 1),
            ("http://:@h:1", "h", 1),
        ] {
            let proxy = Proxy::parse(text).expect(text);
            assert_eq!((proxy.host(), proxy.port(), proxy.authorization()), (host, port, None), "{text}");
        }
        assert!(Proxy::parse("http://u@h:1").expect("a proxy").authorization().is_some());
    }

    #[test]
    fn what_is_no_proxy_is_told_without_showing_it() {
        for (text, why) in [
            ("canary", "no valid URL"),
            ("", "no valid URL"),
            ("proxy.canary:3128", "must begin with http://"),
            ("https://canary:3128", "must begin with http://"),
            ("socks5://canary:1080", "must begin with http://"),
            ("http:canary:3128", "must begin with http://"),
            ("http://", "no valid URL"),
            ("http://:3128", "no valid URL"),
            ("http://u:canary@:3128", "no valid URL"),
            ("http://u:canary@h", "no port"),
            ("http://u:canary@h:", "no port"),
            ("http://[fd00::1]", "no port"),
            ("http://u:canary@h:0", "1 to 65535"),
            ("http://u:canary@h:99999", "no valid URL"),
            ("http://u:canary@h:1/path", "nothing may follow"),
            ("http://h:1/?canary", "nothing may follow"),
            ("http://u%3Ax:canary@h:1", "colon"),
            // A password that was not encoded: what is meant for a secret is taken for a host.
            ("http://u:ca/nary@h:1", ""),
        ] {
            let told = Proxy::parse(text).expect_err(text);
            assert!(
                told.contains(why) && !told.contains("canary") && !told.contains("nary"),
                "{text}: {told}"
            );
        }
    }

    fn ways(direct: &str) -> Proxies {
        let proxy = |port| Proxy::parse(&format!("http://p:{port}")).ok();
        Proxies { for_http: proxy(80), for_https: proxy(443), direct: parse_all(direct).expect("rules") }
    }

    fn way(proxies: &Proxies, host: &str, address: &str, port: u16) -> Option<u16> {
        proxies.way(port == 443, host, address.parse().expect("an address"), port).map(Proxy::port)
    }

    #[test]
    fn each_scheme_has_its_proxy_and_what_is_excepted_goes_directly() {
        let all = ways("lms.school, *.inner.school, 10.0.0.0/8, other.school:443");
        assert_eq!(way(&all, "h", "8.8.8.8", 443), Some(443));
        assert_eq!(way(&all, "h", "8.8.8.8", 80), Some(80));
        assert_eq!(way(&all, "LMS.school.", "8.8.8.8", 80), None);
        assert_eq!(
            (way(&all, "a.inner.school", "8.8.8.8", 80), way(&all, "h", "10.1.1.1", 443)),
            (None, None)
        );
        assert_eq!(way(&all, "h", "64:ff9b::a01:101", 443), None);
        assert_eq!(
            (way(&all, "other.school", "8.8.8.8", 443), way(&all, "other.school", "8.8.8.8", 80)),
            (None, Some(80))
        );
        let some = Proxies { for_http: None, ..all };
        assert_eq!((way(&some, "h", "8.8.8.8", 80), some.each().count()), (None, 1));
        assert_eq!(some.without(), Some("callbacks by plain http"));
    }

    #[test]
    fn a_loopback_address_is_never_left_to_a_proxy() {
        let all = ways("");
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert_eq!(way(&all, "h", address, 80), None, "{address}");
        }
        assert_eq!(way(&all, "localhost", "10.0.0.1", 80), Some(80));
    }

    #[test]
    fn the_environments_exceptions_are_hosts_with_all_below_them() {
        let (direct, unknown) =
            exceptions("school.example,.dotted.example *.star.example, 10.0.0.0/8,http://x/,fd00::1");
        assert_eq!(unknown, ["http://x/"]);
        let all = Proxies { direct, ..ways("") };
        for host in
            ["school.example", "a.school.example", "dotted.example", "a.dotted.example", "b.star.example"]
        {
            assert_eq!(way(&all, host, "8.8.8.8", 80), None, "{host}");
        }
        assert_eq!(way(&all, "badschool.example", "8.8.8.8", 80), Some(80));
        assert_eq!((way(&all, "h", "10.2.2.2", 80), way(&all, "h", "fd00::1", 80)), (None, None));
        let everybody = Proxies { direct: exceptions("*").0, ..ways("") };
        assert_eq!(way(&everybody, "h", "8.8.8.8", 443), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_a_password_is_never_told(
            text in any::<String>(),
            password in "[a-z0-9]{12}",
            rest in "[a-z:/@?#\\[\\]0-9]{0,12}",
        ) {
            let _ = (Proxy::parse(&text), exceptions(&text));
            let told = match Proxy::parse(&format!("http://user:{password}@{rest}")) {
                Ok(proxy) => format!("{proxy} {proxy:?}"),
                Err(problem) => problem,
            };
            prop_assert!(!told.contains(&password), "{}", told);
        }
    }
}
