//! A rule of `CALLBACK_ALLOW` and `CALLBACK_DENY`: a host, all hosts below a domain, or a network; with or without a
//! port.

use std::fmt;
use std::net::IpAddr;

use url::Host;

use super::addresses::{meant, shares};

/// One rule, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    whom: Whom,
    port: Option<u16>,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    /// `*`
    Everybody,
    /// A name, in lower case and without a dot at its end.
    Host(String),
    /// `*.example.org`: all names that end so, dot included.
    Below(String),
    /// `10.0.0.0/8`, or a single address.
    Network(IpAddr, u32),
}

/// What a rule looks like, for the error that says so.
pub const FORMS: &str = "hosts (lms.example.org, *.example.org), addresses and networks (10.0.0.5, 10.0.0.0/8, \
                         fd00::/8), each with or without a port (lms.example.org:8443, [fd00::/8]:443), between commas";

/// The rules of a list, which stand between commas or white space.
///
/// # Errors
/// The first word that is none.
pub fn parse_all(text: &str) -> Result<Vec<Rule>, String> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.map(|word| Rule::parse(word).ok_or_else(|| word.to_owned())).collect()
}

impl Rule {
    /// Reads one rule.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (whom, port) = without_port(text)?;
        Some(Self { whom: Whom::parse(whom)?, port, text: text.to_owned() })
    }

    /// Whether it says something of a host by its name. `host` is in lower case and without a dot at its end.
    #[must_use]
    pub fn names(&self, host: &str, port: u16) -> bool {
        self.is_of(port)
            && match &self.whom {
                Whom::Everybody => true,
                Whom::Host(name) => name == host,
                Whom::Below(end) => host.len() > end.len() && host.ends_with(end),
                Whom::Network(..) => false,
            }
    }

    /// Whether it says something of an address: as it is dialled, or as it is reached in the end.
    #[must_use]
    pub fn covers(&self, address: IpAddr, port: u16) -> bool {
        let Whom::Network(base, bits) = self.whom else { return false };
        self.is_of(port) && [address, meant(address)].into_iter().any(|address| is_in(address, base, bits))
    }

    /// The host that it names, where it is one.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.whom {
            Whom::Host(name) => Some(name),
            _ => None,
        }
    }

    /// The address that it names, or from which on its network goes, where it is of such.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.whom {
            Whom::Network(base, _) => Some(base),
            _ => None,
        }
    }

    fn is_of(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Whom {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everybody);
        }
        if let Some((base, bits)) = text.split_once('/') {
            let (base, bits) = (base.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?);
            let most = if base.is_ipv4() { 32 } else { 128 };
            return match base.to_canonical() {
                _ if bits > most => None,
                // An IPv4 network in its IPv6 form: it is the former that is dialled.
                v4 @ IpAddr::V4(_) if base.is_ipv6() && bits >= 96 => Some(Self::Network(v4, bits - 96)),
                _ => Some(Self::Network(base, bits)),
            };
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let address = address.to_canonical();
            return Some(Self::Network(address, if address.is_ipv4() { 32 } else { 128 }));
        }
        match text.strip_prefix("*.") {
            Some(domain) => Some(Self::Below(format!(".{}", host_name(domain)?))),
            None => host_name(text).map(Self::Host),
        }
    }
}

/// A name as URLs have it: international ones in ASCII, in lower case; `None` for what is none, an address too.
fn host_name(text: &str) -> Option<String> {
    if text.contains(['*', '/', '@', ':', '[']) {
        return None;
    }
    match Host::parse(text) {
        Ok(Host::Domain(name)) => Some(name.trim_end_matches('.').to_owned()).filter(|name| !name.is_empty()),
        _ => None,
    }
}

/// What stands before the port, and the port. `[…]` may stand around what holds colons itself.
fn without_port(text: &str) -> Option<(&str, Option<u16>)> {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).map(Some);
    if let Some(rest) = text.strip_prefix('[') {
        let (whom, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(digits) => Some((whom, port(digits)?)),
            // `[fd00::]/8` is another way to write it that is not worth a guess.
            None => rest.is_empty().then_some((whom, None)),
        };
    }
    match text.matches(':').count() {
        1 => {
            let (whom, digits) = text.split_once(':')?;
            Some((whom, port(digits)?))
        }
        _ => Some((text, None)),
    }
}

fn is_in(address: IpAddr, base: IpAddr, bits: u32) -> bool {
    match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => shares(&address.octets(), &base.octets(), bits),
        (IpAddr::V6(address), IpAddr::V6(base)) => shares(&address.octets(), &base.octets(), bits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap_or_else(|| panic!("{text} is a rule"))
    }

    #[test]
    fn a_name_is_that_host_and_a_star_all_below_a_domain_but_not_it() {
        let host = rule("LMS.Example.org.");
        assert!(host.names("lms.example.org", 80) && !host.names("a.lms.example.org", 80));
        let below = rule("*.example.org");
        assert!(below.names("a.example.org", 443) && below.names("a.b.example.org", 443));
        assert!(!below.names("example.org", 443) && !below.names("badexample.org", 443));
        assert!(!below.names(".example.org", 443) && rule("*").names("any", 1));
        assert!(rule("bücher.example").names("xn--bcher-kva.example", 80));
    }

    #[test]
    fn a_network_is_of_addresses_as_they_are_dialled_and_as_they_are_reached() {
        let covers = |text: &str, address: &str| rule(text).covers(address.parse().expect(address), 80);
        assert!(covers("10.0.0.0/8", "10.255.0.1") && !covers("10.0.0.0/8", "11.0.0.0"));
        assert!(covers("10.0.0.7/8", "10.1.1.1") && covers("0.0.0.0/0", "8.8.8.8"));
        assert!(covers("10.0.0.0/8", "::ffff:10.0.0.1") && covers("10.0.0.0/8", "64:ff9b::a00:1"));
        assert!(covers("::ffff:10.0.0.0/104", "10.9.9.9") && !covers("::ffff:10.0.0.0/104", "11.0.0.1"));
        assert!(covers("::ffff:0:0/96", "8.8.8.8") && !covers("::/0", "8.8.8.8"));
        assert!(covers("64:ff9b::/96", "64:ff9b::808:808") && !covers("0.0.0.0/0", "fd00::1"));
        assert!(
            covers("fd00::/8", "fd12::1") && covers("::1", "::1") && covers("::ffff:10.0.0.1", "10.0.0.1")
        );
        assert!(!rule("10.0.0.0/8").names("10.0.0.1", 80));
    }

    #[test]
    fn a_port_narrows_a_rule() {
        assert!(rule("h:8443").names("h", 8443) && !rule("h:8443").names("h", 443));
        let address: IpAddr = "fd00::1".parse().expect("an address");
        assert!(rule("[fd00::/8]:443").covers(address, 443) && !rule("[fd00::/8]:443").covers(address, 80));
        assert!(rule("[fd00::1]").covers(address, 9) && rule("*:25").names("any", 25));
        assert!(rule("10.0.0.0/8:25").covers("10.0.0.1".parse().expect("an address"), 25));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for text in [
            "",
            "10.0.0.0/33",
            "fd00::/129",
            "10.0.0/8",
            "h:",
            "h:0",
            "h:65536",
            "http://h",
            "h/p",
            "u@h",
            "a.*.org",
            "*.",
            "**",
            "[::1",
            "[::1]x",
            "0x7f.1/8",
            "-/8",
            "256.1.1.1",
        ] {
            assert_eq!(Rule::parse(text), None, "{text}");
        }
        assert_eq!(parse_all("a, b c\n10.0.0.0/8,,").map(|rules| rules.len()), Ok(4));
        assert_eq!(parse_all("a,b/c,d"), Err("b/c".to_owned()));
        // Odd ways to write an address are that address nowhere but in URLs.
        assert_eq!(Rule::parse("0x7f.1"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in ".{0,40}", host in "[a-z.]{0,20}") {
            if let Some(rule) = Rule::parse(&text) {
                let _ = (rule.names(&host, 80), rule.covers(IpAddr::from([127, 0, 0, 1]), 80), rule.to_string());
            }
        }
    }
}
