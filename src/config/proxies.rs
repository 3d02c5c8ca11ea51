//! By which way callbacks go: `CALLBACK_PROXY` and `CALLBACK_NO_PROXY`, and the environment's own variables on request.

use super::callbacks::{rules, shown};
use super::inputs::{Found, Inputs};
use super::problem::Problem;
use crate::egress::{Proxies, Proxy, Rule, exceptions};

const SETTING: &str = "CALLBACK_PROXY";
/// The value of it that asks for the environment's.
const ENVIRONMENT: &str = "environment";
/// Of each pair the first counts. There is no `HTTP_PROXY`: programs that a web server calls get that from whoever sends
/// a header `Proxy` (<https://httpoxy.org>).
const HTTP: &[&str] = &["http_proxy"];
const HTTPS: &[&str] = &["https_proxy", "HTTPS_PROXY"];
const ALL: &[&str] = &["all_proxy", "ALL_PROXY"];
const NONE: &[&str] = &["no_proxy", "NO_PROXY"];

/// The proxies; none where nobody asks for them.
pub(super) fn proxies(inputs: &mut Inputs) -> Proxies {
    let direct = inputs.read("CALLBACK_NO_PROXY", rules);
    let Some(found) = inputs.find(SETTING) else {
        if !direct.is_empty() {
            inputs.warn("CALLBACK_NO_PROXY is set, but CALLBACK_PROXY is not: all callbacks go directly");
        }
        return Proxies::default();
    };
    if found.text.trim().eq_ignore_ascii_case(ENVIRONMENT) {
        return of_environment(inputs, direct);
    }
    let proxy = parsed(inputs, &found, &found.text);
    Proxies { for_http: proxy.clone(), for_https: proxy, direct }
}

fn of_environment(inputs: &mut Inputs, mut direct: Vec<Rule>) -> Proxies {
    let mut proxy = |own: &[&str]| {
        let found = inputs.first_of(&[own, ALL].concat(), SETTING)?;
        // As other programs read it: what has no scheme is meant so.
        let text = found.text.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        parsed(inputs, &found, &text)
    };
    let (for_http, for_https) = (proxy(HTTP), proxy(HTTPS));
    if for_http.is_none() && inputs.plain("HTTP_PROXY").is_some() {
        inputs.warn("HTTP_PROXY is not read, since others may be able to set it: write http_proxy");
    }
    if for_http.is_none() && for_https.is_none() {
        inputs.warn(
            "CALLBACK_PROXY is 'environment', which has no https_proxy, http_proxy or all_proxy: callbacks go directly",
        );
    }
    if let Some(found) = inputs.first_of(NONE, SETTING) {
        let (rules, unknown) = exceptions(&found.text);
        direct.extend(rules);
        for word in unknown {
            let (word, origin) = (shown(&word, &found.text), &found.origin);
            inputs.warn(format!(
                "{word} is no host, domain, address or network and counts for nothing ({origin})"
            ));
        }
    }
    Proxies { for_http, for_https, direct }
}

/// What is wrong is told by the place where it was found, without the value, which may hold a password.
fn parsed(inputs: &mut Inputs, found: &Found, text: &str) -> Option<Proxy> {
    match Proxy::parse(text) {
        Ok(proxy) => Some(proxy),
        Err(what) => {
            inputs.report(Problem::Unusable { setting: SETTING, origin: found.origin.clone(), what });
            None
        }
    }
}
